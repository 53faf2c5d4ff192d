"""k micro-batches give the gradient of one batch k times as large, whatever the stage and the shape of its batches."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni_core.audio.augment import SILENCE
from muomni_core.training.gradients import Drawn, Loss, backward, draw
from muomni_core.training.recipe import load_recipe
from muomni_core.training.run import build_context
from muomni_core.training.stages import stage_class
from muomni_core.weights import SHIPPED

# Batches differ in length within each of these but the codec, the vocoder and packed text.
SETTINGS: dict[str, dict[str, str]] = {
    "codec": {"batch": "3"},
    "audio": {"seconds": "4.0"},
    "thinker": {"batch": "3"},
    "omni": {"batch": "3", "n_scenes": "4", "n_text": "40"},
    "vision": {"batch": "16"},
    "talker": {"seconds": "4.0", "model.dropout": "0.0"},
    # Without the codec, whose choice of an entry may hang on the last bit, and that on what else is in the batch.
    "vocoder": {"batch": "2", "codec_from": "100", "adversarial_from": "100"},
}
PADDING = {("audio", "mel"): SILENCE, ("omni", "targets"): -100}


def build(name: str, weights: Path, settings: dict[str, str]) -> Any:
    own = {"n_scenes", "n_text", "codec_from", "adversarial_from"}
    recipe = load_recipe("smoke", name, {f"data.{k}" if k in own else k: v for k, v in settings.items()})
    torch.manual_seed(0)
    stage = stage_class(name)(build_context(recipe, None, [weights, SHIPPED], training=True))
    stage.model.train()
    return stage


def merged(name: str, batches: list[Any]) -> Any:
    """All rows as one batch, padded to the longest."""
    if isinstance(batches[0], Tensor):
        return torch.cat(batches)
    values = {}
    for f in dataclasses.fields(batches[0]):
        parts = [getattr(batch, f.name) for batch in batches]
        if dataclasses.is_dataclass(parts[0]):
            values[f.name] = merged(f.name, parts)
            continue
        if not isinstance(parts[0], Tensor):
            values[f.name] = parts[0]
            continue
        if parts[0].dim() > 1 and not f.name.endswith("_frames"):
            longest = max(p.shape[1] for p in parts)
            fill = PADDING.get((name, f.name), 0)
            parts = [F.pad(p, (0, 0) * (p.dim() - 2) + (0, longest - p.shape[1]), value=fill) for p in parts]
        values[f.name] = torch.cat(parts)
    return type(batches[0])(**values)


def gradient(stage: Any, drawn: list[Drawn]) -> tuple[Tensor, float]:
    stage.model.zero_grad(set_to_none=True)
    value, _ = backward(stage, drawn)
    return torch.cat([p.grad.flatten() for p in stage.model.parameters() if p.grad is not None]), value


def close(one: tuple[Tensor, float], other: tuple[Tensor, float]) -> None:
    assert other[1] == pytest.approx(one[1], rel=1e-5)
    assert one[0].shape == other[0].shape and float(one[0].norm()) > 0
    assert float((one[0] - other[0]).norm() / one[0].norm()) < 1e-5


@pytest.mark.parametrize("name", SETTINGS)
def test_a_stage_accumulates_exactly(micro_weights: Path, name: str) -> None:
    settings = SETTINGS[name]
    stage = build(name, micro_weights, settings)
    parts = draw(stage, 0, 3, seed=1)
    if name in ("audio", "omni", "talker"):  # or the masks would not be tried
        field = {"audio": "mel", "omni": "ids", "talker": "characters"}[name]
        assert len({getattr(d.batch, field).shape[1] for d in parts}) > 1
    in_parts = gradient(stage, parts)
    whole = [Drawn(merged(name, [d.batch for d in parts]), parts[-1].random)]
    if name == "codec":
        sums = statistics(stage)
        stage = build(name, micro_weights, settings)
    close(gradient(stage, whole), in_parts)
    if name == "codec":
        for one, other in zip(sums, statistics(stage), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def statistics(stage: Any) -> list[Tensor]:
    """What the codebooks learned from a step, dead entries apart, which are placed by chance."""
    torch.manual_seed(0)
    stage.after_step()
    return [t for book in stage.model.codebooks for t in (book.entries, book.ema_counts, book.ema_sums)]


class Pairs:
    """Two towers and a contrastive loss, with dropout; a term of its own for rows that have a label."""

    name, unit, score = "pairs", "pairs", "loss"

    def __init__(self, dropout: float):
        torch.manual_seed(0)
        self.model = nn.ModuleDict(
            {
                "image": nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, 8)),
                "text": nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Linear(16, 8)),
                "label": nn.Linear(8, 3),
            }
        )
        self.model.scale = nn.Parameter(torch.tensor(2.0))
        self.dropped: list[Tensor] = []

    def batch(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        return torch.randn(4, 6), torch.randn(4, 5), torch.randint(-1, 3, (4,))

    def embed(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        image = self.model["image"](batch[0])
        self.dropped.append(image.detach())
        return image, self.model["text"](batch[1])

    def joint_loss(self, embedded: list[tuple[Tensor, ...]], batches: list[tuple[Tensor, ...]]) -> Loss:
        image, text = (torch.cat(parts) for parts in zip(*embedded, strict=True))
        labels = torch.cat([b[2] for b in batches])
        logits = self.model.scale.exp() * F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T
        contrast = F.cross_entropy(logits, torch.arange(len(image)), reduction="sum")
        named = F.cross_entropy(self.model["label"](image), labels, ignore_index=-1, reduction="sum")
        return Loss(contrast + named, len(image), len(image))

    def loss(self, batch: tuple[Tensor, ...]) -> Loss:
        return self.joint_loss([self.embed(batch)], [batch])

    def after_step(self) -> None: ...

    def validate(self) -> dict[str, float]:
        return {"loss": 0.0}


def test_a_contrastive_loss_sees_all_rows_of_a_step() -> None:
    stage = Pairs(dropout=0.0)
    parts = draw(stage, 0, 4, seed=1)
    rows = tuple(torch.cat(column) for column in zip(*(d.batch for d in parts), strict=True))
    close(gradient(stage, [Drawn(rows, parts[0].random)]), gradient(stage, parts))


def test_dropout_is_the_same_when_a_part_comes_again() -> None:
    stage = Pairs(dropout=0.5)
    gradient(stage, draw(stage, 0, 3, seed=1))
    first, again = stage.dropped[:3], stage.dropped[3:]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
