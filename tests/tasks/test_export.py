"""A model in one folder: it answers as before, stands by itself, and parts that do not fit are refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from muomni_core import MuOmni
from muomni_core.checkpoint import EXPORT, EXPORT_CONFIG, load_stage
from muomni_core.errors import CheckpointError, InputError
from muomni_core.tasks.export import export


@pytest.fixture(scope="module")
def made(untrained_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of untrained weights; not to be written to."""
    folder = tmp_path_factory.mktemp("export") / "model"
    export(MuOmni.load(untrained_weights, device="cpu"), folder)
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def change_config(folder: Path, change) -> None:
    path = folder / EXPORT_CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(json.dumps(config), encoding="utf-8")


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        omni = MuOmni.load(folder, device="cpu")
        for stage in omni.files:
            load_stage(omni.files[stage], stage, tokenizer=omni.tokenizer.fingerprint)
    said = str(caught.value)
    assert "\n" not in said and all(word in said for word in words), said


def test_one_folder_with_a_single_safetensors(made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == [
        "config.json",
        "letters.npz",
        "model.safetensors",
        "punctuation.safetensors",
        "tokenizer.json",
    ]
    assert len({path.stat().st_mode & 0o777 for path in made.iterdir()}) == 1


def test_it_gives_the_same_answers(made: Path, untrained_weights: Path) -> None:
    before, after = MuOmni.load(untrained_weights, device="cpu"), MuOmni.load(made, device="cpu")
    assert before.fingerprints == after.fingerprints and before.config == after.config
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))
    sound = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    assert before.ask("hello", max_tokens=8) == after.ask("hello", max_tokens=8)
    assert before.ask(image=picture, max_tokens=8) == after.ask(image=picture, max_tokens=8)
    assert before.listen((sound, 16_000)) == after.listen((sound, 16_000))
    assert np.array_equal(before.speak("hi")[0], after.speak("hi")[0])
    assert np.array_equal(before.encode_sound(sound), after.encode_sound(sound))
    assert np.array_equal(before.embed(text="a cat"), after.embed(text="a cat"))


def test_it_takes_nothing_from_the_package(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muomni_core.model.omni.SHIPPED", tmp_path / "gone")
    assert MuOmni.load(made, device="cpu").listen((np.zeros(800, np.float32), 16_000)).text == ""


def test_an_export_of_an_export_is_the_same(made: Path, tmp_path: Path) -> None:
    export(MuOmni.load(made, device="cpu"), tmp_path / "again")
    for name in (EXPORT, EXPORT_CONFIG, "tokenizer.json", "letters.npz", "punctuation.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (made / name).read_bytes()


def test_a_stage_of_its_own_comes_before_the_export(copy: Path, untrained_weights: Path) -> None:
    shutil.copy(untrained_weights / "codec.safetensors", copy)
    assert MuOmni.load(copy, device="cpu").files["codec"].name == "codec.safetensors"


def test_parts_that_do_not_fit_are_named(copy: Path) -> None:
    path = copy / EXPORT
    tensors = load_file(path)
    name = next(name for name in tensors if name.startswith("talker."))
    save_file(tensors | {name: torch.zeros_like(tensors[name])}, path)
    refused(copy, str(path), "stage talker", EXPORT_CONFIG)
    save_file(tensors | {"extra.weight": torch.zeros(1)}, path)
    refused(copy, str(path), "extra.weight")
    save_file({k: v for k, v in tensors.items() if k != name}, path)
    refused(copy, str(path), "stage talker")


def test_a_config_that_does_not_fit_is_named(copy: Path) -> None:
    change_config(copy, lambda config: config["stages"]["omni"].update(fingerprint="0123456789ab"))
    refused(copy, "talker", "omni", "0123456789ab")
    change_config(copy, lambda config: config["stages"].pop("omni"))
    refused(copy, EXPORT, "audio_projector.")
    change_config(copy, lambda config: config.update(format=9))
    refused(copy, EXPORT_CONFIG, "format 9")
    for text in ("", "[]", '{"format": 1, "stages": [1]}', '{"format": 1, "stages": {"codec": 3}}', "[" * 100_000):
        (copy / EXPORT_CONFIG).write_text(text)
        refused(copy, EXPORT_CONFIG)
    (copy / EXPORT_CONFIG).unlink()
    refused(copy, EXPORT, EXPORT_CONFIG)


def test_another_tokenizer_is_named(copy: Path) -> None:
    path = copy / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    refused(copy, "tokenizer")
    path.unlink()
    refused(copy, "tokenizer")


def test_a_folder_of_other_things_is_left_alone(untrained_weights: Path, tmp_path: Path) -> None:
    omni = MuOmni.load(untrained_weights, device="cpu")
    (tmp_path / "mine.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(InputError, match="not empty"):
            export(omni, tmp_path, force=force)
    with pytest.raises(InputError, match="is a file"):
        export(omni, tmp_path / "mine.txt")
    with pytest.raises(InputError, match="no folder"):
        export(omni, tmp_path / "none" / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_export_is_kept_unless_forced(copy: Path, untrained_weights: Path) -> None:
    omni = MuOmni.load(untrained_weights, device="cpu")
    (copy / EXPORT).write_bytes(b"broken")
    with pytest.raises(InputError, match="--force"):
        export(omni, copy)
    export(omni, copy, force=True)
    assert MuOmni.load(copy, device="cpu").ask("hi", max_tokens=2) == omni.ask("hi", max_tokens=2)


def test_damaged_weights_leave_nothing(untrained_weights: Path, tmp_path: Path) -> None:
    weights = Path(shutil.copytree(untrained_weights, tmp_path / "weights"))
    data = bytearray((weights / "codec.safetensors").read_bytes())
    data[-1] ^= 1
    (weights / "codec.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="codec"):
        export(MuOmni.load(weights, device="cpu"), tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_the_card_of_the_weights_goes_with_them(untrained_weights: Path, tmp_path: Path) -> None:
    weights = Path(shutil.copytree(untrained_weights, tmp_path / "weights"))
    (weights / "MODEL_CARD.md").write_text("# Mine\nshare-alike", encoding="utf-8")
    export(MuOmni.load(weights, device="cpu"), tmp_path / "model")
    assert (tmp_path / "model" / "MODEL_CARD.md").read_text(encoding="utf-8") == "# Mine\nshare-alike\n"
