"""recipes/bench runs and compares."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "recipes/bench/bench.py"


def test_the_bench_compares(
    smoke_cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # slow to import; nobody needs it
    options = "--preset micro --steps 4 --rounds 1 --batch 4 --context 32 --device cpu --precision float32 --json"
    monkeypatch.setattr(sys, "argv", [str(BENCH), *options.split()])
    monkeypatch.setattr(sys, "path", list(sys.path))
    runpy.run_path(str(BENCH), run_name="__main__")
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert {stage: set(names) for stage, names in found.items()} == {
        "thinker": {"muomni", "nanoGPT-style loop"},
        "vision": {"muomni", "plain loop"},
        "audio": {"muomni", "plain loop"},
    }
    assert all(speed > 0 for names in found.values() for speed in names.values())
    assert "HF Trainer is left out" in err
