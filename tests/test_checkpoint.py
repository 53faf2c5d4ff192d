"""Weights in and out: the same comes back, and what does not fit is refused in one line that names it."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from muomni_core.checkpoint import (
    COMPONENTS,
    PARENTS,
    Header,
    check_parents,
    component_tensors,
    fingerprint,
    load_component,
    load_stage,
    read_header,
    save_stage,
    write_atomically,
)
from muomni_core.config import MICRO, to_dict
from muomni_core.errors import CheckpointError
from muomni_core.model.codec import TRAINING_ONLY, Codec

CONFIG = {"codec": to_dict(MICRO.codec)}


@pytest.fixture
def codec() -> Codec:
    torch.manual_seed(0)
    return Codec(MICRO.codec)


@pytest.fixture
def path(tmp_path: Path, codec: Codec) -> Path:
    target = tmp_path / "codec.safetensors"
    save_stage(target, component_tensors({"codec": codec}, drop=TRAINING_ONLY), Header("codec", CONFIG, step=7))
    return target


def rewrite(path: Path, *, tensors: dict[str, Tensor] | None = None, **changed: object) -> None:
    """The same file with another header, or with other tensors and a fingerprint that is theirs."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["muomni"])
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    kept = kept if tensors is None else tensors
    save_file(kept, path, {"muomni": json.dumps(header | {"fingerprint": fingerprint(kept)} | changed)})


def refused(words: str, path: Path, **options: str) -> None:
    with pytest.raises(CheckpointError, match=words) as caught:
        _, tensors = load_stage(path, "codec", **options)
        load_component(Codec(MICRO.codec), "codec", tensors, path)
    said = str(caught.value)
    assert str(path) in said and "\n" not in said


# --- there and back


def test_what_was_saved_comes_back(path, codec):
    header, tensors = load_stage(path, "codec")
    assert (header.stage, header.config, header.step) == ("codec", CONFIG, 7)
    assert not any(name.endswith(TRAINING_ONLY) for name in tensors)
    other = Codec(MICRO.codec)
    load_component(other, "codec", tensors, path)
    for (name, mine), given in zip(codec.named_parameters(), other.parameters(), strict=True):
        assert given.dtype == torch.float32
        assert torch.equal(given, mine.half().float()), name
    codes = torch.randint(64, (1, 5, 2))
    assert torch.allclose(other.eval().decode(codes), codec.eval().decode(codes), atol=2e-2)


def test_the_header_is_all_that_a_reader_needs(path):
    header = read_header(path, "codec")
    assert header == load_stage(path, "codec")[0]
    assert header.mel == to_dict(MICRO.mel) and len(header.fingerprint) == 12


def test_everything_of_the_header_survives(tmp_path, codec):
    given = Header(
        "talker",
        {"talker": to_dict(MICRO.talker)},
        step=3,
        metrics={"cer": 0.25},
        parents={"omni": "0" * 12, "codec": "1" * 12},
        data="d" * 12,
        tokenizer="t" * 12,
        legs=[{"recipe": "tiny/talker", "steps": 3}],
    )
    written = save_stage(tmp_path / "talker.safetensors", {"talker.x": torch.ones(2)}, given)
    assert read_header(tmp_path / "talker.safetensors", "talker") == written
    assert {**vars(written), "fingerprint": ""} == vars(given)


def test_the_fingerprint_is_of_names_types_shapes_and_bytes():
    prints = {
        fingerprint(t)
        for t in (
            {"a": torch.zeros(4)},
            {"b": torch.zeros(4)},
            {"a": torch.zeros(2, 2)},
            {"a": torch.zeros(4).half()},
            {"a": torch.tensor([0.0, 0, 0, 1])},
            {"a": torch.zeros(4), "b": torch.zeros(1)},
        )
    }
    assert len(prints) == 6
    one, two = {"a": torch.ones(2), "b": torch.zeros(3)}, {"b": torch.zeros(3), "a": torch.ones(2)}
    assert fingerprint(one) == fingerprint(two)


def test_the_order_of_training_is_acyclic():
    assert set(PARENTS) == set(COMPONENTS)
    order = list(PARENTS)
    assert all(order.index(parent) < order.index(stage) for stage, parents in PARENTS.items() for parent in parents)


# --- files that are no weights


def test_a_missing_file(tmp_path):
    refused("no such weights file", tmp_path / "codec.safetensors")


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"rubbish " * 100, b"\xff" * 64, struct.pack("<Q", 4) + b"null"])
def test_files_of_something_else(tmp_path, content):
    (tmp_path / "codec.safetensors").write_bytes(content)
    refused("not a readable weights file", tmp_path / "codec.safetensors")


def test_a_folder(tmp_path):
    refused("not a readable weights file", tmp_path)


