"""Features are kept as long as the data is the same, and no longer."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from muomni_core.audio.io import write_wav
from muomni_core.data import features
from muomni_core.data.features import PictureSet, SpeechSet, WaveSet
from muomni_core.data.shards import write_shard
from muomni_core.data.stored import _early_key


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose features were computed, in an empty cache."""
    names: list[str] = []
    make = features._make_waves
    monkeypatch.setenv("MUOMNI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(features, "_make_waves", lambda p, b, r: names.append(p.name) or make(p, b, r))
    return names


def tone(path: Path, hertz: float, seconds: float = 0.5) -> Path:
    write_wav(path, np.sin(np.arange(int(16_000 * seconds)) * hertz / 2546).astype(np.float32) / 2, force=True)
    return path


def shard(root: Path) -> Path:
    sound = tone(root / "tone.wav", 300).read_bytes()
    write_shard(root / "a-train-000.tar", [("1", {"wav": sound, "json": json.dumps({"text": "hm"}).encode()})])
    return root / "a-train-000.tar"


def test_another_date_or_place_is_the_same_data(tmp_path: Path, made: list[str]) -> None:
    path = shard(tmp_path)
    first = WaveSet(path.name, tmp_path)
    os.utime(path, (1, 1))
    (tmp_path / "other").mkdir()
    shutil.copy(path, tmp_path / "other" / path.name)
    for root in (tmp_path, tmp_path / "other"):
        assert np.array_equal(WaveSet(path.name, root).wave(0), first.wave(0))
    assert made == [path.name]


def test_other_bytes_of_the_same_size_are_other_data(tmp_path: Path, made: list[str]) -> None:
    path = shard(tmp_path)
    WaveSet(path.name, tmp_path)
    about, blob = path.stat(), bytearray(path.read_bytes())
    blob[700:720] = blob[720:740]
    path.write_bytes(blob)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    WaveSet(path.name, tmp_path)
    assert made == [path.name] * 2


def test_a_sound_that_a_manifest_names_is_part_of_it(tmp_path: Path, made: list[str]) -> None:
    tone(tmp_path / "one.wav", 300)
    rows = tmp_path / "mine-train.jsonl"
    rows.write_text(json.dumps({"audio": "one.wav", "text": "hm"}))
    before = WaveSet(rows.name, tmp_path).wave(0)
    WaveSet(rows.name, tmp_path)
    tone(tmp_path / "one.wav", 700, 0.6)
    after = WaveSet(rows.name, tmp_path).wave(0)
    assert made == [rows.name] * 2 and len(after) > len(before)


def test_a_folder_counts_with_all_its_files(tmp_path: Path, made: list[str]) -> None:
    folder = tmp_path / "lj"
    (folder / "wavs").mkdir(parents=True)
    tone(folder / "wavs" / "1.wav", 300)
    (folder / "metadata.csv").write_text("1|one\n")
    for _ in range(2):
        assert len(WaveSet("lj", tmp_path)) == 1
    tone(folder / "wavs" / "2.wav", 400)
    (folder / "metadata.csv").write_text("1|one\n2|two\n")
    assert len(WaveSet("lj", tmp_path)) == 2 and made == ["lj"] * 2


def test_features_of_version_0_are_taken(tmp_path: Path, made: list[str]) -> None:
    path = shard(tmp_path)
    WaveSet(path.name, tmp_path)
    folder = tmp_path / "cache" / "waves"
    for file in list(folder.iterdir()):
        file.rename(folder / (_early_key(path, "int16") + file.suffix))
    assert len(WaveSet(path.name, tmp_path)) == 1 and made == [path.name]


def test_a_making_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shard(tmp_path)
    monkeypatch.setenv("MUOMNI_CACHE", str(tmp_path / "cache"))

    def full(_: Path, binary: Path, __: Path) -> list[dict]:
        binary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(features, "_make_mels", full)
    with pytest.raises(OSError, match="No space left"):
        SpeechSet(path.name, tmp_path)
    assert not list((tmp_path / "cache" / "mel").iterdir())


def test_squares_hold_each_picture_squeezed_and_follow_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUOMNI_CACHE", str(tmp_path / "cache"))
    for red in (200, 90):  # the second time the same names hold other pictures
        rows = []
        for key, size in (("1", (200, 100)), ("2", (64, 256))):
            blob = io.BytesIO()
            Image.new("RGB", size, (red, 10, 0)).save(blob, "PNG")
            rows.append((key, {"png": blob.getvalue(), "json": json.dumps({"label": "red"}).encode()}))
        write_shard(tmp_path / "a-train-000.tar", rows)
        pictures = PictureSet("a-train-000.tar", tmp_path)
        squares = pictures.squares()
        assert squares.shapes.tolist() == [[128, 256], [256, 128]]  # long ones keep their middle
        both = squares[np.array([1, 0])]
        assert both.shape == (2, 3, 128, 128) and both[:, 0].unique().tolist() == [red]
