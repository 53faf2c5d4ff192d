"""Trouble in data is counted and shown before a training, not met in the middle of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from muomni_core.audio.io import write_wav
from muomni_core.data.checks import Finding, check_rows


def write(folder: Path, split: str, rows: list[dict[str, Any]]) -> str:
    name = f"mine-{split}.jsonl"
    (folder / name).write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return name


def tone(folder: Path, name: str, seconds: float, seed: int) -> str:
    noise = 0.1 * np.random.default_rng(seed).standard_normal(int(16_000 * seconds))
    write_wav(folder / name, noise.astype(np.float32))
    return name


def found(folder: Path, train: list[dict[str, Any]], val: list[dict[str, Any]], n_slots: int = 0) -> dict[str, Finding]:
    checks = check_rows(write(folder, "train", train), write(folder, "val", val), folder, n_slots=n_slots)
    assert checks.n_rows == {"train": len(train), "val": len(val)}
    return {finding.name: finding for finding in checks.findings}


def test_sounds(tmp_path: Path) -> None:
    good = tone(tmp_path, "good.wav", 1.0, 0)
    (tmp_path / "copy.wav").write_bytes((tmp_path / good).read_bytes())
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    short = tone(tmp_path, "short.wav", 0.3, 1)
    train = [
        {"audio": good, "text": "good dog"},
        {"audio": "bad.wav", "text": "dog"},
        {"audio": short, "text": "a long text for a short sound"},
        {"audio": tone(tmp_path, "mute.wav", 0.5, 2), "text": " "},
    ]
    val = [{"audio": "copy.wav", "text": "good dog"}, {"audio": tone(tmp_path, "v.wav", 1, 3), "text": "big cat"}]
    troubles = found(tmp_path, train, val, n_slots=4)
    assert set(troubles) == {
        "unreadable sound", "sound too short for its text", "sound without text", "empty text", "val in train"
    }  # fmt: skip
    assert all(finding.count == 1 for finding in troubles.values())
    assert troubles["sound too short for its text"].fatal and "in 0.30 s" in str(troubles)
    assert "mine-train/000002" in troubles["unreadable sound"].examples[0]
    assert troubles["val in train"].examples == ["mine-val/000001 is mine-train/000001"]
    assert "sound too short for its text" not in found(tmp_path, train, val)  # no ear is trained


def test_pictures(tmp_path: Path) -> None:
    for name, colour in (("red.png", "red"), ("blue.png", "blue")):
        Image.new("RGB", (8, 8), colour).save(tmp_path / name)
    (tmp_path / "bad.png").write_bytes((tmp_path / "red.png").read_bytes()[:40])
    train = [
        {"image": "red.png", "label": "red"},
        {"image": "red.png", "label": "red", "question": "What?", "answer": "Red."},  # another question about it
        {"image": "bad.png", "captions": ["bad"]},
        {"image": "blue.png", "captions": [""]},
    ]
    troubles = found(tmp_path, train, [{"image": "blue.png", "label": "blue"}])
    assert {name: f.count for name, f in troubles.items()} == {
        "unreadable picture": 1,
        "empty text": 1,
        "val in train": 1,
    }


def test_words(tmp_path: Path) -> None:
    train = [{"text": f"Sentence {n}."} for n in range(5)] + [{"text": "sentence  1."}] * 4
    troubles = found(tmp_path, train, [{"text": "Sentence 2."}, {"text": "Another."}])
    assert {name: f.count for name, f in troubles.items()} == {"twice in train": 4, "val in train": 1}
    assert len(troubles["twice in train"].examples) == 3


def test_nothing_is_wrong_with_good_rows(tmp_path: Path) -> None:
    assert found(tmp_path, [{"question": "One?", "answer": "Two."}], [{"question": "Two?", "answer": "Three."}]) == {}
