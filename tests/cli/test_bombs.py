"""Files that mean harm: refused in one line, in little memory; nothing is written outside, nothing is executed."""

from __future__ import annotations

import io
import json
import os
import pickle  # noqa: TID251 (to make one, which must never be loaded)
import shutil
import struct
import tarfile
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_muomni import FakeOmni, refused, run

from muomni_core.audio.wav import wav_header

ESCAPE = "\x1b]0;title\x07\x1b[31mred"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in a folder: whatever is written beside it is found."""
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    yield inside
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("secret.jsonl", "weights")] == ["inside"]


@pytest.fixture
def weights(untrained_weights: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(untrained_weights, tmp_path / "weights"))


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x80000000, 5_000])
def test_a_wav_header_is_not_believed(omni: FakeOmni, length: int) -> None:
    data = bytearray(wav_header(1600, 16_000)) + bytes(3200)
    data[4:8] = data[40:44] = struct.pack("<I", length)
    Path("s.wav").write_bytes(data)
    tracemalloc.start()
    assert run("transcribe", "s.wav", "-q").stdout == "1600 samples\n"
    assert run("transcribe", "-", "-q", stdin=bytes(data)).stdout == "1600 samples\n"
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()


def png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_of_60000_by_60000(place: Path, untrained_weights: Path) -> None:
    packer, row = zlib.compressobj(1), bytes(1 + 60_000 // 8)
    rows = b"".join(packer.compress(row * 100) for _ in range(600)) + packer.flush()
    Path("bomb.png").write_bytes(png(60_000, 60_000, rows))
    tracemalloc.start()
    refused(run("ask", "--image", "bomb.png", "--weights", str(untrained_weights)), "bomb.png", "large")
    assert tracemalloc.get_traced_memory()[1] < 300_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("size", [2**31, 2**63, 2**64 - 1])
def test_a_safetensors_header_of_gigabytes(place: Path, weights: Path, size: int) -> None:
    with open(weights / "codec.safetensors", "wb") as file:
        file.write(size.to_bytes(8, "little"))
        file.truncate(2**31 + 100)  # sparse: nothing is on the disk
    refused(run("speak", "hi", "-o", "a.wav", "--weights", str(weights)), "codec.safetensors", "not a readable")
    assert not list(place.iterdir())


def test_overlapping_tensors(place: Path, weights: Path) -> None:
    path = weights / "codec.safetensors"
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    names = sorted(name for name in header if name != "__metadata__")
    header[names[1]] |= {key: header[names[0]][key] for key in ("dtype", "shape", "data_offsets")}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    refused(run("codec", "encode", "s.wav", "-o", "a.codes", "--weights", str(weights)), "s.wav")
    refused(run("speak", "hi", "-o", "a.wav", "--weights", str(weights)), "codec.safetensors", "not a readable")


def shard(*members: tarfile.TarInfo) -> None:
    with tarfile.open("m-val-000.tar", "w") as tar:
        for member in members:
            member.size = 4 if member.isreg() else 0
            tar.addfile(member, io.BytesIO(b"data"))


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("name", ["../out.wav", "a/../../out.wav", "/tmp/out.wav"])
def test_a_shard_that_leaves_its_folder(place: Path, untrained_weights: Path, name: str) -> None:
    shard(tarfile.TarInfo(name), tarfile.TarInfo(name.replace(".wav", ".json")))
    args = ("--manifest", "m-val-000.tar", "--weights", str(untrained_weights))
    refused(run("eval", "--stage", "audio", *args), "m-val-000.tar")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_shard_with_links(place: Path, untrained_weights: Path, kind: bytes) -> None:
    shard(link("a.wav", "/etc/passwd", kind), tarfile.TarInfo("a.json"))
    args = ("--manifest", "m-val-000.tar", "--weights", str(untrained_weights))
    refused(run("eval", "--stage", "audio", *args), "m-val-000.tar")


@pytest.mark.parametrize("pattern", ["../secret.jsonl", "/etc/passwd", "a/../../secret.jsonl"])
def test_a_recipe_that_names_files_outside(place: Path, pattern: str) -> None:
    (place.parent / "secret.jsonl").write_text('{"audio": "a.wav", "text": "secret"}\n')
    Path("audio.toml").write_text(f'[data]\ntrain = ["{pattern}"]\nval = ["{pattern}"]\n')
    checked = run("recipes", "validate", "audio.toml", "--data", ".")
    refused(checked, pattern)
    tried = run("train", "--stage", "audio", "--recipe", "audio.toml", "--data", ".", "--out", "run", "--dry-run")
    assert tried.exit_code == 1 and pattern in tried.stderr and "secret" not in tried.stderr.replace(pattern, "")


def test_a_manifest_that_names_files_outside(place: Path, untrained_weights: Path) -> None:
    Path("m-val.jsonl").write_text('{"audio": "../../../../etc/passwd", "text": "one"}\n')
    args = ("--manifest", "m-val.jsonl", "--weights", str(untrained_weights))
    refused(run("eval", "--stage", "audio", *args), "m-val.jsonl")


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_file_names_with_escape_sequences(omni: FakeOmni) -> None:
    Path(f"{ESCAPE}.wav").write_bytes(b"no sound")
    for args in (
        ["transcribe", f"{ESCAPE}.wav"],
        ["transcribe", "."],
        ["ask", "--image", f"{ESCAPE}.png"],
        ["speak", "hi", "-o", f"{ESCAPE}/a.wav"],
        ["codec", "decode", f"{ESCAPE}.wav", "-o", "a.wav"],
        ["ask", "hi", "--weights", ESCAPE],
        ["recipes", "show", ESCAPE],
        ["ask", "--batch", ESCAPE],
        [ESCAPE],
        ["ask", f"--{ESCAPE}"],
        ["ask", "hi", "--device", ESCAPE],
    ):
        result = run(*args)
        assert result.exit_code in (0, 1, 2)
        assert not any(c in result.output for c in "\x1b\x07"), args


class Harm:
    """What a pickle of it does when it is loaded."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("executed"),)


def test_no_pickle_is_loaded(place: Path, weights: Path) -> None:
    payload = pickle.dumps(Harm())
    args = ("speak", "hi", "-o", "a.wav", "--weights", str(weights))
    for name in ("tokenizer.json", "codec.safetensors"):
        kept = (weights / name).read_bytes() if (weights / name).exists() else None
        (weights / name).write_bytes(payload)
        refused(run(*args), name)
        (weights / name).unlink() if kept is None else (weights / name).write_bytes(kept)
    np.savez(weights / "letters.npz", format=np.array([Harm()], dtype=object))
    Path("s.wav").write_bytes(wav_header(16_000, 16_000) + np.full(16_000, 900, np.int16).tobytes())
    run("transcribe", "s.wav", "--weights", str(weights))
    assert not Path("executed").exists()
