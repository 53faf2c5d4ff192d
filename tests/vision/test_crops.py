"""Crops of whole batches: what torchvision does with one picture, read from pictures squeezed to squares."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tv

from muomni_core.vision.crops import change_colours, cut_and_mix, middle_boxes, random_boxes, read_boxes


def gradient(height: int, width: int) -> torch.Tensor:
    """(3, H, W) uint8: brighter to the right, to the bottom, and towards the corner."""
    y, x = torch.linspace(0, 255, height)[:, None], torch.linspace(0, 255, width)[None]
    return torch.stack([x.expand(height, width), y.expand(height, width), (x + y) / 2]).to(torch.uint8)


def squeezed(picture: torch.Tensor) -> torch.Tensor:
    return tv.resize(picture, [128, 128], antialias=True)[None]


@pytest.mark.parametrize("shape", [(128, 128), (128, 192), (200, 128)])
@pytest.mark.parametrize("size", [32, 64, 112])
def test_the_middle_is_what_torchvision_cuts(shape: tuple[int, int], size: int) -> None:
    picture = gradient(*shape)
    ours = read_boxes(squeezed(picture), middle_boxes(torch.tensor([shape]).float()), size)
    theirs = tv.center_crop(tv.resize(picture, [size], antialias=True), [size, size]).float() / 127.5 - 1
    assert ours.shape == (1, 3, size, size)
    assert float((ours[0] - theirs).abs().mean()) < 0.02


def test_a_negative_width_mirrors() -> None:
    square = squeezed(gradient(128, 128))
    box = torch.tensor([[0.25, 0.0, 0.5, 0.5]])
    mirrored = read_boxes(square, box * torch.tensor([1, 1, 1, -1]), 64)
    assert torch.allclose(mirrored.flip(3), read_boxes(square, box, 64), atol=1e-4)


@given(st.integers(16, 400), st.integers(16, 400), st.floats(0.05, 1.0), st.integers(0, 1000))
def test_boxes_lie_inside_and_are_large_enough(height: int, width: int, area: float, seed: int) -> None:
    torch.manual_seed(seed)
    boxes = random_boxes(torch.tensor([[height, width]]).float().expand(32, 2), area)
    assert bool((boxes >= 0).all()) and bool((boxes[:, :2] + boxes[:, 2:] <= 1 + 1e-5).all())
    whole = (boxes[:, 2] >= 1) | (boxes[:, 3] >= 1)  # a long picture cannot hold every shape
    assert bool((boxes[~whole, 2:].prod(1) >= area - 1e-4).all())


def test_factors_of_one_change_no_colour_and_grey_stays_grey() -> None:
    images = read_boxes(squeezed(gradient(128, 128)), torch.tensor([[0.0, 0, 1, 1]]), 32)
    assert torch.allclose(change_colours(images, torch.ones(1, 3)), images, atol=1e-5)
    grey = change_colours(images, torch.tensor([[1.0, 1.0, 0.0]]))
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-5)
    assert float(change_colours(images, torch.tensor([[1.3, 1.0, 1.0]])).mean()) > float(images.mean())


def test_a_cut_comes_from_the_mirror_row() -> None:
    images = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])
    mixed = cut_and_mix(images, torch.tensor([0.25, 0.5, 0.5]))
    assert float(mixed[0].sum()) == 3 * 4 * 4 and bool((mixed[0, :, 2:6, 4:] == 1).all())
    assert float(mixed[1].sum()) == 3 * (64 - 16)
    assert torch.equal(cut_and_mix(images, torch.tensor([0.3, 0.3, 0.0])), images)
