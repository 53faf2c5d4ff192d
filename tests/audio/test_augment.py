"""Augmentation does what its name says to a mel, and leaves it a mel."""

from __future__ import annotations

import math

import pytest
import torch

from muomni_core.audio.augment import (
    SILENCE,
    add_noise,
    augment,
    limit_band,
    reverberate,
    spec_augment,
    warp,
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def mels(batch: int = 2, frames: int = 60) -> torch.Tensor:
    return -5.5 + 2 * torch.randn(batch, frames, 128)


def each(value: float, n: int = 1) -> torch.Tensor:
    return torch.full((n,), value)


@pytest.mark.parametrize("factor", [0.8, 0.93, 1.0, 1.2])
def test_tempo_changes_length_and_nothing_else(factor):
    ramp = torch.arange(100.0)[None, :, None].expand(2, 100, 128)
    stretched, lengths = warp(ramp, torch.tensor([100, 50]), each(factor, 2), each(1.0, 2))
    assert stretched.shape == (2, int(100 * factor), 128)
    assert lengths.tolist() == [int(100 * factor), int(50 * factor)]
    wanted = (torch.arange(stretched.shape[1]) + 0.5) / factor - 0.5
    assert torch.allclose(stretched[0, 2:-2, 0], wanted[2:-2], atol=0.05)
    assert torch.allclose(stretched[1], stretched[0], atol=1e-4)


def test_each_clip_has_a_tempo_of_its_own():
    ramp = torch.arange(100.0)[None, :, None].expand(2, 100, 128)
    stretched, lengths = warp(ramp, torch.tensor([100, 100]), torch.tensor([0.8, 1.2]), each(1.0, 2))
    assert lengths.tolist() == [80, 120] and stretched.shape[1] == 120
    assert float(stretched[0, 39, 0]) == pytest.approx(39.5 / 0.8 - 0.5, abs=0.05)
    assert float(stretched[1, 39, 0]) == pytest.approx(39.5 / 1.2 - 0.5, abs=0.05)


def test_a_short_clip_keeps_at_least_a_frame():
    stretched, lengths = warp(mels(2, 9), torch.tensor([9, 1]), each(0.8, 2), each(1.0, 2))
    assert lengths.tolist() == [stretched.shape[1], 1]


def test_warp_moves_a_formant_and_one_is_no_warp():
    mel, lengths = mels(), torch.tensor([60, 60])
    assert torch.allclose(warp(mel, lengths, each(1.0, 2), each(1.0, 2))[0], mel, atol=1e-3)
    peak = torch.full((2, 4, 128), -9.0)
    peak[:, :, 60] = 0.0
    moved, _ = warp(peak, torch.tensor([4, 4]), each(1.0, 2), torch.tensor([1.2, 0.8]))
    assert moved[:, 0].argmax(1).tolist() == [50, 75]


def test_noise_fills_what_is_quiet_and_only_adds():
    mel = torch.full((1, 50, 128), SILENCE)
    mel[:, 20:40] = -2.0
    noisy = add_noise(mel, each(20))
    assert bool((noisy >= mel).all())
    assert float(noisy[:, :20].mean()) > SILENCE + 3
    assert float((noisy - mel)[:, 20:40].mean()) < 0.2
    assert float(add_noise(mel, each(5))[:, :20].mean()) > float(noisy[:, :20].mean())


def test_a_room_has_a_tail_and_no_foreboding():
    mel = torch.full((1, 60, 128), SILENCE)
    mel[:, 10] = 0.0
    heard = reverberate(mel, each(0.3))[0, :, 0]
    assert bool((heard[:10] < SILENCE + 2.5).all())  # what rounding leaves, 80 dB below the sound
    assert float(heard[10]) == pytest.approx(0.0, abs=1e-3)
    tail = heard[11:39]
    assert bool((tail.diff() < 0).all()) and float(tail[0]) < -0.5
    db = float(tail[26] - tail[0]) * 20 / math.log(10)  # 26 of 30 frames further
    assert db == pytest.approx(-60 * 26 / 30, abs=2)


def test_a_telephone_has_nothing_above_its_band():
    mel = mels()
    heard = limit_band(mel, each(90, 2))
    assert torch.equal(heard[:, :, :90], mel[:, :, :90])
    assert bool((heard[:, :, 90:] == SILENCE).all())
    assert bool((mel[:, :, 90:] != SILENCE).any())  # the given one is left as it was


def test_stripes_leave_the_rest_alone():
    mel = mels(4)
    striped = spec_augment(mel)
    changed = striped != mel
    assert changed.any()
    assert float(changed.float().mean()) < 2 * 20 / 128 + 2 * 0.05 + 0.02
    assert torch.allclose(striped[changed], mel.mean())
    assert bool((changed.all(1) | changed.all(2, keepdim=True).any(1)).any())  # whole bands, or whole frames


def test_the_mix_gives_a_mel_and_lengths_that_lie_inside():
    for seed in range(30):
        torch.manual_seed(seed)
        mel, lengths = augment(mels(3, 40), torch.tensor([40, 25, 3]), torch.tensor([1.0, 0.8, 1.2]))
        assert mel.shape == (3, 40, 128) and lengths.tolist() == [40, 20, 3]
        assert bool(torch.isfinite(mel).all())


def test_the_mix_follows_from_the_seed():
    given = mels()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(augment(given, torch.tensor([60, 60]), each(1.0, 2))[0])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_without_strength_a_mel_stays_as_it_is():
    given = mels()
    assert torch.allclose(augment(given, torch.tensor([60, 60]), each(1.0, 2), 0.0)[0], given, atol=1e-3)
