"""Griffin-Lim: mel to waveform without parameters (Griffin & Lim 1984, with momentum after Perraudin 2013)."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
import torchaudio
from torch import Tensor

from muomni_core.audio.mel import MEL, mel_filterbank, mel_window
from muomni_core.config import MelConfig
from muomni_core.errors import InputError, check_shape


@lru_cache(maxsize=4)
def _inverse_filterbank(config: MelConfig) -> Tensor:
    return torch.linalg.pinv(mel_filterbank(config))  # (n_mels, n_fft // 2 + 1)


def griffin_lim(
    mel: Tensor,
    *,
    domain: Literal["log", "magnitude"] = "log",
    n_iter: int = 32,
    momentum: float = 0.99,
    scale: bool = True,
    config: MelConfig = MEL,
) -> Tensor:
    """Waveform of a mel spectrogram, by the filterbank's pseudo-inverse and iterated phase.

    Args:
        mel: (B, T, 128); natural log of magnitudes for domain "log", magnitudes for "magnitude".
        scale: False leaves peaks over 1 to the caller, who knows more of the utterance.
    Returns:
        (B, T * 160), exactly; a clip whose peak is over 1 is scaled down as a whole, never up.
    Raises:
        InputError: the values cannot be of the said domain.
        ShapeError: not (B, T, 128).
    """
    check_shape("vocoder", mel, ("B", "T", config.n_mels))
    batch, n_frames, _ = mel.shape
    if n_frames == 0:
        return mel.new_zeros(batch, 0)
    if not torch.isfinite(mel).all():
        raise InputError("vocoder: the mel holds values that are not finite")
    if domain == "magnitude" and bool((mel < 0).any()):
        raise InputError('vocoder: negative values cannot be magnitudes; use domain="log"')
    if domain == "log" and bool((mel >= 0).all()):
        raise InputError('vocoder: no value below zero, so this is not a log mel; use domain="magnitude"')
    magnitudes = mel.float().exp() if domain == "log" else mel.float()
    linear = (magnitudes @ _inverse_filterbank(config).to(mel.device)).clamp_min(0).transpose(1, 2)
    # The mel leaves out the frame that would be centred on the end; the inverse needs it.
    linear = torch.cat([linear, linear[:, :, -1:]], dim=2)
    # Silence behind a clip of less than four frames: the transform reflects half a window at the border.
    linear = torch.nn.functional.pad(linear, (0, max(0, 5 - linear.shape[2])))
    sound = torchaudio.functional.griffinlim(
        linear,
        window=mel_window(config).to(mel.device),
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        win_length=config.win_length,
        power=1.0,
        n_iter=n_iter,
        momentum=momentum,
        length=None,
        rand_init=False,  # the same mel gives the same sound
    )
    sound = sound[:, : n_frames * config.hop_length]
    return scale_down(sound) if scale else sound


def scale_down(sound: Tensor) -> Tensor:
    """One factor a clip, and only downward: (B, N) with peaks of at most 1."""
    peak = sound.abs().amax(dim=1, keepdim=True)
    return sound / peak.clamp_min(1.0)
