"""Augmentation of log mels (B, T, 128), anew for every batch and other for every clip, on the device where they lie."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from muomni_core.config import MelConfig

SILENCE = -11.5  # log of the mel's floor


def uniform(n: int, low: float, high: float, device: torch.device | None = None) -> Tensor:
    """(n,) between `low` and `high`."""
    return torch.empty(n, device=device).uniform_(low, high)


def some(n: int, share: float, device: torch.device) -> Tensor:
    """(n, 1, 1) bool: which clips it happens to."""
    return torch.rand(n, 1, 1, device=device) < share


def warp(mel: Tensor, lengths: Tensor, tempo: Tensor, bands: Tensor) -> tuple[Tensor, Tensor]:
    """Time stretched by `tempo` (B,), over 1 is slower; bands read at `bands` (B,) times their place.

    The second changes the length of the vocal tract (Jaitly & Hinton 2013, in mel bands). Returns mel and lengths.
    """
    n_frames = mel.shape[1]
    lengths = (lengths * tempo).long().clamp_min(1)
    longest = int(lengths.max())
    # Grid coordinates run from -1 to 1 over the outer edges of the first and the last cell.
    pace, zero = longest / (n_frames * tempo), torch.zeros_like(tempo)
    matrix = torch.stack([bands, zero, bands - 1, zero, pace, pace - 1], 1).view(-1, 2, 3).to(mel.dtype)
    grid = F.affine_grid(matrix, [len(mel), 1, longest, mel.shape[2]], align_corners=False)
    return F.grid_sample(mel[:, None], grid, padding_mode="border", align_corners=False)[:, 0], lengths


def add_noise(mel: Tensor, snr_db: Tensor) -> Tensor:
    """Coloured noise of a random tilt, `snr_db` (B,) below each clip's loudest tenth of frames."""
    batch, _, n_mels = mel.shape
    level = mel.mean(2).quantile(0.9, dim=1)[:, None, None] - snr_db[:, None, None] / 8.686
    tilt = torch.randn(batch, 1, 1, device=mel.device) * torch.linspace(-1, 1, n_mels, device=mel.device)
    noise = level + tilt + 0.5 * torch.randn_like(mel)
    return torch.logaddexp(2 * mel, 2 * noise) / 2  # powers add


def reverberate(mel: Tensor, seconds: Tensor) -> Tensor:
    """A room's tail: energy that decays by 60 dB in `seconds` (B,), smeared over time."""
    n_frames, longest = mel.shape[1], max(2, int(100 * float(seconds.max())))
    time = torch.arange(longest, device=mel.device)
    tail = torch.exp(-6.9 * time / (100 * seconds[:, None])) ** 2 * 0.12
    tail[:, 0] = 1.0
    size = n_frames + longest
    spectrum = torch.fft.rfft((2 * mel).exp(), n=size, dim=1) * torch.fft.rfft(tail, n=size, dim=1)[:, :, None]
    return torch.fft.irfft(spectrum, n=size, dim=1)[:, :n_frames].clamp_min(1e-10).log() / 2


def limit_band(mel: Tensor, tops: Tensor) -> Tensor:
    """Nothing above the band `tops` (B,), as after a telephone."""
    above = torch.arange(mel.shape[2], device=mel.device) >= tops[:, None, None]
    return mel.masked_fill(above, SILENCE)


def spec_augment(mel: Tensor, n_bands: int = 2, band: int = 20, n_times: int = 2, share: float = 0.05) -> Tensor:
    """Stripes of bands and of time replaced by the mean level (Park 2019)."""
    batch, n_frames, n_mels = mel.shape

    def stripe(size: int, widest: int) -> Tensor:
        width, start = (torch.randint(0, n, (batch, 1), device=mel.device) for n in (widest + 1, size))
        place = torch.arange(size, device=mel.device)
        return (place >= start) & (place < start + width)

    hidden = torch.zeros(mel.shape, dtype=torch.bool, device=mel.device)
    for _ in range(n_bands):
        hidden |= stripe(n_mels, band)[:, None]
    for _ in range(n_times):
        hidden |= stripe(n_frames, max(1, int(share * n_frames)))[:, :, None]
    return torch.where(hidden, mel.mean(), mel)


def augment(mel: Tensor, lengths: Tensor, tempo: Tensor, strength: float = 1.0) -> tuple[Tensor, Tensor]:
    """The ear's mix of all of these; `strength` 0 to 1. `tempo` (B,) is the caller's: the text must still fit."""
    n, device = len(mel), mel.device
    bands = uniform(n, 1 - 0.12 * strength, 1 + 0.12 * strength, device)
    bands = torch.where(some(n, 0.6 * strength, device)[:, 0, 0], bands, 1.0)
    mel, lengths = warp(mel, lengths, tempo, bands)
    mel = mel + torch.randn(n, 1, 1, device=device) * strength
    mel = torch.where(some(n, 0.25 * strength, device), reverberate(mel, uniform(n, 0.1, 0.5, device)), mel)
    mel = torch.where(some(n, 0.4 * strength, device), add_noise(mel, uniform(n, 5, 30, device)), mel)
    tops = MelConfig().n_mels - uniform(n, 30, 48, device)
    mel = torch.where(some(n, 0.15 * strength, device), limit_band(mel, tops), mel)
    return (spec_augment(mel, share=0.05 * strength) if strength else mel), lengths
