"""The neural vocoder: exact lengths, frames where the mel has them, losses that teach it."""

from __future__ import annotations

import pytest
import torch

from muomni_core.audio.mel import log_mel
from muomni_core.config import MICRO
from muomni_core.errors import ShapeError
from muomni_core.model.vocoder import (
    Discriminators,
    NeuralVocoder,
    discriminator_loss,
    generator_loss,
    judge,
    spectral_loss,
    stft_magnitude,
)


@pytest.fixture
def vocoder() -> NeuralVocoder:
    torch.manual_seed(0)
    return NeuralVocoder(MICRO.vocoder).eval()


@pytest.mark.parametrize("n_frames", [1, 2, 3, 50])
def test_a_frame_is_160_samples(vocoder: NeuralVocoder, n_frames: int) -> None:
    assert vocoder(torch.randn(2, n_frames, 128)).shape == (2, 160 * n_frames)


def test_no_frames_are_no_sound(vocoder: NeuralVocoder) -> None:
    assert vocoder.speak(torch.zeros(1, 0, 128)).shape == (1, 0)


def test_another_shape_is_named(vocoder: NeuralVocoder) -> None:
    with pytest.raises(ShapeError, match=r"vocoder: expected shape \(B, T, 128\), got \(1, 128, 20\)"):
        vocoder(torch.zeros(1, 128, 20))


def test_windowed_frames_add_up_to_the_sound_they_were_cut_from(vocoder: NeuralVocoder) -> None:
    sound = torch.randn(1, 160 * 20)
    frames = torch.nn.functional.pad(sound, (320, 320)).unfold(1, 640, 160)[:, :20] * vocoder.window
    again = vocoder._overlap_add(frames)
    assert torch.allclose(again[:, 480:-480], sound[:, 480:-480], atol=1e-5)


def test_loud_output_is_scaled_down_as_a_whole(vocoder: NeuralVocoder) -> None:
    with torch.no_grad():
        vocoder.out.bias[: 640 // 2 + 1] += 6
    mel = torch.randn(1, 30, 128)
    loud, spoken = vocoder(mel), vocoder.speak(mel)
    assert loud.abs().max() > 1
    assert spoken.abs().max() <= 1
    assert torch.allclose(spoken * loud.abs().max(), loud, atol=1e-4)


def test_it_learns_one_sound() -> None:
    torch.manual_seed(0)
    vocoder = NeuralVocoder(MICRO.vocoder)
    time = torch.arange(160 * 40) / 16_000
    sound = (0.3 * torch.sin(2 * torch.pi * 220 * time) + 0.2 * torch.sin(2 * torch.pi * 660 * time))[None]
    mel = log_mel(sound)
    optimiser = torch.optim.AdamW(vocoder.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = spectral_loss(vocoder(mel), sound)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]


def test_each_side_of_the_game_wants_its_own() -> None:
    torch.manual_seed(0)
    judges = Discriminators(sizes=(256,), periods=(3,), width=4)
    real, made = torch.randn(2, 4000), torch.zeros(2, 4000).uniform_(-0.1, 0.1)
    optimiser = torch.optim.AdamW(judges.parameters(), lr=1e-2)
    before = float(discriminator_loss(judges(real), judges(made)).detach())
    for _ in range(20):
        loss = discriminator_loss(judges(real), judges(made))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.5 * before
    verdict, matching = generator_loss(judges(real), judges(made))
    assert float(verdict.detach()) > 1  # what is told apart has something to mend
    assert float(matching.detach()) > 0
    assert float(generator_loss(judges(real), judges(real))[1].detach()) == 0


def test_a_mel_alone_gives_the_magnitudes_to_begin_with(vocoder: NeuralVocoder) -> None:
    torch.manual_seed(0)
    sound = 0.01 * torch.randn(1, 16_000)
    sound[:, ::80] += 0.3  # a voice of 200 Hz: a harmonic in every eighth bin
    mel = log_mel(sound)
    frames = torch.nn.functional.pad(sound, (320, 320)).unfold(1, 640, 160)[:, 2:98] * vocoder.window
    wanted = torch.fft.rfft(frames).abs()
    said = ((mel - vocoder.areas) @ vocoder.spread).exp()[:, 2:98]
    low = slice(8, 41, 8)
    assert float((said / wanted)[..., low].log().abs().max()) < 0.5
    assert float((said[..., low] / said[..., 4:37:8]).min()) > 2  # and valleys between them


def test_an_untrained_vocoder_is_as_loud_as_its_mel(vocoder: NeuralVocoder) -> None:
    loud, soft = (log_mel(gain * torch.randn(1, 16_000)) for gain in (0.1, 0.01))
    with torch.no_grad():
        assert float(vocoder(loud).std() / vocoder(soft).std()) == pytest.approx(10, rel=0.2)


def test_each_side_gets_gradients_of_its_own_loss_alone() -> None:
    torch.manual_seed(0)
    judges = Discriminators(sizes=(256,), periods=(2, 5), width=4)
    real, maker = torch.randn(2, 3200) * 0.1, torch.nn.Parameter(torch.randn(2, 3200) * 0.1)
    judged, wish = judge(judges, real, maker * 1.0, (0.3, 2.0))

    judged.backward(retain_graph=True)
    assert maker.grad is None
    for p, q in zip(judges.parameters(), _gradients(judges, real, maker), strict=True):
        torch.testing.assert_close(p.grad, q)

    judges.zero_grad(set_to_none=True)
    wish.backward()
    assert all(p.grad is None for p in judges.parameters())
    verdict, matching = generator_loss(judges(real), judges(maker))
    (wanted,) = torch.autograd.grad(0.3 * verdict + 2.0 * matching, maker)
    torch.testing.assert_close(maker.grad, wanted)
    assert float(wish.detach()) == pytest.approx(float((0.3 * verdict + 2.0 * matching).detach()), rel=1e-5)


def _gradients(judges: Discriminators, real: torch.Tensor, made: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(discriminator_loss(judges(real), judges(made.detach())), list(judges.parameters()))


def test_bf16_is_kept_from_transforms_and_losses(vocoder: NeuralVocoder) -> None:
    torch.manual_seed(0)
    sound = 0.1 * torch.randn(2, 3200)
    mel = log_mel(sound)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(log_mel(sound), mel)
        assert vocoder(mel).dtype == stft_magnitude(sound, 256).dtype == torch.float32
        judges = Discriminators(sizes=(256,), periods=(2,), width=4)
        losses = [spectral_loss(vocoder(mel), sound), *generator_loss(judges(sound), judges(vocoder(mel)))]
        assert all(loss.dtype == torch.float32 and bool(loss.isfinite()) for loss in losses)
