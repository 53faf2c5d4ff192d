"""Batches drawn ahead of the step that needs them, by processes of their own, so that a GPU does not wait.

What is in a batch follows from seed and step alone: it does not matter who draws it, and a resumed run finds its place.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset

from muomni_core.training.gradients import Drawn, Stage, micro_batches
from muomni_core.training.ranks import ALONE, Ranks
from muomni_core.training.recipe import TrainConfig


class _Steps(Dataset):
    """Step number -> this process's micro-batches of it."""

    def __init__(self, stage: Stage, config: TrainConfig, ranks: Ranks):
        self.stage, self.config, self.ranks = stage, config, ranks

    def __getitem__(self, step: int) -> list[Drawn]:
        return micro_batches(self.stage, step, self.config.accumulate, self.config.seed, self.ranks)


def _begin_worker(_: int) -> None:
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):  # the process that trains ends them, once its step is done
        signal.signal(number, signal.SIG_IGN)


def drawn_steps(stage: Stage, config: TrainConfig, first: int, ranks: Ranks = ALONE) -> Iterator[list[Drawn]]:
    """This process's micro-batches of the steps from `first` on, in order.

    Workers are forked, which shares the data that is in memory; where the system has no fork, there are none.
    """
    steps = _Steps(stage, config, ranks)
    order = range(first, config.steps)
    if not config.workers or not hasattr(os, "fork"):
        return map(steps.__getitem__, order)
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=order,
        num_workers=config.workers,
        prefetch_factor=4,
        worker_init_fn=_begin_worker,
        multiprocessing_context="fork",
    )
    return iter(loader)
