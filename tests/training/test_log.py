"""What a run leaves to look at: metrics.jsonl without repeats, a picture of it, a card that says how it came to be."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_loop import Toy, config
from typer.testing import CliRunner

from muomni_cli.app import app
from muomni_core.errors import InputError, MuOmniError
from muomni_core.training.curve import _ticks, draw_curves
from muomni_core.training.log import RunLog, read_rows
from muomni_core.training.loop import train


def logged(out: Path, stop_after: int | None = None, every: int = 2, **more: Any) -> list[dict[str, Any]]:
    settings = config(validate_every=3, save_every=2)
    with RunLog(out, "toy", every, "error", **more) as log:
        state = out / "state" / "toy.safetensors"
        train(Toy(), settings, state, ship=lambda _: None, report=log, begin=log.begin, stop_after=stop_after)
    return read_rows(out / "logs" / "toy" / "metrics.jsonl")


def test_lines_say_what_a_person_wants_to_know(tmp_path: Path) -> None:
    rows = logged(tmp_path)
    assert [row["step"] for row in rows] == [2, 3, 4, 6]
    assert [row["step"] for row in rows if "metrics" in row] == [3, 6] and rows[1]["metrics"] == {"error": 1.0}
    assert all(set(row) >= {"step", "loss", "lr", "per_second", "unit", "time"} for row in rows)
    assert all(math.isfinite(row["loss"]) and row["unit"] == "rows" for row in rows)


def test_steps_that_come_again_stand_there_once(tmp_path: Path) -> None:
    whole = logged(tmp_path / "whole", every=1)
    logged(tmp_path / "broken", every=1, stop_after=2)
    path = tmp_path / "broken" / "logs" / "toy" / "metrics.jsonl"
    # Killed at step 4, in the middle of a line, with the state of step 2.
    path.write_text(path.read_text() + '{"step": 3, "loss": 9.0}\n{"step": 4, "lo')
    broken = logged(tmp_path / "broken", every=1)
    assert [(r["step"], r["loss"], r["lr"]) for r in broken] == [(r["step"], r["loss"], r["lr"]) for r in whole]


def test_the_curve_is_drawn(tmp_path: Path) -> None:
    logged(tmp_path)
    with Image.open(tmp_path / "logs" / "toy" / "loss.png") as image:
        assert image.size == (900, 600) and len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 5


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"step": 1, "loss": 2.0}],
        [{"step": n, "loss": 1.0} for n in range(5)],
        [{"step": n, "loss": float("nan") if n == 2 else 1e9**n} for n in range(5)],
        [{"step": 0, "loss": -1e-9, "metrics": {"error": 0.0}}],
    ],
)
def test_any_run_can_be_drawn(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    draw_curves(rows, tmp_path / "loss.png", "toy", "-error")
    with Image.open(tmp_path / "loss.png") as image:
        assert image.width == 900


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.31, 0.32), (-5, 1e6), (2.9, 2.9), (1e-9, 3e-9)])
def test_ticks_are_few_and_reach_over_both_ends(low: float, high: float) -> None:
    ticks = _ticks(low, high)
    assert 1 <= len(ticks) <= 9 and ticks == sorted(ticks)
    assert ticks[0] <= low + 1e-12 and ticks[-1] >= high - 1e-9 * abs(high)


def test_a_log_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in the way")
    with pytest.raises(MuOmniError, match="cannot be written") as caught:
        logged(tmp_path)
    assert "\n" not in str(caught.value)


def test_tensorboard_is_only_taken_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        logged(tmp_path, tensorboard=True)


# --- by command


def muomni(*args: str) -> Any:
    return CliRunner().invoke(app, list(args))


@pytest.fixture(scope="module")
def run(smoke_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the codec was trained for four steps."""
    out = tmp_path_factory.mktemp("run")
    short = [f"--set={item}" for item in ("steps=4", "batch=2", "validate_every=2", "log_every=1", "data.val_clips=2")]
    result = muomni("train", "--stage", "codec", "--recipe", "smoke", "--out", str(out), *short)
    assert result.exit_code == 0, result.stderr
    return out


def test_a_card_lies_beside_the_weights(run: Path) -> None:
    card = (run / "MODEL_CARD.md").read_text()
    assert "## codec" in card and "recipe `smoke/codec`" in card and "of 4 steps" in card and "| mel_l1 |" in card
    assert "command: `muomni" in card and "time: `20" in card and "data: fingerprint `" in card
    assert [path.name for path in (run / "state").iterdir()] == ["codec.safetensors"]


def test_plots_are_drawn_on_demand(run: Path, tmp_path: Path) -> None:
    picture = run / "logs" / "codec" / "loss.png"
    assert picture.is_file() and len(read_rows(picture.with_name("metrics.jsonl"))) == 4
    picture.unlink()
    result = muomni("train", "--plot", str(run))
    assert result.exit_code == 0 and result.stdout.strip() == str(picture) and picture.is_file()
    for folder in (tmp_path, tmp_path / "none"):
        result = muomni("train", "--plot", str(folder))
        assert result.exit_code == 1 and str(folder) in result.stderr and result.stderr.count("\n") == 1


def test_a_run_is_made_longer_by_command(run: Path) -> None:
    longer = [f"--set={item}" for item in ("steps=6", "batch=2", "validate_every=2", "log_every=1", "data.val_clips=2")]
    result = muomni("train", "--stage", "codec", "--recipe", "smoke", "--out", str(run), *longer)
    assert result.exit_code == 0 and "goes on from step 4 with steps 4 -> 6" in result.stderr
    rows = [json.loads(line) for line in (run / "logs" / "codec" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert "changed at step 4: steps 4 -> 6" in (run / "MODEL_CARD.md").read_text()
