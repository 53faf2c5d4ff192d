"""Augmentation of log mels, cheap enough to be done anew for every batch. All take and give (B, T, 128)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from muomni_core.config import MelConfig

SILENCE = -11.5  # log of the mel's floor


def uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def change_tempo(mel: Tensor, lengths: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Time stretched by interpolation; `factor` over 1 is slower."""
    stretched = F.interpolate(mel.transpose(1, 2), scale_factor=factor, mode="linear", recompute_scale_factor=True)
    return stretched.transpose(1, 2), (lengths * factor).long().clamp(1, stretched.shape[2])


def warp_bands(mel: Tensor, factor: float) -> Tensor:
    """Vocal-tract warp: the bands are read at `factor` times their place (Jaitly & Hinton 2013, in mel bands)."""
    n_mels = mel.shape[2]
    place = (torch.arange(n_mels) * factor).clamp(0, n_mels - 1)
    low = place.floor().long().clamp(max=n_mels - 2)
    share = (place - low).to(mel.dtype)
    return mel[:, :, low] * (1 - share) + mel[:, :, low + 1] * share


def add_noise(mel: Tensor, snr_db: float) -> Tensor:
    """Coloured noise of a random tilt, `snr_db` below each clip's loudest tenth of frames."""
    batch, frames, n_mels = mel.shape
    level = mel.mean(2).quantile(0.9, dim=1)[:, None, None] - snr_db / 8.686
    tilt = torch.randn(batch, 1, 1) * torch.linspace(-1, 1, n_mels)
    noise = level + tilt + 0.5 * torch.randn(batch, frames, n_mels)
    return torch.logaddexp(2 * mel, 2 * noise) / 2  # powers add


def reverberate(mel: Tensor, seconds: float) -> Tensor:
    """A room's tail: energy that decays by 60 dB in `seconds`, smeared over time."""
    frames = max(2, int(100 * seconds))
    tail = torch.exp(-6.9 * torch.arange(frames) / frames) ** 2
    tail[1:] *= 0.12
    power = (2 * mel).exp().transpose(1, 2)
    kernel = tail.flip(0).expand(power.shape[1], 1, frames)
    smeared = F.conv1d(F.pad(power, (frames - 1, 0)), kernel, groups=power.shape[1])
    return smeared.transpose(1, 2).clamp_min(1e-10).log() / 2


def limit_band(mel: Tensor, top: int) -> Tensor:
    """Nothing above band `top`, as after a telephone."""
    limited = mel.clone()
    limited[:, :, top:] = SILENCE
    return limited


def spec_augment(mel: Tensor, n_bands: int = 2, band: int = 20, n_times: int = 2, share: float = 0.05) -> Tensor:
    """Stripes of bands and of time replaced by the mean level (Park 2019)."""
    batch, frames, n_mels = mel.shape
    keep = torch.ones(batch, frames, n_mels, dtype=torch.bool)
    for _ in range(n_bands):
        width, start = torch.randint(0, band + 1, (batch, 1)), torch.randint(0, n_mels, (batch, 1))
        place = torch.arange(n_mels)[None]
        keep &= ~((place >= start) & (place < start + width))[:, None]
    for _ in range(n_times):
        width = torch.randint(0, max(1, int(share * frames)) + 1, (batch, 1))
        start, place = torch.randint(0, frames, (batch, 1)), torch.arange(frames)[None]
        keep &= ~((place >= start) & (place < start + width))[:, :, None]
    return torch.where(keep, mel, mel.mean())


def augment(mel: Tensor, lengths: Tensor, strength: float = 1.0) -> tuple[Tensor, Tensor]:
    """The ear's mix of all of these, drawn anew for every batch; `strength` 0 to 1."""
    if uniform(0, 1) < 0.5 * strength:
        mel, lengths = change_tempo(mel, lengths, uniform(1 - 0.2 * strength, 1 + 0.2 * strength))
    if uniform(0, 1) < 0.5 * strength:
        mel = warp_bands(mel, uniform(1 - 0.12 * strength, 1 + 0.12 * strength))
    mel = mel + torch.randn(mel.shape[0], 1, 1) * strength
    if uniform(0, 1) < 0.25 * strength:
        mel = reverberate(mel, uniform(0.1, 0.5))
    if uniform(0, 1) < 0.4 * strength:
        mel = add_noise(mel, uniform(5, 30))
    if uniform(0, 1) < 0.15 * strength:
        mel = limit_band(mel, MelConfig().n_mels - int(uniform(30, 48)))
    return spec_augment(mel, share=0.05 * strength), lengths
