"""Batches of a few shards at a time, for data whose features are more than the disk cache holds (`data.window`).

Each of a step's micro-batches, a lane, goes through shards of its own, dealt anew each epoch, so that of several
processes each opens but its own. Which rows are in a batch still follows from its number alone, whoever draws it.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

import numpy as np

from muomni_core.data.sampling import LengthSampler, RowSampler
from muomni_core.data.stored import Passing, Stored
from muomni_core.errors import DataError


class WindowSampler:
    """Batches of row indices as `whole` cuts them, out of `window` shards a lane at a time, which it enters.

    An epoch deals all shards, shuffled, to the lanes. The rows of a window are shuffled together; of weighted rows as
    many are drawn as are a window's due, maybe none. Rows behind those of the shards belong to every window.

    Raises DataError where there are fewer shards than lanes.
    """

    def __init__(self, whole: RowSampler | LengthSampler, stored: Passing, window: int, lanes: int):
        self.whole, self.stored, self.window, self.lanes = whole, stored, window, lanes
        used = np.ones(whole.n_rows, bool) if whole.weights is None else whole.weights > 0
        self._everywhere = np.arange(len(stored.shards), whole.n_rows)
        rows = np.flatnonzero(used[: len(stored.shards)])
        self._shards = np.unique(stored.shards[rows])
        self._rows = {int(shard): rows[stored.shards[rows] == shard] for shard in self._shards}
        if len(self._shards) < lanes:
            raise DataError(
                f"{len(self._shards)} shards cannot be dealt to {lanes} micro-batches a step, which read a window each: "
                "give a smaller --set accumulate, or no --set data.window"
            )
        self._starts: list[list[int]] = [
            [0] for _ in range(lanes)
        ]  # of a lane's windows: the number of the first batch
        self.batches = lru_cache(maxsize=2 * lanes)(self._batches)

    def shards(self, lane: int, number: int) -> list[int]:
        """Those of a lane's window."""
        n_mine = len(range(lane, len(self._shards), self.lanes))
        n_windows = -(-n_mine // self.window)
        epoch, place = divmod(number, n_windows)
        dealt = np.random.default_rng((self.whole.seed, epoch)).permutation(self._shards)[lane :: self.lanes]
        return [int(shard) for shard in np.array_split(dealt, n_windows)[place]]

    def _batches(self, lane: int, number: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self.whole.seed, lane, number))
        rows, weights = np.concatenate([self._rows[shard] for shard in self.shards(lane, number)]), self.whole.weights
        if weights is None:
            return self.whole.cut(rng.permutation(rows), rng)
        in_shards = 1 - weights[self._everywhere].sum()
        share = weights[rows].sum() / in_shards
        chances = np.concatenate([weights[rows] / share, weights[self._everywhere]])
        # In whole batches; rounded by chance, or short windows would have too much or too little.
        n_drawn = self.whole.unit * int(self.whole.n_rows * share / self.whole.unit + rng.random())
        if not n_drawn:
            return []
        return self.whole.cut(rng.choice(np.concatenate([rows, self._everywhere]), n_drawn, p=chances), rng)

    def __call__(self, index: int) -> np.ndarray:
        place, lane = divmod(index, self.lanes)
        starts = self._starts[lane]
        while starts[-1] <= place:
            starts.append(starts[-1] + len(self.batches(lane, len(starts) - 1)))
        number = bisect_right(starts, place) - 1
        self.stored.enter(lane, self.shards(lane, number))
        return self.batches(lane, number)[place - starts[number]]


def windowed(
    sampler: RowSampler | LengthSampler, stored: Stored, window: int, lanes: int
) -> RowSampler | LengthSampler | WindowSampler:
    """The sampler itself, or where `stored` is passing, one that goes through its shards in windows.

    Raises DataError as WindowSampler does, and where `window` is negative.
    """
    if window < 0:
        raise DataError(f"window is a number of shards, or 0 for all of them; got {window}")
    return WindowSampler(sampler, stored, window, lanes) if isinstance(stored, Passing) else sampler
