"""The data that `recipes/smoke` makes: whole, the same every time, and learnable."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from muomni_core.data import smoke
from muomni_core.data.rows import Row, fingerprint, read_rows
from muomni_core.errors import DataError

SIZES = {"clips": 16, "pictures": 24, "texts": 40}
EVERYTHING = ["text/*", "speech/*", "images/*"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return smoke.make_smoke(tmp_path_factory.mktemp("smoke"), **SIZES)


@pytest.fixture(scope="module")
def rows(root: Path) -> list[Row]:
    return list(read_rows(EVERYTHING, root))


def test_every_source_has_both_splits(rows: list[Row]) -> None:
    count = Counter((row.source, row.split) for row in rows)
    sources = {"smoke_low", "smoke_high", "smoke_shapes", "smoke_questions"}
    sources |= {"smoke_sentences", "smoke_dialogues", "smoke_answers"}
    assert {source for source, _ in count} == sources
    assert all(count[source, split] > 0 for source in sources for split in ("train", "val"))
    assert count["smoke_low", "train"] == 8 and count["smoke_shapes", "train"] == 24


def test_the_same_seed_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    again = smoke.make_smoke(tmp_path / "again", **SIZES)
    assert fingerprint(EVERYTHING, root) == fingerprint(EVERYTHING, again)
    other = smoke.make_smoke(tmp_path / "other", seed=1, **SIZES)
    assert fingerprint(EVERYTHING, root) != fingerprint(EVERYTHING, other)


def test_what_is_there_is_kept_and_other_sizes_made_anew(tmp_path: Path) -> None:
    smoke.make_smoke(tmp_path, **SIZES)
    shard = tmp_path / "images/smoke_shapes-train-000.tar"
    before = shard.stat().st_mtime_ns
    smoke.make_smoke(tmp_path, **SIZES)
    assert shard.stat().st_mtime_ns == before
    smoke.make_smoke(tmp_path, **(SIZES | {"pictures": 36}))
    assert len(list(read_rows("images/smoke_shapes-train-000.tar", tmp_path))) == 36


def test_val_is_not_in_train(rows: list[Row]) -> None:
    def texts(split: str) -> set[str]:
        mine = [row for row in rows if row.split == split and row.image is None]
        return {t for row in mine for t in (row.text, row.question, " / ".join(row.turns)) if t}

    assert texts("train").isdisjoint(texts("val"))
    described = {t for row in rows if row.audio or row.image for t in (row.text, *row.captions) if t}
    assert described.isdisjoint(row.text for row in rows if row.audio is None)
    pictures = {split: {row.image for row in rows if row.image and row.split == split} for split in ("train", "val")}
    assert pictures["train"].isdisjoint(pictures["val"])


def test_sound_is_sound(rows: list[Row]) -> None:
    for row in rows:
        if row.audio is None:
            continue
        sound, rate = soundfile.read(row.sound_source(), dtype="float32")
        assert rate == 16_000 and sound.ndim == 1 and 0.1 < np.abs(sound).max() < 0.6
        assert row.seconds == pytest.approx(len(sound) / rate)
        assert row.text and set(row.text) <= set(smoke.LETTERS + " ")
        assert row.seconds * 50 > 2 * len(row.text)  # the ear's 50 slots a second leave room for blanks


def test_letters_differ_and_spaces_are_silent() -> None:
    rng = np.random.default_rng(0)
    voice = smoke.VOICES[0]
    spectra = []
    for letter in smoke.LETTERS:
        power = np.abs(np.fft.rfft(smoke.say(letter, voice, rng), 4096)) ** 2
        spectra.append(power / np.linalg.norm(power))
    likeness = np.array(spectra) @ np.array(spectra).T - np.eye(len(spectra))
    assert likeness.max() < 0.95
    assert np.abs(smoke.say("   ", voice, rng)).max() < 0.01
    high = np.abs(np.fft.rfft(smoke.say("a", smoke.VOICES[1], rng), 4096)) ** 2
    assert high @ spectra[0] / np.linalg.norm(high) < 0.5


def test_pictures_show_their_captions(rows: list[Row]) -> None:
    for row in rows:
        if row.image is None:
            continue
        with Image.open(row.image_source()) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=int)
        assert row.label in smoke.SHAPES and row.fine and all(row.label in c for c in row.captions)
        colour = smoke.COLOURS[row.fine.split()[0]]
        share = (np.abs(pixels - colour).max(axis=2) < 16).mean()
        assert 0.03 < share < 0.6
        assert (row.question is None) == (row.source != "smoke_questions") == (row.answer is None)


def test_all_kinds_of_question_are_asked(rows: list[Row]) -> None:
    asked = {row.question for row in rows if row.source == "smoke_questions" and row.split == "train"}
    assert {"What do you see?", "What colour is the circle?"} <= asked
    answers = {row.answer.split(",")[0] for row in rows if row.question and row.question.startswith("Is there")}
    assert answers == {"Yes", "No"}


def test_full_size_takes_seconds(tmp_path: Path) -> None:
    start = time.process_time()
    smoke.make_smoke(tmp_path)
    assert time.process_time() - start < 20
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 20_000_000


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written") as caught:
        smoke.make_smoke(tmp_path / "file")
    assert "\n" not in str(caught.value)
