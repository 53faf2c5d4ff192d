"""What recordings go through: the same for the same seed, of the right length, pitch kept, band limited."""

from __future__ import annotations

import numpy as np
import pytest

from muomni_core.evaluation.conditions import CONDITIONS, NOISE_DB, RATE, disturb, not_speech, pace


def tone(seconds: float = 1.5, pitch: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def loudest_pitch(sound: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() * RATE / len(sound))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_same_seed_is_the_same_sound(condition: str) -> None:
    sound = tone()
    before = sound.copy()
    one, same, other = (disturb(sound, condition, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and np.array_equal(sound, before)
    assert np.array_equal(one, other) == (condition not in ("noise", "room"))
    assert one.dtype == np.float32 and np.isfinite(one).all() and np.abs(one).max() <= 1.0
    factor = {"slow": 0.8, "fast": 1.25}.get(condition, 1.0)
    assert len(one) == int(len(sound) / factor)
    assert loudest_pitch(one) == pytest.approx(440, rel=0.02)


@pytest.mark.parametrize("n_samples", [1, 100, 641, 5000])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_short_sounds(condition: str, n_samples: int) -> None:
    assert np.isfinite(disturb(tone()[:n_samples], condition)).all()


def test_noise_is_as_loud_as_it_says() -> None:
    sound = tone(4.0)
    added = disturb(sound, "noise", 3) - sound
    assert 10 * np.log10(np.square(sound).mean() / np.square(added).mean()) == pytest.approx(NOISE_DB, abs=0.3)


def test_a_telephone_cuts_what_is_high() -> None:
    assert np.abs(disturb(tone(1.0, 6000.0), "telephone"))[800:-800].max() < 0.02
    assert np.abs(disturb(tone(1.0, 1000.0), "telephone")).max() > 0.28


def test_a_room_goes_on_after_the_sound() -> None:
    click = np.zeros(RATE, np.float32)
    click[1000] = 0.5
    tail = disturb(click, "room")[1600:4000]
    assert 0 < np.abs(tail).max() < 0.2 and np.abs(disturb(click, "room")[8000:]).max() < 1e-4


def test_pace_keeps_order_and_loudness() -> None:
    sound = np.concatenate([tone(1.0, 300.0), tone(1.0, 700.0)])
    slow = pace(sound, 0.8)
    assert loudest_pitch(slow[2000:18_000]) == pytest.approx(300, rel=0.02)
    assert loudest_pitch(slow[-18_000:-2000]) == pytest.approx(700, rel=0.02)
    assert np.abs(slow).max() == pytest.approx(0.3, abs=0.05)


def test_where_nobody_speaks() -> None:
    made = not_speech(0.5, 1)
    assert len(made) >= 10 and all(s.shape == (8000,) and s.dtype == np.float32 for s in made.values())
    assert all(np.array_equal(sound, not_speech(0.5, 1)[name]) for name, sound in made.items())
