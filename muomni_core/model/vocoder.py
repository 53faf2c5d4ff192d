"""Neural vocoder: mel to waveform through ConvNeXt blocks and an inverse STFT (Vocos, Siuzdak 2023), and the
discriminators that it is trained against and that are left behind afterwards.

Transforms and losses are in float32 under autocast too: phases and logs of small magnitudes are nothing for bf16.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni_core.audio.mel import LOG_MEL_MEAN, LOG_MEL_STD, MEL, mel_filterbank
from muomni_core.audio.vocoder import scale_down
from muomni_core.config import VocoderConfig
from muomni_core.errors import check_shape

LOUDEST_LOG = 5.0  # bound of a bin's log magnitude: exp must not run away early in training
FLOOR = 1e-4  # of STFT magnitudes in losses: rounding to 16 bits alone makes about as much
HEARD = 1e-3  # what judges hear of a magnitude: below is no speech, but where made sound is told from real with ease


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


def bands_to_bins(n_fft: int) -> tuple[np.ndarray, np.ndarray]:
    """What a log mel alone says of log STFT magnitudes: (log mel - first (n_mels,)) @ second (n_mels, n_fft // 2 + 1).

    A band's magnitude is that of its bins times the filter's sum; between the bands' centres it is interpolated.
    """
    with torch.device("cpu"):  # also where a model is built without memory
        filters = mel_filterbank(MEL).double().numpy()
    areas = filters.sum(0)
    centres = np.linspace(0, MEL.sample_rate / 2, len(filters)) @ filters / areas
    bins = np.linspace(0, MEL.sample_rate / 2, n_fft // 2 + 1)
    weights = np.stack([np.interp(bins, centres, row) for row in np.eye(MEL.n_mels)])
    return np.log(areas).astype(np.float32), weights.astype(np.float32)


class NeuralVocoder(nn.Module):
    """Log mel (B, T, 128) -> waveform (B, T * 160), exactly.

    The spectrum's magnitudes begin as those that the mel itself says (as in FreeV, Lv 2024), which the network only
    has to mend: at 128 bands up to 1 kHz a mel is nearly a spectrum. Phases are the network's alone.
    """

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
        n_bins = self.n_fft // 2 + 1
        self.out = nn.Linear(width, 2 * n_bins)
        with torch.no_grad():
            self.out.weight[:n_bins] *= 0.1  # the mel's own magnitudes are a better start than chance
            self.out.bias[:n_bins] = 0
            # Phases as seen from a frame's middle, pi times the bin, and not from its edge, where the window is zero.
            self.out.bias[n_bins:] = torch.pi * (torch.arange(n_bins) % 2)
        areas, spread = bands_to_bins(self.n_fft)
        self.register_buffer("areas", torch.from_numpy(areas), persistent=False)
        self.register_buffer("spread", torch.from_numpy(spread), persistent=False)
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)

    def forward(self, mel: Tensor) -> Tensor:
        """Not scaled: what is louder than 1 is scaled down by whoever writes it, once an utterance."""
        check_shape("vocoder", mel, ("B", "T", self.config.n_mels))
        x = (mel - LOG_MEL_MEAN) / LOG_MEL_STD
        x = self.in_norm(self.inp(x.transpose(1, 2)).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        with torch.autocast(mel.device.type, enabled=False):
            change, phase = self.out(self.norm(x.float())).chunk(2, dim=-1)
            magnitude = (mel.float() - self.areas) @ self.spread + change
            spectrum = torch.polar(magnitude.clamp(max=LOUDEST_LOG).exp(), phase)
            return self._overlap_add(torch.fft.irfft(spectrum, n=self.n_fft, dim=-1))

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """(B, T, n_fft) -> (B, T * hop); frame t is centred on sample t * hop, as the mel's is."""
        n_frames, n_fft = frames.shape[1:]
        windows = self.window.square().expand(1, n_frames, n_fft)
        sound, weight = (_add_shifted(x.unflatten(2, (-1, self.hop))) for x in (frames * self.window, windows))
        start = n_fft // 2
        return (sound / weight.clamp_min(1e-3))[:, start : start + n_frames * self.hop]

    @torch.no_grad()
    def speak(self, mel: Tensor) -> Tensor:
        """Log mel (B, T, 128) -> (B, T * 160) with peaks of at most 1."""
        return scale_down(self(mel)) if mel.shape[1] else mel.new_zeros(len(mel), 0)


def _add_shifted(hops: Tensor) -> Tensor:
    """Frames in hops (B, T, K, hop), each a hop behind the one before -> their sum (B, (T + K - 1) * hop).

    F.fold does the same at several times the cost on a CPU, where it wants its input transposed.
    """
    n_hops = hops.shape[2]
    total = F.pad(hops[:, :, 0], (0, 0, 0, n_hops - 1))
    for k in range(1, n_hops):
        total = total + F.pad(hops[:, :, k], (0, 0, k, n_hops - 1 - k))
    return total.flatten(1)


@lru_cache(maxsize=16)
def _hann(n_fft: int, device: torch.device) -> Tensor:
    return torch.hann_window(n_fft, device=device)


def stft_magnitude(sound: Tensor, n_fft: int) -> Tensor:
    """(B, N) -> (B, n_fft // 2 + 1, frames), float32."""
    window = _hann(n_fft, sound.device)
    return torch.stft(sound.float(), n_fft, n_fft // 4, window=window, return_complex=True).abs()


def spectral_loss(given: Tensor, wanted: Tensor, sizes: tuple[int, ...] = (256, 512, 1024, 2048)) -> Tensor:
    """Multi-resolution STFT loss (Yamamoto 2020): spectral convergence and log-magnitude L1, mean over sizes."""
    total = given.new_zeros((), dtype=torch.float32)
    for n_fft in sizes:
        a, b = stft_magnitude(torch.cat([given, wanted]), n_fft).clamp_min(FLOOR).chunk(2)
        total = total + (a - b).norm() / b.norm() + F.l1_loss(a.log(), b.log())
    return total / len(sizes)


SLOPE = 0.1  # of the judges' leaky ReLUs


class Judge(nn.Module):
    """Convolutions and a verdict a patch; says what it felt on the way, too."""

    def __init__(self, convs: list[Any], out: Any):
        super().__init__()
        for conv in (*convs, out):
            # torch's own start shrinks a signal layer by layer, until the biases are all that a verdict sees.
            nn.init.kaiming_normal_(conv.weight, a=SLOPE, nonlinearity="leaky_relu")
            nn.init.zeros_(conv.bias)
        self.convs = nn.ModuleList(nn.utils.parametrizations.weight_norm(conv) for conv in convs)
        self.out = nn.utils.parametrizations.weight_norm(out)

    def view(self, sound: Tensor) -> Tensor:
        """What of a sound (B, N) this judge looks at, about 1 in size."""
        raise NotImplementedError

    def forward(self, sound: Tensor) -> list[Tensor]:
        """(B, N) -> features of each layer, the verdict last; the first dimension of all is a multiple of B."""
        x, features = self.view(sound), []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
            features.append(x)
        return [*features, self.out(x)]


class SpectrumDiscriminator(Judge):
    """One resolution's log spectrogram (UnivNet, Jang 2021): hears textures."""

    def __init__(self, n_fft: int, width: int):
        widths = (1, width, width, width, width)
        convs = [nn.Conv2d(a, b, (7, 3), stride=(3, 1), padding=(3, 1)) for a, b in pairwise(widths)]
        super().__init__(convs, nn.Conv2d(width, 1, 3, padding=1))
        self.n_fft = n_fft

    def view(self, sound: Tensor) -> Tensor:
        return ((stft_magnitude(sound, self.n_fft) + HEARD).log()[:, None] + 3) / 2.5


class PeriodDiscriminator(Judge):
    """Every p-th sample of a waveform, p such rows a sound (HiFi-GAN, Kong 2020): hears phases."""

    def __init__(self, period: int, width: int):
        widths = (1, width, 2 * width, 4 * width, 4 * width)
        convs = [nn.Conv1d(a, b, 5, stride=3, padding=2) for a, b in pairwise(widths)]
        convs.append(nn.Conv1d(widths[-1], widths[-1], 5, padding=2))
        super().__init__(convs, nn.Conv1d(widths[-1], 1, 3, padding=1))
        self.period = period

    def view(self, sound: Tensor) -> Tensor:
        n_sounds, n_samples = sound.shape
        rows = F.pad(10 * sound, (0, -n_samples % self.period)).view(n_sounds, -1, self.period)
        return rows.transpose(1, 2).reshape(n_sounds * self.period, 1, -1)


class Discriminators(nn.Module):
    def __init__(
        self,
        sizes: tuple[int, ...] = (512, 1024, 2048),
        periods: tuple[int, ...] = (2, 3, 5, 7, 11),
        width: int = 32,
    ):
        super().__init__()
        parts: list[Judge] = [SpectrumDiscriminator(n_fft, width) for n_fft in sizes]
        self.parts = nn.ModuleList(parts + [PeriodDiscriminator(period, width) for period in periods])

    def forward(self, sound: Tensor) -> list[list[Tensor]]:
        return [part(sound) for part in self.parts]

    def compare(self, real: Tensor, made: Tensor) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Features of both, in one pass: a GPU waits for the launching of so many small convolutions."""
        judged = [[x.chunk(2) for x in features] for features in self(torch.cat([real, made]))]
        return [[a for a, _ in features] for features in judged], [[b for _, b in features] for features in judged]


def discriminator_loss(real: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """Hinge: real above 1, made below -1."""
    losses = [F.relu(1 - r[-1]).mean() + F.relu(1 + m[-1]).mean() for r, m in zip(real, made, strict=True)]
    return torch.stack(losses).float().mean()


def generator_loss(real: list[list[Tensor]], made: list[list[Tensor]]) -> tuple[Tensor, Tensor]:
    """What the made one must mend: the verdicts, and the features in which it differs from the real one."""
    verdict = torch.stack([F.relu(1 - m[-1]).mean() for m in made]).float().mean()
    pairs = [(a.detach(), b) for r, m in zip(real, made, strict=True) for a, b in zip(r[:-1], m[:-1], strict=True)]
    apart = torch.stack([F.l1_loss(b.float(), a.float()) for a, b in pairs])
    size = torch.stack([a.abs().mean() for a, _ in pairs]).float()  # so that louder features do not count for more
    return verdict, (apart / size.clamp_min(1e-3)).mean()


def judge(
    discriminators: Discriminators, real: Tensor, made: Tensor, weights: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Both sides of the game from one pass: real, made (B, N) -> the judges' loss, and the maker's.

    The judges' loss has gradients for the judges alone. The maker's (verdicts and features, weighted) has them for
    `made` alone: they are taken here, and what is returned stands for them.
    """
    heard = made.detach().float().requires_grad_()
    of_real, of_made = discriminators.compare(real, heard)
    verdict, matching = generator_loss(of_real, of_made)
    wish = weights[0] * verdict + weights[1] * matching
    (gradient,) = torch.autograd.grad(wish, heard, retain_graph=True)
    carried = (made * gradient).sum()
    return discriminator_loss(of_real, of_made), wish.detach() + carried - carried.detach()
