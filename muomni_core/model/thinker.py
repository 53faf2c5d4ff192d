"""Thinker: a decoder-only language model over text, picture and sound embeddings (RMSNorm, RoPE, GQA, SwiGLU,
optional mixture of experts; the Llama family's block)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni_core.config import ProjectorConfig, ThinkerConfig
from muomni_core.errors import ShapeError, check_shape
from muomni_core.model.cache import KVCache
from muomni_core.model.layers import RMSNorm, SwiGLU, rotary_angles, rotate


class CausalAttention(nn.Module):
    """Grouped-query attention (Ainslie 2023) with rotary positions."""

    def __init__(self, config: ThinkerConfig):
        super().__init__()
        self.n_heads, self.n_kv_heads = config.n_heads, config.n_kv_heads
        self.head_width = config.width // config.n_heads
        self.q = nn.Linear(config.width, config.n_heads * self.head_width, bias=False)
        self.kv = nn.Linear(config.width, 2 * config.n_kv_heads * self.head_width, bias=False)
        self.out = nn.Linear(config.n_heads * self.head_width, config.width, bias=False)

    def forward(
        self, x: Tensor, angles: tuple[Tensor, Tensor], mask: Tensor | None, cache: KVCache | None, layer: int
    ) -> Tensor:
        batch, length, width = x.shape
        q = self.q(x).view(batch, length, self.n_heads, self.head_width).transpose(1, 2)
        k, v = self.kv(x).view(batch, length, 2, self.n_kv_heads, self.head_width).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, angles), rotate(k, angles)
        if cache is not None:
            k, v = cache.append(layer, k, v)
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None and length > 1, enable_gqa=True
        )
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Experts(nn.Module):
    """Mixture of SwiGLU experts, the best `n_active` of them a token (Switch 2021's balance loss)."""

    def __init__(self, config: ThinkerConfig):
        super().__init__()
        self.n_active = config.n_active_experts
        self.router = nn.Linear(config.width, config.n_experts, bias=False)
        self.experts = nn.ModuleList(SwiGLU(config.width, config.ffn_width) for _ in range(config.n_experts))
        self.balance: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        probabilities = self.router(flat).float().softmax(-1)
        weights, chosen = probabilities.topk(self.n_active, dim=-1)
        weights = (weights / weights.sum(-1, keepdim=True)).to(x.dtype)
        out = torch.zeros_like(flat)
        for e, expert in enumerate(self.experts):
            rows, slots = torch.where(chosen == e)
            if len(rows) or self.training:  # in training all have a gradient, be it zero: processes add theirs up
                out.index_add_(0, rows, expert(flat[rows]) * weights[rows, slots, None])
        n_experts = len(self.experts)
        load = F.one_hot(chosen, n_experts).float().mean((0, 1))
        self.balance = n_experts * (load * probabilities.mean(0)).sum()  # 1 when all are used alike
        return out.view_as(x)


class ThinkerBlock(nn.Module):
    def __init__(self, config: ThinkerConfig):
        super().__init__()
        self.attention_norm = RMSNorm(config.width)
        self.attention = CausalAttention(config)
        self.mlp_norm = RMSNorm(config.width)
        self.mlp = Experts(config) if config.n_experts else SwiGLU(config.width, config.ffn_width)

    def forward(self, x: Tensor, *attention_arguments) -> Tensor:
        x = x + self.attention(self.attention_norm(x), *attention_arguments)
        return x + self.mlp(self.mlp_norm(x))


class Thinker(nn.Module):
    """Embeddings (B, T, 256) -> hidden states (B, T, 256); `logits` makes them (B, T, 5000)."""

    def __init__(self, config: ThinkerConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)  # tied: it is the output head too
        self.blocks = nn.ModuleList(ThinkerBlock(config) for _ in range(config.depth))
        self.norm = RMSNorm(config.width)
        for name, parameter in self.named_parameters():
            if parameter.dim() >= 2:
                scale = (2 * config.depth) ** -0.5 if name.endswith(("out.weight", "down.weight")) else 1.0
                nn.init.normal_(parameter, std=0.02 * scale)

    def embed(self, ids: Tensor) -> Tensor:
        """ids (B, T) -> (B, T, 256)."""
        return self.embedding(ids)

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (..., 256) -> (..., 5000)."""
        return F.linear(hidden, self.embedding.weight)

    def forward(
        self,
        embeddings: Tensor,
        *,
        padding: Tensor | None = None,
        documents: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Hidden states after the last norm, (B, T, 256).

        Args:
            padding: (B, T) bool, True where there is nothing; on the left, the right or both.
            documents: (B, T) numbers of the documents packed into a row; none attends to another, each counts its
                positions from zero.
            cache: keys and values of earlier calls; this call's are appended.
        Raises:
            ShapeError: not (B, T, 256), or more positions than `max_positions`.
        """
        check_shape("thinker", embeddings, ("B", "T", self.config.width))
        length = embeddings.shape[1]
        past = cache.length if cache is not None else 0
        if past + length > self.config.max_positions:
            raise ShapeError(f"thinker: expected at most {self.config.max_positions} positions, got {past + length}")
        if cache is not None and past + length > cache.room:
            raise ShapeError(f"thinker: expected at most {cache.room} positions in this cache, got {past + length}")
        positions = self._positions(embeddings, padding, documents, cache)
        if cache is not None and padding is not None:
            cache.padding[:, past : past + length] = padding
        mask = self._mask(embeddings, padding, documents, cache)
        angles = rotary_angles(positions, self.config.width // self.config.n_heads, self.config.rope_base)
        x = embeddings
        for layer, block in enumerate(self.blocks):
            x = block(x, angles, mask, cache, layer)
        if cache is not None:
            cache.length += length
        return self.norm(x)

    def _positions(self, x: Tensor, padding: Tensor | None, documents: Tensor | None, cache: KVCache | None) -> Tensor:
        batch, length, _ = x.shape
        steps = torch.arange(length, device=x.device).expand(batch, length)
        if documents is not None:
            starts = torch.ones_like(documents, dtype=torch.bool)
            starts[:, 1:] = documents[:, 1:] != documents[:, :-1]
            return steps - torch.where(starts, steps, 0).cummax(1).values
        if padding is not None:
            steps = ((~padding).cumsum(1) - 1).clamp_min(0)
        return steps + (cache.positions()[:, None] if cache is not None else 0)

    def _mask(
        self, x: Tensor, padding: Tensor | None, documents: Tensor | None, cache: KVCache | None
    ) -> Tensor | None:
        """(B or 1, 1, T, past + T) bool, True where attention may go; None for plain causal attention."""
        length, past = x.shape[1], cache.length if cache is not None else 0
        padded = padding is not None or (cache is not None and bool(cache.padding[:, :past].any()))
        if not padded and documents is None and (past == 0 or length == 1):
            return None
        rows = torch.arange(past, past + length, device=x.device)
        mask = (torch.arange(past + length, device=x.device)[None] <= rows[:, None])[None, None]
        if documents is not None:
            mask = mask & (documents[:, None, :, None] == documents[:, None, None, :])
        if padded:
            hidden = cache.padding[:, : past + length] if cache is not None else padding
            # A padded query may look at itself: a row without any key would be NaN.
            itself = torch.arange(past + length, device=x.device)[None] == rows[:, None]
            mask = (mask & ~hidden[:, None, None]) | itself
        return mask

    def new_cache(self, batch: int = 1, room: int | None = None) -> KVCache:
        c = self.config
        room = c.max_positions if room is None else room
        return KVCache(c.depth, batch, c.n_kv_heads, room, c.width // c.n_heads, like=self.embedding.weight)

    def balance_loss(self) -> Tensor:
        """Weighted mean of the experts' balance losses of the last forward pass; zero without experts."""
        losses = [b.mlp.balance for b in self.blocks if isinstance(b.mlp, Experts) and b.mlp.balance is not None]
        if not losses:
            return self.embedding.weight.new_zeros(())
        return self.config.balance_weight * torch.stack(losses).mean()

    def active_parameters(self) -> int:
        """How many parameters a token passes through."""
        total = sum(p.numel() for p in self.parameters())
        if not self.config.n_experts:
            return total
        idle = 1 - self.config.n_active_experts / self.config.n_experts
        experts = sum(p.numel() for n, p in self.named_parameters() if ".experts." in n)
        return round(total - idle * experts)


class Projector(nn.Module):
    """Norm and two-layer MLP: an encoder's frames (..., in_width) into the Thinker's space (..., 256)."""

    def __init__(self, in_width: int, config: ProjectorConfig, component: str = "projector"):
        super().__init__()
        self.in_width, self.component = in_width, component
        self.norm = nn.LayerNorm(in_width)
        self.up = nn.Linear(in_width, config.hidden)
        self.down = nn.Linear(config.hidden, config.out_width)
        self.out_norm = RMSNorm(config.out_width)
        # Begin at the size of token embeddings (0.02), so that frames do not drown the text.
        nn.init.constant_(self.out_norm.weight, 0.05)

    def forward(self, frames: Tensor) -> Tensor:
        if frames.shape[-1] != self.in_width:
            raise ShapeError(f"{self.component}: expected shape (..., {self.in_width}), got {tuple(frames.shape)}")
        return self.project(self.norm(frames))

    def project(self, normed: Tensor) -> Tensor:
        return self.out_norm(self.down(F.gelu(self.up(normed))))


class VisionProjector(Projector):
    """The frames of whole pictures, CLS and cells row by row, each told its place in the picture.

    An eye that learned from mirrored photographs says little of left and right. The place is added before the layers
    that project, which can make one thing of both, a circle on the left; behind them thousands of questions for the side
    taught nothing, as the Thinker looks at no cell for it while all of them say alike where they are.
    """

    def __init__(self, in_width: int, config: ProjectorConfig):
        super().__init__(in_width, config, "vision_projector")
        self.positions = None
        if config.picture_positions:
            grid = config.picture_grid
            # From edge to edge along one direction for columns and one for rows; CLS has no place.
            x, y = torch.linspace(-1, 1, grid).repeat(grid), torch.linspace(-1, 1, grid).repeat_interleave(grid)
            places = torch.cat([torch.zeros(1, 2), torch.stack([x, y], 1)]) @ torch.randn(2, in_width)
            self.positions = nn.Parameter(0.5 * places)
        self.reader = PictureReader(in_width, config) if config.picture_words else None

    def project(self, normed: Tensor) -> Tensor:
        if self.positions is not None:
            if normed.shape[:-1].numel() % len(self.positions):
                raise ShapeError(
                    f"{self.component}: expected whole pictures of {len(self.positions)} frames, got {tuple(normed.shape)}"
                )
            normed = (normed.reshape(-1, *self.positions.shape) + self.positions).view_as(normed)
        return super().project(normed)


class PictureReader(nn.Module):
    """Which words belong to a picture, from its frames alone: a second opinion beside the Thinker's.

    The Thinker, which learns whole sentences of few pictures, knows the pictures by heart sooner than what is in them.
    This has nothing but words to learn, and is shown pictures mixed two and two (data/picture_words.py).
    """

    NARROW = 64  # numbers that are kept of each frame: all frames together are read

    def __init__(self, in_width: int, config: ProjectorConfig):
        super().__init__()
        self.norm = nn.LayerNorm(in_width)
        self.narrow = nn.Linear(in_width, self.NARROW)
        self.up = nn.Linear((1 + config.picture_grid**2) * self.NARROW, config.hidden)
        self.dropout = nn.Dropout(config.reader_dropout)
        self.down = nn.Linear(config.hidden, config.out_width)
        self.out_norm = RMSNorm(config.out_width)

    def forward(self, frames: Tensor, embedding: Tensor) -> Tensor:
        """Frames (B, N, 128), the Thinker's embedding (5000, 256) -> logits of the words (B, 5000)."""
        read = F.gelu(self.up(self.narrow(self.norm(frames)).flatten(1)))
        read = self.down(self.dropout(read))
        # It comes to the words, and not the words to it.
        return F.linear(self.out_norm(read), embedding.detach()).float()
