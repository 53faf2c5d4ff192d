"""Where the Thinker looks while it answers: its attention, read off a forward pass."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from muomni_core.errors import InputError
from muomni_core.model.layers import rotate
from muomni_core.model.thinker import CausalAttention, Thinker


@torch.no_grad()
def attention_weights(thinker: Thinker, embeddings: Tensor) -> list[Tensor]:
    """Causal attention of every layer, (n_heads, T, T) each, over one row of embeddings (1, T, 256).

    The forward pass itself uses a kernel that hands out no weights; so each layer's inputs are kept, and queries and
    keys made again.
    """
    inputs: list[tuple[CausalAttention, Tensor, tuple[Tensor, Tensor]]] = []

    def keep(module: CausalAttention, arguments: tuple) -> None:
        inputs.append((module, arguments[0], arguments[1]))

    hooks = [block.attention.register_forward_pre_hook(keep) for block in thinker.blocks]
    try:
        thinker(embeddings)
    finally:
        for hook in hooks:
            hook.remove()
    return [_weights(*layer) for layer in inputs]


def _weights(module: CausalAttention, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    _, length, _ = x.shape
    q = module.q(x).view(length, module.n_heads, module.head_width).transpose(0, 1)
    k = module.kv(x).view(length, 2, module.n_kv_heads, module.head_width)[:, 0].transpose(0, 1)
    q, k = rotate(q[None], angles)[0], rotate(k[None], angles)[0]
    k = k.repeat_interleave(module.n_heads // module.n_kv_heads, dim=0)
    scores = q @ k.transpose(1, 2) / math.sqrt(module.head_width)
    later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
    return scores.masked_fill(later, -torch.inf).float().softmax(-1)


def answer_attention(thinker: Thinker, embeddings: Tensor, first: int, places: Sequence[slice]) -> Tensor:
    """Shares (pictures, grid, grid) of the attention to each picture's cells, which sum to 1 over all cells.

    Args:
        embeddings: (1, T, 256), prompt and answer.
        first: the position that predicts the answer's first token; the last token predicts nothing of it.
        places: of each picture its frames: a summary, then grid x grid cells row by row.
    Raises:
        InputError: the frames are no summary with a square of cells.
    """
    grid = math.isqrt(max(0, places[0].stop - places[0].start - 1))
    if not grid or grid * grid != places[0].stop - places[0].start - 1:
        raise InputError("these weights see a picture as one summary; there are no patches to explain an answer with")
    layers = attention_weights(thinker, embeddings)
    rows = torch.stack([layer[:, first : max(first + 1, embeddings.shape[1] - 1)].mean((0, 1)) for layer in layers])
    cells = torch.stack([rows.mean(0)[place.start + 1 : place.stop] for place in places])
    return (cells / cells.sum().clamp_min(1e-12)).view(len(places), grid, grid).cpu()
