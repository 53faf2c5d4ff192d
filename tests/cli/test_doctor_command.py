"""`muomni doctor`: it finds what is wrong and names it, and the shipped weights pass it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from fake_muomni import refused, run

from muomni_core.model.omni import STAGES, MuOmni
from muomni_core.tasks.doctor import FINE, WEAK, WRONG, draw_shape, examine, terms


@pytest.fixture
def copy(untrained_weights: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(untrained_weights, tmp_path / "weights"))


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_the_package_is_well() -> None:
    result = run("doctor", "--json", "--device", "cpu")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    report = json.loads(result.stdout)
    assert report["fine"] is True and report["problems"] == []
    assert {"muomni", "python", "torch", "torchvision", "soundfile"} <= set(report["versions"])
    assert report["devices"][0]["device"] == "cpu" and report["devices"][0]["cores"] >= 1
    assert {part["stage"] for part in report["weights"]} >= set(STAGES) - {"vocoder"}
    assert all(len(part["fingerprint"]) == 12 and part["parents"] is not None for part in report["weights"])
    assert "share-alike" in next(iter(report["licences"].values()))
    tests = {finding["name"]: finding for finding in report["self_test"]}
    assert {"load", "speak", "hear", "pack and unpack", "answer", "name a red circle", "compare"} <= set(tests)
    assert all(finding["state"] in (FINE, WEAK) and finding["seconds"] >= 0 for finding in tests.values())
    assert tests["hear"]["state"] == FINE and tests["speak"]["state"] == FINE


def test_a_line_for_everything_that_was_looked_at(untrained_weights: Path) -> None:
    result = run("doctor", "--no-self-test", "--weights", str(untrained_weights), "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("versions  muomni ") and "device    cpu: " in result.stdout
    for stage in STAGES:
        assert f"s  {stage}: " in result.stdout
    assert "speak" not in result.stdout


def test_damaged_weights_are_named_and_do_not_hide_the_others(copy: Path) -> None:
    flip_last_byte(copy / "vision.safetensors")
    flip_last_byte(copy / "codec.safetensors")
    result = run("doctor", "--weights", str(copy), "--device", "cpu")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert "codec.safetensors: damaged" in result.stderr and "(and 1 more)" in result.stderr
    assert result.stdout.count(WRONG) == 2 and "speak" not in result.stdout
    assert json.loads(run("doctor", "--json", "--weights", str(copy)).stdout)["fine"] is False


def test_parents_tokenizer_and_device_must_match(copy: Path) -> None:
    shipped = MuOmni.load(device="cpu").files
    shutil.copy(shipped["codec"], copy / "codec.safetensors")
    tokenizer = (shipped["codec"].parent / "tokenizer.json").read_text(encoding="utf-8")
    (copy / "tokenizer.json").write_text(tokenizer + "\n", encoding="utf-8")
    report = examine(copy, "mps", self_test=False)
    wrong = {finding.name: finding.said for finding in report.checks if finding.state == WRONG}
    assert set(wrong) >= {"talker", "vision", "omni"} and "codec" not in wrong
    assert all("tokenizer" in wrong[stage] for stage in ("talker", "vision", "omni"))
    (copy / "tokenizer.json").unlink()
    wrong = [finding for finding in examine(copy, "cpu").checks if finding.state == WRONG]
    assert [finding.name for finding in wrong] == ["talker"] and "codec" in wrong[0].said


def test_a_path_that_fails_is_wrong(monkeypatch: pytest.MonkeyPatch, untrained_weights: Path) -> None:
    monkeypatch.setattr(MuOmni, "transcribe", lambda *_: 1 / 0)
    monkeypatch.setattr(MuOmni, "speak", lambda *_: (np.full(16_000, 0.5, np.float32), 16_000))
    report = examine(untrained_weights, "cpu")
    assert report.problems == ["hear: unexpected ZeroDivisionError: division by zero"]
    assert [f.name for f in report.self_test][-1] == "compare"


def test_a_missing_folder_is_said_before_torch(no_model: None) -> None:
    refused(run("doctor", "--weights", "none"), "no such folder")


def test_terms_are_those_of_the_card(tmp_path: Path) -> None:
    assert "not stated" in terms(tmp_path)
    (tmp_path / "MODEL_CARD.md").write_text("# Mine\n", encoding="utf-8")
    assert terms(tmp_path) == "see its MODEL_CARD.md"
    (tmp_path / "MODEL_CARD.md").write_text("a\n\nIn short: **share\nit alike.** More.", encoding="utf-8")
    assert terms(tmp_path).startswith("share it alike (")


def test_the_shape_is_a_red_circle_on_white() -> None:
    pixels = np.asarray(draw_shape())
    assert pixels.shape == (224, 224, 3)
    assert tuple(pixels[112, 112]) == (255, 0, 0) and tuple(pixels[5, 5]) == (255, 255, 255)
