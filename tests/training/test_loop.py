"""The loop: resumed to the bit, exact accumulation, the schedule, what is kept when something goes wrong."""

from __future__ import annotations

import itertools
import json
import math
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from muomni_core.errors import CheckpointError, DataError, MuOmniError
from muomni_core.training import loop
from muomni_core.training.loop import Loss, Progress, RunState, learning_rate, train, use_bf16
from muomni_core.training.recipe import TrainConfig, load_recipe
from muomni_core.training.run import build_context
from muomni_core.training.run_key import RunKey
from muomni_core.training.stages import stage_class
from muomni_core.weights import SHIPPED


class Toy:
    """Learns a line; `bad_at` is the batch whose loss is not a number, `scores` what validation says."""

    name, unit, score = "toy", "rows", "error"

    def __init__(self, bad_at: int = -1, scores: list[float] | None = None):
        torch.manual_seed(0)
        self.model: nn.Module = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.bad_at, self.scores, self.after = bad_at, scores, 0
        self.was_training: list[bool] = []

    def batch(self, index: int) -> tuple[Tensor, bool]:
        return torch.randn(6, 4), index == self.bad_at

    def loss(self, batch: tuple[Tensor, bool]) -> Loss:
        x, bad = batch
        error = (self.model(x)[:, 0] - x.sum(1)).square().sum()
        return Loss(error * (math.nan if bad else 1.0), len(x), len(x))

    def after_step(self) -> None:
        self.after += 1

    def validate(self) -> dict[str, float]:
        self.was_training.append(self.model.training)
        return {"error": self.scores.pop(0) if self.scores else 1.0}


def config(**changes: Any) -> TrainConfig:
    return TrainConfig(**({"steps": 6, "warmup": 2, "precision": "float32", "save_every": 2, "lr": 0.01} | changes))


def go(stage: Any, path: Path, settings: TrainConfig, **more: Any) -> list[tuple[int, dict[str, float]]]:
    """Trains; returns what was shipped."""
    shipped: list[tuple[int, dict[str, float]]] = []
    train(stage, settings, path, ship=lambda at: shipped.append((at.step, at.metrics)), **more)
    return shipped


def saved(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["about"])  # noqa: SIM118


def same_state(one: Path, other: Path) -> None:
    (left, about), (right, other_about) = saved(one), saved(other)
    assert left.keys() == right.keys() and about["step"] == other_about["step"]
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


# --- resume


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_stopped_run_goes_the_way_of_an_unbroken_one(tmp_path: Path, ema: float) -> None:
    go(Toy(), tmp_path / "whole", config(ema=ema, accumulate=2))
    for stop in (1, 4):
        go(Toy(), tmp_path / "broken", config(ema=ema, accumulate=2), stop_after=stop)
    assert saved(tmp_path / "broken")[1]["step"] == 4
    go(Toy(), tmp_path / "broken", config(ema=ema, accumulate=2))
    same_state(tmp_path / "whole", tmp_path / "broken")


def smoke_stage(name: str, **overrides: str) -> tuple[Any, TrainConfig]:
    recipe = load_recipe("smoke", name, {"steps": "4", "warmup": "1", "accumulate": "2", "ema": "0.9"} | overrides)
    torch.manual_seed(recipe.train.seed)
    stage = stage_class(name)(build_context(recipe, None, [SHIPPED], training=True))
    stage.validate = lambda: {stage.score.lstrip("-"): 0.0}  # not what is looked at here
    return stage, recipe.train


@pytest.mark.parametrize("name", ["codec", "audio", "thinker"])
def test_a_stage_resumes_to_the_same_weights(smoke_cache: Path, tmp_path: Path, name: str) -> None:
    overrides = {"audio": {"model.dropout": "0.1", "data.augment": "1.0", "seconds": "6.0"}}.get(name, {"batch": "3"})
    for path, stops in (("whole", (None,)), ("broken", (1, 3, None))):
        for stop in stops:
            stage, settings = smoke_stage(name, **overrides)
            go(stage, tmp_path / path, settings, stop_after=stop)
    same_state(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="batches are drawn ahead by forked processes")
