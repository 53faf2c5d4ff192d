"""Batches are a function of their number: every row once an epoch, the same from wherever one starts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from muomni_core.data.sampling import LengthSampler, RowSampler, source_weights

LENGTHS = np.random.default_rng(0).integers(50, 900, 97)


def epoch_of(sampler: LengthSampler, first: int, rows: int) -> tuple[list[np.ndarray], int]:
    """Batches from number `first` until `rows` rows have come; and the number behind them."""
    batches: list[np.ndarray] = []
    while sum(map(len, batches)) < rows:
        batches.append(sampler(first + len(batches)))
    return batches, first + len(batches)


# --- rows


def test_every_row_comes_once_an_epoch():
    sampler = RowSampler(24, 4, seed=1)
    epochs = [np.concatenate([sampler(6 * e + i) for i in range(6)]).tolist() for e in range(3)]
    for rows in epochs:
        assert sorted(rows) == list(range(24))
    assert epochs[0] != epochs[1] != epochs[2]


def test_an_incomplete_batch_is_left_out_and_nothing_comes_twice():
    sampler = RowSampler(10, 4, seed=1)
    for epoch in range(3):
        rows = [r for i in range(2) for r in sampler(2 * epoch + i).tolist()]
        assert len(set(rows)) == 8
    left_out = [set(range(10)) - {r for i in range(2) for r in sampler(2 * e + i).tolist()} for e in range(20)]
    assert len(set.union(*left_out)) > 6  # not always the same ones


def test_fewer_rows_than_a_batch_are_one_batch():
    sampler = RowSampler(3, 16, seed=1)
    assert [sorted(sampler(i).tolist()) for i in range(3)] == [[0, 1, 2]] * 3


def test_rows_follow_from_seed_and_number():
    numbers = [7, 0, 23, 7, 100, 1]
    one, other = RowSampler(30, 4, seed=5), RowSampler(30, 4, seed=5)
    in_order = [one(i) for i in range(101)]
    for n in numbers:
        assert np.array_equal(other(n), in_order[n])
    assert not np.array_equal(RowSampler(30, 4, seed=6)(0), in_order[0])


def test_weights_say_how_often():
    weights = np.ones(100)
    weights[:10] = 9.0
    sampler = RowSampler(100, 10, seed=0, weights=weights)
    drawn = Counter(r for i in range(300) for r in sampler(i).tolist())
    assert sum(drawn[r] for r in range(10)) / 3000 == pytest.approx(0.5, abs=0.04)
    assert np.array_equal(RowSampler(100, 10, 0, 5 * weights)(17), sampler(17))  # only their proportion counts


def test_a_weight_of_zero_is_never_drawn():
    sampler = RowSampler(20, 5, seed=0, weights=np.arange(20) % 2)
    assert all(r % 2 for i in range(40) for r in sampler(i).tolist())


# --- clips of like length


def test_every_clip_comes_once_an_epoch():
    sampler, first, orders = LengthSampler(LENGTHS, 4000, seed=3), 0, []
    for _ in range(3):
        batches, first = epoch_of(sampler, first, 97)
        assert sorted(np.concatenate(batches).tolist()) == list(range(97))
        orders.append(np.concatenate(batches).tolist())
    assert orders[0] != orders[1] != orders[2]


def test_batches_keep_their_budget_with_padding_and_waste_little():
    batches, _ = epoch_of(LengthSampler(LENGTHS, 4000, seed=3), 0, 97)
    padded = [len(b) * int(LENGTHS[b].max()) for b in batches]
    assert max(padded) <= 4000
    assert sum(LENGTHS) / sum(padded) > 0.8
    longest = [int(LENGTHS[b].max()) for b in batches]
    assert longest != sorted(longest)  # not from short to long


def test_a_clip_over_the_budget_is_a_batch_of_its_own():
    batches, _ = epoch_of(LengthSampler([10, 500, 20, 30], 100, seed=0), 0, 4)
    assert sorted(map(sorted, (b.tolist() for b in batches))) == [[0, 2, 3], [1]]


def test_batches_of_like_length_follow_from_seed_and_number():
    one = LengthSampler(LENGTHS, 4000, seed=3)
    in_order = [one(i) for i in range(80)]
    for n in (79, 0, 31, 30, 79, 12):
        fresh = LengthSampler(LENGTHS, 4000, seed=3)
        assert np.array_equal(fresh(n), in_order[n])  # as a resumed run would ask
        assert np.array_equal(one(n), in_order[n])  # backwards, too
    assert not np.array_equal(LengthSampler(LENGTHS, 4000, seed=4)(0), in_order[0])


def test_weighted_clips():
    weights = np.zeros(97)
    weights[:20] = 1.0
    sampler = LengthSampler(LENGTHS, 4000, seed=3, weights=weights)
    assert all(r < 20 for i in range(40) for r in sampler(i).tolist())
    assert np.array_equal(LengthSampler(LENGTHS, 4000, seed=3, weights=weights)(33), sampler(33))


def test_a_weight_for_a_source_that_is_not_there_is_said(capsys):
    weights = source_weights(["pets", "birds", "pets"], {"pets": 3.0, "brids": 2.0})
    assert weights.tolist() == [3.0, 1.0, 3.0]
    out, err = capsys.readouterr()
    assert err == "data.weights: no data of brids\n" and not out
