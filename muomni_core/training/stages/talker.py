"""Stage D, second half: the Talker learns to say sentences: durations from alignments, codes from the codec."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from muomni_core.data.alignment import character_durations
from muomni_core.data.features import SpeechSet, cache_folder
from muomni_core.data.sampling import LengthSampler, evenly, source_weights
from muomni_core.errors import DataError
from muomni_core.evaluation.metrics import char_error
from muomni_core.model.audio import AudioEncoder
from muomni_core.model.codec import Codec
from muomni_core.model.talker import Talker, talker_loss
from muomni_core.model.thinker import Thinker
from muomni_core.text.layout import Layout, lay_out
from muomni_core.text.spoken import ctc_text, spoken
from muomni_core.text.symbols import collapse, decode_symbols
from muomni_core.training.context import Context
from muomni_core.training.gradients import to_device
from muomni_core.training.loop import Loss


@dataclass
class Options:
    """[data] of a talker recipe."""

    train: list[str]
    val: list[str]
    # source -> voice of the Talker; other sources: the first voice
    voices: dict[str, str] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)  # how much oftener than its share a source is drawn
    min_score: float = -1.5  # mean log probability of an alignment below which a clip is left out
    duration_weight: float = 1.0
    thinker_states: bool = True  # ablation: zeros instead
    characters: bool = True  # ablation: every character the same
    val_clips: int = 48


@dataclass
class Batch:
    characters: Tensor  # (B, C)
    lengths: Tensor  # (B,)
    states: Tensor  # (B, C, 256)
    voices: Tensor  # (B,)
    durations: Tensor  # (B, C)
    codes: Tensor  # (B, F, Q)


class SpokenSet:
    """Clips with their codes, layouts, durations and the Thinker's states; what does not align well is left out."""

    def __init__(self, clips: SpeechSet, stage: Stage):
        self.clips, self.stage = clips, stage
        self.voices = [stage.voice_of(source) for source in clips.sources]
        alphabet = stage.config.alphabet
        self.layouts: list[Layout] = [
            lay_out(stage.tokenizer, spoken(text, alphabet).text or "a", alphabet) for text in clips.texts
        ]
        self.codes, self.durations, scores = self._align()
        good = [
            i
            for i, score in enumerate(scores)
            if score >= stage.options.min_score and spoken(clips.texts[i], alphabet).text
        ]
        if not good:
            raise DataError("no clip aligns with its text; train the ear longer, or lower data.min_score")
        if len(good) < len(scores) and stage.context.ranks.is_first:
            print(f"talker: {len(scores) - len(good)} of {len(scores)} clips left out", file=sys.stderr)
        self.good = np.array(good)
        self.states = self._states()

    def _align(self) -> tuple[list[np.ndarray], list[np.ndarray], list[float]]:
        stage = self.stage
        about = [
            stage.context.parents["codec"],
            stage.audio_print,
            [lay.text for lay in self.layouts],
            self.clips.frames,
        ]
        name = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
        path = cache_folder() / "alignments" / f"{name}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            print(f"talker: aligning {len(self.clips)} clips", file=sys.stderr)
            rows = [self._align_clip(i) for i in range(len(self.clips))]
            partial = path.with_suffix(".partial.npz")
            np.savez(
                partial,
                codes=np.concatenate([r[0] for r in rows]),
                durations=np.concatenate([r[1] for r in rows]),
                n_frames=np.array([len(r[0]) for r in rows]),
                scores=np.array([r[2] for r in rows]),
            )
            os.replace(partial, path)
        with np.load(path) as saved:
            codes = np.split(saved["codes"], saved["n_frames"].cumsum()[:-1])
            lengths = np.array([len(lay.characters) for lay in self.layouts])
            durations = np.split(saved["durations"], lengths.cumsum()[:-1])
            return codes, durations, saved["scores"].tolist()

    @torch.no_grad()
    def _align_clip(self, i: int) -> tuple[np.ndarray, np.ndarray, float]:
        mel = self.clips.mel(i)[None]
        on_device = mel.to(self.stage.device)
        codes = self.stage.codec.encode(on_device)[0, :, : self.stage.config.n_codebooks].cpu().numpy().astype(np.int16)
        frames, _ = self.stage.ear(on_device)
        logprobs = self.stage.ear.ctc_logits(frames)[0].log_softmax(-1).cpu()
        pad = -mel.shape[1] % self.stage.codec.config.stride
        loudness = nn.functional.pad(mel[0].mean(1), (0, pad), value=-11.5)
        loudness = loudness.view(-1, self.stage.codec.config.stride).mean(1)
        text = self.layouts[i].text
        aligned = character_durations(text, logprobs, loudness)
        if aligned is None:
            return codes, np.zeros(len(text), dtype=np.int16), -np.inf
        return codes, np.array(aligned[0], dtype=np.int16), aligned[1]

    @torch.no_grad()
    def _states(self) -> list[Tensor]:
        """The Thinker's states of all sentences, (T, 256) half precision each."""
        states: list[Tensor] = [torch.zeros(0)] * len(self.layouts)
        order = sorted(range(len(self.layouts)), key=lambda i: len(self.layouts[i].tokens))
        thinker = self.stage.thinker
        for first in range(0, len(order), 64):
            rows = order[first : first + 64]
            ids = pad_sequence([torch.tensor(self.layouts[i].tokens) for i in rows], batch_first=True)
            # Causal: what is padded on the right changes nothing before it.
            hidden = thinker(thinker.embed(ids.to(self.stage.device))).cpu()
            for row, i in zip(hidden, rows, strict=True):
                states[i] = row[: len(self.layouts[i].tokens)].half()
        return states

    def batch(self, rows: np.ndarray) -> Batch:
        options = self.stage.options
        layouts = [self.layouts[i] for i in rows]
        characters = pad_sequence([torch.tensor(lay.characters) for lay in layouts], batch_first=True)
        states = [self.states[i][self.layouts[i].owners].float() for i in rows]
        if not options.characters:
            characters = characters.clamp(max=1)
        padded = pad_sequence(states, batch_first=True)
        return Batch(
            characters,
            torch.tensor([len(lay.characters) for lay in layouts]),
            padded if options.thinker_states else torch.zeros_like(padded),
            torch.tensor([self.voices[i] for i in rows]),
            pad_sequence([torch.from_numpy(self.durations[i]).long() for i in rows], batch_first=True),
            pad_sequence([torch.from_numpy(self.codes[i]).long() for i in rows], batch_first=True),
        )


