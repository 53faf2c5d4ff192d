"""`train --auto-batch`: the largest micro-batches that fit the memory, a step's rows staying as many as the recipe says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from torch import Tensor

from muomni_core.errors import MuOmniError
from muomni_core.training.dry_run import Saved
from muomni_core.training.gradients import Stage, backward, draw
from muomni_core.training.loop import use_bf16
from muomni_core.training.recipe import TrainConfig

SHARE = 0.8  # of the free memory: clips differ in length, and an allocator has its waste
SHORTEST = 5.0  # seconds of sound a micro-batch


def splits(train: TrainConfig, n_processes: int = 1) -> Iterator[TrainConfig]:
    """All ways to part a step's rows, the largest micro-batches first, an equal number for each process."""
    rows, seconds = train.batch * train.accumulate, train.seconds * train.accumulate
    for accumulate in range(n_processes, rows + 1, n_processes):
        if train.seconds and seconds / accumulate >= min(SHORTEST, seconds):
            yield dataclasses.replace(train, seconds=seconds / accumulate, accumulate=accumulate)
        elif not train.seconds and rows % accumulate == 0:
            yield dataclasses.replace(train, batch=rows // accumulate, accumulate=accumulate)


def fitted(
    train: TrainConfig, build: Callable[[TrainConfig], Stage], free: int, n_processes: int = 1
) -> tuple[TrainConfig, int]:
    """The first split that fits `free` bytes, and the bytes that it is thought to need.

    The smallest micro-batch is measured; a larger one keeps as much more as it has rows. What the one block that is
    computed anew holds meanwhile (recompute) is not counted: the share of the memory that is left free is for that too.

    Raises MuOmniError where not even that one fits.
    """
    ways = list(splits(train, n_processes))
    if not ways:
        raise MuOmniError(f"--auto-batch: {train.batch * train.accumulate} rows cannot be parted among {n_processes}")
    smallest = ways[-1]
    stage = build(smallest)
    fixed, kept = needs(stage, smallest)
    if train.shard:
        fixed //= n_processes
    for way in ways:
        needed = fixed + int(kept * _size(way) / _size(smallest))
        if needed <= SHARE * free:
            return way, needed
    raise MuOmniError(
        f"--auto-batch: even the smallest micro-batch needs about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
        "free; try --set recompute=true, or a smaller model"
    )


def _size(train: TrainConfig) -> float:
    return train.seconds or train.batch


def needs(stage: Stage, train: TrainConfig) -> tuple[int, int]:
    """Bytes that are there whatever the batch, and those of a micro-batch.

    The former are weights, gradients and their sums in double precision, Adam's two averages, and ours.
    """
    model = stage.model
    device = next(model.parameters()).device
    model.train()
    kept = Saved(model)
    with kept:
        backward(stage, draw(stage, 0, 1, train.seed), bf16=use_bf16(train.precision, device))
    model.zero_grad(set_to_none=True)
    trained = sum(_bytes(p) for p in model.parameters() if p.requires_grad)
    weights = sum(_bytes(t) for t in model.state_dict().values())
    return weights * (2 if train.ema else 1) + 5 * trained, kept.total + 2 * kept.largest


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
