"""Batches drawn ahead of the step that needs them, by processes of their own, so that a GPU does not wait.

What is in a batch follows from seed and step alone: it does not matter who draws it, and a resumed run finds its place.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Iterator
from typing import Any

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


class _Tried(_Steps):
    """The same for workers, in which an error is a value: torch would put the traceback into its message."""

    def __getitem__(self, step: int) -> Any:
        try:
            return super().__getitem__(step)
        except Exception as error:
            error.add_note(traceback.format_exc())
            return error


def _begin_worker(_: int) -> None:
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):  # the process that trains ends them, once its step is done
        signal.signal(number, signal.SIG_IGN)


def drawn_steps(stage: Stage, config: TrainConfig, first: int, ranks: Ranks = ALONE) -> Iterator[list[Drawn]]:
    """This process's micro-batches of the steps from `first` on, in order.

    Workers are forked, which shares the data that is in memory; where the system has no fork, there are none.
    """
    order = range(first, config.steps)
    if not config.workers or not hasattr(os, "fork"):
        return map(_Steps(stage, config, ranks).__getitem__, order)
    loader = DataLoader(
        _Tried(stage, config, ranks),
        batch_size=None,
        sampler=order,
        num_workers=config.workers,
        prefetch_factor=4,
        worker_init_fn=_begin_worker,
        multiprocessing_context="fork",
    )
    return _checked(loader)


def _checked(loader: DataLoader) -> Iterator[list[Drawn]]:
    error = None
    for drawn in loader:
        if isinstance(drawn, Exception):
            error = drawn
            break
        yield drawn
    # Behind the loop nothing holds the workers any more, and they have ended: an exit would wait for them.
    if error is not None:
        raise error
