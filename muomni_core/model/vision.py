"""ViT vision encoder with a convolutional stem (Dosovitskiy 2020; Xiao 2021 for the stem), and the small text tower
that it is trained against and that `embed(text=)` uses (CLIP, Radford 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from muomni_core.config import VisionConfig
from muomni_core.errors import ShapeError, check_shape
from muomni_core.model.layers import TransformerBlock, length_mask, rotary_angles


class GroupedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics are of `group` pictures each ("ghost" batch norm, Hoffer 2017).

    So a step over accumulated micro-batches, or over several processes, equals one over the whole batch, as long as
    each holds whole groups. In use the running statistics serve: a picture does not depend on its neighbours. Group
    norm, which needs no such care, learned a third slower: label loss 4.96 against 4.63 after 14,000 pictures.
    """

    group = 16

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or len(x) <= self.group:
            return super().forward(x)
        return torch.cat([super(GroupedBatchNorm, self).forward(part) for part in x.split(self.group)])


class ResidualConv(nn.Module):
    """Two 3x3 convolutions about a residual path (pre-activation, He 2016), the first with `stride`."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.norm1 = GroupedBatchNorm(channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm2 = GroupedBatchNorm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        same = channels == out_channels and stride == 1
        self.skip = None if same else nn.Conv2d(channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(x))
        skipped = x if self.skip is None else self.skip(y)
        return skipped + self.conv2(F.relu(self.norm2(self.conv1(y))))


def conv_stem(widths: tuple[int, ...], width: int, n_blocks: int) -> nn.Sequential:
    """Halvings to 1/16 of the picture's sides: a convolution, then `n_blocks` residual blocks at each size.

    Most of the eye's arithmetic is here: with few pictures, convolutions learn several times faster than attention.
    """
    stem: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False)]
    for a, b in pairwise((*widths, width)):
        stem.append(ResidualConv(a, b, stride=2))
        stem += [ResidualConv(b, b) for _ in range(n_blocks - 1)]
    for module in stem:
        for conv in module.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return nn.Sequential(*stem)


class VisionEncoder(nn.Module):
    """Image (B, 3, H, W), sides multiples of 16 -> CLS and patches row by row, (B, 1 + H/16 * W/16, 128)."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.config = config
        if 2 ** (1 + len(config.stem_widths)) != config.patch_size:
            raise ShapeError(
                f"vision_encoder: a stem of {1 + len(config.stem_widths)} halvings makes no "
                f"{config.patch_size}-pixel patches"
            )
        self.stem = conv_stem(config.stem_widths, config.width, config.stem_blocks)
        grid = config.image_size // config.patch_size
        self.positions = nn.Parameter(torch.randn(1, config.width, grid, grid) * 0.02)
        self.cls = nn.Parameter(torch.randn(1, 1, config.width) * 0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.width, config.n_heads, 4 * config.width, config.dropout)
            for _ in range(config.depth)
        )
        for block in self.blocks:  # at first they hand on what the stem sees
            for last in (block.attention.out, block.mlp.down):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, config.out_width)

    def forward(self, image: Tensor) -> Tensor:
        """Normalised pixels; at sides other than `image_size` the positions are interpolated."""
        check_shape("vision_encoder", image, ("B", 3, "H", "W"))
        if image.shape[2] % self.config.patch_size or image.shape[3] % self.config.patch_size:
            raise ShapeError(f"vision_encoder: sides must be multiples of 16, got {tuple(image.shape)}")
        x = self.stem(image.contiguous(memory_format=torch.channels_last))
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

    def embed_images(self, tokens: Tensor) -> Tensor:
        """Encoder output (B, 1 + N, 128) -> unit vectors (B, 128)."""
        return self.image_embedding(self.pool(tokens))

    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) -> unit vectors (B, 128): what a picture and its mirror image have in common.

        The same texts are true of both; of 870 flickr8k val photographs, 25.6% are found by a caption among the first
        ten, 24.6% without the mirror image.
        """
        return self.embed_both(*self.encoder(torch.cat([pixels, pixels.flip(-1)])).chunk(2))

    def embed_both(self, tokens: Tensor, mirrored: Tensor) -> Tensor:
        """The same from encoder outputs (B, 1 + N, 128), of the pictures and of their mirror images."""
        own, other = self.embed_images(torch.cat([tokens, mirrored])).chunk(2)
        return F.normalize(own + other, dim=-1)

    def text_embedding(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids (B, L), lengths (B,) -> unit vectors (B, 128)."""
        return F.normalize(self.text_out(self.text_tower(ids, lengths)), dim=-1)

    def embed_texts(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Token ids of N texts, of which `text_context` are read -> unit vectors (N, 128)."""
        ids = [torch.tensor(row[: self.config.text_context], dtype=torch.long) for row in rows]
        lengths = torch.tensor([len(row) for row in ids])
        device = self.text_out.weight.device
        return self.text_embedding(pad_sequence(ids, batch_first=True).to(device), lengths.to(device))

    def scale(self) -> Tensor:
        return self.log_scale.clamp(max=math.log(100)).exp()


def picture_tokens(tokens: Tensor, grid: int) -> Tensor:
    """Encoder output (B, 1 + N, 128) of a square picture -> CLS and pooled patches, (B, 1 + grid * grid, 128).

    A grid of 0 leaves CLS alone.
    """
    batch, n_tokens, width = tokens.shape
    side = math.isqrt(n_tokens - 1)
    if side * side != n_tokens - 1:
        raise ShapeError(f"vision_encoder: expected 1 + a square number of tokens, got {n_tokens}")
    if not grid:
        return tokens[:, :1]
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
