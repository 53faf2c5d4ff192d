"""Runs that are killed by SIGKILL at any moment go the way of one that was not; a difference is found."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from test_loop import Toy, config
from typer.testing import CliRunner

from muomni_cli.app import app
from muomni_core.training.loop import train
from muomni_core.training.state import read_about
from muomni_core.training.verify import MOMENTS, choose_kill, compare_runs, plan_steps, verify_resume

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


def test_two_stages_survive_two_kills_each(smoke_cache: Path, tmp_path: Path) -> None:
    settings = {
        "thinker": {"batch": "2", "data.val_rows": "4", "ema": "0.9", "accumulate": "2"},
        "codec": {"batch": "2", "data.val_clips": "2"},
    }
    short = {"steps": "8", "save_every": "2", "validate_every": "4"}
    for seed, (stage, own) in enumerate(settings.items()):
        said: list[str] = []
        verdict = verify_resume(
            stage,
            folder=tmp_path,
            recipe="smoke",
            overrides=short | own,
            device="cpu",
            kills=2,
            seed=seed,
            say=said.append,
        )
        assert verdict.differences == [] and len(verdict.kills) == 2 and verdict.n_tensors > 50
        assert any("half-written state" in line for line in said), said
        assert read_about(tmp_path / "killed" / "state" / f"{stage}.safetensors")["step"] == 8


def test_the_command_says_what_it_did(smoke_cache: Path, tmp_path: Path) -> None:
    args = ["--stage", "codec", "--recipe", "smoke", "--out", str(tmp_path), "--verify-resume", "--kills", "1"]
    short = [f"--set={item}" for item in ("steps=4", "batch=2", "save_every=1", "validate_every=4", "data.val_clips=2")]
    result = CliRunner().invoke(app, ["train", *args, *short])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("codec: 4 steps with 1 kills equal 4 unbroken ones, bit for bit")
    assert "codec: 1 of 1: killed, step" in result.stderr


def test_kills_come_in_order_and_of_every_kind() -> None:
    settings = config(steps=120, save_every=2, validate_every=8)
    for seed in range(20):
        rng = random.Random(seed)
        steps = plan_steps(120, 20, rng)
        assert len(steps) == 20 and steps == sorted(steps) and steps[0] >= 1 and steps[-1] < 116
        kills = [choose_kill(n, step, settings, rng) for n, step in enumerate(steps)]
        assert {k.moment for k in kills} == set(MOMENTS)
        assert all(step <= kill.step <= step + 8 for step, kill in zip(steps, kills, strict=True))


def test_a_difference_of_one_bit_is_found(tmp_path: Path) -> None:
    def ship(_: object) -> None:
        from muomni_core.checkpoint import Header, save_stage

        save_stage(tmp_path / run / "toy.safetensors", {"toy.w": torch.ones(1)}, Header("toy", {}))

    for run in ("one", "other"):
        train(Toy(), config(), tmp_path / run / "state" / "toy.safetensors", ship=ship)
    assert compare_runs(tmp_path / "one", tmp_path / "other", "toy")[0] == []
    path = tmp_path / "other" / "state" / "toy.safetensors"
    with safe_open(path, framework="pt") as file:
        tensors, about = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    tensors["optimiser.exp_avg.0.weight"].view(torch.int32)[0, 0] ^= 1
    save_file(tensors, path, about)
    assert compare_runs(tmp_path / "one", tmp_path / "other", "toy")[0] == [
        "state/toy.safetensors: optimiser.exp_avg.0.weight"
    ]
