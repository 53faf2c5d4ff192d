"""Stage F: the neural vocoder learns sound from mels, real ones and the codec's own, against discriminators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from muomni_core.audio.mel import log_mel
from muomni_core.data.features import WaveSet
from muomni_core.data.sampling import RowSampler
from muomni_core.model.codec import Codec
from muomni_core.model.vocoder import (
    Discriminators,
    NeuralVocoder,
    discriminator_loss,
    generator_loss,
    spectral_loss,
)
from muomni_core.training.context import Context
from muomni_core.training.loop import Loss


@dataclass
class Options:
    """[data] of a vocoder recipe."""

    train: list[str]
    val: list[str]
    crop: int = 64  # mel frames a row
    codec_from: int = 0  # from this step on the codec's mels come in
    codec_share: float = 0.5  # of the rows, from then on
    adversarial_from: int = 0  # from this step on the discriminators speak
    adversarial_weight: float = 0.1
    matching_weight: float = 1.0
    mel_weight: float = 3.0
    val_clips: int = 24


@dataclass
class Batch:
    mel: Tensor  # (B, T, 128), as the vocoder will be given it: real, or through the codec
    real_mel: Tensor  # (B, T, 128) of `sound`
    sound: Tensor  # (B, T * 160)
    adversarial: bool


class VocoderTraining(nn.Module):
    """The vocoder, and the discriminators that are left behind after training."""

    def __init__(self, vocoder: NeuralVocoder):
        super().__init__()
        self.vocoder = vocoder
        self.discriminators = Discriminators()


class Stage:
    name = "vocoder"
    unit = "s of sound"
    score = "spectral"
    drop = ()

    def __init__(self, context: Context):
        recipe = context.recipe
        self.options = context.options(Options)
        self.accumulate = recipe.train.accumulate
        self.codec: Codec = context.parent("codec")["codec"]
        self.vocoder = NeuralVocoder(recipe.model.vocoder)
        self.model = VocoderTraining(self.vocoder)
        self.modules: dict[str, nn.Module] = {"vocoder": self.vocoder}
        self.val = WaveSet(self.options.val, context.root)
        if context.training:
            self.clips = WaveSet(self.options.train, context.root)
            lengths = torch.tensor(self.clips.lengths).double().numpy()
            self.sampler = RowSampler(len(self.clips), recipe.train.batch, recipe.train.seed, lengths)

    def batch(self, index: int) -> Batch:
        step, size = index // self.accumulate, self.options.crop * 160
        rows = []
        for i in self.sampler(index):
            room = self.clips.lengths[i] - size
            start = int(torch.randint(room + 1, ())) if room > 0 else 0
            piece = self.clips.wave(i, start, size)
            gain = 10 ** (-torch.rand(()) * 0.6)  # down to -12 dB: loud and soft are spoken alike
            rows.append(nn.functional.pad(piece, (0, size - len(piece))) * gain)
        sound = torch.stack(rows)
        mel = real_mel = log_mel(sound)
        if step >= self.options.codec_from:
            n_coded = round(self.options.codec_share * len(mel))
            if n_coded:
                coded = mel[:n_coded]
                mel = torch.cat([self.codec.decode(self.codec.encode(coded), coded.shape[1]), mel[n_coded:]])
        return Batch(mel, real_mel, sound, step >= self.options.adversarial_from)

    def loss(self, batch: Batch) -> Loss:
        """Both sides at once: each sees the other as a constant, so one optimiser serves both."""
        made, n_rows = self.vocoder(batch.mel), len(batch.mel)
        loss = self._likeness(made, batch.sound, batch.real_mel)
        if batch.adversarial:
            loss = loss + self._judgement(made, batch.sound)
        return Loss(loss * n_rows, n_rows, batch.sound.numel() / 16_000)

    def embed(self, batch: Batch) -> tuple[Tensor]:
        return (self.vocoder(batch.mel),)

    def joint_losses(self, embedded: list[tuple[Tensor, ...]], batches: list[Batch]) -> Iterator[Loss]:
        """Spectral convergence is a ratio over all rows of a step; the judges, which need the memory, see a part each."""
        made, sound = torch.cat([m for (m,) in embedded]), torch.cat([b.sound for b in batches])
        likeness = self._likeness(made, sound, torch.cat([b.real_mel for b in batches]))
        yield Loss(likeness * len(sound), len(sound), sound.numel() / 16_000)
        for (part,), batch in zip(embedded, batches, strict=True):
            if batch.adversarial:
                yield Loss(self._judgement(part, batch.sound) * len(part), 0.0, 0.0)

    def _likeness(self, made: Tensor, sound: Tensor, real_mel: Tensor) -> Tensor:
        return spectral_loss(made, sound) + self.options.mel_weight * (log_mel(made) - real_mel).abs().mean()

    def _judgement(self, made: Tensor, sound: Tensor) -> Tensor:
        options, discriminators = self.options, self.model.discriminators
        real = discriminators(sound)
        judged = discriminator_loss(real, discriminators(made.detach()))
        discriminators.requires_grad_(False)
        verdict, matching = generator_loss(real, discriminators(made))
        discriminators.requires_grad_(True)
        return options.adversarial_weight * verdict + options.matching_weight * matching + judged

    def after_step(self) -> None:
        pass

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Multi-resolution STFT loss and log-mel L1 over whole clips, from real mels and from the codec's."""
        totals = {"spectral": 0.0, "mel_l1": 0.0, "spectral_codec": 0.0}
        picked = range(0, len(self.val), max(1, len(self.val) // self.options.val_clips))
        for i in picked:
            sound = self.val.wave(i)
            sound = sound[: len(sound) // 160 * 160][None]
            mel = log_mel(sound)
            made = self.vocoder(mel)
            coded = self.codec.decode(self.codec.encode(mel), mel.shape[1])
            totals["spectral"] += float(spectral_loss(made, sound))
            totals["mel_l1"] += float((log_mel(made) - mel).abs().mean())
            totals["spectral_codec"] += float(spectral_loss(self.vocoder(coded), sound))
        return {name: value / len(picked) for name, value in totals.items()}
