"""train, eval and inspect-shapes, with their core replaced."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from fake_muomni import refused, run

from muomni_cli import options, progress
from muomni_core.errors import DataError
from muomni_core.training.ranks import ALONE
from muomni_core.weights import SHIPPED


@dataclass
class Seen:
    step: int
    steps: int = 100
    loss: float = 2.5
    lr: float = 1e-3
    per_second: float = 1234.5
    unit: str = "tokens"
    seconds_left: float | None = 3725.0
    metrics: dict[str, float] | None = None
    note: str = ""


def replace(monkeypatch: pytest.MonkeyPatch, name: str, **functions: Callable[..., Any]) -> None:
    module = ModuleType(name)
    vars(module).update(functions)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def run_stage(stage: str, **settings: Any) -> dict[str, float]:
        report = settings.pop("report")
        found.append({"stage": stage} | settings)
        for step in range(1, 6):
            report(Seen(step))
        report(Seen(100, metrics={"wer": 0.25}))
        return {"wer": 0.25, "odd": float("nan")}

    def evaluate_stage(stage: str, **settings: Any) -> dict[str, float]:
        found.append({"stage": stage} | settings)
        return {"perplexity": 12.345678, "odd": float("inf")}

    replace(monkeypatch, "muomni_core.training.run", run_stage=run_stage)
    replace(monkeypatch, "muomni_core.evaluation.run", evaluate_stage=evaluate_stage)
    return found


def test_train_hands_everything_on(calls: list[dict[str, Any]], tmp_path: Any) -> None:
    args = ["--stage", "talker", "--recipe", "smoke", "--data", "d", "--weights", str(SHIPPED), "--init", "shipped"]
    result = run("train", *args, "--out", "o", "--set", "steps=3", "--set", "data.train = a=b", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    call = {key: str(value) if key in ("data", "weights", "out") else value for key, value in calls[0].items()}
    assert call == {
        "stage": "talker",
        "recipe": "smoke",
        "data": "d",
        "weights": str(SHIPPED),
        "init": "shipped",
        "overrides": {"steps": "3", "data.train": "a=b"},
        "out": "o",
        "device": "cpu",
        "command": call["command"],  # what was typed
        "tensorboard": False,
        "ranks": ALONE,
        "auto_batch": False,
    }


def test_train_reports_on_stderr_and_ends_with_its_metrics(calls: list[dict[str, Any]]) -> None:
    result = run("train", "--stage", "audio")
    assert result.stdout == "audio: wer 0.25  odd nan\n"
    lines = result.stderr.splitlines()
    assert len(lines) == 2  # the first step, then nothing for ten seconds but what has metrics
    assert lines[0].startswith("audio 1/100  loss 2.5000  lr 1.0e-03  1,234 tokens/s  1:02:05 left")
    assert lines[0].endswith(" GB")
    assert lines[1].endswith("wer 0.25")
    assert run("train", "--stage", "audio", "--quiet").stderr == ""


def test_metrics_as_json(calls: list[dict[str, Any]]) -> None:
    found = json.loads(run("eval", "--stage", "thinker", "--json", "--limit", "5").stdout)
    assert found == {"stage": "thinker", "metrics": {"perplexity": 12.345678, "odd": None}}
    assert calls[0]["limit"] == 5
    assert json.loads(run("train", "--stage", "thinker", "--json", "-q").stdout)["metrics"]["wer"] == 0.25


def test_metrics_as_text(calls: list[dict[str, Any]]) -> None:
    assert run("eval", "--stage", "thinker").stdout == "perplexity  12.35\nodd         inf\n"


def test_data_comes_from_the_environment(calls: list[dict[str, Any]]) -> None:
    run("eval", "--stage", "vision", env={"MUOMNI_DATA": "/sets"})
    assert str(calls[0]["data"]) == "/sets"


def test_an_interrupted_training_says_how_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_stage(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    replace(monkeypatch, "muomni_core.training.run", run_stage=run_stage)
    result = run("train", "--stage", "codec")
    assert result.exit_code == 130 and "goes on" in result.stderr and result.stderr.count("\n") == 1


def test_missing_data_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_stage(*_: Any, **__: Any) -> None:
        raise DataError("no data; use --recipe smoke")

    replace(monkeypatch, "muomni_core.training.run", run_stage=run_stage)
    refused(run("train", "--stage", "codec"), "--recipe smoke")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), 2),
        (("--stage", "tlker"), 2),
        (("--stage", "codec", "--set", "steps"), 2),
        (("--stage", "codec", "--set", "=3"), 2),
        (("--stage", "codec", "--init", "none"), 1),
    ],
)
def test_what_train_refuses(calls: list[dict[str, Any]], args: tuple[str, ...], code: int) -> None:
    refused(run("train", *args), code=code)
    assert not calls


def test_a_bar_on_a_terminal(calls: list[dict[str, Any]], terminal: set[str]) -> None:
    terminal.add("stderr")
    result = run("train", "--stage", "audio", env={"TERM": "xterm", "FORCE_COLOR": "1", "COLUMNS": "120"})
    assert result.exit_code == 0, result.stderr
    assert "100/100" in result.stderr and "1,234 tokens/s" in result.stderr and "1:02:05 left" in result.stderr


def test_times_are_read_at_a_glance() -> None:
    assert [progress.clock(s) for s in (0, 59.9, 60, 3600, float("nan"), float("inf"))] == [
        "0:00",
        "0:59",
        "1:00",
        "1:00:00",
        "?",
        "?",
    ]


def test_the_stages_are_those_of_the_training() -> None:
    stages = pytest.importorskip("muomni_core.training.stages")
    assert {stage.value for stage in options.StageName} == set(stages.STAGES)


SHAPES = {
    "preset": "tiny",
    "total": 1234567,
    "components": [
        {"component": "vision_encoder", "input": [1, 3, 224, 224], "output": [1, 197, 128], "parameters": 1234000},
        {"component": "codec", "input": "mel (1, 100, 128)", "output": [1, 50, 2], "parameters": 567},
    ],
}


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    replace(monkeypatch, "muomni_core.model.shapes", inspect_shapes=lambda preset: SHAPES | {"preset": preset})


def test_shapes_are_a_markdown_table(shapes: None) -> None:
    lines = run("inspect-shapes").stdout.splitlines()
    assert lines[0].split() == ["|", "component", "|", "input", "|", "output", "|", "parameters", "|"]
    assert set(lines[1]) <= set("|-: ") and lines[1].endswith("-: |")
    assert "(1, 3, 224, 224)" in lines[2] and "1,234,000" in lines[2]
    assert lines[-1].startswith("| total") and "1,234,567" in lines[-1]
    assert len({len(line) for line in lines}) == 1


def test_shapes_as_json(shapes: None) -> None:
    assert json.loads(run("inspect-shapes", "--preset", "base", "--json").stdout) == SHAPES | {"preset": "base"}


def test_shapes_on_a_terminal(shapes: None, terminal: set[str]) -> None:
    terminal.add("stdout")
    found = run("inspect-shapes", env={"COLUMNS": "100", "NO_COLOR": "1"}).stdout
    assert "vision_encoder" in found and "1,234,567" in found and "\x1b" not in found


def test_an_unknown_preset_is_a_wrong_flag(shapes: None) -> None:
    refused(run("inspect-shapes", "--preset", "huge"), "tiny, base", code=2)
