"""The one mel: its frames, its numbers, and that nothing beside a clip changes them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from muomni_core.audio.mel import MEL, log_mel, mel_filterbank, pad_to_hop
from muomni_core.errors import ShapeError

FLOOR = math.log(1e-5)


def noise(n: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(seed))


def slaney_hz(mels: np.ndarray) -> np.ndarray:
    """Slaney's scale, written down anew: linear to 1 kHz (15 mels), then 27 steps to a factor of 6.4."""
    return np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))


def naive_log_mel(sound: np.ndarray, frame: int) -> np.ndarray:
    """One frame by the definition: a windowed piece, a DFT matrix, triangles of unit area."""
    window = np.zeros(1024)
    window[192:832] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(640) / 640)
    padded = np.concatenate([np.zeros(512), sound, np.zeros(512)])
    piece = padded[160 * frame : 160 * frame + 1024] * window
    bins = np.arange(513)
    magnitude = np.abs(np.exp(-2j * np.pi * np.outer(bins, np.arange(1024)) / 1024) @ piece)
    top = 15 + 27 * np.log(8) / np.log(6.4)
    edges = slaney_hz(np.linspace(0, top, 130))
    hz = bins * 16_000 / 1024
    mel = np.empty(128)
    for band in range(128):
        low, middle, high = edges[band : band + 3]
        triangle = np.maximum(0, np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)))
        mel[band] = triangle @ magnitude * 2 / (high - low)
    return np.log(np.maximum(mel, 1e-5))


@pytest.mark.parametrize("n", [0, 1, 159, 160, 161, 319, 320, 1024, 16_000, 16_159])
def test_there_are_exactly_as_many_frames_as_whole_hops(n):
    assert log_mel(noise(n)).shape == (n // 160, 128)
    assert log_mel(noise(n)[None]).shape == (1, n // 160, 128)


def test_the_numbers_are_those_of_a_dft_by_hand():
    time = np.arange(4000) / 16_000
    sound = 0.3 * np.sin(2 * np.pi * 1000 * time) + 0.05 * np.sin(2 * np.pi * 5210 * time + 1)
    mel = log_mel(torch.from_numpy(sound))
    for frame in (0, 1, 12, 24):  # 0 and 24 look beyond the clip's ends
        assert np.allclose(mel[frame].numpy(), naive_log_mel(sound, frame), atol=2e-3)


def test_a_sine_is_loudest_in_the_band_of_its_pitch():
    centres = slaney_hz(np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 130))[1:-1]
    for hz in (300, 1000, 3500):
        mel = log_mel(torch.sin(2 * torch.pi * hz * torch.arange(3200) / 16_000))
        assert abs(centres[int(mel[10].argmax())] - hz) < 0.05 * hz


def test_silence_is_the_floor():
    assert torch.allclose(log_mel(torch.zeros(1600)), torch.full((10, 128), FLOOR))


def test_twice_as_loud_adds_the_log_of_two():
    sound = noise(3200)
    assert torch.allclose(log_mel(2 * sound), log_mel(sound) + math.log(2), atol=1e-4)


@pytest.mark.parametrize("n", [160, 1000, 4321])
def test_zeros_behind_a_clip_do_not_change_its_frames(n):
    sound = noise(n)
    alone, padded = log_mel(sound), log_mel(torch.cat([sound, torch.zeros(2000)]))
    assert torch.allclose(padded[: len(alone)], alone, atol=1e-5)


def test_alone_or_batched_the_same():
    clips = torch.stack([noise(2400, s) for s in range(3)])
    batched = log_mel(clips)
    for clip, mel in zip(clips, batched, strict=True):
        assert torch.allclose(log_mel(clip), mel, atol=1e-5)


def test_no_filter_is_empty_and_the_bank_can_be_inverted():
    bank = mel_filterbank()
    assert bank.shape == (513, 128)
    assert bool((bank.sum(0) > 0).all())
    assert int(torch.linalg.matrix_rank(bank)) == MEL.n_mels


@pytest.mark.parametrize(("n", "padded"), [(0, 0), (1, 160), (159, 160), (160, 160), (161, 320)])
def test_padding_to_a_hop_loses_no_sample(n, padded):
    sound = noise(n)
    out = pad_to_hop(sound)
    assert out.shape == (padded,)
    assert torch.equal(out[:n], sound)
    assert not out[n:].any()


def test_a_wrong_shape_is_named():
    with pytest.raises(ShapeError, match=r"mel: expected shape \(B, N\).*got \(1, 2, 320\)"):
        log_mel(torch.zeros(1, 2, 320))
