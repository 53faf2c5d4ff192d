"""Several processes come to what one would have, stop together, and fail with one voice."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import in_processes
from test_gradients import SETTINGS, Pairs, build
from test_loop import Toy, config, saved
from torch import Tensor, nn

from muomni_core.errors import DataError, MuOmniError
from muomni_core.training.gradients import backward, micro_batches
from muomni_core.training.interrupt import Stopped
from muomni_core.training.loop import train
from muomni_core.training.ranks import ALONE, GradientSums, Ranks, SaidElsewhere
from muomni_core.training.recipe import TrainConfig, shared_out
from muomni_core.training.statistics import RunningStatistics

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


def go(stage: Any, path: Path, settings: TrainConfig, ranks: Ranks = ALONE, **more: Any) -> list[int]:
    """Trains; returns the steps that were reported."""
    told: list[int] = []
    train(stage, settings, path, ship=lambda _: None, report=lambda p: told.append(p.step), ranks=ranks, **more)
    return told


def close_states(one: Path, other: Path, tolerance: float = 1e-6) -> None:
    """All tensors of two states: how far apart, as a share of their size."""
    (left, about), (right, other_about) = saved(one), saved(other)
    assert left.keys() == right.keys() and about["step"] == other_about["step"]
    for kind in ("model", "average", "optimiser.exp_avg."):
        names = [n for n in left if n.startswith(kind) and left[n].is_floating_point()]
        if names:
            a, b = (torch.cat([tensors[n].flatten() for n in names]) for tensors in (left, right))
            assert float((a - b).norm() / a.norm()) < tolerance, kind


# --- what processes say to each other


@dataclass
class Batch:
    x: Tensor
    flags: Tensor
    size: int


def test_what_processes_say_to_each_other(tmp_path: Path) -> None:
    def talk(ranks: Ranks) -> list[Any]:
        r = ranks.rank
        assert ranks.total([r + 1, 0.5]) == [3.0, 1.0]
        own = [Batch(torch.full((r + 2, 3), float(r)), torch.tensor([True, False]), 7 + r)] if r else []
        rows = ranks.gather([(torch.arange(r + 1), torch.ones(r, 2).bfloat16())], torch.device("cpu"))
        assert [t.tolist() for t, _ in rows] == [[0], [0, 1]] and [u.shape for _, u in rows] == [(0, 2), (1, 2)]
        assert rows[1][1].dtype == torch.bfloat16
        batches = ranks.gather(own, torch.device("cpu"))  # the first process has none
        assert len(batches) == 1 and (r == 0 or (batches[0].size == 8 and batches[0].x.shape == (3, 3)))
        tensors = [torch.full((2,), float(r)), torch.tensor(bool(r)), torch.tensor(r)]
        ranks.copy_first(tensors)
        assert [t.tolist() for t in tensors] == [[0, 0], False, 0]
        done: list[int] = []
        ranks.alone(lambda: done.append(r))
        return [done, ranks.in_turn(lambda: r)]

    assert in_processes(talk, tmp_path) == [[[0], 0], [[], 1]]


def test_shares_are_neighbours_and_whole() -> None:
    for n in range(1, 9):
        for size in range(1, 6):
            assert [i for r in range(size) for i in Ranks(r, size, r).share(n)] == list(range(n))


def test_one_failure_is_everybodys_and_said_once(tmp_path: Path) -> None:
    def fail(ranks: Ranks) -> str:
        def work() -> None:
            if ranks.rank == 1:
                raise DataError("row 7 cannot be read")

        with pytest.raises(MuOmniError, match="row 7 cannot be read") as caught:
            ranks.together(work)
        return type(caught.value).__name__

    assert in_processes(fail, tmp_path) == ["MuOmniError", "SaidElsewhere"]


# --- the same as one process


def test_sums_of_gradients_do_not_depend_on_their_order() -> None:
    gradients = torch.randn(8, 1000, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(1000, 1, bias=False)

    def added(order: list[int]) -> Tensor:
        sums = GradientSums(model)
        for i in order:
            model.weight.grad = gradients[i : i + 1].clone()
            sums.add()
            assert model.weight.grad is None
        assert sums.settle(ALONE, [2.0]) == [2.0] and model.weight.grad is not None
        return model.weight.grad

    one, other = added(list(range(8))), added([5, 2, 7, 0, 1, 3, 6, 4])
    assert torch.equal(one, other) and one.dtype == torch.float32
    torch.testing.assert_close(one[0], gradients.sum(0))


def test_fifty_steps_are_those_of_one_process(tmp_path: Path) -> None:
    settings = config(steps=50, accumulate=4, ema=0.9, validate_every=25)
    go(Toy(), tmp_path / "one", settings)
    folder = tmp_path / "meet"
    folder.mkdir()
    told = in_processes(lambda ranks: go(Toy(), tmp_path / "two", settings, ranks), folder)
    assert told == [list(range(1, 51)), []]
    close_states(tmp_path / "one", tmp_path / "two")


def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    settings = config(steps=12, accumulate=4)
    go(Toy(), tmp_path / "one", settings)
    folder = tmp_path / "meet"
    folder.mkdir()
    for size, stop in ((2, 4), (1, 6), (3, 9), (2, None)):
        in_processes(lambda ranks, s=stop: go(Toy(), tmp_path / "many", settings, ranks, stop_after=s), folder, size)
    close_states(tmp_path / "one", tmp_path / "many")


@pytest.mark.parametrize("size", [2, 3])
def test_a_contrastive_loss_sees_the_rows_of_all_processes(tmp_path: Path, size: int) -> None:
    def gradient(ranks: Ranks = ALONE) -> list[float]:
        stage = Pairs(dropout=0.3)
        value, units = backward(stage, micro_batches(stage, 0, 2, 1, ranks), ranks=ranks)
        return [value, units, *torch.cat([p.grad.flatten() for p in stage.model.parameters()]).tolist()]

    wanted = gradient()
    for found in in_processes(gradient, tmp_path, size):  # the third one has no micro-batch
        assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def test_a_parameter_without_gradient_anywhere_keeps_none(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> list[Any]:
        model = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(3))
        if ranks.rank:
            model[1](torch.ones(1, 1)).sum().backward()
        model[0](torch.ones(1, 1)).sum().backward()
        assert GradientSums(model).settle(ranks, [1.0]) == [2.0]
        return [None if p.grad is None else float(p.grad) for p in model.parameters()]

    assert in_processes(work, tmp_path) == [[2.0, 1.0, None]] * 2


def test_running_statistics_are_those_of_one_process(tmp_path: Path) -> None:
    pictures = torch.randn(6, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))

    def run(ranks: Ranks) -> list[float]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
        statistics = RunningStatistics(model, ranks)
        for _ in range(2):
            for i in ranks.share(6):
                model(pictures[i])
            statistics.merge()
        return torch.cat([b.flatten().float() for b in model.buffers()]).tolist()

    for found in in_processes(run, tmp_path):
        assert found == pytest.approx(run(ALONE), rel=1e-5, abs=1e-6)


def settings_of(name: str) -> dict[str, str]:
    own = {"vocoder": {"codec_from": "1", "adversarial_from": "2"}, "audio": {"data.augment": "1.0"}}
    short = {"steps": "4", "warmup": "2", "accumulate": "3", "ema": "0.9", "precision": "float32"}
    return SETTINGS[name] | own.get(name, {}) | short


@pytest.mark.parametrize("name", SETTINGS)
def test_a_stage_is_trained_alike(micro_weights: Path, tmp_path: Path, name: str) -> None:
    stage = build(name, micro_weights, settings_of(name))
    stage.validate = lambda: {stage.score.lstrip("-"): 0.0}  # not what is looked at here
    recipe = TrainConfig(steps=4, warmup=2, accumulate=3, ema=0.9, precision="float32", seed=1)
    folder = tmp_path / "meet"
    folder.mkdir()

    def work(ranks: Ranks) -> None:
        stage.ranks = ranks
        go(stage, tmp_path / "two", recipe, ranks)

    in_processes(work, folder)  # forked: the stage here is as it was
    go(stage, tmp_path / "one", recipe)
    close_states(tmp_path / "one", tmp_path / "two")


# --- stopping and failing


class Acts(Toy):
    """Calls `act` when batch 5 is drawn, the second process's of step 2."""

    def __init__(self, act: Any):
        super().__init__()
        self.act = act

    def batch(self, index: int) -> Any:
        if index == 5:
            self.act()
        return super().batch(index)


