"""Which rows are in which batch, as a function of the batch's number: nothing to save, nothing to wind forward."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def evenly(rows: Sequence[T], at_most: int) -> Sequence[T]:
    """At most so many of the rows, spread over all of them."""
    return rows[:: max(1, -(-len(rows) // max(1, at_most)))]


def source_weights(sources: Sequence[str], weights: Mapping[str, float]) -> np.ndarray:
    """(rows,) how much oftener than its share each row is drawn, given the source of each; 1 where nothing is said.

    A name that is no row's source is said on stderr: the data may lack it, or it is misspelt.
    """
    if unknown := sorted(set(weights) - set(sources)):
        print(f"data.weights: no data of {', '.join(unknown)}", file=sys.stderr)
    return np.array([weights.get(source, 1.0) for source in sources])


class RowSampler:
    """Batches of `batch` row indices, shuffled anew each epoch; the last incomplete batch of an epoch is left out.

    `weights` (one a row) draws rows in proportion instead, with replacement.
    """

    def __init__(self, n_rows: int, batch: int, seed: int, weights: np.ndarray | None = None):
        self.n_rows, self.batch, self.seed = n_rows, min(batch, n_rows), seed
        self.weights = None if weights is None else weights / weights.sum()
        self._epoch = lru_cache(maxsize=2)(self._shuffle)

    def _shuffle(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, epoch))
        if self.weights is not None:
            return rng.choice(self.n_rows, self.n_rows, p=self.weights)
        return rng.permutation(self.n_rows)

    def __call__(self, index: int) -> np.ndarray:
        epoch, place = divmod(index, self.n_rows // self.batch)
        return self._epoch(epoch)[place * self.batch : (place + 1) * self.batch]


class LengthSampler:
    """Batches of clips of like length, about `budget` frames each with their padding, shuffled anew each epoch."""

    def __init__(self, lengths: list[int] | np.ndarray, budget: int, seed: int, weights: np.ndarray | None = None):
        self.lengths, self.budget, self.seed = np.asarray(lengths), budget, seed
        self.weights = None if weights is None else weights / weights.sum()
        self.epoch = lru_cache(maxsize=2)(self._batches)  # number -> all its batches
        self._starts = [0]  # number of the first batch of each epoch

    def _batches(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self.seed, epoch))
        n_rows = len(self.lengths)
        rows = rng.permutation(n_rows) if self.weights is None else rng.choice(n_rows, n_rows, p=self.weights)
        # Sorted by length with a little noise, so that not the same clips meet each time.
        order = rows[np.argsort(self.lengths[rows] * rng.uniform(0.9, 1.1, n_rows), kind="stable")]
        batches: list[np.ndarray] = []
        current: list[int] = []
        longest = 0
        for row in order:
            grown = max(longest, int(self.lengths[row]))
            if current and grown * (len(current) + 1) > self.budget:
                batches.append(np.array(current))
                current, grown = [], int(self.lengths[row])
            current.append(row)
            longest = grown
        batches.append(np.array(current))
        return [batches[i] for i in rng.permutation(len(batches))]

    def __call__(self, index: int) -> np.ndarray:
        epoch = next((e for e, s in enumerate(self._starts[1:]) if s > index), len(self._starts) - 1)
        while True:
            batches = self.epoch(epoch)
            if index < self._starts[epoch] + len(batches):
                return batches[index - self._starts[epoch]]
            if len(self._starts) == epoch + 1:
                self._starts.append(self._starts[epoch] + len(batches))
            epoch += 1
