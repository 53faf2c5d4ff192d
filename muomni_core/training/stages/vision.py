"""Stage C: the eye learns what belongs to a picture, CLIP's way: among the batch's captions, and among all labels;
and, because that alone is slow with few pictures, which of some thousand words are true of it.

With `data.views` an encoder that is trained stays as it is, and what is done with its frames learns on: the pictures'
and the texts' way into their common space. Its frames are computed once, so a CPU has large batches."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni_core.data.features import PictureSet
from muomni_core.data.frames import encoder_print, views, views_seen
from muomni_core.data.record import Row
from muomni_core.data.sampling import RowSampler, source_weights
from muomni_core.data.scenes import Scene, describe, draw_scene, random_scene
from muomni_core.data.windows import windowed
from muomni_core.data.words import with_article
from muomni_core.errors import DataError
from muomni_core.evaluation.answers import content_words
from muomni_core.evaluation.metrics import retrieval_recall
from muomni_core.model.vision import GroupedBatchNorm, VisionModel, contrastive_loss
from muomni_core.training.context import Context
from muomni_core.training.loop import Loss
from muomni_core.vision.crops import change_colours, cut_and_mix, middle_boxes, mirror_half, random_boxes, read_boxes

# What a label is called when it is read; validation and use take the first.
LABEL_TEXTS = ("a photo of {}", "{}", "a picture of {}", "this is {}")


@dataclass
class Options:
    """[data] of a vision recipe."""

    train: list[str]
    val: list[str]
    weights: dict[str, float] = field(default_factory=dict)  # how much oftener than its share a source is drawn
    sizes: list[list[int]] = field(default_factory=lambda: [[0, 112]])  # [from step, pixels], growing
    val_size: int = 112
    min_crop: float = 0.4  # the smallest share of a picture's area that a crop keeps
    cutmix: float = 0.3  # share of batches
    caption_weight: float = 1.0  # of the contrastive loss within the batch
    naming_weight: float = 1.0  # of the contrastive loss over labels
    offered: int = 96  # labels to choose from besides those of the batch
    norm_group: int = 16  # pictures whose statistics a batch norm takes together
    colours: float = 0.3  # how much brighter or darker, flatter or harder, paler or stronger a picture gets
    min_tagged: int = 4  # pictures that a tag is true of, or it is none
    smoothing: float = 0.1  # share of each tag target that is spread over all tags
    val_pictures: int = 1500
    n_scenes: int = 0  # drawn ones beside the photographs, which hold few plain shapes
    scene_share: float = 0.1  # of the pictures of a batch
    views: int = 0  # crops of a picture that a trained encoder sees once, and stays as it is; 0: it learns
    unread: float = 0.0  # share of a caption's tokens, and with `views` of a picture's numbers, that are left out
    window: int = 0  # shards of train a micro-batch whose features are kept at a time; 0: all of them, for good


@dataclass
class Batch:
    rows: Tensor  # (B,) which pictures, in `Stage.rows`
    views: Tensor  # (B,) which crop of each, where they are seen once
    squares: Tensor  # (B, 3, 128, 128) uint8
    boxes: Tensor  # (B, 4) what is cropped
    colours: Tensor  # (B, 3)
    cut: Tensor  # (3,) the rectangle that comes from the batch's mirror row; of side 0 where none does
    size: int  # pixels a side that the crops are brought to
    captions: Tensor  # (B, L)
    caption_lengths: Tensor  # (B,)
    groups: Tensor  # (B,) pictures of one label are of one group
    labels: Tensor  # (B,), -1 where there is none
    others: Tensor  # (L,) labels to choose from besides
    wording: int  # of LABEL_TEXTS
    tags: Tensor  # (B, n_tags) shares that sum to one, or to zero where nothing is known


def label_of(row: Row) -> str | None:
    return row.label.replace("_", " ") if row.label else None


def tag_counts(row: Row) -> Counter[str]:
    """What is said of a picture: label, kind and objects, or else the captions' content words, the agreed ones most."""
    names = [row.label, row.fine, *row.objects]
    tags = Counter(name.replace("_", " ").lower() for name in names if name)
    return tags or Counter(word for caption in row.captions for word in content_words(caption))


