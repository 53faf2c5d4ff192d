"""Long sounds in pieces: nothing lost, nothing doubled, cut where it is quiet."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from muomni_core.audio.segments import RATE, is_silent, segments


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(0, 200_000), max_size=6), seed=st.integers(0, 9))
def test_pieces_put_together_are_the_sound(lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = [rng.normal(size=n).astype(np.float32) for n in lengths]
    pieces = list(segments(blocks, shortest=2.0, longest=4.0))
    whole = np.concatenate([*blocks, np.zeros(0, dtype=np.float32)])
    assert np.array_equal(np.concatenate([*pieces, np.zeros(0, dtype=np.float32)]), whole)
    assert all(len(piece) <= 4 * RATE for piece in pieces)
    assert all(len(piece) >= 2 * RATE for piece in pieces[:-1])


def test_the_cut_is_in_the_pause() -> None:
    rng = np.random.default_rng(0)
    sound = 0.1 * rng.normal(size=10 * RATE).astype(np.float32)
    sound[3 * RATE : int(3.4 * RATE)] = 0
    first = next(segments([sound], shortest=2.0, longest=5.0))
    assert 3.0 <= len(first) / RATE <= 3.4


def test_silence_is_told_from_a_whisper() -> None:
    assert is_silent(np.zeros(RATE, dtype=np.float32))
    assert is_silent(np.zeros(5, dtype=np.float32))
    whisper = np.zeros(RATE, dtype=np.float32)
    whisper[8000:8400] = 0.01
    assert not is_silent(whisper)
