"""What overlapping windows heard, joined between two words: no word is lost at a joint, none is said twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from muomni_core.audio.segments import runs
from muomni_core.text.decoding import SPACE
from muomni_core.text.symbols import BLANK

GUARD = 10  # slots at the ends of an overlap, where one of the windows hears little of what is around
PAUSE = 15  # slots without a letter that are a gap between words even if no space is written


@dataclass(frozen=True)
class Stretch:
    """Slots of 20 ms from number `start` of the whole: log posteriors (S, 98) of what may be said in them, whether
    somebody may be speaking (S,), and how loud it is (S,) in dB."""

    start: int
    logprobs: np.ndarray
    speech: np.ndarray
    loudness: np.ndarray

    def __len__(self) -> int:
        return len(self.logprobs)

    @property
    def end(self) -> int:
        return self.start + len(self)

    def part(self, first: int, last: int) -> Stretch:
        """The slots from `first` to before `last`, counted in the whole."""
        own = slice(max(0, first - self.start), max(0, last - self.start))
        return Stretch(max(first, self.start), self.logprobs[own], self.speech[own], self.loudness[own])


def joined(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """Overlapping stretches, in order -> stretches that follow upon each other, each of whole words."""
    held: Stretch | None = None
    for new in stretches:
        if held is not None:
            place = joint(held, new)
            yield held.part(held.start, place)
            new = new.part(place, new.end)
        held = new
    if held is not None:
        yield held


def joint(left: Stretch, right: Stretch) -> int:
    """The slot, in the overlap of two stretches, before which the left one is believed and from which on the right one.

    The middle of the longest gap between words that both heard; else where both are surest of a blank.
    """
    first, last = max(left.start, right.start), min(left.end, right.end)
    if last - first > 3 * GUARD:
        first, last = first + GUARD, last - GUARD
    if last <= first:
        return right.start
    both = (
        (gaps(left.logprobs)[first - left.start :][: last - first])
        & (gaps(right.logprobs)[first - right.start :][: last - first])
    )
    shared = runs(both)
    if len(shared):
        start, stop = shared[(shared[:, 1] - shared[:, 0]).argmax()]
        return first + int(start + stop) // 2
    blank = np.minimum(left.part(first, last).logprobs[:, BLANK], right.part(first, last).logprobs[:, BLANK])
    return first + int(blank.argmax())


def gaps(logprobs: np.ndarray) -> np.ndarray:
    """(S, 98) -> (S,) bool: slots between words on the likeliest path, by a space or a long pause."""
    path = logprobs.argmax(1)
    found = np.zeros(len(path), bool)
    for start, stop in runs(path <= SPACE):
        inside = stop < len(path) and start > 0
        if not inside or stop - start >= PAUSE or (path[start:stop] == SPACE).any():
            found[start:stop] = True
    return found
