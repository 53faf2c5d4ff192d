"""The training of the punctuator: windows say what was written, and a moment of it learns a simple language."""

from __future__ import annotations

import json
import lzma
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from muomni_core.errors import DataError
from muomni_core.evaluation import punctuation
from muomni_core.model.punctuator import Scribe, load_punctuator
from muomni_core.model.word_times import HeardWord
from muomni_core.text.tokenizer import Tokenizer
from muomni_core.text.written import ENDS
from muomni_core.training import punctuator
from muomni_core.training.punctuator import IGNORED, Sampler, Words, misheard, read_words, train


def some_text(n: int) -> list[str]:
    chance = random.Random(n)
    thing = ("dog", "tree", "house", "river")
    return [
        chance.choice(
            [
                f"Where is the {chance.choice(thing)}?",
                f"The {chance.choice(thing)} is old, and Tom likes it.",
                f"Tom sees a {chance.choice(thing)}.",
            ]
        )
        for _ in range(n)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "text").mkdir()
    for split, n in (("train", 700), ("val", 699)):
        with lzma.open(folder / "text" / f"some-{split}.jsonl.xz", "wt") as file:
            for k in range(0, n, 7):
                file.write(json.dumps({"text": " ".join(some_text(n)[k : k + 7]) + f" It is {k}."}) + "\n")
    return folder


@pytest.fixture(scope="module")
def words(data: Path) -> Words:
    return read_words(data, "train")


def test_windows_say_what_was_written(words: Words) -> None:
    tokenizer = Tokenizer.load()
    sampler = Sampler(words, tokenizer, 0)
    for whole in (0.0, 1.0):
        batch = sampler.draw(400, heard=0.0, pauses=0.5, whole=whole)
        for row in range(len(batch.pieces)):
            n = int(batch.lasts[row].argmax()) + 1
            assert tokenizer.decode(batch.pieces[row, : batch.lengths[row]].tolist()).islower()
            assert batch.lasts[row, n - 1] == batch.lengths[row] - 1
            assert set(batch.mark[row, n:].tolist()) | set(batch.case[row, n:].tolist()) <= {IGNORED}
            if whole:  # begins and ends with a sentence
                assert batch.case[row, 0] == IGNORED and int(batch.mark[row, n - 1]) in ENDS
            assert batch.pauses[row, n - 1] == 0
    spelled = sampler.draw(400, heard=1.0)
    assert spelled.pieces.shape[0] > 0


def test_misheard_words_are_words() -> None:
    chance = np.random.default_rng(0)
    made = {misheard(word, chance) for word in ("a", "i'm", "hello") for _ in range(50)}
    assert all(word and "'" not in word for word in made) and len(made) > 40


def test_it_learns(words: Words) -> None:
    tokenizer = Tokenizer.load()
    scribe = Scribe(train(words, tokenizer, steps=90, n_words=256), tokenizer)
    said = "where is the tree tom sees a dog the river is old and tom likes it"
    gaps = {"tree": 0.6, "dog": 0.6}
    now, heard = 0.0, []
    for word in said.split():
        heard.append(HeardWord(word, now, now + 0.2, 1.0))
        now += 0.2 + gaps.get(word, 0.0)
    written = " ".join(word.word for word in scribe.written(heard))
    assert written == "Where is the tree? Tom sees a dog. The river is old, and Tom likes it."


def test_the_command(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(punctuation, "BATCHES", 2)
    target = tmp_path / "p.safetensors"
    arguments = ["--data", str(data), "--out", str(target), "--steps", "2"]
    assert punctuator.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "with pauses" in printed and "question" in printed
    assert isinstance(load_punctuator(target, Tokenizer.load().fingerprint), torch.nn.Module)
    assert target.stat().st_size <= 1_800_000
    assert punctuation.main(["--data", str(data), "--file", str(target)]) == 0
    assert capsys.readouterr().out.splitlines() == printed.splitlines()[:-1]
    assert punctuation.main(["--data", str(data), "--file", str(tmp_path / "none")]) == 1
    assert "none: no such file" in capsys.readouterr().err
    assert punctuator.main(arguments) == 1 and "exists" in capsys.readouterr().err
    assert punctuator.main(["--data", str(tmp_path), "--out", str(tmp_path / "q")]) == 1
    with pytest.raises(DataError):
        read_words(tmp_path, "train")
