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
from torch.nn.utils.rnn import pad_sequence

from muomni_core.audio.augment import SILENCE
from muomni_core.checkpoint import fingerprint
from muomni_core.data.features import SpeechSet, Squares, cache_folder
from muomni_core.data.sampling import LengthSampler
from muomni_core.model.audio import AudioEncoder
from muomni_core.model.vision import VisionEncoder, picture_tokens
from muomni_core.vision.crops import middle_boxes, mirror_half, random_boxes, read_boxes

BATCH = 256  # pictures that the eye is shown at once: a GPU waits for smaller ones


def _path(kind: str, about: object) -> Path:
    folder = cache_folder() / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{kind}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}.npy"


def _write(path: Path, array: np.ndarray) -> None:
    partial = path.with_suffix(".partial.npy")
    np.save(partial, array)
    os.replace(partial, path)


@torch.no_grad()
def views_seen(
    see: Callable[[Tensor], Tensor],
    shape: tuple[int, ...],
    pixels: Callable[[np.ndarray, int], Tensor],
    n_pictures: int,
    n_views: int,
    about: list,
) -> np.ndarray:
    """(pictures, views, *shape) float16: what `see` makes of each view, computed once.

    Args:
        see: (B, 3, S, S) -> (B, *shape).
        pixels: (rows, view) -> (B, 3, S, S) normalised.
        about: names everything that the result depends on.
    """
    path = _path("pictures", about)
    if not path.exists():
        print(f"frames: {n_pictures} pictures, {n_views} views", file=sys.stderr)
        seen = np.empty((n_pictures, n_views, *shape), dtype=np.float16)
        for view in range(n_views):
            for first in range(0, n_pictures, BATCH):
                rows = np.arange(first, min(n_pictures, first + BATCH))
                seen[rows, view] = see(pixels(rows, view)).half().cpu().numpy()
        _write(path, seen)
    return np.load(path, mmap_mode="r")


def encoder_print(encoder: VisionEncoder | AudioEncoder) -> str:
    """What frames are kept under: the encoder's weights, and not those of its heads, which may learn on by themselves."""
    # A moving average makes -0.0 of equal weights 0.0.
    return fingerprint({name: tensor + 0 for name, tensor in encoder.state_dict().items()})


def picture_frames(
    encoder: VisionEncoder,
    pixels: Callable[[np.ndarray, int], Tensor],
    n_pictures: int,
    n_views: int,
    grid: int,
    about: list,
) -> np.ndarray:
    """(pictures, views, 1 + grid * grid, 128) float16; the rest as in `views_seen`."""
    shape = (1 + grid * grid, encoder.config.out_width)
    about = [*about, n_pictures, n_views, grid]
    return views_seen(lambda x: picture_tokens(encoder(x), grid), shape, pixels, n_pictures, n_views, about)


def views(
    squares: Squares, size: int, n_views: int, seed: int, device: torch.device, min_crop: float | Tensor = 0.5
) -> Callable[[np.ndarray, int], Tensor]:
    """View 0 is the middle of the picture, the others are random crops, mirrored or not.

    `min_crop` is the smallest share of a picture's area that a crop keeps; one number, or (pictures,).
    """
    boxes = [middle_boxes(squares.shapes)]
    with torch.random.fork_rng(devices=[]):
        for view in range(1, n_views):
            torch.manual_seed(seed * 7_919 + view)
            boxes.append(mirror_half(random_boxes(squares.shapes, min_crop)))
    return lambda rows, view: read_boxes(squares[rows].to(device), boxes[view][rows].to(device), size)


class SoundFrames:
    """Frames of all clips: `frames(i)` (F, 192) float32."""

    @torch.no_grad()
    def __init__(
        self, encoder: AudioEncoder, clips: SpeechSet, about: list, device: torch.device, budget: int = 20_000
    ):
        self.lengths = [-(-n // 8) for n in clips.frames]
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        path = _path("sounds", [*about, clips.texts, clips.frames])
        if not path.exists():
            print(f"frames: {len(clips)} clips", file=sys.stderr)
            array = np.empty((int(self.starts[-1]), encoder.config.out_width), dtype=np.float16)
            # A clip's frames do not depend on what it is batched with.
            for rows in LengthSampler(clips.frames, budget, 0).epoch(0):
                mel = pad_sequence([clips.mel(i) for i in rows], batch_first=True, padding_value=SILENCE)
                lengths = torch.tensor([clips.frames[i] for i in rows])
                frames, _ = encoder(mel.to(device), lengths.to(device))
                for i, own in zip(rows, frames.half().cpu().numpy(), strict=True):
                    array[self.starts[i] : self.starts[i + 1]] = own[: self.lengths[i]]
            _write(path, array)
        self.array = np.load(path, mmap_mode="r")

    def frames(self, i: int) -> Tensor:
        return torch.from_numpy(self.array[self.starts[i] : self.starts[i + 1]].astype(np.float32))
