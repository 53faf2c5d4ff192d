"""Griffin-Lim: exact length, there and back again, and no silent guess at what a mel means."""

from __future__ import annotations

import pytest
import torch

from muomni_core.audio.mel import log_mel
from muomni_core.audio.vocoder import griffin_lim, scale_down
from muomni_core.errors import InputError, ShapeError


def voice(seconds: float = 0.6) -> torch.Tensor:
    """A gliding voice-like sound: forty harmonics under two formants, and breath."""
    time = torch.arange(int(16_000 * seconds)) / 16_000
    pitch = 120 + 40 * torch.sin(2 * torch.pi * 1.5 * time)
    phase = 2 * torch.pi * pitch.cumsum(0) / 16_000
    sound = torch.zeros_like(time)
    for k in range(1, 41):
        loud = torch.exp(-(((k * pitch - 600) / 400) ** 2)) + 0.4 * torch.exp(-(((k * pitch - 2200) / 700) ** 2))
        sound += (loud + 0.02) * torch.sin(k * phase)
    breath = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    sound = sound * (0.6 + 0.4 * torch.sin(2 * torch.pi * 3 * time)) + 0.01 * breath
    return 0.5 * sound / sound.abs().max()


MEL = log_mel(voice())[None]


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 4, 5, 33])
def test_the_length_is_exact(frames):
    sound = griffin_lim(MEL[:, :frames], n_iter=2)
    assert sound.shape == (1, frames * 160)
    assert bool(torch.isfinite(sound).all())


def test_there_and_back_again():
    back = log_mel(griffin_lim(MEL))
    heard = MEL > -9.0  # what lies near the floor is inaudible
    assert float((back - MEL).abs()[heard].mean()) < 0.25
    rough = log_mel(griffin_lim(MEL, n_iter=1))
    assert float((back - MEL).abs()[heard].mean()) < 0.6 * float((rough - MEL).abs()[heard].mean())


def test_magnitudes_and_their_logs_give_the_same_sound():
    log, magnitude = (
        griffin_lim(MEL, n_iter=2),
        griffin_lim(MEL.exp(), domain="magnitude", n_iter=2),
    )
    assert torch.allclose(log, magnitude, atol=1e-4)


def test_a_mel_of_the_other_domain_is_refused():
    with pytest.raises(InputError, match='use domain="magnitude"'):
        griffin_lim(MEL.exp())
    with pytest.raises(InputError, match='use domain="log"'):
        griffin_lim(MEL, domain="magnitude")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused(bad):
    mel = MEL.clone()
    mel[0, 3, 7] = bad
    with pytest.raises(InputError, match="not finite"):
        griffin_lim(mel, n_iter=1)


def test_a_wrong_shape_is_named():
    with pytest.raises(ShapeError, match=r"vocoder: expected shape \(B, T, 128\), got \(1, 5, 80\)"):
        griffin_lim(torch.zeros(1, 5, 80))


def test_a_peak_over_one_is_scaled_down_as_a_whole():
    loud, plain = griffin_lim(MEL + 6, n_iter=2), griffin_lim(MEL, n_iter=2)
    assert float(loud.abs().max()) == pytest.approx(1.0, abs=1e-5)
    assert torch.allclose(loud, plain / plain.abs().max(), atol=1e-3)  # the wave keeps its form: nothing is clipped


def test_a_quiet_clip_stays_quiet():
    quiet, plain = griffin_lim(MEL - 4, n_iter=2), griffin_lim(MEL, n_iter=2)
    assert float(plain.abs().max()) < 1
    assert torch.allclose(quiet, plain * torch.tensor(-4.0).exp(), atol=1e-4)


def test_each_clip_has_its_own_factor():
    sound = torch.tensor([[0.1, -0.5], [2.0, -4.0]])
    assert torch.equal(scale_down(sound), torch.tensor([[0.1, -0.5], [0.5, -1.0]]))


def test_the_same_mel_gives_the_same_sound():
    first = griffin_lim(MEL, n_iter=3)
    torch.manual_seed(1234)
    assert torch.equal(griffin_lim(MEL, n_iter=3), first)


def test_alone_or_batched_the_same():
    mels = torch.cat([MEL, MEL.flip(1)])
    together = griffin_lim(mels, n_iter=2)
    for n in range(2):
        assert torch.allclose(griffin_lim(mels[n : n + 1], n_iter=2)[0], together[n], atol=1e-4)
