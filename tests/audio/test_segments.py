"""Long sounds in windows: nothing lost, nothing doubled but the margins, cut where it is quiet, in constant memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from muomni_core.audio.segments import GRID, MARGIN, RATE, is_silent, windows


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(0, 200_000), max_size=6), seed=st.integers(0, 9))
def test_own_parts_put_together_are_the_sound(lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = [rng.normal(size=n).astype(np.float32) for n in lengths]
    whole = np.concatenate([*blocks, np.zeros(0, dtype=np.float32)])
    made = list(windows(blocks, shortest=2.0, longest=4.0))
    place = 0
    for window in made:
        assert window.begin == place and window.end > window.begin
        place = window.end
        # What it holds is the sound from its start on: its own part and a margin to either side.
        assert np.array_equal(window.sound, whole[window.start : window.start + len(window.sound)])
        assert window.start == max(0, window.begin - MARGIN)
        assert window.start + len(window.sound) == min(len(whole), window.end + MARGIN)
        assert window.start % GRID == 0 and window.end - window.begin <= 4 * RATE + GRID
    assert place == len(whole)
    assert all(w.end - w.begin >= 2 * RATE - GRID for w in made[:-1])


def test_the_cut_is_in_the_pause() -> None:
    rng = np.random.default_rng(0)
    sound = 0.1 * rng.normal(size=10 * RATE).astype(np.float32)
    sound[3 * RATE : int(3.4 * RATE)] = 0
    first = next(windows([sound], shortest=2.0, longest=5.0))
    assert 3.0 <= first.end / RATE <= 3.4


def test_half_an_hour_takes_no_more_memory_than_a_minute() -> None:
    def most(minutes: int) -> int:
        tracemalloc.start()
        total = sum(w.end - w.begin for w in windows(np.ones(30 * RATE, np.float32) for _ in range(2 * minutes)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == minutes * 60 * RATE
        return peak

    assert most(30) < 1.2 * most(2)


def test_silence_is_told_from_a_whisper() -> None:
    assert is_silent(np.zeros(RATE, dtype=np.float32))
    assert is_silent(np.zeros(5, dtype=np.float32))
    whisper = np.zeros(RATE, dtype=np.float32)
    whisper[8000:8400] = 0.01
    assert not is_silent(whisper)
