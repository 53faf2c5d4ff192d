"""Where somebody may speak: not in noise, tones and chords, however loud; in what moves as speech does, however quiet."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from muomni_core.audio.activity import FRAMES, speech_frames
from muomni_core.audio.mel import log_mel
from muomni_core.evaluation.conditions import RATE, noise, not_speech


def found(sound: np.ndarray) -> np.ndarray:
    return speech_frames(log_mel(torch.from_numpy(sound.astype(np.float32))).numpy())


def babble(seconds: float, seed: int = 0) -> np.ndarray:
    """A pulse train through two formants that glide from one place to another, with hisses and pauses between."""
    rng = np.random.default_rng(seed)
    parts = []
    while sum(map(len, parts)) < seconds * RATE:
        n = int(rng.uniform(0.12, 0.3) * RATE)
        times = np.arange(n) / RATE
        fade = np.minimum(1, np.minimum(times, times[::-1]) / 0.03)
        if rng.random() < 0.25:
            hiss = np.diff(rng.normal(size=n + 1))
            parts.append(0.05 * fade * hiss)
        else:
            pitch = 2 * np.pi * np.cumsum(np.linspace(120, 120 * rng.uniform(0.8, 1.3), n)) / RATE
            one, two = (np.linspace(*rng.uniform(low, high, 2), n) for low, high in ((250, 900), (900, 2600)))
            voice = np.zeros(n)
            for harmonic in range(1, 28):
                at = 120.0 * harmonic
                loud = np.exp(-(((at - one) / 120) ** 2)) + 0.5 * np.exp(-(((at - two) / 160) ** 2))
                voice += loud * np.sin(harmonic * pitch)
            parts.append(0.2 * fade * voice)
        if rng.random() < 0.2:
            parts.append(np.zeros(int(rng.uniform(0.05, 0.3) * RATE)))
    return np.concatenate(parts)[: int(seconds * RATE)]


@pytest.mark.parametrize(("seconds", "seed"), [(0.7, 0), (6.0, 1), (15.0, 2)])
def test_nobody_speaks_there(seconds: float, seed: int) -> None:
    for name, sound in not_speech(seconds, seed).items():
        assert found(sound).mean() < 0.15, name


@pytest.mark.parametrize("gain", [1.0, 0.02])
def test_speech_is_found_loud_and_quiet(gain: float) -> None:
    assert found(gain * babble(8.0)).all()
    assert found(noise((0.3 * babble(8.0, 1)).astype(np.float32), np.random.default_rng(0))).mean() > 0.9


def test_a_short_word_is_found() -> None:
    for seed in range(5):
        word = np.pad(babble(0.35, seed), 3200)
        assert found(word).any()


def test_speech_between_noise_is_where_it_is() -> None:
    hiss = not_speech(6.0)["white noise"]
    sound = np.concatenate([0.05 * hiss, babble(4.0), 0.05 * hiss])
    where = np.flatnonzero(found(sound)) * FRAMES / 100
    assert 4.0 < where.min() <= 6.0 and 10.0 <= where.max() + 0.04 < 12.0


def test_shapes() -> None:
    assert found(np.zeros(0)).shape == (0,)
    assert found(np.zeros(160)).shape == (1,) and found(np.zeros(160 * 5)).shape == (2,)