def _scene_row(scene: Scene, number: int) -> Row:
    """A drawn scene's caption, and as tags what it holds, how many of what, and how many in all."""
    forms, colours = (Counter(getattr(s, part) for s in scene.shapes) for part in ("shape", "colour"))
    tags = [s.name for s in scene.shapes] + [f"{n} {form}" for form, n in forms.items()] + [*colours, *forms]
    caption = describe(scene).removeprefix("I see ")
    return Row(
        key=f"scene-{number}", source="scenes", objects=[*tags, f"{len(scene.shapes)} shapes"], captions=[caption]
    )


class VisionTraining(nn.Module):
    """The model, and a classifier over tags that is left behind after training.

    Contrast alone left the encoder at 5.5% of Caltech-101 after 54,000 pictures.
    """

    def __init__(self, vision: VisionModel, n_tags: int):
        super().__init__()
        self.vision = vision
        self.tag_head = nn.Linear(2 * vision.config.out_width, max(1, n_tags))


class Stage:
    name = "vision"
    unit = "pictures"
    score = "-score"
    drop = ()

    def __init__(self, context: Context):
        recipe = context.recipe
        self.options = context.options(Options)
        self.tokenizer = context.tokenizer
        self.context_length = recipe.model.vision.text_context
        self.accumulate, self.seed = recipe.train.accumulate, recipe.train.seed
        self.device = context.device
        self.val = PictureSet(self.options.val, context.root)
        rows = self.val.rows
        if context.training:
            self._gather(context, recipe.train.batch, recipe.train.seed, recipe.train.accumulate)
            rows = [*self.rows, *rows]
        self.labels = sorted({label for r in rows if (label := label_of(r))})
        self.label_index = {label: n for n, label in enumerate(self.labels)}
        # One (ids, lengths) a wording, of all labels.
        self.label_ids = [
            [t.to(self.device) for t in self.tokens([text.format(with_article(label)) for label in self.labels])]
            for text in LABEL_TEXTS
            if self.labels
        ]
        self.vision = VisionModel(recipe.model.vision)
        self.tags, self.tag_shares = self._tags(self.rows if context.training else [])
        self.model = VisionTraining(self.vision, len(self.tags))
        self.modules: dict[str, nn.Module] = {"vision": self.vision}
        for module in self.model.modules():
            if isinstance(module, GroupedBatchNorm):
                module.group = self.options.norm_group
        self.vision.encoder.requires_grad_(not self.options.views)
        self.is_trained = False

    def adapt(self, tensors: dict[str, Tensor], config: dict) -> dict[str, Tensor]:
        """Weights to begin from, as they are."""
        self.is_trained = True
        return tensors

    def _gather(self, context: Context, batch: int, seed: int, accumulate: int) -> None:
        """Photographs and drawn scenes, and how often each is shown."""
        options = self.options
        pictures = PictureSet(options.train, context.root, streamed=options.window > 0)
        self.rows, self.squares = list(pictures.rows), pictures.squares()
        weights = source_weights([row.source for row in self.rows], options.weights)
        # Of a scene nothing may be cut away: its caption counts.
        self.min_crops = torch.full((len(self.rows) + options.n_scenes,), options.min_crop)
        self.min_crops[len(self.rows) :] = 1.0
        if options.n_scenes:
            rng = random.Random(f"{seed}-scenes")
            scenes = [random_scene(rng) for _ in range(options.n_scenes)]
            self.rows += [_scene_row(scene, n) for n, scene in enumerate(scenes)]
            self.squares.append([draw_scene(scene) for scene in scenes])
            share = options.scene_share
            shares = [(1 - share) * weights / weights.sum(), np.full(len(scenes), share / len(scenes))]
            weights = np.concatenate(shares)
        sampler = RowSampler(len(self.rows), batch, context.order_seed, weights)
        self.sampler = windowed(sampler, pictures.stored, options.window, accumulate)

    def _tags(self, rows: list[Row]) -> tuple[list[str], Tensor]:
        """The tags that enough pictures have, and of each picture the shares of its own, (pictures, tags)."""
        counts = [tag_counts(row) for row in rows]
        n_pictures = Counter(tag for own in counts for tag in own)
        tags = sorted(tag for tag, n in n_pictures.items() if n >= self.options.min_tagged)
        number = {tag: n for n, tag in enumerate(tags)}
        shares = torch.zeros(len(rows), len(tags), dtype=torch.float16)
        for row, own in zip(shares, counts, strict=True):
            known = {number[tag]: count for tag, count in own.items() if tag in number}
            for n, count in known.items():
                row[n] = count / sum(known.values())
        return tags, shares

    def tokens(self, texts: list[str], unread: float = 0.0) -> tuple[Tensor, Tensor]:
        """Texts -> ids (B, L), lengths (B,); without a share of `unread` of the ids, but for a text's first."""
        ids = [self.tokenizer.encode(t)[: self.context_length] for t in texts]
        if unread:
            ids = [[i for n, i in enumerate(row) if not n or torch.rand(()) >= unread] for row in ids]
        lengths = torch.tensor([len(i) for i in ids])
        padded = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
        for row, i in zip(padded, ids, strict=True):
            row[: len(i)] = torch.tensor(i)
        return padded, lengths

    @staticmethod
    def label_caption(label: str | None) -> str:
        text = LABEL_TEXTS[int(torch.randint(len(LABEL_TEXTS), ()))]
        return text.format(with_article(label or "something"))

    def size_at(self, index: int) -> int:
        step = index // self.accumulate
        return max(s for start, s in self.options.sizes if start <= step)

    def batch(self, index: int) -> Batch:
        picked, once = self.sampler(index), self.options.views > 0
        boxes = mirror_half(random_boxes(self.squares.shapes[picked], self.min_crops[picked]))
        colours = 1 + self.options.colours * torch.empty(len(picked), 3).uniform_(-1, 1)
        captions, labels = [], []
        for i in picked:
            row = self.rows[i]
            label = label_of(row)
            labels.append(self.label_index[label] if label else -1)
            choice = int(torch.randint(len(row.captions), ())) if row.captions else 0
            captions.append(row.captions[choice] if row.captions else self.label_caption(label))
        groups = torch.tensor(
            [k if k >= 0 else len(self.labels) + int(i) for k, i in zip(labels, picked, strict=True)], dtype=torch.long
        )
        # The text tower reads some hundred labels as long as the encoder sees fifty pictures: some will do.
        others = torch.randperm(len(self.labels))[: self.options.offered]
        wording = int(torch.randint(len(LABEL_TEXTS), ()))
        tags, cut = self.tag_shares[picked].float(), torch.zeros(3)
        if torch.rand(()) < self.options.cutmix and not once:
            side = 0.7 * (1 - torch.rand(())).sqrt()
            cut = torch.stack([*(torch.rand(2) * (1 - side)), side])
            tags = (1 - side**2) * tags + side**2 * tags.flip(0)
        return Batch(
            torch.from_numpy(picked),
            torch.randint(max(1, self.options.views), (len(picked),)),
            self.squares[picked[:0] if once else picked],
            boxes,
            colours,
            cut,
            self.size_at(index),
            *self.tokens(captions, self.options.unread),
            groups,
            torch.tensor(labels),
            others,
            wording,
            tags,
        )

    @staticmethod
    @torch.no_grad()
    def images(batch: Batch) -> Tensor:
        """What the encoder is shown, (B, 3, size, size): crops, in other colours, maybe cut together."""
        with torch.autocast(batch.squares.device.type, enabled=False):
            images = change_colours(read_boxes(batch.squares, batch.boxes, batch.size), batch.colours)
            return cut_and_mix(images, batch.cut)

    def loss(self, batch: Batch) -> Loss:
        return self.joint_loss([self.embed(batch)], [batch])

    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the loss needs of each row: pooled pictures (B, 256), unit vectors of captions (B, 128)."""
        return self._pooled(batch), self.vision.text_embedding(batch.captions, batch.caption_lengths)

    def _pooled(self, batch: Batch) -> Tensor:
        if not self.options.views:
            return self.vision.pool(self.vision.encoder(self.images(batch)))
        seen = self.seen[batch.rows.cpu().numpy(), batch.views.cpu().numpy()]
        return F.dropout(torch.from_numpy(seen.astype(np.float32)).to(self.device), self.options.unread)

    @cached_property
    def seen(self) -> np.ndarray:
        """What the encoder sees of each picture, pooled: (pictures, views, 256) float16."""
        if not self.is_trained:
            raise DataError("data.views leaves the encoder as it is: give a trained one with --init")
        vision, options, size = self.vision, self.options, self.size_at(0)
        weights = encoder_print(vision.encoder)
        about = [weights, [row.key for row in self.rows], size, options.views, options.min_crop, self.seed]
        pixels = views(self.squares, size, options.views, self.seed, self.device, self.min_crops)
        vision.encoder.eval()
        shape = (2 * vision.config.out_width,)
        return views_seen(lambda x: vision.pool(vision.encoder(x)), shape, pixels, len(self.rows), options.views, about)

    @staticmethod
    def slim(batch: Batch) -> Batch:
        """Without the pictures."""
        return dataclasses.replace(batch, squares=batch.squares[:0])

    def joint_loss(self, embedded: list[tuple[Tensor, Tensor]], batches: list[Batch]) -> Loss:
        """One loss over all micro-batches of a step: each row is told apart from those of the others too."""
        vision, options = self.vision, self.options
        pooled, captions = (torch.cat(parts) for parts in zip(*embedded, strict=True))
        tags, groups, labels = (torch.cat([getattr(b, name) for b in batches]) for name in ("tags", "groups", "labels"))
        loss = self._tag_loss(self.model.tag_head(pooled), tags)
        whole = torch.cat([(b.cut[2] == 0).expand(len(b.labels)) for b in batches])  # a mix of two has no one caption
        if whole.any():
            image = vision.image_embedding(pooled[whole])
            contrast = contrastive_loss(image, captions[whole], vision.scale(), groups[whole])
            loss = loss + options.caption_weight * contrast * len(image)
            loss = loss + options.naming_weight * self._naming_loss(image, labels[whole], batches)
        return Loss(loss, len(pooled), len(pooled))

    def _naming_loss(self, image: Tensor, labels: Tensor, batches: list[Batch]) -> Tensor:
        """Summed cross-entropy of each labelled picture's label among those of the step and some others."""
        labelled = labels >= 0
        if not labelled.any():
            return image.new_zeros(())
        offered = torch.cat([labels[labelled], *(b.others for b in batches)]).unique()
        ids, lengths = self.label_ids[batches[0].wording]
        names = self.vision.text_embedding(ids[offered], lengths[offered])
        logits = self.vision.scale() * image[labelled] @ names.T
        right = torch.searchsorted(offered, labels[labelled])
        return F.cross_entropy(logits, right, reduction="sum", label_smoothing=self.options.smoothing)

    def _tag_loss(self, logits: Tensor, tags: Tensor) -> Tensor:
        """Summed cross-entropy with the shares of the tags; pictures without any count nothing."""
        known = tags.sum(1, keepdim=True)
        smooth = self.options.smoothing
        wanted = (1 - smooth) * tags + smooth * known / logits.shape[1]
        return -(wanted * logits.log_softmax(-1)).sum()

    def after_step(self) -> None:
        pass

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Naming accuracy among each set's own labels, and retrieval between pictures and their captions."""
        model = self.vision
        step = max(1, len(self.val) // self.options.val_pictures)
        picked = list(range(0, len(self.val), step))
        parts, squares = [], self.val.squares()
        for first in range(0, len(picked), 64):
            some = np.array(picked[first : first + 64])
            boxes = middle_boxes(squares.shapes[some]).to(self.device)
            pixels = read_boxes(squares[some].to(self.device), boxes, self.options.val_size)
            parts.append(model.embed_images(model.encoder(pixels)))
        image = torch.cat(parts).float()
        rows = [self.val.rows[i] for i in picked]
        metrics: dict[str, float] = {}
        if self.label_ids:
            text = model.text_embedding(*self.label_ids[0])
            for source in sorted({r.source for r in rows if r.label}):
                mine = [n for n, r in enumerate(rows) if r.source == source and r.label]
                names = sorted({label for r in self.val.rows if r.source == source and (label := label_of(r))})
                columns = [self.labels.index(name) for name in names]
                best = (image[mine] @ text[columns].T).argmax(1).tolist()
                right = [names[b] == label_of(rows[n]) for b, n in zip(best, mine, strict=True)]
                metrics[f"naming_{source}"] = sum(right) / len(right)
        captioned = [n for n, r in enumerate(rows) if r.captions]
        if captioned:
            texts = [rows[n].captions[0] for n in captioned]
            ids, lengths = (t.to(self.device) for t in self.tokens(texts))
            similarity = image[captioned] @ model.text_embedding(ids, lengths).T
            metrics |= {k: float(v) for k, v in retrieval_recall(similarity.cpu().numpy()).items()}
        shares = [v for k, v in metrics.items() if k.startswith("naming_") or k.endswith("r10")]
        return metrics | {"score": sum(shares) / max(1, len(shares))}
