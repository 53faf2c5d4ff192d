"""Building blocks that several components share: norms, rotary positions, attention, MLPs, masked convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last axis (Zhang & Sennrich 2019)."""

    def __init__(self, width: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class SwiGLU(nn.Module):
    """Gated MLP (Shazeer 2020)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class MLP(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, width: int, hidden: int, out_width: int | None = None, dropout: float = 0.0):
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, out_width or width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.dropout(F.gelu(self.up(x))))


def rotary_angles(positions: Tensor, head_width: int, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary position embedding (Su 2021): positions (B, T) -> two of (B, 1, T, head_width)."""
    inverse = base ** (-torch.arange(0, head_width, 2, device=positions.device, dtype=torch.float32) / head_width)
    angles = positions[:, None, :, None].float() * inverse
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turns each half-split pair of x (B, H, T, D) by its position's angle."""
    cos, sin = angles
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


class SelfAttention(nn.Module):
    """Bidirectional attention of encoders, with rotary positions where angles are given.

    `mask` (B, 1, 1, T) is True where a key may be attended to.
    """

    def __init__(self, width: int, n_heads: int, dropout: float = 0.0):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dropout = dropout

    def forward(self, x: Tensor, mask: Tensor | None = None, angles: tuple[Tensor, Tensor] | None = None) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.n_heads, width // self.n_heads).permute(2, 0, 3, 1, 4)
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class TransformerBlock(nn.Module):
    """Pre-norm encoder block: attention, then MLP."""

    def __init__(self, width: int, n_heads: int, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, n_heads, dropout)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = MLP(width, hidden, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None, angles: tuple[Tensor, Tensor] | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), mask, angles))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, size) bool, True inside."""
    return torch.arange(size, device=lengths.device)[None] < lengths[:, None]


class ConvBlock(nn.Module):
    """Residual block along time: norm, convolution, GELU, pointwise. Each frame is normed by itself.

    x (B, T, C); `mask` (B, T, 1) of zeros and ones keeps padding out of the convolution, so a clip's output
    does not depend on what it is batched with.
    """

    def __init__(self, width: int, kernel_size: int, dropout: float = 0.0):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y = self.norm(x)
        if mask is not None:
            y = y * mask
        return x + self._mixed(y)

    def _mixed(self, y: Tensor) -> Tensor:
        return self.dropout(self.out(F.gelu(self.conv(y.transpose(1, 2)).transpose(1, 2))))


class CausalConvBlock(ConvBlock):
    """A ConvBlock of which each frame sees itself and the kernel_size - 1 before it; padding on the right needs no mask."""

    def __init__(self, width: int, kernel_size: int, dropout: float = 0.0):
        super().__init__(width, kernel_size, dropout)
        self.conv = nn.Conv1d(width, width, kernel_size)

    def start(self, x: Tensor) -> Tensor:
        """What stands before the first frame of x (B, T, C): nothing, (B, kernel_size - 1, C)."""
        return x.new_zeros(len(x), self.conv.kernel_size[0] - 1, x.shape[2])

    def step(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """The next frames (B, T, C) and what was kept of those before them -> their output, what to keep of them."""
        y = torch.cat([before, self.norm(x)], dim=1)
        return x + self._mixed(y), y[:, x.shape[1] :]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.step(x, self.start(x))[0]


def count_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
