"""How long each character of a sentence is spoken, found by our own ear's CTC head."""

from __future__ import annotations

from itertools import pairwise

import torch
import torchaudio
from torch import Tensor

from muomni_core.text.symbols import BLANK, encode_symbols, slots_needed

SPOKEN = frozenset("abcdefghijklmnopqrstuvwxyz'")  # what the ear writes, beside the space
EDGE = 8  # codec frames that speech may begin before the first spike or go on after the last one


def ctc_targets(text: str) -> list[int]:
    """Places in a laid-out text (with its outer spaces) that the ear writes: letters, and one space between words."""
    places: list[int] = []
    for i, character in enumerate(text[1:-1], 1):
        if character in SPOKEN or (character in " -" and places and text[places[-1]] in SPOKEN):
            places.append(i)
    while places and text[places[-1]] not in SPOKEN:
        places.pop()
    return places


def character_durations(text: str, logprobs: Tensor, loudness: Tensor) -> tuple[list[int], float] | None:
    """Frames that each character of `text` takes, which sum to the number of frames, and the mean log probability.

    Args:
        text: lower-case, with a space before and behind that stand for silence.
        logprobs: (S, 98) of the CTC head; a slot is a codec frame, those beyond the frames are left out.
        loudness: (F,) of the codec frames, to find where sound begins and ends.
    Returns:
        None where the text does not fit.
    """
    n_frames = len(loudness)
    logprobs = logprobs[:n_frames]
    places = ctc_targets(text)
    symbols = encode_symbols("".join(" " if text[i] == "-" else text[i] for i in places))
    if not symbols or slots_needed(symbols) > len(logprobs):
        return None
    path, scores = torchaudio.functional.forced_align(logprobs[None], torch.tensor([symbols]), blank=BLANK)
    spikes = _spikes(path[0].tolist(), symbols)
    if len(spikes) != len(symbols):
        return None
    begin, end = _sounding(loudness)
    cuts = [min(spikes[0][0], max(begin, spikes[0][0] - EDGE))]
    cuts += [(last + first + 1) // 2 for (_, last), (first, _) in pairwise(spikes)]
    cuts.append(max(spikes[-1][1] + 1, min(end, spikes[-1][1] + 1 + EDGE)))
    durations = [0] * len(text)
    durations[0], durations[-1] = cuts[0], n_frames - cuts[-1]
    for place, (start, stop) in zip(places, pairwise(cuts), strict=True):
        durations[place] = stop - start
    _share_with_marks(text, places, durations)
    return durations, float(scores.mean())


def _spikes(path: list[int], symbols: list[int]) -> list[tuple[int, int]]:
    """First and last slot of each symbol along an aligned path."""
    spikes: list[tuple[int, int]] = []
    last = BLANK
    for slot, symbol in enumerate(path):
        if symbol != BLANK:
            if symbol == last:
                spikes[-1] = (spikes[-1][0], slot)
            else:
                spikes.append((slot, slot))
        last = symbol
    return spikes


def _sounding(loudness: Tensor) -> tuple[int, int]:
    """First frame and one past the last that are clearly louder than the quietest."""
    low, high = float(loudness.min()), float(loudness.max())
    loud = torch.where(loudness > low + 0.25 * (high - low))[0]
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(loudness))


def _share_with_marks(text: str, places: list[int], durations: list[int]) -> None:
    """Marks that the ear does not write take their part of the pause behind them, or else of the one before.

    A mark between two letters takes no time.
    """
    written = {0, len(text) - 1, *places}
    run: list[int] = []
    before = 0
    for i in range(len(text)):
        if i not in written:
            run.append(i)
            continue
        sharing = [*run, i] if text[i] not in SPOKEN else [before, *run] if text[before] not in SPOKEN else []
        if run and sharing:
            total = sum(durations[place] for place in sharing)
            shares = [total * (k + 1) // len(sharing) for k in range(len(sharing))]
            for k, place in enumerate(sharing):
                durations[place] = shares[k] - (shares[k - 1] if k else 0)
        run, before = [], i
