"""Long sounds in pieces that the ear can hear at once, cut where it is quiet, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

RATE = 16_000
FRAME = 320  # 20 ms: the grid on which loudness is looked at
SILENCE_RMS = 1e-3  # -60 dB: below that nothing is said


def segments(blocks: Iterable[np.ndarray], shortest: float = 10.0, longest: float = 20.0) -> Iterator[np.ndarray]:
    """Joins `blocks` (N,) and cuts them at the quietest 0.2 s between `shortest` and `longest` seconds."""
    rest = np.zeros(0, dtype=np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        while len(rest) > longest * RATE:
            cut = quietest(rest, int(shortest * RATE), int(longest * RATE))
            yield rest[:cut]
            rest = rest[cut:]
    if len(rest):
        yield rest


def quietest(sound: np.ndarray, first: int, last: int, width: int = 10) -> int:
    """The sample between `first` and `last` in the middle of the quietest `width` frames."""
    n_frames = (last - first) // FRAME
    energy = np.square(sound[first : first + n_frames * FRAME]).reshape(n_frames, FRAME).sum(1)
    smooth = np.convolve(energy, np.ones(width), mode="valid")
    return first + (int(smooth.argmin()) + width // 2) * FRAME


def is_silent(sound: np.ndarray) -> bool:
    """Is every 20 ms of it below -60 dB?"""
    n_frames = len(sound) // FRAME
    if n_frames == 0:
        return float(np.abs(sound).max(initial=0.0)) < SILENCE_RMS
    frames = sound[: n_frames * FRAME].reshape(n_frames, FRAME)
    return bool(np.sqrt(np.square(frames).mean(1)).max() < SILENCE_RMS)
