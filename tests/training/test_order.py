"""A whole training in order, skipping what is done; what a dry run says; recipes by command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from muomni_cli.app import app
from muomni_core.errors import DataError
from muomni_core.training import order
from muomni_core.training.order import is_done, run_all, train_parents
from muomni_core.training.recipe import recipes_folder
from muomni_core.training.stages import STAGES

ROOT = Path(__file__).parents[2]
SHORT = {"steps": "2", "batch": "2", "validate_every": "2", "data.val_clips": "2"}
SETS = [f"--set={key}={value}" for key, value in SHORT.items()]


def muomni(*args: str) -> Any:
    return CliRunner().invoke(app, list(args))


def codec(out: Path, **more: str) -> Any:
    return muomni("train", "--stage", "codec", "--recipe", "smoke", "--out", str(out), *SETS, *more)


# --- all


def test_all_stages_come_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trained: list[str] = []
    monkeypatch.setattr(order, "run_stage", lambda stage, **_: trained.append(stage) or {"score": 1.0})
    result = muomni("train", "--stage", "all", "--recipe", "smoke", "--out", str(tmp_path), "--json")
    assert result.exit_code == 0, result.stderr
    assert trained == list(STAGES) == list(json.loads(result.stdout)["stages"])


def test_what_is_done_is_skipped_and_what_has_changed_is_not(
    smoke_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert codec(tmp_path).exit_code == 0
    given: dict[str, Any] = {"recipe": "smoke", "out": tmp_path}
    assert is_done("codec", overrides=SHORT, **given)
    assert not is_done("codec", overrides=SHORT | {"steps": "3"}, **given)
    assert not is_done("codec", overrides=SHORT | {"lr": "0.5"}, **given)
    assert not is_done("audio", **given)
    assert not is_done("codec", overrides=SHORT, init="shipped", **given)
    trained: list[str] = []
    said: list[str] = []
    monkeypatch.setattr(order, "STAGES", ("codec", "audio"))
    monkeypatch.setattr(order, "run_stage", lambda stage, **_: trained.append(stage) or {"cer": 1.0})
    monkeypatch.setattr(order, "load_recipe", lambda r, s, o=None: load(r, s, o if s == "codec" else None))
    from contextlib import nullcontext

    found = run_all(**given, overrides=SHORT, say=said.append, report_for=lambda _: nullcontext())
    assert trained == ["audio"] and found["codec"]["mel_l1"] > 0
    assert said == [f"codec is done; {tmp_path / 'codec'}.safetensors stays"]


load = order.load_recipe


def test_parents_that_are_missing_are_trained_or_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    trained: list[str] = []
    monkeypatch.setattr(order, "run_stage", lambda stage, **_: trained.append(stage))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "audio.safetensors").write_bytes(b"an ear")
    train_parents(
        "talker", recipe="smoke", out=tmp_path / "out", weights=tmp_path / "weights", report_for=lambda _: nullcontext()
    )
    assert trained == ["codec", "vision", "thinker", "omni"]
    assert (tmp_path / "out" / "audio.safetensors").read_bytes() == b"an ear"


def test_all_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "codec.toml").write_text("")
    with pytest.raises(DataError, match="a whole training needs a folder"):
        run_all(recipe=tmp_path / "codec.toml", out=tmp_path)
    assert muomni("train").exit_code == 2
    assert muomni("train", "--stage", "all", "--dry-run").exit_code == 2


# --- a dry run


def test_a_dry_run_says_what_a_training_takes(smoke_cache: Path, tmp_path: Path) -> None:
    args = ["train", "--stage", "thinker", "--recipe", "smoke", "--out", str(tmp_path / "out"), "--dry-run"]
    result = muomni(*args, "--set=batch=2")
    assert result.exit_code == 0, result.stderr
    for word in ("rows ", "parameters  ", "memory  ", "activations", "measured", "steps       60", "hours"):
        assert word in result.stdout
    assert not (tmp_path / "out").exists()
    found = json.loads(muomni(*args, "--set=batch=128", "--set=ema=0.9", "--json").stdout)
    memory = found["memory"]
    assert memory["weights"] == memory["gradients"] == memory["averages"] == 4 * found["parameters"]
    assert 2 * memory["weights"] <= memory["optimiser"] < 2.01 * memory["weights"]
    small = json.loads(muomni(*args, "--set=batch=64", "--json").stdout)["memory"]
    assert 1.8 < memory["activations"] / small["activations"] < 2.2
    assert found["seconds_per_step"] > 0 and found["rows"]["train"] > 100


def test_a_dry_run_ends_with_1_where_training_would_refuse(smoke_cache: Path, tmp_path: Path) -> None:
    import numpy as np

    from muomni_core.audio.io import write_wav

    write_wav(tmp_path / "a.wav", np.zeros(4800, np.float32) + 0.01)
    for split in ("train", "val"):
        row = {"audio": "a.wav", "text": "much too long for such a clip"}
        (tmp_path / f"m-{split}.jsonl").write_text(json.dumps(row))
    sets = ['--set=data.train=["m-train.jsonl"]', '--set=data.val=["m-val.jsonl"]', "--set=data.make=false"]
    args = ["train", "--stage", "audio", "--recipe", "smoke", "--data", str(tmp_path), "--dry-run", *sets]
    result = muomni(*args)
    assert result.exit_code == 1 and "sound too short for its text" in result.stderr
    assert "2 x sound too short" in result.stdout and "1 x val in train" in result.stdout


# --- recipes


def test_recipes_are_listed_shown_and_copied(tmp_path: Path) -> None:
    listed = muomni("recipes", "ls")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["base", "framewise", "smoke", "tiny"]
    assert json.loads(muomni("recipes", "ls", "--json").stdout)["tiny"] == list(STAGES)
    text = (recipes_folder() / "tiny" / "audio.toml").read_text()
    assert muomni("recipes", "show", "tiny", "--stage", "audio").stdout == text
    assert muomni("recipes", "copy", "tiny", str(tmp_path / "mine")).exit_code == 0
    assert (tmp_path / "mine" / "audio.toml").read_text() == text
    again = muomni("recipes", "copy", "tiny", str(tmp_path / "mine"))
    assert again.exit_code == 1 and "--force" in again.stderr
    assert muomni("recipes", "copy", "tiny", str(tmp_path / "mine"), "--force").exit_code == 0
    unknown = muomni("recipes", "show", "tinny")
    assert unknown.exit_code == 1 and "base, framewise, smoke, tiny" in unknown.stderr


def test_recipes_are_checked(tmp_path: Path) -> None:
    assert muomni("recipes", "validate", "base").exit_code == 0
    muomni("recipes", "copy", "tiny", str(tmp_path))
    path = tmp_path / "codec.toml"
    path.write_text(path.read_text().replace("[data]", "[data]\ncropp = 3"))
    result = muomni("recipes", "validate", str(tmp_path))
    assert result.exit_code == 1 and "cropp" in result.stderr and result.stdout.count("fine") == 6
    assert muomni("recipes", "validate", str(tmp_path), "--stage", "audio").exit_code == 0
    absent = muomni("recipes", "validate", str(tmp_path), "--stage", "audio", "--data", str(tmp_path))
    assert absent.exit_code == 1 and "is missing" in absent.stderr


# --- a process


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_polite_kill_saves_and_exits_with_143(smoke_cache: Path, tmp_path: Path) -> None:
    args = ["train", "--stage", "codec", "--recipe", "smoke", "--out", str(tmp_path), "--set=save_every=1000"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "muomni_cli", *args], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    next(line for line in lines if line.startswith("codec "))
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=300)
    assert process.returncode == 143
    last = rest.splitlines()[-1]
    assert last.startswith("muomni: stopped and saved at step ") and "of 320; the same command goes on" in last
    from muomni_core.training.state import read_about

    assert f"step {read_about(tmp_path / 'state' / 'codec.safetensors')['step']} of" in last