@pytest.mark.parametrize("kept", [5, 100, 0.5, -1])
def test_a_truncated_file(path, kept):
    blob = path.read_bytes()
    path.write_bytes(blob[: int(kept * len(blob)) if isinstance(kept, float) else kept])
    refused("not a readable weights file", path)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.999])
def test_damaged_bytes(path, place):
    blob = bytearray(path.read_bytes())
    blob[int(place * len(blob))] ^= 0x10
    path.write_bytes(blob)
    refused("damaged", path)


@pytest.mark.parametrize("metadata", [None, {}, {"muomni": "{"}, {"muomni": "null"}, {"muomni": '{"what": 1}'}])
def test_weights_of_others(path, metadata):
    save_file({"codec.x": torch.ones(2)}, path, metadata)
    refused("not made by `muomni train`", path)


# --- weights that do not fit


def test_another_format_of_ours(path):
    rewrite(path, format=2)
    refused("format 2, this muOmni reads format 1", path)


def test_another_stage(path):
    with pytest.raises(CheckpointError, match="holds the stage codec, expected audio"):
        read_header(path, "audio")


def test_another_mel(path):
    rewrite(path, mel=to_dict(MICRO.mel) | {"hop_length": 256})
    refused("made for another mel.*256", path)


def test_another_tokenizer(tmp_path):
    path = tmp_path / "thinker.safetensors"
    save_stage(path, {"thinker.x": torch.ones(2)}, Header("thinker", {}, tokenizer="abc"))
    load_stage(path, "thinker", tokenizer="abc")
    for read in (read_header, load_stage):
        with pytest.raises(CheckpointError, match=r"thinker.safetensors: made for the tokenizer abc, here is xyz"):
            read(path, "thinker", tokenizer="xyz")


def test_a_stage_without_text_takes_any_tokenizer(path):
    load_stage(path, "codec", tokenizer="xyz")


def test_another_parent(path):
    child = Header("talker", {}, parents={"codec": "aaa", "omni": "bbb"})
    check_parents(path, child, {"codec": "aaa", "omni": "bbb", "vision": "ccc"})
    check_parents(path, child, {"codec": "aaa"})
    with pytest.raises(CheckpointError, match="talker weights were trained on omni bbb, here is zzz") as caught:
        check_parents(path, child, {"codec": "aaa", "omni": "zzz"})
    assert "muomni train --stage talker" in str(caught.value) and "\n" not in str(caught.value)


def tensors_of(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)


def test_a_missing_tensor(path):
    tensors = tensors_of(path)
    del tensors["codec.decoder.out.bias"]
    rewrite(path, tensors=tensors)
    refused("missing tensors.*decoder.out.bias", path)


@pytest.mark.parametrize("name", ["codec.decoder.more", "vocoder.weight", "codecs.x"])
def test_an_additional_tensor(path, name):
    rewrite(path, tensors=tensors_of(path) | {name: torch.ones(1).half()})
    refused(f"unknown tensors.*{name.rpartition('.')[2]}", path)


def test_a_misshaped_tensor(path):
    rewrite(path, tensors=tensors_of(path) | {"codec.decoder.out.bias": torch.ones(127).half()})
    refused(r"codec.decoder.out.bias: expected shape \(128,\), got \(127,\)", path)


def test_a_refused_file_changes_nothing(path, codec):
    before = {k: v.clone() for k, v in codec.state_dict().items()}
    tensors = {k: v.float() + 1 for k, v in tensors_of(path).items()}
    tensors["codec.decoder.out.bias"] = torch.ones(127)
    with pytest.raises(CheckpointError):
        load_component(codec, "codec", tensors, path)
    assert all(torch.equal(v, before[k]) for k, v in codec.state_dict().items())


def test_components_are_told_apart(tmp_path):
    modules = {"thinker": nn.Linear(2, 2), "vision_projector": nn.Linear(2, 3), "audio_projector": nn.Linear(2, 4)}
    path = tmp_path / "omni.safetensors"
    save_stage(path, component_tensors(modules), Header("omni", {}))
    _, tensors = load_stage(path, "omni")
    assert len(tensors) == 6
    other = nn.Linear(2, 3)
    load_component(other, "vision_projector", tensors, path)
    assert torch.equal(other.weight, modules["vision_projector"].weight.half().float())


# --- writing


def test_a_write_that_fails_leaves_the_old_file(path, codec, monkeypatch):
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_stage(path, {"codec.x": torch.zeros(3)}, Header("codec", {}))
    assert path.read_bytes() == before
    load_stage(path, "codec")


def test_a_write_makes_its_folder_and_leaves_no_rubbish(tmp_path):
    write_atomically(tmp_path / "a" / "b.bin", b"one")
    write_atomically(tmp_path / "a" / "b.bin", b"two")
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"two"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.bin"]