def test_batches_drawn_ahead_are_the_same(tmp_path: Path) -> None:
    go(Toy(), tmp_path / "alone", config(accumulate=2))
    go(Toy(), tmp_path / "helped", config(accumulate=2, workers=2), stop_after=2)
    go(Toy(), tmp_path / "helped", config(accumulate=2, workers=1))
    same_state(tmp_path / "alone", tmp_path / "helped")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="batches are drawn ahead by forked processes")
def test_what_goes_wrong_for_a_worker_is_said_in_its_words_and_all_workers_end(tmp_path: Path) -> None:
    class Torn(Toy):
        def batch(self, index: int) -> tuple[Tensor, bool]:
            if index == 3:
                raise DataError("a.tar is torn")
            return super().batch(index)

    with pytest.raises(DataError) as found:
        go(Torn(), tmp_path / "state", config(workers=2))
    assert str(found.value) == "a.tar is torn"
    assert not multiprocessing.active_children()  # they ignore SIGTERM: this process could not exit


def test_a_run_by_the_clock_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(step=3.0)  # seconds: the loop looks once a step
    monkeypatch.setattr(loop.time, "time", lambda: next(ticks))
    seen: list[Progress] = []
    shipped = go(Toy(), tmp_path / "state", config(steps=10_000, minutes=0.5), report=seen.append)
    assert shipped and shipped[-1][0] == seen[-1].step < 20
    assert seen[-1].lr < 0.2 * seen[2].lr  # the schedule was at its end
    assert seen[-1].steps == seen[-1].step and abs(seen[3].steps - seen[-1].step) <= 2


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    go(Toy(), tmp_path / "state", config())
    before = (tmp_path / "state").read_bytes()
    stage = Toy()
    assert go(stage, tmp_path / "state", config()) == []
    assert stage.after == 0 and (tmp_path / "state").read_bytes() == before


def test_the_state_of_another_run_is_refused(tmp_path: Path) -> None:
    go(Toy(), tmp_path / "state", config(), key=RunKey(data_print="one"), stop_after=2)
    with pytest.raises(MuOmniError, match=r'another run \(.*fingerprint was "one", is "two"\); give another --out'):
        go(Toy(), tmp_path / "state", config(), key=RunKey(data_print="two"))


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"half of a file")
    with pytest.raises(CheckpointError, match="not a readable training state"):
        go(Toy(), tmp_path / "state", config())


def test_the_state_of_another_model_is_refused(tmp_path: Path) -> None:
    go(Toy(), tmp_path / "state", config(), stop_after=2)
    stage = Toy()
    stage.model = nn.Sequential(nn.Linear(4, 1))
    with pytest.raises(CheckpointError, match="another model config"):
        go(stage, tmp_path / "state", config())


def test_no_partial_file_is_left(tmp_path: Path) -> None:
    go(Toy(), tmp_path / "state", config())
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


# --- what goes wrong


def test_a_loss_that_is_no_number_keeps_the_last_state(tmp_path: Path) -> None:
    stage = Toy(bad_at=3)
    with pytest.raises(MuOmniError, match="toy: the loss is nan at step 3"):
        go(stage, tmp_path / "state", config())
    tensors, about = saved(tmp_path / "state")
    assert about["step"] == 2 and all(bool(t.isfinite().all()) for t in tensors.values())
    assert all(bool(p.isfinite().all()) for p in stage.model.parameters())


# --- accumulation


