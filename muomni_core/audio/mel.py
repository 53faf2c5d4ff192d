"""The one mel spectrogram: encoder, codec and vocoder all see this and nothing else (design contract "mel")."""

from __future__ import annotations

from functools import lru_cache

import torch
import torchaudio
from torch import Tensor

from muomni_core.config import MelConfig
from muomni_core.errors import ShapeError

MEL = MelConfig()

# What log-mels of speech look like (mean and spread over the corpora): models normalise by these constants,
# never by statistics of a clip, so that a clip's output does not depend on what stands beside it.
LOG_MEL_MEAN = -5.5
LOG_MEL_STD = 2.5


@lru_cache(maxsize=4)
def mel_filterbank(config: MelConfig = MEL) -> Tensor:
    """Slaney-scaled, Slaney-normed triangles, (n_fft // 2 + 1, n_mels)."""
    return torchaudio.functional.melscale_fbanks(
        n_freqs=config.n_fft // 2 + 1,
        f_min=config.f_min,
        f_max=config.f_max,
        n_mels=config.n_mels,
        sample_rate=config.sample_rate,
        norm="slaney",
        mel_scale="slaney",
    )


@lru_cache(maxsize=4)
def mel_window(config: MelConfig = MEL) -> Tensor:
    return torch.hann_window(config.win_length)


@lru_cache(maxsize=8)
def _constants(config: MelConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """Window and filterbank where the sound is: copied to a GPU once, and not in every step of a training."""
    return mel_window(config).to(device), mel_filterbank(config).to(device)


def log_mel(waveform: Tensor, config: MelConfig = MEL) -> Tensor:
    """Natural log of the mel magnitudes, floored.

    Args:
        waveform: (B, N) or (N,), float, 16 kHz mono, -1 to 1.
    Returns:
        (B, N // 160, 128) or (N // 160, 128), float32, where the waveform is. A last partial hop is left out; pad
        before if it matters.
        Frame t is centred on sample 160 * t; outside of the clip there is silence, so a clip padded with
        zeros gives the same frames.
    """
    if waveform.dim() not in (1, 2):
        raise ShapeError(f"mel: expected shape (B, N) or (N,), got {tuple(waveform.shape)}")
    batched = waveform.dim() == 2
    sound = (waveform if batched else waveform[None]).float()
    n_frames = sound.shape[1] // config.hop_length
    if n_frames == 0:
        empty = sound.new_zeros(sound.shape[0], 0, config.n_mels)
        return empty if batched else empty[0]
    padded = torch.nn.functional.pad(sound, (config.n_fft // 2, config.n_fft // 2))
    window, filterbank = _constants(config, sound.device)
    spectrum = torch.stft(
        padded, config.n_fft, config.hop_length, config.win_length, window, center=False, return_complex=True
    )
    magnitude = spectrum[:, :, :n_frames].abs().transpose(1, 2)
    with torch.autocast(sound.device.type, enabled=False):  # bf16 would leave 2 to 3 digits of it
        mel = (magnitude @ filterbank).clamp_min(config.floor).log()
    return mel if batched else mel[0]


def pad_to_hop(waveform: Tensor, config: MelConfig = MEL) -> Tensor:
    """Zeros at the end up to a whole hop, so that no sample is lost to the mel: (..., N) -> (..., ceil(N/160)*160)."""
    return torch.nn.functional.pad(waveform, (0, -waveform.shape[-1] % config.hop_length))
