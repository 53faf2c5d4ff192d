"""Augmentation does what its name says to a mel, and leaves it a mel."""

from __future__ import annotations

import math

import pytest
import torch

from muomni_core.audio.augment import (
    SILENCE,
    add_noise,
    augment,
    change_tempo,
    limit_band,
    reverberate,
    spec_augment,
    warp_bands,
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def mels(batch: int = 2, frames: int = 60) -> torch.Tensor:
    return -5.5 + 2 * torch.randn(batch, frames, 128)


@pytest.mark.parametrize("factor", [0.8, 0.93, 1.0, 1.2])
def test_tempo_changes_length_and_nothing_else(factor):
    ramp = torch.arange(100.0)[None, :, None].expand(1, 100, 128)
    stretched, lengths = change_tempo(ramp, torch.tensor([50]), factor)
    assert stretched.shape == (1, int(100 * factor), 128)
    assert lengths.tolist() == [int(50 * factor)]
    wanted = (torch.arange(stretched.shape[1]) + 0.5) / factor - 0.5
    assert torch.allclose(stretched[0, 2:-2, 0], wanted[2:-2], atol=0.6)


def test_a_short_clip_keeps_at_least_a_frame():
    stretched, lengths = change_tempo(mels(2, 9), torch.tensor([9, 1]), 0.8)
    assert lengths.tolist() == [stretched.shape[1], 1]


def test_warp_moves_a_formant_and_one_is_no_warp():
    mel = mels()
    assert torch.allclose(warp_bands(mel, 1.0), mel, atol=1e-5)
    peak = torch.full((1, 4, 128), -9.0)
    peak[:, :, 60] = 0.0
    assert int(warp_bands(peak, 1.2)[0, 0].argmax()) == 50
    assert int(warp_bands(peak, 0.8)[0, 0].argmax()) == 75


def test_noise_fills_what_is_quiet_and_only_adds():
    mel = torch.full((1, 50, 128), SILENCE)
    mel[:, 20:40] = -2.0
    noisy = add_noise(mel, 20)
    assert bool((noisy >= mel).all())
    assert float(noisy[:, :20].mean()) > SILENCE + 3
    assert float((noisy - mel)[:, 20:40].mean()) < 0.2
    assert float(add_noise(mel, 5)[:, :20].mean()) > float(noisy[:, :20].mean())


def test_a_room_has_a_tail_and_no_foreboding():
    mel = torch.full((1, 60, 128), SILENCE)
    mel[:, 10] = 0.0
    heard = reverberate(mel, 0.3)[0, :, 0]
    assert torch.allclose(heard[:10], torch.tensor(SILENCE), atol=0.2)
    assert float(heard[10]) == pytest.approx(0.0, abs=1e-3)
    tail = heard[11:39]
    assert bool((tail.diff() < 0).all()) and float(tail[0]) < -0.5
    db = float(tail[26] - tail[0]) * 20 / math.log(10)  # 26 of 30 frames further
    assert db == pytest.approx(-60 * 26 / 30, abs=2)


def test_a_telephone_has_nothing_above_its_band():
    mel = mels()
    heard = limit_band(mel, 90)
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
        mel, lengths = augment(mels(3, 40), torch.tensor([40, 25, 3]))
        assert mel.shape[::2] == (3, 128) and mel.shape[1] == int(lengths[0])
        assert bool(torch.isfinite(mel).all())
        assert int(lengths.min()) >= 1


def test_the_mix_follows_from_the_seed():
    given = mels()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(augment(given, torch.tensor([60, 60]))[0])
    assert torch.equal(drawn[0], drawn[1])
    assert drawn[0].shape != drawn[2].shape or not torch.equal(drawn[0], drawn[2])