def test_a_signal_to_one_stops_all_behind_the_same_step(tmp_path: Path) -> None:
    folder = tmp_path / "meet"
    folder.mkdir()

    def work(ranks: Ranks) -> list[int]:
        stage = Acts(lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(2)])  # twice: torchrun may
        with pytest.raises(Stopped) as stopped:
            go(stage, tmp_path / "state", config(accumulate=2, save_every=100), ranks)
        return [stopped.value.signal, stopped.value.step]

    assert in_processes(work, folder) == [[signal.SIGTERM, 3]] * 2
    assert saved(tmp_path / "state")[1]["step"] == 3
    go(Toy(), tmp_path / "state", config(accumulate=2, save_every=100))
    go(Toy(), tmp_path / "whole", config(accumulate=2, save_every=100))
    close_states(tmp_path / "state", tmp_path / "whole")


def test_data_that_one_cannot_read_is_named_by_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "meet"
    folder.mkdir()

    def read() -> None:
        raise FileNotFoundError(2, "No such file or directory", "speech.tar")

    def work(ranks: Ranks) -> list[Any]:
        with pytest.raises(MuOmniError) as caught:
            go(Acts(read), tmp_path / "state", config(accumulate=2), ranks)
        return [str(caught.value), isinstance(caught.value, SaidElsewhere)]

    first, second = in_processes(work, folder)
    assert "data of step 2 cannot be read" in first[0] and "speech.tar" in first[0]
    assert second == [first[0], True] and first[1] is False
    assert saved(tmp_path / "state")[1]["step"] == 2


