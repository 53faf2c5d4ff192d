"""Frames of pictures and clips as the frozen encoders give them, computed once and kept for the Thinker's training."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from muomni_core.data.features import PictureSet, SpeechSet, cache_folder
from muomni_core.model.audio import AudioEncoder
from muomni_core.model.vision import VisionEncoder, picture_tokens


def _path(kind: str, about: object) -> Path:
    folder = cache_folder() / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{kind}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}.npy"


def _write(path: Path, array: np.ndarray) -> None:
    partial = path.with_suffix(".partial.npy")
    np.save(partial, array)
    os.replace(partial, path)


@torch.no_grad()
def picture_frames(
    encoder: VisionEncoder,
    pixels: Callable[[int, int], Tensor],
    n_pictures: int,
    n_views: int,
    grid: int,
    about: list,
) -> np.ndarray:
    """(pictures, views, 1 + grid * grid, 128) float16; `pixels(i, view)` gives (3, S, S) normalised.

    `about` names everything that the result depends on.
    """
    path = _path("pictures", [*about, n_pictures, n_views, grid])
    if not path.exists():
        print(f"frames: {n_pictures} pictures, {n_views} views", file=sys.stderr)
        frames = np.empty((n_pictures, n_views, 1 + grid * grid, encoder.config.out_width), dtype=np.float16)
        for view in range(n_views):
            for first in range(0, n_pictures, 64):
                rows = range(first, min(n_pictures, first + 64))
                batch = torch.stack([pixels(i, view) for i in rows])
                frames[first : rows[-1] + 1, view] = picture_tokens(encoder(batch), grid).half().numpy()
        _write(path, frames)
    return np.load(path, mmap_mode="r")


def augmented(pictures: PictureSet, size: int, seed: int) -> Callable[[int, int], Tensor]:
    """View 0 is the middle of the picture, the others are random crops, mirrored or not."""
    from torchvision.transforms import v2

    from muomni_core.training.stages.vision import centre_crop, normalise

    crop = v2.RandomResizedCrop(size, scale=(0.5, 1.0), ratio=(0.8, 1.25), antialias=True)

    def pixels(i: int, view: int) -> Tensor:
        if view == 0:
            return normalise(centre_crop(pictures.pixels(i), size))
        torch.manual_seed(seed * 7_919 + i * 31 + view)
        cropped = crop(pictures.pixels(i))
        return normalise(cropped.flip(2) if torch.rand(()) < 0.5 else cropped)

    return pixels


class SoundFrames:
    """Frames of all clips: `frames(i)` (F, 192) float32."""

    @torch.no_grad()
    def __init__(self, encoder: AudioEncoder, clips: SpeechSet, about: list):
        self.lengths = [-(-n // 8) for n in clips.frames]
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        path = _path("sounds", [*about, clips.texts, clips.frames])
        if not path.exists():
            print(f"frames: {len(clips)} clips", file=sys.stderr)
            array = np.empty((int(self.starts[-1]), encoder.config.out_width), dtype=np.float16)
            for i in range(len(clips)):
                array[self.starts[i] : self.starts[i + 1]] = encoder(clips.mel(i)[None])[0][0].half().numpy()
            _write(path, array)
        self.array = np.load(path, mmap_mode="r")

    def frames(self, i: int) -> Tensor:
        return torch.from_numpy(self.array[self.starts[i] : self.starts[i + 1]].astype(np.float32))
