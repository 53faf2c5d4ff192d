"""Stage E: the Thinker learns to answer: about pictures, sounds and text, the loss on the answers alone."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from muomni_core.checkpoint import load_component, load_stage
from muomni_core.data.chat import turn_ids
from muomni_core.data.everyday import everyday_questions
from muomni_core.data.features import PictureSet, SpeechSet, TokenSet
from muomni_core.data.frames import SoundFrames, encoder_print, picture_frames, views
from muomni_core.data.mix import (
    Example,
    PictureFacts,
    TextRows,
    as_heard,
    dedupe,
    picture_examples,
    plain,
    scene_examples,
    spoken_questions,
    text_examples,
)
from muomni_core.data.phrasings import SEE as PICTURE_QUESTION
from muomni_core.data.phrasings import SEE_ANSWER
from muomni_core.data.picture_words import PictureWords, mixed, word_tokens
from muomni_core.data.rows import expand, read_path, read_rows
from muomni_core.data.sampling import RowSampler, evenly, source_weights
from muomni_core.data.words import with_article
from muomni_core.errors import DataError
from muomni_core.evaluation.answers import key_words, said_share, word_overlap
from muomni_core.evaluation.metrics import named, words
from muomni_core.model.audio import AudioEncoder
from muomni_core.model.fusion import fuse, generate
from muomni_core.model.thinker import PictureReader, Projector, Thinker, VisionProjector
from muomni_core.model.vision import VisionModel
from muomni_core.training.context import Context
from muomni_core.training.gradients import to_device
from muomni_core.training.loop import Loss
from muomni_core.training.stages.thinker import Batch as Reading
from muomni_core.training.stages.thinker import make_batch, reading_loss
from muomni_core.training.token_loss import token_loss

PICTURES_A_CLIP = 8  # that a spoken question is asked about
WRITTEN_DOWN = 0.3  # share of the questions' recordings whose words are asked for too
DESCRIBE_QUESTION = "Describe the picture in one sentence."
YES_NO_QUESTIONS = ("Is there {} in the picture?", "Is there {}?")
HEAR_QUESTIONS = ("What did I say?", "Write down what you hear.", "What is said here?", "Repeat what I said.")


@dataclass
class Options:
    """[data] of an omni recipe."""

    pictures: list[str]  # rows with a label, captions, or a question and an answer of their own
    text: list[str] = field(default_factory=list)
    speech: list[str] = field(default_factory=list)
    val: list[str] = field(default_factory=list)  # pictures, and text rows with a question and an answer
    n_views: int = 3  # crops of a picture that are made once
    per_picture: int = 4
    n_scenes: int = 3000
    n_text: int = 20_000
    n_chat: int = 0  # dialogue rows beside the examples
    read: list[str] = field(default_factory=list)  # texts read on beside, as in stage A, so that they are not forgotten
    read_rows: int = 0  # windows of them a batch
    read_context: int = 128  # tokens a window
    read_weight: float = 0.3  # of a token of theirs beside one of an answer
    hidden: float = 0.0  # share of a photograph's frames that are not shown, other ones each time
    weights: dict[str, float] = field(default_factory=dict)  # how much oftener than its share a source is drawn
    kinds: list[str] = field(default_factory=list)  # of questions about pictures and scenes (`Example.kind`); [] is all
    shares: dict[str, float] = field(
        default_factory=lambda: {"picture": 0.5, "scene": 0.15, "text": 0.25, "sound": 0.1}
    )
    words_weight: float = 0.3  # of the loss that the picture's frames themselves say the answer's words
    reader_pictures: int = 0  # a batch, mixed two and two, from which the reader learns all the words of them
    reader_alone: bool = False  # whether nothing else learns
    begin: str = "thinker"  # the stage whose Thinker this starts from; "" starts from nothing
    val_pictures: int = 120
    val_questions: int = 60  # of text rows

    @property
    def train(self) -> list[str]:
        return [*self.pictures, *self.text, *self.speech, *self.read]


@dataclass(frozen=True)
class Item:
    """An example with its frames' addresses: pictures[picture], sounds.frames(sound)."""

    question: str
    answer: str
    picture: int | None = None
    sound: int | None = None
    turns: tuple[tuple[str, str], ...] = ()


