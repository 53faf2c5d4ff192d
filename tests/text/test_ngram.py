"""The letter model: its probabilities are probabilities, it prefers what it has read, its file is what was built."""

from __future__ import annotations

import json
import lzma
import math
import random
from pathlib import Path

import numpy as np
import pytest

from muomni_core.errors import CheckpointError, DataError, InputError
from muomni_core.text import ngram
from muomni_core.text.ngram import ALPHABET, LetterModel, build, encode, save

WORDS = "the a dog cat house garden friend sees walks don't runs to from over under big small".split()


def some_text(n_words: int = 3000) -> list[str]:
    chance = random.Random(0)
    return [" ".join(chance.choices(WORDS, k=8)) for _ in range(n_words // 8)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ngram") / "letters.npz"
    save(build(encode(some_text()), order=6, max_entries=800), made)
    return made


@pytest.fixture(scope="module")
def model(path: Path) -> LetterModel:
    return LetterModel.load(path)


def test_rows_are_distributions(model: LetterModel) -> None:
    state = model.start
    for character in "the dog sees a cat xq":
        logs, after = model.row(state)
        assert sum(map(math.exp, logs)) == pytest.approx(1.0, abs=0.08)  # 8 bits a logarithm
        state = after[ALPHABET.index(character)]


def test_it_is_no_larger_than_asked_and_prefers_what_it_read(model: LetterModel) -> None:
    assert 200 < model.n_entries <= 800
    assert model.score("the dog sees ") > model.score("teh dgo sees ") + 4
    assert model.score("the garden ") / 11 > -1.2  # nats a character; 28 alike would be -3.3


def test_more_entries_are_no_worse() -> None:
    text, places = "the cat walks over a garden ", encode(some_text())
    scores = []
    for most in (100, 400, 1600):
        arrays = build(places, order=6, max_entries=most)
        orders = range(1, int(arrays["order"]) + 1)
        own = LetterModel(*([arrays[f"{name}_{n}"] for n in orders] for name in ("children", "characters", "values")))
        scores.append(own.score(text))
    assert scores == sorted(scores)


def test_encode() -> None:
    assert encode(["ab", "c'"]).tolist() == [0, 1, 2, 0, 3, 27, 0]
    with pytest.raises(DataError, match="too little text"):
        build(encode(["a"]))


def test_files_that_are_none(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such letter model"):
        LetterModel.load(tmp_path / "none.npz")
    whole = path.read_bytes()
    for name, data in {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no model"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match=name):
            LetterModel.load(tmp_path / name)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["format"] = np.array(99)
    save(arrays, tmp_path / "new.npz")
    with pytest.raises(CheckpointError, match="another format"):
        LetterModel.load(tmp_path / "new.npz")
    with pytest.raises(InputError, match="exists"):
        save(arrays, tmp_path / "new.npz")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").mkdir()
    with lzma.open(tmp_path / "text" / "some-train.jsonl.xz", "wt") as file:
        file.write("".join(json.dumps({"text": line + ", 2."}) + "\n" for line in some_text(800)))
    target = tmp_path / "letters.npz"
    assert ngram.main(["--data", str(tmp_path), "--out", str(target), "--order", "4", "--max-entries", "500"]) == 0
    assert "n-grams" in capsys.readouterr().out
    model = LetterModel.load(target)
    assert model.score("two ") > model.score("owt ")  # numbers are read in words
    assert ngram.main(["--data", str(tmp_path), "--out", str(target)]) == 1
    assert "exists" in capsys.readouterr().err
    assert ngram.main(["--data", str(tmp_path / "none"), "--out", str(tmp_path / "x.npz")]) == 1