def test_a_failed_validation_ends_all(tmp_path: Path) -> None:
    folder = tmp_path / "meet"
    folder.mkdir()

    def work(ranks: Ranks) -> str:
        with pytest.raises(MuOmniError) as caught:
            go(Toy(scores=[float("nan")]), tmp_path / "state", config(accumulate=2, validate_every=2), ranks)
        return str(caught.value)

    assert all("validation gives error nan at step 2" in said for said in in_processes(work, folder))


# --- who has which rows


def test_a_batch_is_parted_so_that_all_have_some() -> None:
    train = TrainConfig(batch=12, accumulate=1)
    assert shared_out(train, 1) == train
    parted = shared_out(train, 4)
    assert (parted.batch, parted.accumulate) == (3, 4)
    assert shared_out(TrainConfig(batch=5, accumulate=6), 3).accumulate == 6
    sound = shared_out(TrainConfig(seconds=30.0), 2)
    assert (sound.seconds, sound.accumulate, sound.batch) == (15.0, 2, 16)
    with pytest.raises(DataError, match="5 processes cannot share 1 micro-batches of 12 rows"):
        shared_out(train, 5)


def test_a_run_that_goes_on_keeps_its_micro_batches() -> None:
    train = TrainConfig(batch=12, accumulate=1)
    before = {"batch": 6, "seconds": 0.0, "accumulate": 2}
    for n in (1, 2, 4):
        parted = shared_out(train, n, before)
        assert (parted.batch, parted.accumulate) == (6, 2)
    assert shared_out(TrainConfig(batch=24), 2, before) == TrainConfig(batch=24)  # another run, and refused as such
