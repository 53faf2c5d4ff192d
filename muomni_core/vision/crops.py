"""Random crops of whole batches of pictures, on whatever device they are: what torchvision's transforms do one by one.

Pictures come as squares: squeezed to 128 x 128 whatever their shape, with that shape beside them, so that a batch is
one tensor. A crop is a box of such a square; reading it undoes the squeezing.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def random_boxes(shapes: Tensor, min_area: float | Tensor, max_ratio: float = 1.25) -> Tensor:
    """Boxes of random area and aspect ratio (as torchvision's RandomResizedCrop), in shares of each picture's sides.

    Args:
        shapes: (B, 2) height and width of the pictures, in any unit.
        min_area: the smallest share of a picture's area that a box has; one number, or (B,).
        max_ratio: the greatest ratio of a box's sides, either way.
    Returns:
        (B, 4): top, left, height, width.
    """
    n = len(shapes)
    area = (min_area + (1 - min_area) * torch.rand(n)) * shapes.prod(1)
    ratio = torch.empty(n).uniform_(-math.log(max_ratio), math.log(max_ratio)).exp()
    sides = torch.stack([area / ratio, area * ratio], 1).sqrt() / shapes
    sides = sides.clamp(max=1.0)
    return torch.cat([torch.rand(n, 2) * (1 - sides), sides], 1)


def mirror_half(boxes: Tensor) -> Tensor:
    """The boxes (B, 4), half of them by chance to be read mirrored: with a negative width."""
    signs = torch.where(torch.rand(len(boxes)) < 0.5, -1.0, 1.0)
    return torch.cat([boxes[:, :3], boxes[:, 3:] * signs[:, None]], 1)


def middle_boxes(shapes: Tensor) -> Tensor:
    """(B, 2) heights and widths -> (B, 4): the square in the middle of each."""
    sides = shapes.amin(1, keepdim=True) / shapes
    return torch.cat([(1 - sides) / 2, sides], 1)


def read_boxes(squares: Tensor, boxes: Tensor, size: int) -> Tensor:
    """uint8 (B, 3, S, S) and boxes (B, 4) -> float (B, 3, size, size) in -1 to 1, smoothed where it gets smaller.

    A box whose width is negative is mirrored.
    """
    top, left, height, width = boxes.unbind(1)
    zero = torch.zeros_like(top)
    centre_x, centre_y = 2 * left + width.abs() - 1, 2 * top + height - 1
    matrix = torch.stack([width, zero, centre_x, zero, height, centre_y], 1).view(-1, 2, 3)
    # Twice as many points as wanted, in pairs, where the picture is much larger: or its details would flicker.
    fine = 2 if 4 * size < 3 * squares.shape[-1] else 1
    grid = F.affine_grid(matrix, [len(squares), 3, fine * size, fine * size], align_corners=False)
    pixels = F.grid_sample(squares.to(grid.dtype), grid, padding_mode="border", align_corners=False)
    return F.avg_pool2d(pixels, fine).div(127.5).sub(1.0)


def change_colours(images: Tensor, factors: Tensor) -> Tensor:
    """Brightness, contrast and saturation of (B, 3, S, S), each multiplied by its factor of (B, 3)."""
    brightness, contrast, saturation = (f[:, None, None, None] for f in factors.unbind(1))
    x = (images + 1) * brightness - 1
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * contrast
    grey = x.mean(1, keepdim=True)
    return (grey + (x - grey) * saturation).clamp(-1, 1)


def cut_and_mix(images: Tensor, cut: Tensor) -> Tensor:
    """A rectangle of each picture replaced by that of the batch's mirror row (CutMix, Yun 2019).

    cut (3,): top, left and side, as shares of the picture's; a side of 0 changes nothing.
    """
    size = images.shape[2]
    place = (torch.arange(size, device=images.device) + 0.5) / size
    rows, columns = ((place >= begin) & (place < begin + cut[2]) for begin in (cut[0], cut[1]))
    return torch.where(rows[:, None] & columns, images.flip(0), images)
