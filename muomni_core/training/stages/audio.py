"""Stage B: the ear learns to write what it hears (CTC), first from clear voices, then from all, disturbed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from muomni_core.audio.augment import SILENCE, augment, uniform
from muomni_core.data.features import SpeechSet
from muomni_core.data.sampling import LengthSampler, source_weights
from muomni_core.data.windows import windowed
from muomni_core.errors import DataError
from muomni_core.evaluation.metrics import char_error, word_error
from muomni_core.model.audio import AudioEncoder
from muomni_core.text.spoken import ctc_text
from muomni_core.text.symbols import BLANK, collapse, decode_symbols, encode_symbols, fits, slots_needed
from muomni_core.training.context import Context
from muomni_core.training.loop import Loss


@dataclass
class Options:
    """[data] of an audio recipe."""

    train: list[str]
    val: list[str]
    weights: dict[str, float] = field(default_factory=dict)  # how much oftener than its share a source is drawn
    clear: list[str] = field(default_factory=list)  # sources that come alone, undisturbed, in the first `clear_steps`
    clear_steps: int = 0
    augment: float = 1.0
    middle_weight: float = 0.3  # of the CTC loss in the encoder's middle
    val_clips: int = 150
    window: int = 0  # shards of train a micro-batch whose features are kept at a time; 0: all of them, for good


@dataclass
class Batch:
    mel: Tensor  # (B, T, 128)
    lengths: Tensor  # (B,)
    targets: Tensor  # (sum of target lengths,)
    target_lengths: Tensor  # (B,)
    tempo: Tensor  # (B,) how much slower it is made
    strength: float  # of the augmentation; 0: as recorded


def read_targets(clips: SpeechSet, n_slots: int) -> list[list[int]]:
    """CTC targets of all clips. Raises DataError, naming some, for texts that are empty or cannot fit their sound."""
    targets, unfit = [], []
    for text, frames in zip(clips.texts, clips.frames, strict=True):
        target = encode_symbols(ctc_text(text))
        if not fits(target, frames, n_slots):
            unfit.append(f"{text!r} in {frames / 100:.2f} s")
        targets.append(target)
    if unfit:
        raise DataError(
            f"{len(unfit)} clips are too short for their text (CTC has no alignment): {'; '.join(unfit[:3])}"
        )
    return targets


class Stage:
    name = "audio"
    unit = "s of sound"
    score = "cer"
    drop = ()

    def __init__(self, context: Context):
        recipe = context.recipe
        self.options = context.options(Options)
        self.device = context.device
        self.accumulate = recipe.train.accumulate
        self.model = AudioEncoder(recipe.model.audio)
        self.modules: dict[str, nn.Module] = {"audio": self.model}
        self.n_slots = recipe.model.audio.n_slots
        self.val = SpeechSet(self.options.val, context.root)
        if context.training:
            window = self.options.window
            self.clips = SpeechSet(self.options.train, context.root, streamed=window > 0)
            self.targets = read_targets(self.clips, self.n_slots)
            budget, seed = int(100 * recipe.train.seconds), context.order_seed
            sources = np.array(self.clips.sources)
            weights = source_weights(self.clips.sources, self.options.weights)
            sampler = LengthSampler(self.clips.frames, budget, seed, weights)
            self.sampler = windowed(sampler, self.clips.stored, window, self.accumulate)
            clear = np.isin(sources, self.options.clear)
            if self.options.clear_steps:
                if not clear.any():
                    raise DataError(f"recipe {recipe.name}: none of the clear sources is among the training data")
                sampler = LengthSampler(self.clips.frames, budget, seed, clear.astype(float))
                self.clear_sampler = windowed(sampler, self.clips.stored, window, self.accumulate)

    def batch(self, index: int) -> Batch:
        clear = index // self.accumulate < self.options.clear_steps
        rows = self.clear_sampler(index) if clear else self.sampler(index)
        lengths = torch.tensor([self.clips.frames[i] for i in rows])
        targets = [self.targets[i] for i in rows]
        strength = 0.0 if clear else self.options.augment
        return Batch(
            pad_sequence([self.clips.mel(i) for i in rows], batch_first=True, padding_value=SILENCE),
            lengths,
            torch.tensor([s for t in targets for s in t]),
            torch.tensor([len(t) for t in targets]),
            self._tempo(lengths, targets, strength),
            strength,
        )

    def _tempo(self, lengths: Tensor, targets: list[list[int]], strength: float) -> Tensor:
        """Half of the clips up to a fifth faster or slower, and never faster than their text fits."""
        tempo = uniform(len(lengths), 1 - 0.2 * strength, 1 + 0.2 * strength)
        needed = torch.tensor([slots_needed(t) for t in targets])
        room = self.n_slots * (-(-(lengths * tempo).long() // 8))
        return torch.where((torch.rand(len(lengths)) < 0.5) & (needed <= room), tempo, 1.0)

    def loss(self, batch: Batch) -> Loss:
        """CTC at the end and, with a smaller weight, in the middle (InterCTC, Lee & Watanabe 2021)."""
        mel, lengths = batch.mel, batch.lengths
        if batch.strength:
            with torch.no_grad(), torch.autocast(mel.device.type, enabled=False):
                mel, lengths = augment(mel, lengths, batch.tempo, batch.strength)
        frames, middle, lengths = self.model.frames_and_middle(mel, lengths)
        share = self.options.middle_weight
        total = (1 - share) * self._ctc(frames, lengths, batch)
        if share:
            total = total + share * self._ctc(middle, lengths, batch)
        return Loss(total, float(batch.target_lengths.sum()), float(batch.lengths.sum()) / 100)

    def _ctc(self, frames: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
        logprobs = self.model.ctc_logits(frames).float().log_softmax(-1).transpose(0, 1)
        return nn.functional.ctc_loss(
            logprobs, batch.targets, lengths * self.n_slots, batch.target_lengths, blank=BLANK, reduction="sum"
        )

    def after_step(self) -> None:
        pass

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Character and word error of greedy decoding, over all and by source."""
        heard: dict[str, tuple[list[str], list[str]]] = {}
        step = max(1, len(self.val) // self.options.val_clips)
        for i in range(0, len(self.val), step):
            frames, _ = self.model(self.val.mel(i)[None].to(self.device))
            path = self.model.ctc_logits(frames)[0].argmax(-1).tolist()
            refs, hyps = heard.setdefault(self.val.sources[i], ([], []))
            refs.append(ctc_text(self.val.texts[i]))
            hyps.append(decode_symbols(collapse(path)))
        refs = [r for rs, _ in heard.values() for r in rs]
        hyps = [h for _, hs in heard.values() for h in hs]
        metrics = {"cer": char_error(refs, hyps).rate, "wer": word_error(refs, hyps).rate}
        return metrics | {f"wer_{source}": word_error(*pair).rate for source, pair in heard.items()}
