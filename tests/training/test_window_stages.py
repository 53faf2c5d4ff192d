"""Stages that go through their shards in windows (`data.window`): the rows of a step do not depend on who draws them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from muomni_core.training.gradients import micro_batches
from muomni_core.training.ranks import ALONE, Ranks
from muomni_core.training.recipe import load_recipe
from muomni_core.training.run import build_context
from muomni_core.training.stages import stage_class
from muomni_core.weights import SHIPPED

SETTINGS = {
    "codec": {"batch": "4"},
    "audio": {"seconds": "10"},
    "vision": {"batch": "4", "data.n_scenes": "4"},
    "thinker": {"batch": "1", "data.context": "32"},
    "vocoder": {"batch": "2", "data.shares": "[1.0]"},
}


def drawn(name: str, weights: Path, steps: list[int], ranks: Ranks = ALONE) -> list[list[Any]]:
    """What a fresh process draws in these steps, a list of tensors a micro-batch."""
    settings = SETTINGS[name] | {"accumulate": "2", "data.window": "1"}
    recipe = load_recipe("smoke", name, settings)
    torch.manual_seed(0)
    stage = stage_class(name)(build_context(recipe, None, [weights, SHIPPED], training=True))
    batches = [d.batch for step in steps for d in micro_batches(stage, step, 2, recipe.train.seed, ranks)]
    values = [dataclasses.asdict(b).values() if dataclasses.is_dataclass(b) else [b] for b in batches]
    return [[torch.as_tensor(v) for v in row] for row in values]


@pytest.mark.parametrize("name", SETTINGS)
def test_two_processes_or_a_resumed_one_draw_what_one_does(micro_weights: Path, name: str) -> None:
    steps = list(range(30))
    alone = drawn(name, micro_weights, steps)
    first, second = (drawn(name, micro_weights, steps, Ranks(rank, 2)) for rank in (0, 1))
    assert len(alone) == 60 and len({str(values) for values in alone}) > 50
    for rows, expected in ((first, alone[::2]), (second, alone[1::2]), (drawn(name, micro_weights, [29]), alone[-2:])):
        for values, wanted in zip(rows, expected, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(values, wanted, strict=True))
