"""RVQ codec: mel frames to a few codes a frame and back (residual vector quantisation; EMA codebooks after
van den Oord 2017 and SoundStream 2021: k-means start, straight-through gradient, revival of dead codes)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni_core.audio.mel import LOG_MEL_MEAN, LOG_MEL_STD
from muomni_core.config import CodecConfig
from muomni_core.errors import ShapeError, check_shape
from muomni_core.model.layers import ConvBlock, length_mask


class Codebook(nn.Module):
    """One codebook, learned by moving averages instead of gradients.

    In training, `forward` gathers statistics and `update` (once an optimiser step) moves the entries, so that
    accumulated micro-batches count as one batch.
    """

    def __init__(self, size: int, width: int, decay: float):
        super().__init__()
        self.size, self.decay = size, decay
        self.register_buffer("entries", torch.randn(size, width) * 0.1)
        # Training state: kept for an exact resume, left out of shipped weights.
        self.register_buffer("ema_counts", torch.zeros(size))
        self.register_buffer("ema_sums", torch.zeros(size, width))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self._pending: list[tuple[Tensor, Tensor]] = []

    def nearest(self, x: Tensor) -> Tensor:
        """x (N, D) -> index of the nearest entry (N,)."""
        distance = self.entries.square().sum(1) - 2 * x @ self.entries.T
        return distance.argmin(dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (..., D) -> codes (...), entries (..., D)."""
        flat = x.reshape(-1, x.shape[-1]).detach().float()
        if self.training and not self.started:
            self._start(flat)
        codes = self.nearest(flat)
        if self.training:
            self._pending.append((flat, codes))
        return codes.view(x.shape[:-1]), self.entries[codes].view(x.shape)

    @torch.no_grad()
    def _start(self, x: Tensor, rounds: int = 10) -> None:
        """k-means on the first batch."""
        picks = torch.randint(len(x), (self.size,)) if len(x) < self.size else torch.randperm(len(x))[: self.size]
        self.entries.copy_(x[picks])
        for _ in range(rounds):
            codes = self.nearest(x)
            counts = torch.bincount(codes, minlength=self.size).float()
            sums = torch.zeros_like(self.entries).index_add_(0, codes, x)
            used = counts > 0
            self.entries[used] = sums[used] / counts[used, None]
        self.start_from_entries()

    @torch.no_grad()
    def start_from_entries(self) -> None:
        """Averages that agree with the entries: after k-means, and for shipped weights, which come without averages."""
        self.ema_counts.fill_(1.0)
        self.ema_sums.copy_(self.entries)
        self.started.fill_(True)

    @torch.no_grad()
    def update(self, revive_below: float = 0.03) -> None:
        """Moves the entries toward what was quantised since the last call and gives dead ones a new place."""
        if not self._pending:
            return
        x = torch.cat([p[0] for p in self._pending])
        codes = torch.cat([p[1] for p in self._pending])
        self._pending.clear()
        counts = torch.bincount(codes, minlength=self.size).float()
        sums = torch.zeros_like(self.entries).index_add_(0, codes, x)
        self.ema_counts.lerp_(counts, 1 - self.decay)
        self.ema_sums.lerp_(sums, 1 - self.decay)
        self.entries.copy_(self.ema_sums / self.ema_counts.clamp_min(1e-5)[:, None])
        expected = self.ema_counts.sum() / self.size
        dead = self.ema_counts < revive_below * expected
        if dead.any():
            picks = torch.randint(len(x), (int(dead.sum()),))
            self.entries[dead] = x[picks]
            self.ema_counts[dead] = expected
            self.ema_sums[dead] = x[picks] * expected