def test_micro_batches_give_the_gradient_of_one_large_batch(
    smoke_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Plain gradient descent: what the weights move by is the gradient.
    monkeypatch.setattr(loop, "make_optimiser", lambda model, c: torch.optim.SGD(model.parameters(), lr=c.lr))
    moved = []
    for batch, accumulate in ((8, 1), (2, 4)):
        overrides = {"batch": str(batch), "accumulate": str(accumulate), "lr": "1.0", "clip": "1e9", "ema": "0.0"}
        stage, settings = smoke_stage("thinker", **overrides)
        before = [p.detach().clone() for p in stage.model.parameters()]
        go(stage, tmp_path / f"{batch}", settings, stop_after=1)
        moved.append(
            torch.cat([(b - p.detach()).flatten() for b, p in zip(before, stage.model.parameters(), strict=True)])
        )
    assert float(moved[0].norm()) > 0.1
    assert float((moved[0] - moved[1]).norm() / moved[0].norm()) < 1e-5


def test_codebooks_count_a_whole_step(smoke_cache: Path, tmp_path: Path) -> None:
    stage, settings = smoke_stage("codec", batch="4", accumulate="3")
    calls = []
    update = stage.model.update_codebooks
    stage.model.update_codebooks = lambda: (calls.append(len(stage.model.codebooks[0]._pending)), update())
    go(stage, tmp_path / "state", settings, stop_after=2)
    assert calls == [3, 3]


# --- schedule, validation, reports


def test_the_schedule_warms_up_and_falls_to_its_end() -> None:
    c = TrainConfig(steps=100, warmup=10, lr=2e-3, min_lr=0.1)
    rates = [learning_rate(c, step) for step in range(101)]
    assert rates[0] == pytest.approx(2e-4) and rates[9] == pytest.approx(2e-3) and rates[10] == pytest.approx(2e-3)
    assert rates[55] == pytest.approx(2e-3 * 0.55) and rates[100] == pytest.approx(2e-4)
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert learning_rate(TrainConfig(steps=5, warmup=0, lr=1.0), 0) == 1.0


def test_precision_is_what_is_asked_for_or_what_is_faster() -> None:
    cpu = torch.device("cpu")
    assert use_bf16("bf16", cpu) is True and use_bf16("float32", cpu) is False
    assert isinstance(use_bf16("auto", cpu), bool)


def test_only_better_weights_are_shipped(tmp_path: Path) -> None:
    stage = Toy(scores=[3.0, 4.0, 2.0])
    shipped = go(stage, tmp_path / "state", config(validate_every=2))
    assert shipped == [(2, {"error": 3.0}), (6, {"error": 2.0})]
    assert stage.was_training == [False] * 3 and stage.model.training
    stage = Toy(scores=[3.0, 4.0, 2.0])
    stage.score = "-error"
    assert [step for step, _ in go(stage, tmp_path / "other", config(validate_every=2))] == [2, 4]


def test_averaged_weights_are_shipped_and_the_own_ones_trained_on(tmp_path: Path) -> None:
    stage, seen = Toy(), []

    def ship(_: RunState) -> None:
        seen.append({k: v.clone() for k, v in stage.model.state_dict().items()})

    train(stage, config(ema=0.9, validate_every=6), tmp_path / "state", ship=ship)
    tensors, _ = saved(tmp_path / "state")
    for name, value in seen[0].items():
        assert torch.equal(value, tensors[f"average.{name}"])
        assert torch.equal(stage.model.state_dict()[name], tensors[f"model.{name}"])
        assert not torch.equal(value, tensors[f"model.{name}"])


def test_every_step_is_reported(tmp_path: Path) -> None:
    seen: list[Progress] = []
    go(Toy(), tmp_path / "state", config(validate_every=3), report=seen.append)
    assert [p.step for p in seen] == [1, 2, 3, 4, 5, 6] and {p.steps for p in seen} == {6}
    assert [p.metrics for p in seen] == [None, None, {"error": 1.0}] * 2
    assert seen[0].unit == "rows" and seen[-1].seconds_left == 0 and seen[2].per_second > 0
