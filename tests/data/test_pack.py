"""Any layout becomes the shards that recipes read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from muomni_core.data.pack import pack
from muomni_core.data.rows import read_rows
from muomni_core.errors import DataError


def libri(root: Path, speakers: int) -> Path:
    """Two clips of 0.2 s a speaker at 8 kHz, as LibriSpeech lays them out."""
    for speaker in range(speakers):
        home = root / f"{speaker}/1"
        home.mkdir(parents=True)
        lines = []
        for clip in range(2):
            name = f"{speaker}-1-{clip:04d}"
            soundfile.write(home / f"{name}.flac", 0.1 * np.sin(np.arange(1600) * 0.3), 8000)
            lines.append(f"{name} CLIP {clip}\n")
        (home / f"{speaker}-1.trans.txt").write_text("".join(lines))
    return root


def test_speech_is_divided_by_speaker(tmp_path: Path) -> None:
    written = pack(libri(tmp_path / "far/Libri", 24), tmp_path / "data", "libri", val=0.3)
    assert set(written) == {"libri-train-000.tar", "libri-val-000.tar"} and sum(written.values()) == 48
    rows = list(read_rows("speech/libri-*.tar", tmp_path / "data"))
    train, val = ({row.speaker for row in rows if row.split == split} for split in ("train", "val"))
    assert train and val and train.isdisjoint(val)
    sound, rate = soundfile.read(rows[0].sound_source())
    assert rate in (16_000, 48_000) and rows[0].seconds == pytest.approx(0.2, abs=0.01) and sound.ndim == 1
    assert rows[0].text == "clip 0"
    with pytest.raises(DataError, match="exists"):
        pack(tmp_path / "far/Libri", tmp_path / "data", "libri")


def test_pictures_become_small_and_keep_their_split(tmp_path: Path) -> None:
    for split, label in (("train", "cat"), ("val", "hot_dog")):
        folder = tmp_path / "far/pets" / split / label
        folder.mkdir(parents=True)
        Image.new("RGB", (400, 200), "red").save(folder / "1.png")
    pack(tmp_path / "far/pets", tmp_path / "data", "pets", size=64)
    rows = list(read_rows("images/pets-*.tar", tmp_path / "data"))
    assert [(row.label, row.split) for row in rows] == [("cat", "train"), ("hot dog", "val")]
    with Image.open(rows[0].image_source()) as image:
        assert image.size == (128, 64)


def test_text_becomes_lines(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n".join(f"Line {n}." for n in range(200)))
    pack(tmp_path / "book.txt", tmp_path / "data", "book", val=0.1)
    rows = list(read_rows("text/book-*.jsonl.xz", tmp_path / "data"))
    assert {row.text for row in rows} == {f"Line {n}." for n in range(200)}
    assert 5 < sum(row.split == "val" for row in rows) < 40


def test_a_broken_sound_is_named_and_leaves_no_shard(tmp_path: Path) -> None:
    root = libri(tmp_path / "far/Libri", 1)
    (root / "0/1/0-1-0001.flac").write_bytes(b"no sound")
    with pytest.raises(DataError, match="0-1-0001") as caught:
        pack(root, tmp_path / "data", "libri", val=0)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "data").rglob("*.*"))


@pytest.mark.parametrize("name", ["", "a/b", "../a", "made_slt"])
def test_names_that_do_not_serve(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(DataError, match="--name"):
        pack(tmp_path / "a.txt", tmp_path, name)