class Stage:
    name = "talker"
    unit = "s of sound"
    score = "code_nats"  # smooth, where few clips and our own ear jump
    drop = ()

    def __init__(self, context: Context):
        recipe = context.recipe
        self.context, self.tokenizer, self.device = context, context.tokenizer, context.device
        self.options = context.options(Options)
        self.config = recipe.model.talker
        self.codec: Codec = context.parent("codec")["codec"]
        self.thinker: Thinker = context.parent("omni")["thinker"]
        self.ear: AudioEncoder = context.parent("audio")["audio"]
        # The ear only measures durations: another one makes the Talker no stranger to its weights.
        self.audio_print = context.parents.pop("audio")
        if self.codec.config.codebook_size != self.config.codebook_size:
            raise DataError(
                f"recipe {recipe.name}: the codec has {self.codec.config.codebook_size} entries a codebook, "
                f"the talker {self.config.codebook_size}"
            )
        if self.codec.config.n_codebooks < self.config.n_codebooks:
            raise DataError(
                f"recipe {recipe.name}: the codec has {self.codec.config.n_codebooks} codebooks, the talker "
                f"{self.config.n_codebooks}"
            )
        if self.ear.config.n_slots * self.codec.config.stride != 8:
            raise DataError(
                f"recipe {recipe.name}: durations are counted in slots of the ear, {self.ear.config.n_slots} in 8 mel "
                f"frames; the codec's frames are of {self.codec.config.stride}"
            )
        self.model = Talker(self.config)
        self.modules: dict[str, nn.Module] = {"talker": self.model}
        self.val = SpokenSet(SpeechSet(self.options.val, context.root), self)
        if context.training:
            self.set = SpokenSet(SpeechSet(self.options.train, context.root), self)
            sources = [self.set.clips.sources[i] for i in self.set.good]
            weights = source_weights(sources, self.options.weights)
            frames = [len(self.set.codes[i]) for i in self.set.good]
            self.sampler = LengthSampler(frames, int(50 * recipe.train.seconds), context.order_seed, weights)

    def adapt(self, tensors: dict[str, Tensor], config: dict) -> dict[str, Tensor]:
        """Weights to begin from, with this recipe's voices: those that they know, and new ones, which begin between."""
        known, rows = config["talker"]["voices"], tensors["talker.voices.weight"]
        voices = [rows[known.index(v)] if v in known else rows.mean(0) for v in self.config.voices]
        return tensors | {"talker.voices.weight": torch.stack(voices)}

    def voice_of(self, source: str) -> int:
        name = self.options.voices.get(source, self.config.voices[0])
        if name not in self.config.voices:
            raise DataError(f"no voice {name!r} (data.voices); model.voices are: {', '.join(self.config.voices)}")
        return self.config.voices.index(name)

    def batch(self, index: int) -> Batch:
        return self.set.batch(self.set.good[self.sampler(index)])

    def loss(self, batch: Batch) -> Loss:
        losses = talker_loss(
            self.model, batch.characters, batch.lengths, batch.states, batch.voices, batch.durations, batch.codes
        )
        n_frames = float(batch.durations.sum())
        return Loss(losses["codes"] + self.options.duration_weight * losses["durations"], n_frames, n_frames / 50)

    def after_step(self) -> None:
        pass

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Cross-entropy of the codes a frame, and the characters that our own ear hears wrong in what is said."""
        rows = evenly(self.val.good.tolist(), self.options.val_clips)
        code_loss = duration_loss = n_frames = n_characters = 0.0
        refs, hyps = [], []
        for i in rows:
            batch = to_device(self.val.batch(np.array([i])), self.device)
            losses = talker_loss(
                self.model, batch.characters, batch.lengths, batch.states, batch.voices, batch.durations, batch.codes
            )
            code_loss, duration_loss = code_loss + float(losses["codes"]), duration_loss + float(losses["durations"])
            n_frames, n_characters = n_frames + float(batch.durations.sum()), n_characters + float(batch.lengths.sum())
            said = self.model.speak(batch.characters[0], batch.states[0], int(batch.voices[0]))
            mel = self.codec.decode_mean(said.shares[None])
            heard = self.ear.ctc_logits(self.ear(mel)[0])[0].argmax(-1).tolist()
            refs.append(ctc_text(self.val.clips.texts[i]))
            hyps.append(decode_symbols(collapse(heard)))
        return {
            "code_nats": code_loss / n_frames,
            "duration_loss": duration_loss / n_characters,
            "cer": char_error(refs, hyps).rate,
        }
