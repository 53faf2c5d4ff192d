"""Durations of characters out of the ear's alignment: they fill the clip exactly, and pauses go where they belong."""

from __future__ import annotations

import pytest
import torch

from muomni_core.data.alignment import character_durations, ctc_targets
from muomni_core.text.symbols import BLANK, N_SYMBOLS, encode_symbols

FRAMES = 60
LOUD_FROM, LOUD_TO = 10, 50


def ear(text: str, slots: list[int], n_slots: int = FRAMES) -> torch.Tensor:
    """Log probabilities of an ear that is sure of what it hears: each written symbol at its slot, blanks elsewhere."""
    logits = torch.zeros(n_slots, N_SYMBOLS)
    logits[:, BLANK] = 12.0
    symbols = encode_symbols("".join(" " if text[i] == "-" else text[i] for i in ctc_targets(text)))
    for symbol, slot in zip(symbols, slots, strict=True):
        logits[slot, symbol] = 24.0
    return logits.log_softmax(-1)


def loudness(n_frames: int = FRAMES) -> torch.Tensor:
    quiet = torch.full((n_frames,), -10.0)
    quiet[LOUD_FROM : min(LOUD_TO, n_frames)] = -2.0
    return quiet


def align(text: str, slots: list[int]) -> dict[int, int]:
    found = character_durations(text, ear(text, slots), loudness())
    assert found is not None
    durations, score = found
    assert len(durations) == len(text) and sum(durations) == FRAMES and min(durations) >= 0
    assert -0.1 < score <= 0
    assert all(durations[i] >= 1 for i, c in enumerate(text) if c.isalpha())
    return dict(enumerate(durations))


def test_borders_lie_between_spikes_and_silence_is_outside() -> None:
    # " cat ": spikes at 12, 20, 30; sound from 10 to 50, an edge reaches at most 8 frames beyond the last spike.
    assert list(align(" cat ", [12, 20, 30]).values()) == [10, 6, 9, 14, 21]


def test_the_order_of_the_characters_is_kept() -> None:
    text = " hello you "
    slots = [11, 14, 17, 20, 24, 28, 33, 37, 41]
    durations = align(text, slots)
    ends = torch.tensor(list(durations.values())).cumsum(0).tolist()
    assert ends == sorted(ends)
    for place, slot in zip(ctc_targets(text), slots, strict=True):
        assert ends[place] - durations[place] <= slot < ends[place]


def test_marks_share_the_pause_behind_them() -> None:
    # The comma and the space share what lies between "i" and "y".
    plain, marked = align(" hi you ", [12, 15, 22, 30, 34, 38]), align(" hi, you ", [12, 15, 22, 30, 34, 38])
    assert marked[3] + marked[4] == plain[3] and abs(marked[3] - marked[4]) <= 1 and marked[3] > 0
    # At the end the mark shares the silence.
    plain, marked = align(" hi ", [12, 15]), align(" hi! ", [12, 15])
    assert marked[3] + marked[4] == plain[3] and marked[3] > 0


def test_marks_without_a_pause_behind_take_from_the_one_before_or_none() -> None:
    durations = align(" a - b ", [12, 20, 30])  # the dash and the second space have the first space's pause
    assert durations[2] + durations[3] + durations[4] == align(" a b ", [12, 20, 30])[2]
    assert durations[5] == align(" a b ", [12, 20, 30])[3]
    durations = align(" a.b ", [12, 20])
    assert durations[2] == 0 and durations[3] == align(" ab ", [12, 20])[2]
    durations = align(" ,a ", [12])
    assert durations[0] + durations[1] == align(" a ", [12])[0]


def test_doubled_letters_are_two() -> None:
    durations = align(" add ", [12, 18, 24])
    assert durations[2] >= 1 and durations[3] >= 1


@pytest.mark.parametrize(("text", "wanted"), [(" don't ", "don't"), (" well-known ", "well known"), (" a.  ", "a")])
def test_what_the_ear_writes(text: str, wanted: str) -> None:
    assert "".join(" " if text[i] == "-" else text[i] for i in ctc_targets(text)) == wanted


def test_a_text_that_cannot_fit_is_refused() -> None:
    text = f" {'ab' * 40} "
    assert character_durations(text, torch.zeros(FRAMES, N_SYMBOLS).log_softmax(-1), loudness()) is None
    assert character_durations(" ... ", torch.zeros(FRAMES, N_SYMBOLS).log_softmax(-1), loudness()) is None


def test_slots_beyond_the_frames_are_left_out() -> None:
    text = " cat "
    found = character_durations(text, ear(text, [12, 20, 30], FRAMES + 3), loudness())
    assert found is not None and sum(found[0]) == FRAMES


def test_a_silent_clip_still_fills_its_frames() -> None:
    text = " cat "
    found = character_durations(text, ear(text, [12, 20, 30]), torch.full((FRAMES,), -11.0))
    assert found is not None and sum(found[0]) == FRAMES and min(found[0]) >= 0
