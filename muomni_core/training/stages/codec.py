"""Stage D, first half: the codec learns to bring mels through a few codes a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from muomni_core.data.features import SpeechSet
from muomni_core.data.sampling import RowSampler
from muomni_core.data.windows import windowed
from muomni_core.evaluation.metrics import codebook_usage
from muomni_core.model.codec import TRAINING_ONLY, Codec, codec_loss
from muomni_core.training.context import Context
from muomni_core.training.loop import Loss


@dataclass
class Options:
    """[data] of a codec recipe."""

    train: list[str]
    val: list[str]
    crop: int = 128  # mel frames a row
    val_clips: int = 64
    window: int = 0  # shards of train a micro-batch whose features are kept at a time; 0: all of them, for good


class Stage:
    name = "codec"
    unit = "s of sound"
    score = "mel_l1"
    drop = TRAINING_ONLY

    def __init__(self, context: Context):
        recipe = context.recipe
        self.options = context.options(Options)
        self.device, self.ranks = context.device, context.ranks
        self.model = Codec(recipe.model.codec)
        self.modules: dict[str, nn.Module] = {"codec": self.model}
        self.weight = recipe.model.codec.commitment
        self.val = SpeechSet(self.options.val, context.root)
        if context.training:
            window = self.options.window
            self.clips = SpeechSet(self.options.train, context.root, streamed=window > 0)
            weights = torch.tensor(self.clips.frames).double().numpy()  # a long clip gives more crops
            sampler = RowSampler(len(self.clips), recipe.train.batch, context.order_seed, weights)
            self.sampler = windowed(sampler, self.clips.stored, window, recipe.train.accumulate)

    def batch(self, index: int) -> Tensor:
        crop, rows = self.options.crop, []
        for i in self.sampler(index):
            room = self.clips.frames[i] - crop
            start = int(torch.randint(room + 1, ())) if room > 0 else 0
            piece = self.clips.mel(i, start, min(crop, self.clips.frames[i]))
            # A short clip is followed by what the mel of silence is.
            rows.append(torch.nn.functional.pad(piece, (0, 0, 0, crop - len(piece)), value=-11.5))
        return torch.stack(rows)

    @torch.no_grad()
    def prepare(self, batches: list[Tensor]) -> None:
        """Codebooks begin from all micro-batches of the first step, not from the first of them alone."""
        if all(bool(book.started) for book in self.model.codebooks):
            return
        everyones = self.ranks.gather([(batch,) for batch in batches], torch.device("cpu"))
        self.model(torch.cat([batch for (batch,) in everyones]).to(self.device))
        for book in self.model.codebooks:
            book._pending.clear()  # these rows come again, and count then

    def loss(self, mel: Tensor) -> Loss:
        mel_hat, _, commitment = self.model(mel)
        loss, _ = codec_loss(mel, mel_hat, commitment, self.weight)
        return Loss(loss * len(mel), len(mel), mel.shape[0] * mel.shape[1] / 100)

    def after_step(self) -> None:
        book: Any
        for book in self.model.codebooks:
            book._pending = self.ranks.gather(book._pending, self.device)
        self.model.update_codebooks()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Log-mel L1 over whole clips, and the share of each codebook's entries in use."""
        error, frames, codes = 0.0, 0, []
        for i in range(0, len(self.val), max(1, len(self.val) // self.options.val_clips)):
            mel = self.val.mel(i)[None].to(self.device)
            code = self.model.encode(mel)
            error += float((self.model.decode(code, mel.shape[1]) - mel).abs().mean(2).sum())
            frames += mel.shape[1]
            codes.append(code[0].cpu())
        usage = codebook_usage(torch.cat(codes).numpy(), self.model.config.codebook_size)
        return {"mel_l1": error / frames, **{f"usage_{q}": float(u) for q, u in enumerate(usage)}}
