"""`muomni eval --stage audio --manifest`: one's own recordings."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from fake_muomni import refused, run

import muomni_core.evaluation.ear as ear
from muomni_core.data.shards import MAX_LINE_BYTES
from muomni_core.evaluation.ear import Result, summary

FOUND = summary([Result("clips/1", "clips", "a cat", "a hat\x1b", 2.0, 0.1, 0.9)])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []

    def measure_manifest(path: Path, weights: Path | None = None, **options: Any) -> dict[str, Any]:
        seen.append((path, weights, options))
        return FOUND

    monkeypatch.setattr(ear, "measure_manifest", measure_manifest)
    return seen


def test_a_report_to_read(calls: list[Any]) -> None:
    result = run("eval", "--stage", "audio", "--manifest", "clips.jsonl", "--limit", "3", "--beam", "4")
    assert result.exit_code == 0 and "50.0" in result.stdout and "cat -> hat" in result.stdout
    assert "\x1b" not in result.stdout
    path, weights, options = calls[0]
    assert (path, weights, options["limit"], options["decoding"].beam) == (Path("clips.jsonl"), None, 3, 4)


def test_json(calls: list[Any]) -> None:
    found = json.loads(run("eval", "--stage", "audio", "--manifest", "clips.jsonl", "--json").stdout)
    assert found["stage"] == "audio" and found["manifest"] == "clips.jsonl"
    assert found["metrics"]["wer"] == 0.5 and found["metrics"]["worst"][0]["key"] == "clips/1"


def test_what_is_refused(calls: list[Any]) -> None:
    refused(run("eval", "--stage", "vision", "--manifest", "clips.jsonl"), "--stage audio", code=2)
    refused(run("eval", "--stage", "audio", "--beam", "4"), "--manifest", code=2)
    assert not calls


def test_a_manifest_that_is_not_there() -> None:
    refused(run("eval", "--stage", "audio", "--manifest", "none.jsonl"), "none.jsonl")


def test_a_manifest_without_an_end(tmp_path: Path) -> None:
    refused(run("eval", "--stage", "audio", "--manifest", "/"), "/ is all that is on this machine")
    (tmp_path / "long.jsonl.xz").write_bytes(lzma.compress(b"a" * (MAX_LINE_BYTES + 1), preset=0))
    refused(run("eval", "--stage", "audio", "--manifest", str(tmp_path / "long.jsonl.xz")), "line 1 is longer than")
    if Path("/dev/zero").exists():
        for name in ("a.jsonl", "a.txt", "a.tar", "captions_a.json"):
            (tmp_path / name).symlink_to("/dev/zero")
            refused(run("eval", "--stage", "audio", "--manifest", str(tmp_path / name)), name, "device")
