"""ViT vision encoder with a convolutional stem (Dosovitskiy 2020; Xiao 2021 for the stem), and the small text tower
that it is trained against and that `embed(text=)` uses (CLIP, Radford 2021)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni_core.config import VisionConfig
from muomni_core.errors import ShapeError, check_shape
from muomni_core.model.layers import TransformerBlock, length_mask, rotary_angles


class ResidualConv(nn.Module):
    """Two 3x3 convolutions about a residual path; group norm, so that a picture is normed by itself."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(8, channels), nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.gelu(self.norm1(x)))
        return x + self.conv2(F.gelu(self.norm2(y)))


class VisionEncoder(nn.Module):
    """Image (B, 3, H, W), sides multiples of 16 -> CLS and patches row by row, (B, 1 + H/16 * W/16, 128)."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.config = config
        widths = (3, *config.stem_widths)
        stem: list[nn.Module] = []
        for a, b in pairwise(widths):
            stem += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(8, b), nn.GELU()]
        stem.append(ResidualConv(widths[-1]))
        stem.append(nn.Conv2d(widths[-1], config.width, 3, stride=2, padding=1))
        self.stem = nn.Sequential(*stem)
        if 2 ** len(widths) != config.patch_size:
            raise ShapeError(
                f"vision_encoder: a stem of {len(widths)} halvings makes no {config.patch_size}-pixel patches"
            )
        grid = config.image_size // config.patch_size
        self.positions = nn.Parameter(torch.randn(1, config.width, grid, grid) * 0.02)
        self.cls = nn.Parameter(torch.randn(1, 1, config.width) * 0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.width, config.n_heads, 4 * config.width, config.dropout)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, config.out_width)

    def forward(self, image: Tensor) -> Tensor:
        """Normalised pixels; at sides other than `image_size` the positions are interpolated."""
        check_shape("vision_encoder", image, ("B", 3, "H", "W"))
        if image.shape[2] % self.config.patch_size or image.shape[3] % self.config.patch_size:
            raise ShapeError(f"vision_encoder: sides must be multiples of 16, got {tuple(image.shape)}")
        x = self.stem(image)
        positions: Tensor = self.positions
        if x.shape[2:] != positions.shape[2:]:
            positions = F.interpolate(positions, x.shape[2:], mode="bicubic", align_corners=False)
        x = (x + positions).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.out(self.norm(x))


class TextTower(nn.Module):
    """Token ids (B, L) with lengths (B,) -> (B, text_width): a small bidirectional transformer, mean over tokens."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.text_width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.text_width, config.text_heads, 4 * config.text_width, config.dropout)
            for _ in range(config.text_depth)
        )
        self.norm = nn.LayerNorm(config.text_width)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        inside = length_mask(lengths, ids.shape[1])
        x = self.embedding(ids)
        positions = torch.arange(ids.shape[1], device=ids.device)[None]
        angles = rotary_angles(positions, self.config.text_width // self.config.text_heads)
        for block in self.blocks:
            x = block(x, inside[:, None, None], angles)
        weights = inside[..., None].to(x.dtype)
        return (self.norm(x) * weights).sum(1) / weights.sum(1).clamp_min(1)


class VisionModel(nn.Module):
    """Encoder and text tower with their common space of `out_width` dimensions."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.config = config
        self.encoder = VisionEncoder(config)
        self.text_tower = TextTower(config)
        self.image_out = nn.Linear(2 * config.out_width, config.out_width)
        self.text_out = nn.Linear(config.text_width, config.out_width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @staticmethod
    def pool(tokens: Tensor) -> Tensor:
        """Encoder output (B, 1 + N, 128) -> (B, 256): CLS, and the mean of the patches."""
        return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=-1)

    def image_embedding(self, pooled: Tensor) -> Tensor:
        """What `pool` gives (B, 256) -> unit vectors (B, 128)."""
        return F.normalize(self.image_out(pooled), dim=-1)

    def text_embedding(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids (B, L), lengths (B,) -> unit vectors (B, 128)."""
        return F.normalize(self.text_out(self.text_tower(ids, lengths)), dim=-1)

    def scale(self) -> Tensor:
        return self.log_scale.clamp(max=math.log(100)).exp()


def picture_tokens(tokens: Tensor, grid: int) -> Tensor:
    """Encoder output (B, 1 + N, 128) of a square picture -> CLS and pooled patches, (B, 1 + grid * grid, 128)."""
    batch, n_tokens, width = tokens.shape
    side = math.isqrt(n_tokens - 1)
    if side * side != n_tokens - 1:
        raise ShapeError(f"vision_encoder: expected 1 + a square number of tokens, got {n_tokens}")
    patches = tokens[:, 1:].transpose(1, 2).reshape(batch, width, side, side)
    pooled = F.adaptive_avg_pool2d(patches, grid).flatten(2).transpose(1, 2)
    return torch.cat([tokens[:, :1], pooled], dim=1)


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, groups: Tensor) -> Tensor:
    """InfoNCE in both directions (CLIP); pairs of the same group are each other's positives, not negatives.

    image, text (B, D) unit vectors; groups (B,) -> mean loss ().
    """
    same = (groups[:, None] == groups[None]).float()
    targets = same / same.sum(1, keepdim=True)
    logits = scale * image @ text.T
    return 0.5 * (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets))
