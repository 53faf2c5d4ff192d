"""Neural vocoder: mel to waveform through ConvNeXt blocks and an inverse STFT (Vocos, Siuzdak 2023), and the
discriminators that it is trained against and that are left behind afterwards."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni_core.audio.mel import LOG_MEL_MEAN, LOG_MEL_STD, MEL
from muomni_core.audio.vocoder import scale_down
from muomni_core.config import VocoderConfig
from muomni_core.errors import check_shape

LOUDEST_LOG = 5.0  # bound of a bin's log magnitude: exp must not run away early in training


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution along time, then a two-layer MLP a frame (Liu 2022)."""

    def __init__(self, width: int, hidden: int, kernel_size: int, scale: float):
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return x + self.scale * self.down(F.gelu(self.up(self.norm(y))))


class NeuralVocoder(nn.Module):
    """Log mel (B, T, 128) -> waveform (B, T * 160), exactly."""

    def __init__(self, config: VocoderConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.inp = nn.Conv1d(config.n_mels, width, config.kernel_size, padding=config.kernel_size // 2)
        self.in_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(width, config.ffn_multiple * width, config.kernel_size, 1 / config.depth)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width)
        self.n_fft, self.hop = MEL.win_length, MEL.hop_length
        self.out = nn.Linear(width, self.n_fft + 2)
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)

    def forward(self, mel: Tensor) -> Tensor:
        """Not scaled: what is louder than 1 is scaled down by whoever writes it, once an utterance."""
        check_shape("vocoder", mel, ("B", "T", self.config.n_mels))
        x = (mel - LOG_MEL_MEAN) / LOG_MEL_STD
        x = self.in_norm(self.inp(x.transpose(1, 2)).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        magnitude, phase = self.out(self.norm(x)).float().chunk(2, dim=-1)
        spectrum = torch.polar(magnitude.clamp(max=LOUDEST_LOG).exp(), phase)
        return self._overlap_add(torch.fft.irfft(spectrum, n=self.n_fft, dim=-1))

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """(B, T, n_fft) -> (B, T * hop); frame t is centred on sample t * hop, as the mel's is."""
        n_frames, n_fft = frames.shape[1:]
        length = (n_frames - 1) * self.hop + n_fft
        windows = self.window.square().expand(1, n_frames, n_fft)
        sound, weight = (
            F.fold(x.transpose(1, 2), (1, length), (1, n_fft), stride=(1, self.hop))[:, 0, 0]
            for x in (frames * self.window, windows)
        )
        start = n_fft // 2
        sound = sound / weight.clamp_min(1e-3)
        return sound[:, start : start + n_frames * self.hop]

    @torch.no_grad()
    def speak(self, mel: Tensor) -> Tensor:
        """Log mel (B, T, 128) -> (B, T * 160) with peaks of at most 1."""
        return scale_down(self(mel)) if mel.shape[1] else mel.new_zeros(len(mel), 0)


def stft_magnitude(sound: Tensor, n_fft: int) -> Tensor:
    """(B, N) -> (B, n_fft // 2 + 1, frames)."""
    window = torch.hann_window(n_fft, device=sound.device)
    return torch.stft(sound, n_fft, n_fft // 4, window=window, return_complex=True).abs().clamp_min(1e-5)


def spectral_loss(given: Tensor, wanted: Tensor, sizes: tuple[int, ...] = (256, 512, 1024, 2048)) -> Tensor:
    """Multi-resolution STFT loss (Yamamoto 2020): spectral convergence and log-magnitude L1, mean over sizes."""
    total = given.new_zeros(())
    for n_fft in sizes:
        a, b = stft_magnitude(given, n_fft), stft_magnitude(wanted, n_fft)
        total = total + (a - b).norm() / b.norm() + (a.log() - b.log()).abs().mean()
    return total / len(sizes)


class SpectrumDiscriminator(nn.Module):
    """Real or made, judged patch by patch on one resolution's log spectrogram (UnivNet, Jang 2021)."""

    def __init__(self, n_fft: int, width: int):
        super().__init__()
        self.n_fft = n_fft
        channels = (1, width, width, width, width)
        self.convs = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(nn.Conv2d(a, b, (7, 3), stride=(3, 1), padding=(3, 1)))
            for a, b in pairwise(channels)
        )
        self.out = nn.utils.parametrizations.weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, sound: Tensor) -> list[Tensor]:
        """(B, N) -> features of each layer, the verdict last."""
        x = stft_magnitude(sound, self.n_fft).log()[:, None]
        features = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            features.append(x)
        return [*features, self.out(x)]


class Discriminators(nn.Module):
    def __init__(self, sizes: tuple[int, ...] = (512, 1024, 2048), width: int = 16):
        super().__init__()
        self.parts = nn.ModuleList(SpectrumDiscriminator(n_fft, width) for n_fft in sizes)

    def forward(self, sound: Tensor) -> list[list[Tensor]]:
        return [part(sound) for part in self.parts]


def discriminator_loss(real: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """Hinge: real above 1, made below -1."""
    losses = [F.relu(1 - r[-1]).mean() + F.relu(1 + m[-1]).mean() for r, m in zip(real, made, strict=True)]
    return torch.stack(losses).mean()


def generator_loss(real: list[list[Tensor]], made: list[list[Tensor]]) -> tuple[Tensor, Tensor]:
    """What the made one must mend: the verdicts, and the features in which it differs from the real one."""
    verdict = torch.stack([F.relu(1 - m[-1]).mean() for m in made]).mean()
    pairs = [(a.detach(), b) for r, m in zip(real, made, strict=True) for a, b in zip(r[:-1], m[:-1], strict=True)]
    matching = torch.stack([(a - b).abs().mean() / a.abs().mean().clamp_min(1e-3) for a, b in pairs]).mean()
    return verdict, matching
