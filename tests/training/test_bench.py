"""recipes/bench: loops are compared, and so are trainings."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_script(name: str, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a script of recipes/bench."""
    path = ROOT / "recipes/bench" / name
    monkeypatch.setattr(sys, "argv", [str(path), *options.split()])
    monkeypatch.setattr(sys, "path", list(sys.path))
    runpy.run_path(str(path), run_name="__main__")


def test_the_bench_compares(
    smoke_cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # slow to import; nobody needs it
    options = "--preset micro --steps 4 --rounds 1 --batch 4 --context 32 --device cpu --precision float32 --json"
    run_script("bench.py", options, monkeypatch)
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert {stage: set(names) for stage, names in found.items()} == {
        "thinker": {"muomni", "nanoGPT-style loop"},
        "vision": {"muomni", "plain loop"},
        "audio": {"muomni", "plain loop"},
    }
    assert all(speed > 0 for names in found.values() for speed in names.values())
    assert "HF Trainer is left out" in err


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun over gloo")
def test_a_command_comes_to_the_same_again_and_under_torchrun(
    smoke_cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run_script("alike.py", "--stages thinker --steps 3 --accumulate 2 --json", monkeypatch)
    found = json.loads(capsys.readouterr().out)["thinker"]
    assert found["again_equal"] and found["again"] == 0.0
    assert found["several"] < 1e-4 and found["threads"] < 1e-4