class CodecEncoder(nn.Module):
    def __init__(self, config: CodecConfig):
        super().__init__()
        k = config.stride
        self.down = nn.Conv1d(config.n_mels, config.width, 2 * k if k > 1 else 1, stride=k, padding=k // 2)
        self.blocks = nn.ModuleList(ConvBlock(config.width, config.kernel_size) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width) if config.depth else nn.Identity()
        self.out = nn.Linear(config.width, config.latent_width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.down(x.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x, mask)
        return self.out(self.norm(x))


class CodecDecoder(nn.Module):
    def __init__(self, config: CodecConfig):
        super().__init__()
        self.stride, self.n_mels = config.stride, config.n_mels
        self.inp = nn.Linear(config.latent_width, config.width)
        self.blocks = nn.ModuleList(ConvBlock(config.width, config.kernel_size) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width) if config.depth else nn.Identity()
        self.up = nn.Linear(config.width, config.stride * config.width)
        self.refine = ConvBlock(config.width, config.kernel_size) if config.depth else nn.Identity()
        self.out = nn.Linear(config.width, config.n_mels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        for block in self.blocks:
            x = block(x)
        batch, n_frames, _ = x.shape
        x = self.up(self.norm(x)).view(batch, n_frames * self.stride, -1)
        return self.out(self.refine(x))


class Codec(nn.Module):
    """mel (B, T, 128) <-> codes (B, ceil(T / stride), Q)."""

    def __init__(self, config: CodecConfig):
        super().__init__()
        if config.stride != 1 and config.stride % 2:
            raise ShapeError(f"codec: expected a stride of 1 or an even one, got {config.stride}")
        self.config = config
        self.encoder = CodecEncoder(config)
        self.codebooks = nn.ModuleList(
            Codebook(config.codebook_size, config.latent_width, config.decay) for _ in range(config.n_codebooks)
        )
        self.decoder = CodecDecoder(config)

    @property
    def n_few(self) -> int:
        """Books that must do by themselves."""
        return max(2, len(self.codebooks) // 2)

    def n_frames(self, n_mel_frames: int) -> int:
        return -(-n_mel_frames // self.config.stride)

    def _latent(self, mel: Tensor, lengths: Tensor | None) -> Tensor:
        check_shape("codec", mel, ("B", "T", self.config.n_mels))
        x = (mel - LOG_MEL_MEAN) / LOG_MEL_STD
        mask = None
        if lengths is not None:
            # As alone: silence beyond the end is what a clip's own border sees, zeros after the stem.
            x = x * length_mask(lengths, x.shape[1])[..., None]
            mask = length_mask(-(-lengths // self.config.stride), self.n_frames(x.shape[1]))[..., None].to(x.dtype)
        x = F.pad(x, (0, 0, 0, -x.shape[1] % self.config.stride))
        return self.encoder(x, mask)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training pass: mel (B, T, 128) -> reconstruction (B, T, 128), codes (B, F, Q), commitment loss ().

        Half of the rows are put together again from the first half of many books alone (quantiser dropout, Zeghidour
        2021): what the Talker says has no more.
        """
        latent = self._latent(mel, None)
        residual, total, commitment, codes = latent, torch.zeros_like(latent), latent.new_zeros(()), []
        has_all = torch.arange(len(mel), device=mel.device)[:, None, None] % 2 == 0
        for q, codebook in enumerate(self.codebooks):
            index, entry = codebook(residual)
            commitment = commitment + F.mse_loss(residual, entry.detach())
            residual = residual - entry
            total = total + (entry * has_all if self.training and q >= self.n_few else entry)
            codes.append(index)
        through = latent + (total - latent).detach()
        mel_hat = self._mel(through)[:, : mel.shape[1]]
        return mel_hat, torch.stack(codes, dim=-1), commitment

    @torch.no_grad()
    def encode(self, mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """mel (B, T, 128), true lengths in mel frames (B,) -> codes (B, ceil(T / stride), Q) int64."""
        residual, codes = self._latent(mel, lengths), []
        for codebook in self.codebooks:
            index = codebook.nearest(residual.reshape(-1, residual.shape[-1]).float()).view(residual.shape[:-1])
            residual = residual - codebook.entries[index]
            codes.append(index)
        return torch.stack(codes, dim=-1)

    def embed(self, codes: Tensor) -> Tensor:
        """codes (B, F, Q) -> sum of their entries (B, F, latent_width); codes of the first books alone will do."""
        books = self._books(codes)
        if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) >= self.config.codebook_size):
            raise ShapeError(f"codec: codes must lie in 0..{self.config.codebook_size - 1}")
        return torch.stack([book.entries[codes[..., q]] for q, book in enumerate(books)]).sum(0)

    def _books(self, given: Tensor, *more: int) -> list[Codebook]:
        """The books that (B, F, Q, ...) is of. Raises ShapeError for more than there are, or none."""
        n_books = given.shape[2] if given.dim() > 2 else 0
        if not 1 <= n_books <= len(self.codebooks):
            n_books = len(self.codebooks)
        check_shape("codec", given, ("B", "F", n_books, *more))
        books: Any = self.codebooks
        return list(books)[:n_books]

    def decode(self, codes: Tensor, n_mel_frames: int | None = None) -> Tensor:
        """codes (B, F, Q), or of the first books alone, -> log mel (B, n_mel_frames or F * stride, 128)."""
        mel = self._mel(self.embed(codes))
        n_mel_frames = mel.shape[1] if n_mel_frames is None else n_mel_frames
        if self.n_frames(n_mel_frames) != codes.shape[1]:
            raise ShapeError(f"codec: {codes.shape[1]} frames of codes do not make {n_mel_frames} mel frames")
        return mel[:, :n_mel_frames]

    def decode_mean(self, shares: Tensor) -> Tensor:
        """How likely each code is, (B, F, Q, codebook_size) -> log mel (B, F * stride, 128) of the mean entries.

        Where one code of each book has all the share, the same as `decode`; likewise of the first books alone.
        """
        books = self._books(shares, self.config.codebook_size)
        return self._mel(torch.stack([shares[:, :, q] @ book.entries for q, book in enumerate(books)]).sum(0))

    def _mel(self, latent: Tensor) -> Tensor:
        return self.decoder(latent) * LOG_MEL_STD + LOG_MEL_MEAN

    def update_codebooks(self) -> None:
        for codebook in self.codebooks:
            codebook.update()


TRAINING_ONLY = ("ema_counts", "ema_sums", "started")


def codec_loss(mel: Tensor, mel_hat: Tensor, commitment: Tensor, weight: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Log-mel L1 at three scales of time and frequency, and commitment."""
    l1 = (mel_hat - mel).abs().mean()
    loss = l1 + 0.1 * (mel_hat - mel).square().mean()
    for scale in (2, 4):
        a = F.avg_pool2d(mel_hat[:, None], scale)
        b = F.avg_pool2d(mel[:, None], scale)
        loss = loss + 0.5 * (a - b).abs().mean()
    return loss + weight * commitment, {"l1": l1.detach(), "commitment": commitment.detach()}
