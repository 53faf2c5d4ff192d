"""AuT audio encoder: mel to frames at 12.5 Hz through conformer blocks (Gulati 2020), with a CTC head of several
sub-frame slots a frame: English runs at 15 characters a second, 12.5 slots a second could not hold it."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni_core.audio.mel import LOG_MEL_MEAN, LOG_MEL_STD
from muomni_core.config import AudioConfig
from muomni_core.errors import check_shape
from muomni_core.model.layers import MLP, SelfAttention, length_mask, rotary_angles


class ConvStem(nn.Module):
    """Three stride-2 convolutions over time and frequency: (B, T, 128) -> (B, ceil(T/8), width).

    The first one also takes every fourth band only: at 50 Hz and 64 bands it would cost as much as all the blocks.
    """

    def __init__(self, n_mels: int, widths: tuple[int, ...], width: int):
        super().__init__()
        channels = (1, *widths)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, (3, 5) if a == 1 else 3, stride=(2, 4) if a == 1 else 2, padding=(1, 2) if a == 1 else 1)
            for a, b in pairwise(channels)
        )
        bands = -(-n_mels // 2 ** (len(widths) + 1))
        self.out = nn.Linear(widths[-1] * bands, width)
        # With PyTorch's default start three convolutions leave a frame's bias and hardly any sound; the blocks' norms
        # then blow up the bias, and CTC sits on the plateau of letter frequencies for thousands of steps.
        for conv in self.convs:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = x[:, None]
        for conv in self.convs:
            # Beyond its end a clip is zero before every convolution, as its border is when it comes alone.
            x = x * length_mask(lengths, x.shape[2])[:, None, :, None]
            x = F.gelu(conv(x))
            lengths = (lengths + 1) // 2
        batch, channels, frames, bands = x.shape
        return self.out(x.transpose(1, 2).reshape(batch, frames, channels * bands)), lengths


class ConvModule(nn.Module):
    """Conformer's convolution: gate, depthwise convolution, norm, SiLU. Norm by frame, not by batch."""

    def __init__(self, width: int, kernel_size: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.mid_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = F.glu(self.gate(self.norm(x)), dim=-1) * mask
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return self.out(F.silu(self.mid_norm(x)))


class ConformerBlock(nn.Module):
    """Half MLP, attention, convolution, half MLP."""

    def __init__(self, config: AudioConfig):
        super().__init__()
        width, hidden = config.width, config.ffn_multiple * config.width
        self.first_norm, self.first = nn.LayerNorm(width), MLP(width, hidden, dropout=config.dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, config.n_heads, config.dropout)
        self.conv = ConvModule(width, config.kernel_size)
        self.second_norm, self.second = nn.LayerNorm(width), MLP(width, hidden, dropout=config.dropout)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        x = x + 0.5 * self.dropout(self.first(self.first_norm(x)))
        keys = mask[:, None, None, :, 0].bool()  # (B, 1, 1, F)
        x = x + self.dropout(self.attention(self.attention_norm(x), keys, angles))
        x = x + self.dropout(self.conv(x, mask))
        x = x + 0.5 * self.dropout(self.second(self.second_norm(x)))
        return self.norm(x)


class AudioEncoder(nn.Module):
    """Log mel (B, T, 128) -> frames (B, ceil(T/8), 192) and CTC logits (B, S * ceil(T/8), 98)."""

    def __init__(self, config: AudioConfig):
        super().__init__()
        self.config = config
        self.stem = ConvStem(config.n_mels, config.stem_widths, config.width)
        self.blocks = nn.ModuleList(ConformerBlock(config) for _ in range(config.depth))
        self.out = nn.Linear(config.width, config.out_width) if config.width != config.out_width else nn.Identity()
        self.ctc_head = nn.Linear(config.out_width, config.n_slots * config.n_symbols)

    def forward(self, mel: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """mel (B, T, 128), true lengths in mel frames (B,) -> frames (B, ceil(T/8), 192), their lengths (B,).

        What stands beside a clip in a batch does not change its frames.
        """
        frames, _, lengths = self.frames_and_middle(mel, lengths)
        return frames, lengths

    def frames_and_middle(self, mel: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, and what frames would be if the encoder ended in its middle: (frames, middle, lengths)."""
        check_shape("audio_encoder", mel, ("B", "T", self.config.n_mels))
        if lengths is None:
            lengths = torch.full((mel.shape[0],), mel.shape[1], device=mel.device)
        x, lengths = self.stem((mel - LOG_MEL_MEAN) / LOG_MEL_STD, lengths)
        mask = length_mask(lengths, x.shape[1])[..., None].to(x.dtype)
        positions = torch.arange(x.shape[1], device=x.device)[None]
        angles = rotary_angles(positions, self.config.width // self.config.n_heads)
        middle = x
        for n, block in enumerate(self.blocks, start=1):
            x = block(x, mask, angles)
            if n == (len(self.blocks) + 1) // 2:
                middle = x
        return self.out(x) * mask, self.out(middle) * mask, lengths

    def ctc_logits(self, frames: Tensor) -> Tensor:
        """frames (B, F, 192) -> (B, S * F, 98): S slots of each frame, one after the other."""
        check_shape("audio_encoder", frames, ("B", "F", self.config.out_width))
        batch, length, _ = frames.shape
        return self.ctc_head(frames).view(batch, length * self.config.n_slots, self.config.n_symbols)
