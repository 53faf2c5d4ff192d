"""Fixtures of the command line's tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported by path; this finds the module beside them

from fake_muomni import FakeOmni

from muomni_cli import console


@pytest.fixture
def omni(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeOmni:
    """The fake model in place, and an empty folder to stand in."""
    fake = FakeOmni()
    monkeypatch.setattr(console, "load_model", lambda *_: fake)
    monkeypatch.chdir(tmp_path)
    return fake


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Loading a model is an error: what is refused must be refused before."""

    def load(*_: Any) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(console, "load_model", load)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the streams that pretend to be a person's terminal; fill it in a test."""
    names: set[str] = set()
    monkeypatch.setattr(console, "is_terminal", lambda stream: getattr(stream, "name", "").strip("<>") in names)
    return names