@dataclass
class Batch:
    ids: Tensor  # (B, T) with slots
    targets: Tensor  # (B, T), -100 outside answers
    picture_frames: Tensor  # (N, 128)
    sound_frames: Tensor  # (M, 192)
    said: Tensor  # (W,) tokens of the words that answers about pictures add to their questions, picture after picture
    n_said: Tensor  # (pictures,) how many of them are said of each
    mixed: Tensor | None = None  # (P, 1 + grid * grid, 128), two pictures in one
    mixed_words: Tensor | None = None  # (P, 5000) shares of the words that are known of both
    reading: Reading | None = None  # windows of text


class OmniModel(nn.Module):
    """Thinker and both projectors, the trained part."""

    def __init__(self, recipe):
        super().__init__()
        self.thinker = Thinker(recipe.model.thinker)
        self.vision_projector = VisionProjector(recipe.model.vision.out_width, recipe.model.projector)
        self.audio_projector = Projector(recipe.model.audio.out_width, recipe.model.projector, "audio_projector")


class Stage:
    name = "omni"
    unit = "examples"
    score = "answer_nats"  # smooth, where the shares of right answers jump
    drop = ()

    def __init__(self, context: Context):
        recipe, self.tokenizer = context.recipe, context.tokenizer
        self.options = context.options(Options)
        self.device = context.device
        self.projector = recipe.model.projector
        self.vision: VisionModel = context.parent("vision")["vision"]
        self.ear: AudioEncoder = context.parent("audio")["audio"]
        self.eye_print = encoder_print(self.vision.encoder)
        self.model = OmniModel(recipe)
        self.modules = dict(self.model.named_children())
        if self.options.begin and context.training:
            path = context.find(self.options.begin)
            _, tensors = load_stage(path, self.options.begin, tokenizer=self.tokenizer.fingerprint)
            load_component(self.model.thinker, "thinker", tensors, path)
        self.val_pictures = PictureSet(self.options.val, context.root) if self.options.val else None
        self.val_texts = self._val_texts(context) if self.options.val else []
        self.picture_words: PictureWords | None = None
        if context.training:
            self._gather(context)
        if self.val_pictures is not None:
            self.val_frames = self._picture_frames(self.val_pictures, 1)

    def adapt(self, tensors: dict[str, Tensor], config: dict) -> dict[str, Tensor]:
        """Weights to begin from; the places in a picture and the reader, where these know none, begin as here."""
        own = self.model.vision_projector.state_dict()
        later = {name: own[name] for name in own if name == "positions" or name.startswith("reader.")}
        return {f"vision_projector.{name}": tensor for name, tensor in later.items()} | tensors

    def _val_texts(self, context: Context) -> list[tuple[str, str, str]]:
        """Questions in words with their answers, (source, question, answer): those of val rows, and everyday ones."""
        rows = [
            (r.source, r.question, r.answer)
            for path in expand(self.options.val, context.root)
            if path.name.endswith((".jsonl", ".jsonl.xz"))
            for r in read_path(path, context.root)
            if r.image is None and r.audio is None and r.question and r.answer and not r.context
        ]
        # Small talk has many right answers; a person judges it.
        return rows + [("everyday", e.question, e.answer) for e in everyday_questions() if e.kind != "chat"]

    def _picture_frames(self, pictures: PictureSet, n_views: int) -> np.ndarray:
        size = self.projector.picture_size
        about = [self.eye_print, [r.key for r in pictures.rows], size]
        pixels = views(pictures.squares(), size, n_views, 0, self.device)
        return picture_frames(self.vision.encoder, pixels, len(pictures), n_views, self.projector.picture_grid, about)

    def _gather(self, context: Context) -> None:
        """All items and how often each is drawn."""
        recipe, options = context.recipe, self.options
        rng = random.Random(recipe.train.seed)
        pictures = PictureSet(options.pictures, context.root)
        self.frames = self._picture_frames(pictures, options.n_views)
        facts = [PictureFacts(row) for row in pictures.rows]
        groups: dict[str, list[Item]] = {}
        kept_apart = [c for r in (self.val_pictures.rows if self.val_pictures else []) for c in r.captions]
        kept_apart += [text for _, question, answer in self.val_texts for text in (question, answer)]
        about_pictures = dedupe(picture_examples(facts, rng, options.per_picture), kept_apart)
        own = [Example("own", r.question, r.answer, n) for n, r in enumerate(pictures.rows) if r.question and r.answer]
        groups["picture"] = [self._item(e) for e in self._wanted([*about_pictures, *own])]
        # Of their own, so that the scenes, whose frames are kept, do not depend on what else is in the mix.
        scene_rng = random.Random(f"{recipe.train.seed}-scenes")
        scenes, about_scenes = scene_examples(scene_rng, options.n_scenes) if options.n_scenes else ([], [])
        self.scene_frames = self._scene_frames(scenes, recipe.train.seed) if scenes else None
        groups["scene"] = [self._item(e, offset=len(pictures)) for e in self._wanted(about_scenes)]
        text_rows = list(read_rows(options.text, context.root)) if options.text else []
        in_words = text_examples(TextRows(text_rows), rng, options.n_text)
        # Doubles stay: what people say first is drawn more often on purpose.
        allowed = {(e.kind, e.question, e.answer) for e in dedupe(in_words, kept_apart)}
        groups["text"] = [self._item(e) for e in in_words if (e.kind, e.question, e.answer) in allowed]
        chats = [r.turns for r in text_rows if len(r.turns) >= 2 and sum(map(len, r.turns[:2])) < 200]
        rng.shuffle(chats)
        groups["text"] += [Item(turns[0], turns[1]) for turns in chats[: options.n_chat]]
        self.n_pictures = len(pictures)
        groups["sound"] = self._sound_items(context, rng, groups) if options.speech else []
        self.items = [item for group in groups.values() for item in group]
        often = source_weights([row.source for row in pictures.rows], options.weights)
        weights = [self._shares(name, group, often) for name, group in groups.items()]
        if not sum(map(np.sum, weights)):
            raise DataError(f"recipe {recipe.name}: none of data.shares has an example")
        self.sampler = RowSampler(len(self.items), recipe.train.batch, context.order_seed, np.concatenate(weights))
        has_reader = self.model.vision_projector.reader is not None
        if options.reader_alone and not (has_reader and options.reader_pictures):
            raise DataError("data.reader_alone needs model.picture_words and data.reader_pictures")
        if options.reader_pictures and has_reader:
            self.picture_words = PictureWords(facts, self.tokenizer)
            known = often * self.picture_words.known
            self.read_pictures = RowSampler(len(pictures), options.reader_pictures, context.order_seed, known)
        if options.read_rows:
            self.tokens = TokenSet(options.read, context.root, self.tokenizer)
            self.windows = RowSampler(self.tokens.n_rows(options.read_context), options.read_rows, context.order_seed)

    def _wanted(self, examples: list[Example]) -> list[Example]:
        return [e for e in examples if not self.options.kinds or e.kind in self.options.kinds]

    def _shares(self, name: str, group: list[Item], often: np.ndarray) -> np.ndarray:
        """How often each item of a group is drawn: all together as often as the group is to be."""
        drawn = [often[i.picture] if name == "picture" and i.picture is not None else 1.0 for i in group]
        return self.options.shares.get(name, 0.0) * np.array(drawn) / (sum(drawn) or 1.0)

    def _item(self, example: Example, offset: int = 0) -> Item:
        picture = None if example.image is None else example.image + offset
        return Item(example.question, example.answer, picture, turns=tuple((q, a) for q, a in example.turns))

    def _scene_frames(self, scenes: list, seed: int) -> np.ndarray:
        from muomni_core.vision.image import image_tensor

        size = self.projector.picture_size
        about = [self.eye_print, "scenes", size, seed]
        return picture_frames(
            self.vision.encoder,
            lambda rows, _: torch.stack([image_tensor(scenes[i], size) for i in rows]).to(self.device),
            len(scenes),
            1,
            self.projector.picture_grid,
            about,
        )

    def _sound_items(self, context: Context, rng: random.Random, groups: dict[str, list[Item]]) -> list[Item]:
        """Recordings whose words are a question that has an answer here, with or without a picture; of the others,
        what is said."""
        clips = SpeechSet(self.options.speech, context.root)
        self.sounds = SoundFrames(self.ear, clips, [encoder_print(self.ear)], self.device)
        answers = {plain(e.audio_text): e.answer for e in spoken_questions() if e.audio_text}
        answers |= {plain(item.question): item.answer for item in groups["text"] if not item.turns}
        about_pictures: dict[str, list[Item]] = {}
        for item in (*groups["picture"], *groups["scene"]):
            if not item.turns:
                about_pictures.setdefault(plain(item.question), []).append(item)
        items = []
        for i, text in enumerate(clips.texts):
            if clips.frames[i] > 1000:
                continue
            shown = about_pictures.get(plain(text), [])
            for item in rng.sample(shown, min(len(shown), PICTURES_A_CLIP)):
                items.append(Item(rng.choice(("", as_heard(text))), item.answer, item.picture, i))
            if known := answers.get(plain(text)):
                # As in use: the ear's transcript beside the frames; and the frames alone.
                items += [Item(as_heard(text), known, sound=i), Item("", known, sound=i)]
            if not (known or shown) or rng.random() < WRITTEN_DOWN:
                items.append(Item(rng.choice(HEAR_QUESTIONS), as_heard(text), sound=i))
        return items

    def _picture(self, i: int) -> Tensor:
        if i < self.n_pictures:
            view = int(torch.randint(self.frames.shape[1], ()))
            frames = torch.from_numpy(self.frames[i, view].astype(np.float32))
            # No caption is to be known by heart from one look that never changes.
            return frames * (torch.rand(len(frames), 1) >= self.options.hidden) if self.options.hidden else frames
        return torch.from_numpy(self.scene_frames[i - self.n_pictures, 0].astype(np.float32))

    def batch(self, index: int) -> Batch:
        items = [self.items[i] for i in self.sampler(index)]
        pictures = [None if item.picture is None else self._picture(item.picture) for item in items]
        sounds = [None if item.sound is None else self.sounds.frames(item.sound) for item in items]
        batch = self._collate(items, pictures, sounds)
        if self.options.read_rows:
            size = self.options.read_context
            batch.reading = make_batch([self.tokens.row(int(i), size) for i in self.windows(index)])
        if self.picture_words is not None:
            rows = self.read_pictures(index)
            shown = torch.stack([self._picture(int(i)) for i in rows])
            batch.mixed, batch.mixed_words = mixed(shown, self.picture_words(rows))
        return batch

    def _collate(self, items: list[Item], pictures: list[Tensor | None], sounds: list[Tensor | None]) -> Batch:
        rows, targets, words_said = [], [], []
        for item, picture, sound in zip(items, pictures, sounds, strict=True):
            if picture is not None:
                words_said.append(word_tokens(self.tokenizer, item.question, item.answer))
            ids: list[int] = []
            wanted: list[int] = []
            for n, (question, answer) in enumerate([*item.turns, (item.question, item.answer)]):
                first = n == 0
                prompt = turn_ids(
                    self.tokenizer,
                    question,
                    [len(picture)] if picture is not None and first else [],
                    [len(sound)] if sound is not None and first else [],
                )
                said = [*self.tokenizer.encode(answer), self.tokenizer.end_id]
                # The last token of the prompt is where the answer's first is predicted.
                wanted += [-100] * (len(prompt) - 1) + said + [-100]
                ids += prompt + said
            rows.append(torch.tensor(ids))
            targets.append(torch.tensor(wanted))
        seen, heard = [[f for f in frames if f is not None] for frames in (pictures, sounds)]
        return Batch(
            pad_sequence(rows, batch_first=True),
            pad_sequence(targets, batch_first=True, padding_value=-100),
            torch.cat(seen) if seen else torch.zeros(0, 128),
            torch.cat(heard) if heard else torch.zeros(0, 192),
            torch.tensor([i for ids in words_said for i in ids], dtype=torch.long),
            torch.tensor([len(ids) for ids in words_said], dtype=torch.long),
        )

    def loss(self, batch: Batch) -> Loss:
        reader = self.model.vision_projector.reader
        if self.options.reader_alone:
            return Loss(self._reader_loss(reader, batch), len(batch.mixed), len(batch.mixed))
        total, n_targets = self._answer_loss(batch)
        if self.options.words_weight and len(batch.said):
            total = total + self.options.words_weight * self._words_loss(batch)
        total = total + n_targets * self.model.thinker.balance_loss()
        if batch.mixed is not None:
            total = total + self._reader_loss(reader, batch)
        if batch.reading is not None:
            read, n_read = reading_loss(self.model.thinker, batch.reading)
            weight = self.options.read_weight
            total, n_targets = total + weight * read, n_targets + weight * n_read
        return Loss(total, n_targets, len(batch.ids))

    def _answer_loss(self, batch: Batch) -> tuple[Tensor, float]:
        """Summed cross-entropy of the answers' tokens, and how many they are."""
        model = self.model
        embeddings = fuse(
            model.thinker,
            model.vision_projector,
            model.audio_projector,
            batch.ids,
            batch.picture_frames,
            batch.sound_frames,
        )
        hidden = model.thinker(embeddings)  # padded on the right: nobody before looks there
        answers = batch.targets >= 0
        total = token_loss(hidden[answers], model.thinker.embedding.weight, batch.targets[answers])
        return total, float(answers.sum())

    def _words_loss(self, batch: Batch) -> Tensor:
        """Summed cross-entropy of the words said of each picture, read off its projected frames by the Thinker's head.

        In training alone: it brings what the eye sees near the words for it, from where the Thinker has only to copy
        it. Without it the answers' loss sat on a plateau of likely words for whatever picture.
        """
        model = self.model
        n_frames = 1 + self.projector.picture_grid**2
        projected = model.vision_projector(batch.picture_frames.view(-1, n_frames, batch.picture_frames.shape[1]))
        logits = model.thinker.logits(model.thinker.norm(projected.mean(1))).float()
        return F.cross_entropy(logits.repeat_interleave(batch.n_said, 0), batch.said, reduction="sum")

    def _reader_loss(self, reader: PictureReader, batch: Batch) -> Tensor:
        """Summed cross-entropy of the words that are known of mixed pictures."""
        logits = reader(batch.mixed, self.model.thinker.embedding.weight)
        return F.cross_entropy(logits, batch.mixed_words, reduction="sum")

    def after_step(self) -> None:
        pass

    @torch.no_grad()
    def answer(self, question: str, frames: Tensor | None, max_tokens: int = 24) -> str:
        """Greedy, as in use."""
        ids = turn_ids(self.tokenizer, question, [] if frames is None else [len(frames)])
        model, prompt = self.model, torch.tensor([ids], device=self.device)
        frames = None if frames is None else frames.to(self.device)
        embeddings = fuse(model.thinker, model.vision_projector, model.audio_projector, prompt, frames)
        tokens = generate(model.thinker, embeddings, self.tokenizer.end_id, max_tokens=max_tokens)
        return self.tokenizer.decode(tokens).strip()

    def validate(self) -> dict[str, float]:
        """Right answers by kind of question, 0 to 1.

        naming_SOURCE: "What do you see?" is answered with the label and no other label of the source. yes_no: half of
        them yes. describe: content words in common with the nearest caption. text_SOURCE: the words that the answer
        adds to its question. answer_nats is no share but the cross-entropy of the right answers' tokens, which moves
        before the others do; score is the mean of the shares.
        """
        right: dict[str, list[float]] = {}
        known: list[tuple[Item, Tensor | None]] = []
        if self.val_pictures is not None:
            self._ask_about_pictures(right, known)
        for source, question, answer in evenly(self.val_texts, self.options.val_questions):
            said = self.answer(question, None)
            right.setdefault(f"text_{source}", []).append(said_share(said, key_words(question, answer)))
            known.append((Item(question, answer), None))
        metrics = {name: sum(values) / len(values) for name, values in right.items()}
        score = sum(metrics.values()) / max(1, len(metrics))
        return metrics | {"answer_nats": self._answer_nats(known), "score": score}

    @torch.no_grad()
    def _answer_nats(self, known: list[tuple[Item, Tensor | None]]) -> float:
        total = n_tokens = 0.0
        for first in range(0, len(known), 16):
            items, pictures = map(list, zip(*known[first : first + 16], strict=True))
            batch = self._collate(items, pictures, [None] * len(items))
            loss, n_targets = self._answer_loss(to_device(batch, self.device))
            total, n_tokens = total + float(loss), n_tokens + n_targets
        return total / max(1.0, n_tokens)

    def _ask_about_pictures(self, right: dict[str, list[float]], known: list[tuple[Item, Tensor | None]]) -> None:
        rows = self.val_pictures.rows
        labels: dict[str, set[str]] = {}
        for row in rows:
            if row.label:
                labels.setdefault(row.source, set()).add(row.label)
        for n, i in enumerate(evenly(range(len(rows)), self.options.val_pictures)):
            row = rows[i]
            frames = torch.from_numpy(self.val_frames[i, 0].astype(np.float32))
            if row.captions:
                said = self.answer(DESCRIBE_QUESTION, frames)
                right.setdefault("describe", []).append(word_overlap(said, row.captions))
            if not row.label:
                continue
            said = self.answer(PICTURE_QUESTION, frames)
            known.append((Item(PICTURE_QUESTION, SEE_ANSWER.format(a=with_article(row.label))), frames))
            right.setdefault(f"naming_{row.source}", []).append(named(said, row.label, labels[row.source]))
            others = sorted(labels[row.source] - {row.label, *row.objects})
            if others:
                thing = row.label if n % 2 else others[n // 4 % len(others)]
                question = YES_NO_QUESTIONS[n // 2 % 2].format(with_article(thing))
                said = self.answer(question, frames, max_tokens=4)
                right.setdefault("yes_no", []).append(words(said)[:1] == ["yes" if n % 2 else "no"])
