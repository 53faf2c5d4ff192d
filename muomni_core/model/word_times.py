"""When each heard word begins and ends, and how sure the ear is of it: from the alignment of its symbols."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from muomni_core.model.joining import Stretch
from muomni_core.text.decoding import SPACE
from muomni_core.text.symbols import BLANK, decode_symbols, slots_needed

SLOT = 0.02  # seconds
CLOSE = 8  # slots between the spikes of two words that leave no room for a pause
REACH = 25  # slots that a word may sound beyond its outer spikes where nobody else speaks
NEAR = 5  # slots that it is taken to sound beyond them if it never becomes quiet
QUIET = 0.4  # of the way, in dB, from the quietest of a pause to the words beside it: below that the pause has begun


class HeardWord(NamedTuple):
    """A word, from when to when it was said (seconds), and the mean posterior of its symbols (0 to 1)."""

    word: str
    start: float
    end: float
    confidence: float


class _Spikes(NamedTuple):
    word: str
    first: int
    last: int
    confidence: float


def timed_words(stretch: Stretch, symbols: Sequence[int]) -> list[HeardWord]:
    """The words of a text that was heard in a stretch; none of what does not fit into it."""
    words = _aligned(stretch.logprobs, symbols)
    if not words:
        return []
    loudness = np.convolve(stretch.loudness, np.ones(3) / 3, mode="same") if len(stretch) > 2 else stretch.loudness
    starts, ends = [_onset(loudness, max(0, words[0].first - REACH), words[0])], []
    for one, other in pairwise(words):
        stop, start = _between(loudness, one, other)
        ends.append(stop)
        starts.append(start)
    ends.append(_offset(loudness, words[-1], min(len(stretch), words[-1].last + 1 + REACH)))
    return [
        HeardWord(w.word, SLOT * (stretch.start + start), SLOT * (stretch.start + end), w.confidence)
        for w, start, end in zip(words, starts, ends, strict=True)
    ]


def _aligned(logprobs: np.ndarray, symbols: Sequence[int]) -> list[_Spikes]:
    import torch
    import torchaudio

    if not symbols or slots_needed(symbols) > len(logprobs):
        return []
    path, scores = torchaudio.functional.forced_align(
        torch.from_numpy(np.ascontiguousarray(logprobs))[None], torch.tensor([list(symbols)]), blank=BLANK
    )
    return list(_words(path[0].tolist(), scores[0].exp().tolist()))


def _words(path: list[int], chances: list[float]) -> Iterator[_Spikes]:
    spelled: list[int] = []
    sure: list[float] = []
    first = end = 0
    before = BLANK
    for slot, (symbol, chance) in enumerate([*zip(path, chances, strict=True), (SPACE, 1.0)]):
        if symbol > SPACE:
            first = first if spelled else slot
            if symbol != before:
                spelled.append(symbol)
                sure.append(chance)
            else:
                sure[-1] = max(sure[-1], chance)
            end = slot
        elif symbol == SPACE and spelled:
            yield _Spikes(decode_symbols(spelled), first, end, sum(sure) / len(sure))
            spelled, sure = [], []
        before = symbol


def _between(loudness: np.ndarray, one: _Spikes, other: _Spikes) -> tuple[int, int]:
    """Where a word ends and the next one begins: in the middle of their spikes, or about the pause that is there."""
    middle = (one.last + 1 + other.first) // 2
    if other.first - one.last <= CLOSE:
        return middle, min(middle + 1, other.first)  # a letter is written a little late rather than early
    stop = _offset(loudness, one, min(other.first, one.last + 1 + REACH))
    start = _onset(loudness, max(one.last + 1, other.first - REACH), other)
    return (stop, start) if start - stop > 2 else (middle, middle)


def _onset(loudness: np.ndarray, earliest: int, word: _Spikes) -> int:
    """The slot from which on it is loud until the word's first spike."""
    before = loudness[earliest : word.first]
    quiet = np.flatnonzero(before < _threshold(before, loudness, word))
    return earliest + int(quiet[-1]) + 1 if len(quiet) else max(earliest, word.first - NEAR)


def _offset(loudness: np.ndarray, word: _Spikes, latest: int) -> int:
    """The slot until which it is loud from the word's last spike on."""
    behind = loudness[word.last + 1 : latest]
    quiet = np.flatnonzero(behind < _threshold(behind, loudness, word))
    return word.last + 1 + int(quiet[0]) if len(quiet) else min(latest, word.last + 1 + NEAR)


def _threshold(beside: np.ndarray, loudness: np.ndarray, word: _Spikes) -> float:
    high = float(np.quantile(loudness[word.first : word.last + 1], 0.8))
    low = min(high, float(beside.min(initial=high)))
    return low + QUIET * (high - low)
