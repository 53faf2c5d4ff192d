"""Key-value cache of the Thinker: a token's keys and values are computed once."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Keys and values of all layers, (B, n_kv_heads, room, head_width) each, of which `length` positions are filled."""

    def __init__(self, n_layers: int, batch: int, n_kv_heads: int, room: int, head_width: int, *, like: Tensor):
        shape = (n_layers, batch, n_kv_heads, room, head_width)
        self.keys = torch.empty(shape, dtype=like.dtype, device=like.device)
        self.values = torch.empty_like(self.keys)
        self.padding = torch.zeros(batch, room, dtype=torch.bool, device=like.device)  # True: nobody attends here
        self.length = 0
        self.room = room

    def copied(self, batch: int, room: int) -> KVCache:
        """The same with other room, for `batch` rows that go on from this one row."""
        n_layers, _, n_kv_heads, _, head_width = self.keys.shape
        copy = KVCache(n_layers, batch, n_kv_heads, room, head_width, like=self.keys)
        copy.length, filled = self.length, self.length
        copy.keys[..., :filled, :] = self.keys[..., :filled, :]
        copy.values[..., :filled, :] = self.values[..., :filled, :]
        copy.padding[:, :filled] = self.padding[:, :filled]
        return copy

    def take(self, rows: Tensor) -> None:
        """The rows of these numbers become all there are, in their order; one may come several times."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]
        self.padding = self.padding[rows]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Writes k, v (B, n_kv_heads, T, D) behind what is there; returns all of this layer so far."""
        end = self.length + k.shape[2]
        self.keys[layer, :, :, self.length : end] = k
        self.values[layer, :, :, self.length : end] = v
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def positions(self) -> Tensor:
        """(B,) the position that the next token of each row has: padding does not count."""
        return (~self.padding[:, : self.length]).sum(1)
