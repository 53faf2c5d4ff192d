"""Batches of a few shards at a time, for data whose features are more than the disk cache holds (`data.window`).

Each of a step's micro-batches, a lane, goes through shards of its own, dealt anew each epoch, so that of several
processes each opens but its own. Which rows are in a batch follows from its number alone, whoever draws it: how many
batches a window has is counted without drawing them, so that a place behind a million others is soon found.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from muomni_core.data.sampling import LengthSampler, RowSampler
from muomni_core.data.stored import Stored, Streamed
from muomni_core.errors import DataError


@dataclass(frozen=True)
class _Epoch:
    """A lane's way through its shards, window after window."""

    shards: np.ndarray  # in the order of their windows
    edges: np.ndarray  # (windows + 1,): where in `shards` each window begins
    drawn: np.ndarray  # (windows, kinds): rows that are drawn
    starts: list[int]  # (windows + 1): number of each window's first batch

    def window(self, number: int) -> list[int]:
        return self.shards[self.edges[number] : self.edges[number + 1]].tolist()


class WindowSampler:
    """Batches of row indices out of `window` shards a lane at a time, which it enters.

    Batches are as large as those of `whole`: as many rows, or as long with their padding. An epoch deals all shards,
    shuffled, to the lanes. A row of a window comes once, or as often as its weight wants, rounded up or down by chance;
    so too where a batch of so many rows has to be filled. Rows behind those of the shards belong to every window.

    Raises DataError where there are fewer shards than lanes.
    """

    def __init__(self, whole: RowSampler | LengthSampler, stored: Streamed, window: int, lanes: int):
        self.stored, self.window, self.lanes, self.seed = stored, window, lanes, whole.seed
        if isinstance(whole, LengthSampler):
            self._lengths, self._unit = whole.lengths, 1
            fits = np.maximum(1, whole.budget // whole.lengths)
        else:
            self._lengths, self._unit = np.ones(whole.n_rows), whole.batch
            fits = np.full(whole.n_rows, whole.batch)
        # Rows of one kind are equal as to how many of them a batch holds; the short ones first.
        kinds, self._kinds = np.unique(-fits, return_inverse=True)
        self._fits = -kinds
        n_stored, n_shards = len(stored.shards), int(stored.shards.max(initial=-1)) + 1
        weights = np.ones(len(fits)) if whole.weights is None else whole.weights
        self._weights = weights * len(fits) / max(weights.sum(), 1e-300)  # how often an epoch wants a row
        self._everywhere = np.arange(n_stored, len(fits))
        self._ends = np.searchsorted(stored.shards, np.arange(n_shards + 1))  # a shard's rows are neighbours

        cells = stored.shards * len(kinds) + self._kinds[:n_stored]
        due = np.bincount(cells, self._weights[:n_stored], n_shards * len(kinds)).reshape(n_shards, len(kinds))
        self._shares = due.sum(1) / max(due.sum(), 1e-300)
        more = np.bincount(self._kinds[n_stored:], self._weights[n_stored:], len(kinds))
        self._due = due + self._shares[:, None] * more  # (shards, kinds): rows an epoch
        self._shards = np.flatnonzero(self._shares)
        if len(self._shards) < lanes:
            raise DataError(
                f"{len(self._shards)} shards cannot be dealt to {lanes} micro-batches a step, which read a window each: "
                "give a smaller --set accumulate, or no --set data.window"
            )
        self._starts = [[0] for _ in range(lanes)]  # of a lane's epochs: the number of the first batch
        self.epoch = lru_cache(maxsize=2 * lanes)(self._plan)
        self.batches = lru_cache(maxsize=2 * lanes)(self._draw)

    def _plan(self, lane: int, number: int) -> _Epoch:
        rng = np.random.default_rng((self.seed, number))
        shards = rng.permutation(self._shards)[lane :: self.lanes]
        offsets = rng.random((self.lanes, len(self._fits)))[lane]
        n_windows = -(-len(shards) // self.window)
        edges = -(-np.arange(n_windows + 1) * len(shards) // n_windows)
        due = np.add.reduceat(self._due[shards], edges[:-1])
        # Sums are rounded, not windows: an epoch has what is its due, however small the windows are.
        drawn = np.diff(np.floor(np.cumsum(due, 0) / self._unit + offsets).astype(int), axis=0, prepend=0) * self._unit
        return _Epoch(shards, edges, drawn, [0, *np.cumsum(self._count(drawn)).tolist()])

    def _count(self, drawn: np.ndarray) -> np.ndarray:
        """How many batches `_cut` makes of so many rows of each kind, (windows, kinds) -> (windows,)."""
        n_batches, waiting = np.zeros((2, len(drawn)), int)
        for fits, n_rows in zip(self._fits, drawn.T, strict=True):
            is_full = (n_rows > 0) & (waiting >= fits)
            waiting = np.where(is_full, 0, waiting) + n_rows
            n_full = np.where(n_rows > 0, waiting // fits, 0)
            n_batches += is_full + n_full
            waiting = waiting - n_full * fits
        return n_batches + (waiting > 0)

    def _cut(self, rows: np.ndarray) -> list[np.ndarray]:
        """Rows, kind after kind, in batches that are filled one after the other."""
        batches: list[list[int]] = [[]]
        for row, fits in zip(rows.tolist(), self._fits[self._kinds[rows]].tolist(), strict=True):
            if len(batches[-1]) >= fits:
                batches.append([])
            batches[-1].append(row)
        return [np.array(batch) for batch in batches if batch]

    def _draw(self, lane: int, epoch: int, window: int) -> list[np.ndarray]:
        """All batches of a window, shuffled."""
        plan = self.epoch(lane, epoch)
        shards = plan.window(window)
        rng = np.random.default_rng((self.seed, 1 + epoch, 1 + lane, 1 + window))  # no 0: that is as if it were not
        own = [np.arange(self._ends[shard], self._ends[shard + 1]) for shard in shards]
        rows = rng.permutation(np.concatenate([*own, self._everywhere]))
        share = np.where(rows < len(self.stored.shards), 1.0, self._shares[shards].sum())
        weights, kinds = self._weights[rows] * share, self._kinds[rows]
        picked = []
        for kind in np.flatnonzero(plan.drawn[window]):
            mine = kinds == kind
            some = _pick(rows[mine], weights[mine], int(plan.drawn[window, kind]), rng)
            # By length with a little noise, so that not the same clips meet each time.
            picked.append(some[np.argsort(self._lengths[some] * rng.uniform(0.9, 1.1, len(some)), kind="stable")])
        batches = self._cut(np.concatenate(picked)) if picked else []
        return [batches[i] for i in rng.permutation(len(batches))]

    def __call__(self, index: int) -> np.ndarray:
        place, lane = divmod(index, self.lanes)
        starts = self._starts[lane]
        while starts[-1] <= place:
            starts.append(starts[-1] + self.epoch(lane, len(starts) - 1).starts[-1])
        epoch = bisect_right(starts, place) - 1
        plan, place = self.epoch(lane, epoch), place - starts[epoch]
        window = bisect_right(plan.starts, place) - 1
        self.stored.enter(lane, plan.window(window))
        return self.batches(lane, epoch, window)[place - plan.starts[window]]


def _pick(rows: np.ndarray, weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n of the rows, each as often as its weight wants, rounded up or down by chance (systematic resampling)."""
    ends = np.cumsum(weights)
    return rows[np.searchsorted(ends[:-1], (np.arange(n) + rng.random()) * ends[-1] / n, side="right")]


def windowed(
    sampler: RowSampler | LengthSampler, stored: Stored, window: int, lanes: int
) -> RowSampler | LengthSampler | WindowSampler:
    """The sampler itself, or where `stored` is streamed, one that goes through its shards in windows.

    Raises DataError as WindowSampler does, and where `window` is negative.
    """
    if window < 0:
        raise DataError(f"window is a number of shards, or 0 for all of them; got {window}")
    return WindowSampler(sampler, stored, window, lanes) if isinstance(stored, Streamed) else sampler
