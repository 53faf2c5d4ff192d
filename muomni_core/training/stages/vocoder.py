"""Stage F: the neural vocoder learns sound from mels, real ones and the codec's own, against discriminators."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from muomni_core.audio.mel import log_mel
from muomni_core.data.features import WaveSet
from muomni_core.data.sampling import RowSampler, evenly
from muomni_core.data.windows import windowed
from muomni_core.errors import DataError
from muomni_core.model.codec import Codec
from muomni_core.model.vocoder import (
    Discriminators,
    NeuralVocoder,
    judge,
    spectral_loss,
)
from muomni_core.training.context import Context
from muomni_core.training.loop import Loss


@dataclass
class Options:
    """[data] of a vocoder recipe."""

    train: list[str]
    val: list[str]
    shares: list[float] = field(
        default_factory=list
    )  # of the rows, one a pattern of `train`; none: by seconds of sound
    crop: int = 64  # mel frames a row
    codec_from: int = 0  # from this step on the codec's mels come in
    codec_share: float = 0.5  # of the rows, from then on
    adversarial_from: int = 0  # from this step on the discriminators speak
    adversarial_weight: float = 1.0
    matching_weight: float = 1.0
    mel_weight: float = 3.0
    # Of the discriminators' own loss. Adam makes their steps as large whatever it is, but gradients are clipped all
    # together: theirs have to be the smaller ones, or they would decide how far the vocoder goes.
    judge_weight: float = 0.1
    judge_width: int = 32  # channels that discriminators begin with
    val_clips: int = 24
    window: int = 0  # shards of train a micro-batch whose features are kept at a time; 0: all of them, for good


@dataclass
class Batch:
    sound: Tensor  # (B, T * 160)
    coded: Tensor  # (B,) bool: rows whose mel goes through the codec
    adversarial: bool


class VocoderTraining(nn.Module):
    """The vocoder, and the discriminators that are left behind after training."""

    def __init__(self, vocoder: NeuralVocoder, judge_width: int):
        super().__init__()
        self.vocoder = vocoder
        self.discriminators = Discriminators(width=judge_width)


class Stage:
    name = "vocoder"
    unit = "s of sound"
    # On real mels: through the codec what is blurred is nearest to the real sound, and what the judges ask for is not.
    score = "mel_l1"
    drop = ()

    def __init__(self, context: Context):
        recipe = context.recipe
        self.options = context.options(Options)
        self.accumulate, self.device = recipe.train.accumulate, context.device
        self.codec: Codec = context.parent("codec")["codec"]
        self.vocoder = NeuralVocoder(recipe.model.vocoder)
        self.model = VocoderTraining(self.vocoder, self.options.judge_width)
        self.modules: dict[str, nn.Module] = {"vocoder": self.vocoder}
        self.val = WaveSet(self.options.val, context.root)
        if context.training:
            window = self.options.window
            self.clips = WaveSet(self.options.train, context.root, streamed=window > 0)
            weights = self._weights(context.root)
            sampler = RowSampler(len(self.clips), recipe.train.batch, context.order_seed, weights)
            self.sampler = windowed(sampler, self.clips.stored, window, self.accumulate)

    def _weights(self, root: Path) -> np.ndarray:
        """How often each clip is drawn: by its length, so that a second counts as a second, within its pattern's share.

        Raises DataError where shares and patterns do not fit.
        """
        weights, shares = np.array(self.clips.lengths, dtype=np.float64), self.options.shares
        if not shares:
            return weights
        named = [p for p in self.options.train if not p.startswith("!")]
        left_out = [p for p in self.options.train if p.startswith("!")]
        streamed = self.options.window > 0
        counts = [len(WaveSet([pattern, *left_out], root, streamed)) for pattern in named]
        if len(counts) != len(shares) or sum(counts) != len(weights) or min(shares) < 0:
            raise DataError(
                f"recipe {self.name}: shares should be one number of 0 or more for each pattern of train, and no two "
                f"patterns should name the same clips; got {len(shares)} for {len(counts)}"
            )
        for part, share in zip(np.split(weights, np.cumsum(counts)[:-1]), shares, strict=True):
            part *= share / part.sum()
        return weights

    def batch(self, index: int) -> Batch:
        step, size = index // self.accumulate, self.options.crop * 160
        rows = []
        for i in self.sampler(index):
            room = self.clips.lengths[i] - size
            start = int(torch.randint(room + 1, ())) if room > 0 else 0
            piece = self.clips.wave(i, start, size)
            gain = 10 ** (-torch.rand(()) * 0.6)  # down to -12 dB: loud and soft are spoken alike
            rows.append(nn.functional.pad(piece, (0, size - len(piece))) * gain)
        n_coded = round(self.options.codec_share * len(rows)) if step >= self.options.codec_from else 0
        return Batch(torch.stack(rows), torch.arange(len(rows)) < n_coded, step >= self.options.adversarial_from)

    def loss(self, batch: Batch) -> Loss:
        """Both sides at once: each sees the other as a constant, so one optimiser serves both."""
        real_mel, n_rows = log_mel(batch.sound), len(batch.sound)
        made = self.vocoder(self._through_codec(real_mel, batch.coded))
        loss = self._likeness(made, batch.sound, real_mel)
        if batch.adversarial:
            loss = loss + self._judgement(made, batch.sound)
        return Loss(loss * n_rows, n_rows, batch.sound.numel() / 16_000)

    def embed(self, batch: Batch) -> tuple[Tensor]:
        return (self.vocoder(self._through_codec(log_mel(batch.sound), batch.coded)),)

    def joint_loss(self, embedded: list[tuple[Tensor, ...]], batches: list[Batch]) -> Loss:
        """Spectral convergence is a ratio over all rows of a step."""
        made, sound = torch.cat([m for (m,) in embedded]), torch.cat([b.sound for b in batches])
        likeness = self._likeness(made, sound, log_mel(sound))
        return Loss(likeness * len(sound), len(sound), sound.numel() / 16_000)

    def own_loss(self, embedded: tuple[Tensor], batch: Batch) -> Loss | None:
        """The judges, which need the memory, see a micro-batch each."""
        if not batch.adversarial:
            return None
        return Loss(self._judgement(embedded[0], batch.sound) * len(batch.sound), 0.0, 0.0)

    @torch.no_grad()
    def _through_codec(self, mel: Tensor, coded: Tensor) -> Tensor:
        """Log mel (B, T, 128) with the rows that `coded` (B,) names as the codec gives them back."""
        rows = coded.nonzero()[:, 0]
        if not len(rows):
            return mel
        with torch.autocast(mel.device.type, enabled=False):  # the codes are to be those of use
            codes = self.codec.encode(mel[rows])
            if torch.rand(()) < 0.5:  # as a file keeps them, or as the Talker says them
                codes = codes[..., : self.codec.n_few]
            back = self.codec.decode(codes, mel.shape[1])
        return mel.index_copy(0, rows, back)

    def _likeness(self, made: Tensor, sound: Tensor, real_mel: Tensor) -> Tensor:
        return spectral_loss(made, sound) + self.options.mel_weight * (log_mel(made) - real_mel).abs().mean()

    def _judgement(self, made: Tensor, sound: Tensor) -> Tensor:
        options = self.options
        weights = (options.adversarial_weight, options.matching_weight)
        judged, wish = judge(self.model.discriminators, sound, made, weights)
        return options.judge_weight * judged + wish

    def after_step(self) -> None:
        pass

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Multi-resolution STFT loss and log-mel L1 over whole clips, from real mels and from the codec's."""
        picked = evenly(range(len(self.val)), self.options.val_clips)
        values = []
        for i in picked:
            sound = self.val.wave(i)
            sound = sound[: len(sound) // 160 * 160][None].to(self.device)
            mel = log_mel(sound)
            coded = self.codec.decode(self.codec.encode(mel), mel.shape[1])
            found = []
            for given in (mel, coded):
                made = self.vocoder(given)
                found += [spectral_loss(made, sound), (log_mel(made) - mel).abs().mean()]
            values.append(torch.stack(found))
        means = torch.stack(values).double().mean(0).tolist()  # one wait for the GPU
        return dict(zip(("spectral", "mel_l1", "spectral_codec", "mel_l1_codec"), means, strict=True))
