"""Long sounds in overlapping windows that the ear can hear at once, cut where it is quiet, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

RATE = 16_000
FRAME = 320  # 20 ms: the grid on which loudness is looked at
SILENCE_RMS = 1e-3  # -60 dB: below that nothing is said
GRID = 1280  # 80 ms, a frame of the ear: windows begin on it, so that the frames of two windows lie on each other
MARGIN = 16 * GRID  # what a window hears of its neighbours


class Window(NamedTuple):
    """`sound` (N,), which begins at sample `start` of the whole; its own part is from sample `begin` to `end`.

    What it holds beyond that belongs to its neighbours, and is there to be understood.
    """

    sound: np.ndarray
    start: int
    begin: int
    end: int


def windows(blocks: Iterable[np.ndarray], shortest: float = 12.0, longest: float = 20.0) -> Iterator[Window]:
    """Joins `blocks` (N,) and cuts them at the quietest 0.2 s between `shortest` and `longest` seconds.

    The own parts follow upon each other without a gap; all but the last are of whole frames of GRID samples.
    """
    first, last = round(shortest * RATE), round(longest * RATE)
    held = np.zeros(0, np.float32)
    start = begin = 0  # of what is held, and of the window to come, in the whole
    for block in blocks:
        held = np.concatenate([held, block])
        while start + len(held) - begin > last + MARGIN:
            cut = begin + round(quietest(held[begin - start :], first, last) / GRID) * GRID
            yield Window(held[: cut + MARGIN - start], start, begin, cut)
            begin = cut
            drop = max(0, cut - MARGIN - start)
            held, start = held[drop:].copy(), start + drop
    end = start + len(held)
    while end > begin:
        cut = end
        if end - begin > last:
            cut = begin + round(quietest(held[begin - start :], first, last) / GRID) * GRID
        yield Window(held[: min(end, cut + MARGIN) - start], start, begin, cut)
        begin = cut
        drop = max(0, cut - MARGIN - start)
        held, start = held[drop:], start + drop


def quietest(sound: np.ndarray, first: int, last: int, width: int = 10) -> int:
    """The sample between `first` and `last` in the middle of the quietest `width` frames."""
    n_frames = (last - first) // FRAME
    energy = np.square(sound[first : first + n_frames * FRAME]).reshape(n_frames, FRAME).sum(1)
    smooth = np.convolve(energy, np.ones(width), mode="valid")
    return first + (int(smooth.argmin()) + width // 2) * FRAME


def runs(mask: np.ndarray) -> np.ndarray:
    """(N,) bool -> (runs, 2): where each run of True begins, and where it is over."""
    return np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)


def is_silent(sound: np.ndarray) -> bool:
    """Is every 20 ms of it below -60 dB?"""
    n_frames = len(sound) // FRAME
    if n_frames == 0:
        return float(np.abs(sound).max(initial=0.0)) < SILENCE_RMS
    frames = sound[: n_frames * FRAME].reshape(n_frames, FRAME)
    return bool(np.sqrt(np.square(frames).mean(1)).max() < SILENCE_RMS)
