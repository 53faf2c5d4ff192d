from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_muomni import refused, run


def test_the_folder_serves_as_weights(untrained_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("export", "model", "--weights", str(untrained_weights))
    assert result.exit_code == 0, result.output
    names = {line.split()[1] for line in result.stdout.splitlines()}
    assert names >= {"model/config.json", "model/tokenizer.json", "model/model.safetensors"}
    args = ("ask", "hello", "--max-tokens", "3", "-q", "--weights")
    assert run(*args, "model").stdout == run(*args, str(untrained_weights)).stdout != ""
    assert run(*args, "model/model.safetensors").stdout == run(*args, "model").stdout
    refused(run("export", "model"), "--force")
    found = json.loads(run("export", "model", "--force", "--json").stdout)
    assert found["folder"] == "model" and found["files"]["model.safetensors"] > 1_000_000


def test_what_cannot_be_exported_to_is_said_before_the_model_is_loaded(no_model: None) -> None:
    Path("file").write_text("x")
    refused(run("export", "file"), "is a file")
    refused(run("export", "."), "not empty")
    refused(run("export", "none/model"), "no folder")


def test_what_holds_no_weights_is_not_replaced_by_the_package(untrained_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    stage = untrained_weights / "codec.safetensors"
    for command in (["ask", "hi"], ["train", "--stage", "codec", "--recipe", "smoke"], ["eval", "--stage", "codec"]):
        refused(run(*command, "--weights", str(tmp_path)), "no weights in this folder")
        refused(run(*command, "--weights", str(tmp_path / "file")), "is a file")
        refused(run(*command, "--weights", str(stage)), "give the folder")
        refused(run(*command, "--weights", str(tmp_path / "none")), "no such folder")
    refused(run("train", "--stage", "codec", "--recipe", "smoke", "--init", str(tmp_path)), "no weights in this folder")
    found = json.loads(run("doctor", "--json", "--weights", str(tmp_path)).stdout)
    assert found["problems"] == [
        f"weights: {tmp_path}: no weights in this folder, neither model.safetensors nor <stage>.safetensors"
    ]
