"""Stage C: the eye learns what belongs to a picture, CLIP's way: among the batch's captions, and among all labels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from muomni_core.data.features import PictureSet
from muomni_core.data.record import Row
from muomni_core.data.sampling import RowSampler
from muomni_core.evaluation.metrics import retrieval_recall
from muomni_core.model.vision import VisionModel, contrastive_loss
from muomni_core.training.context import Context
from muomni_core.training.loop import Loss

LABEL_TEXT = "a photo of {}"


@dataclass
class Options:
    """[data] of a vision recipe."""

    train: list[str]
    val: list[str]
    weights: dict[str, float] = field(default_factory=dict)  # how much oftener than its share a source is drawn
    sizes: list[list[int]] = field(default_factory=lambda: [[0, 112]])  # [from step, pixels], growing
    val_size: int = 112
    cutmix: float = 0.3  # share of batches
    naming_weight: float = 1.0  # of the loss over labels, beside the contrastive one
    offered: int = 96  # labels to choose from in a batch
    val_pictures: int = 1500


@dataclass
class Batch:
    images: Tensor  # (B, 3, S, S)
    captions: Tensor  # (B, L)
    caption_lengths: Tensor  # (B,)
    groups: Tensor  # (B,) pictures of one label are of one group
    offered: Tensor  # (L,) the labels to choose from: those of the batch and some others
    labels: Tensor  # (B,) place in `offered`, -1 where there is none
    other_labels: Tensor  # (B,) of the picture mixed in
    share: float  # of the first label's picture in the mix


def label_of(row: Row) -> str | None:
    return row.label.replace("_", " ") if row.label else None


def normalise(pixels: Tensor) -> Tensor:
    """uint8 -> float, as muomni_core/vision/image.py hands pictures on."""
    return pixels.float().div(127.5).sub(1.0)


def centre_crop(pixels: Tensor, size: int) -> Tensor:
    """(3, H, W) uint8 -> (3, size, size) uint8: shorter side to size, middle of it."""
    return v2.functional.center_crop(v2.functional.resize(pixels, [size], antialias=True), [size, size])


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
        self.accumulate = recipe.train.accumulate
        self.model = VisionModel(recipe.model.vision)
        self.modules: dict[str, nn.Module] = {"vision": self.model}
        self.val = PictureSet(self.options.val, context.root)
        rows = self.val.rows
        if context.training:
            self.pictures = PictureSet(self.options.train, context.root)
            rows = [*self.pictures.rows, *rows]
            weights = np.array([self.options.weights.get(r.source, 1.0) for r in self.pictures.rows])
            self.sampler = RowSampler(len(self.pictures), recipe.train.batch, recipe.train.seed, weights)
        self.labels = sorted({label for r in rows if (label := label_of(r))})
        self.label_index = {label: n for n, label in enumerate(self.labels)}
        self.label_ids = self.tokens([LABEL_TEXT.format(label) for label in self.labels]) if self.labels else None
        self.colour = v2.Compose([v2.ColorJitter(0.3, 0.3, 0.3, 0.05), v2.RandomGrayscale(0.05)])

    def tokens(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Texts -> ids (B, L), lengths (B,)."""
        ids = [self.tokenizer.encode(t)[: self.context_length] for t in texts]
        lengths = torch.tensor([len(i) for i in ids])
        padded = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
        for row, i in zip(padded, ids, strict=True):
            row[: len(i)] = torch.tensor(i)
        return padded, lengths

    def size_at(self, index: int) -> int:
        step = index // self.accumulate
        return max(s for start, s in self.options.sizes if start <= step)

    def batch(self, index: int) -> Batch:
        size = self.size_at(index)
        crop = v2.RandomResizedCrop(size, scale=(0.35, 1.0), ratio=(0.75, 1.33), antialias=True)
        picked = [int(i) for i in self.sampler(index)]
        images, captions, labels = [], [], []
        for i in picked:
            row = self.pictures.rows[i]
            pixels = self.colour(crop(self.pictures.pixels(i)))
            images.append(pixels.flip(2) if torch.rand(()) < 0.5 else pixels)
            label = label_of(row)
            labels.append(self.label_index[label] if label else -1)
            choice = int(torch.randint(len(row.captions), ())) if row.captions else 0
            captions.append(row.captions[choice] if row.captions else LABEL_TEXT.format(label))
        groups = torch.tensor([k if k >= 0 else len(self.labels) + n for n, k in enumerate(labels)])
        # The text tower reads some hundred labels as long as the encoder sees fifty pictures: some will do.
        present = sorted({k for k in labels if k >= 0})
        others = [k for k in torch.randperm(len(self.labels)).tolist() if k not in present]
        offered = torch.tensor(present + others[: max(0, self.options.offered - len(present))])
        placed = torch.tensor([present.index(k) if k >= 0 else -1 for k in labels])
        pixels, share, other = normalise(torch.stack(images)), 1.0, placed
        if torch.rand(()) < self.options.cutmix:
            pixels, share = cutmix(pixels)
            other = other.flip(0)
        return Batch(pixels, *self.tokens(captions), groups, offered, placed, other, share)

    def loss(self, batch: Batch) -> Loss:
        model, n_rows = self.model, len(batch.images)
        image = model.image_embedding(model.encoder(batch.images))
        loss = image.new_zeros(())
        if batch.share == 1.0:  # a mixed picture has no one caption
            text = model.text_embedding(batch.captions, batch.caption_lengths)
            loss = loss + contrastive_loss(image, text, model.scale(), batch.groups)
        if self.label_ids is not None and bool((batch.labels >= 0).any()):
            ids, lengths = self.label_ids
            logits = model.scale() * image @ model.text_embedding(ids[batch.offered], lengths[batch.offered]).T
            naming = torch.zeros(())
            for labels, share in ((batch.labels, batch.share), (batch.other_labels, 1 - batch.share)):
                if share and bool((labels >= 0).any()):
                    part = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum", label_smoothing=0.05)
                    naming = naming + share * part / n_rows
            loss = loss + self.options.naming_weight * naming
        return Loss(loss * n_rows, n_rows, n_rows)

    def after_step(self) -> None:
        pass

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Naming accuracy among each set's own labels, and retrieval between pictures and their captions."""
        model = self.model
        step = max(1, len(self.val) // self.options.val_pictures)
        picked = list(range(0, len(self.val), step))
        parts = []
        for first in range(0, len(picked), 64):
            pixels = [centre_crop(self.val.pixels(i), self.options.val_size) for i in picked[first : first + 64]]
            parts.append(model.image_embedding(model.encoder(normalise(torch.stack(pixels)))))
        image = torch.cat(parts)
        rows = [self.val.rows[i] for i in picked]
        metrics: dict[str, float] = {}
        if self.label_ids is not None:
            text = model.text_embedding(*self.label_ids)
            for source in sorted({r.source for r in rows if r.label}):
                mine = [n for n, r in enumerate(rows) if r.source == source and r.label]
                names = sorted({label_of(self.val.rows[i]) or "" for i in range(len(self.val)) if self.val.rows[i].source == source} - {""})
                columns = [self.labels.index(name) for name in names]
                best = (image[mine] @ text[columns].T).argmax(1).tolist()
                right = [names[b] == label_of(rows[n]) for b, n in zip(best, mine, strict=True)]
                metrics[f"naming_{source}"] = sum(right) / len(right)
        captioned = [n for n, r in enumerate(rows) if r.captions]
        if captioned:
            texts = [rows[n].captions[0] for n in captioned]
            similarity = image[captioned] @ model.text_embedding(*self.tokens(texts)).T
            metrics |= {k: float(v) for k, v in retrieval_recall(similarity.numpy()).items()}
        shares = [v for k, v in metrics.items() if k.startswith("naming_") or k.endswith("r10")]
        return metrics | {"score": sum(shares) / max(1, len(shares))}


def cutmix(images: Tensor) -> tuple[Tensor, float]:
    """A rectangle of each picture replaced by that of the batch's mirror row (Yun 2019) -> pictures, own share."""
    size = images.shape[2]
    side = (1 - float(torch.rand(()))) ** 0.5
    cut = max(1, int(size * side * 0.7))
    top, left = (int(torch.randint(size - cut + 1, ())) for _ in range(2))
    mixed = images.clone()
    mixed[:, :, top : top + cut, left : left + cut] = images.flip(0)[:, :, top : top + cut, left : left + cut]
    return mixed, 1 - (cut / size) ** 2
