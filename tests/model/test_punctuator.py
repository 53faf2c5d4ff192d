"""Case and marks on heard words: times stay, nothing hangs on how the words come, and files that do not fit are refused."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from muomni_core.errors import CheckpointError
from muomni_core.model import punctuator
from muomni_core.model.hearing import confidence
from muomni_core.model.punctuator import (
    CONTEXT,
    PUNCTUATION,
    STEP,
    Punctuator,
    PunctuatorConfig,
    Scribe,
    kind_of_pause,
    load_punctuator,
    save_punctuator,
    word_pieces,
)
from muomni_core.model.word_times import HeardWord
from muomni_core.text.tokenizer import Tokenizer
from muomni_core.text.written import END_SIGNS, MARKS

SMALL = PunctuatorConfig(width=16, n_layers=1, n_heads=2, hidden=32)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


@pytest.fixture(scope="module")
def model() -> Punctuator:
    torch.manual_seed(3)
    made = Punctuator(SMALL)
    with torch.no_grad():  # untrained heads all say the same
        made.case.weight.mul_(8)
        made.mark.weight.mul_(8)
    return made.eval()


@pytest.fixture
def scribe(model: Punctuator, tokenizer: Tokenizer) -> Scribe:
    return Scribe(model, tokenizer)


def heard(n: int, seed: int = 0) -> list[HeardWord]:
    chance, now, words = random.Random(seed), 0.0, []
    for _ in range(n):
        start = now + chance.choice([0.0, 0.0, 0.2, 0.9])
        now = start + chance.uniform(0.1, 0.6)
        words.append(
            HeardWord("".join(chance.choices("abcdefgh'", k=chance.randint(1, 9))), start, now, chance.random())
        )
    return words


def plain(words: list[HeardWord]) -> list[str]:
    return [word.word.lower().rstrip("".join(MARKS)) for word in words]


@pytest.mark.parametrize("n", [1, 2, STEP, STEP + CONTEXT, STEP + CONTEXT + 1, 2 * STEP + CONTEXT + 1, 500])
def test_words_times_and_confidences_stay(scribe: Scribe, n: int) -> None:
    words = heard(n)
    found = list(scribe.written(words))
    assert plain(found) == [word.word for word in words]
    assert [word[1:] for word in found] == [word[1:] for word in words]
    assert confidence(found) == pytest.approx(confidence(words))
    assert found[-1].word.endswith(END_SIGNS)


def test_a_capital_begins_and_follows_every_end(scribe: Scribe) -> None:
    found = list(scribe.written(heard(300)))
    assert any(word.word.endswith(END_SIGNS) for word in found[:-1])
    for before, word in pairwise([None, *found]):
        first = next((c for c in word.word if c.isalpha()), "A")
        assert first.isupper() or (before is not None and not before.word.endswith(END_SIGNS))


def test_no_words(scribe: Scribe) -> None:
    assert list(scribe.written([])) == []


def test_words_come_out_before_all_are_in(scribe: Scribe) -> None:
    """What is held back has a bound, so memory has one; and what follows far behind changes nothing."""
    words, taken = heard(400), 0

    def counted() -> Iterator[HeardWord]:
        nonlocal taken
        for word in words:
            taken += 1
            yield word

    for given, _ in enumerate(scribe.written(counted()), start=1):
        assert taken - given <= STEP + CONTEXT
    some = list(scribe.written(words[:300]))
    assert some[: 300 - STEP - CONTEXT] == list(scribe.written(words))[: 300 - STEP - CONTEXT]


def test_alone_or_in_a_batch(model: Punctuator, tokenizer: Tokenizer) -> None:
    rows = [word_pieces(tokenizer, [word.word for word in heard(n, n)]) for n in (3, 9)]
    flat = [torch.tensor([piece for ids in row for piece in ids]) for row in rows]
    lasts = [torch.tensor([len(ids) for ids in row]).cumsum(0) - 1 for row in rows]
    pauses = [torch.arange(len(row)) % 6 + 1 for row in rows]

    def pad(parts: list[torch.Tensor]) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)

    together = model(pad(flat), torch.tensor([len(f) for f in flat]), pad(lasts), pad(pauses))
    for place in range(2):
        alone = model(flat[place][None], torch.tensor([len(flat[place])]), lasts[place][None], pauses[place][None])
        for one, many in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], many[place, : len(rows[place])], rtol=1e-4, atol=1e-5)


def test_pauses_count(model: Punctuator, tokenizer: Tokenizer) -> None:
    assert [kind_of_pause(s) for s in (None, -0.1, 0.0, 0.05, 0.4, 9.0)] == [0, 1, 1, 2, 4, 6]
    words = heard(20)
    stretched = [word._replace(start=word.start + 2 * n, end=word.end + 2 * n) for n, word in enumerate(words)]
    scribe = Scribe(model, tokenizer)
    assert [w.word for w in scribe.written(words)] != [w.word for w in scribe.written(stretched)]


def test_a_word_without_end_and_odd_signs(scribe: Scribe) -> None:
    words = [HeardWord(text, n, n + 1.0, 0.5) for n, text in enumerate(["a" * 5000, "'", "7x", "?!", "<|end|>"])]
    assert len(list(scribe.written(words))) == 5


def test_saved_and_loaded(model: Punctuator, tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / PUNCTUATION
    save_punctuator(path, model, tokenizer.fingerprint)
    loaded = Scribe.load(path, tokenizer)
    assert loaded is not None
    half = Punctuator(SMALL)
    half.load_state_dict({name: tensor.half().float() for name, tensor in model.state_dict().items()})
    assert list(loaded.written(heard(50))) == list(Scribe(half, tokenizer).written(heard(50)))


def refused(path: Path, words: str, tokenizer: str = "abc") -> None:
    with pytest.raises(CheckpointError, match=words) as caught:
        load_punctuator(path, tokenizer)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_what_does_not_fit_is_refused(model: Punctuator, tmp_path: Path) -> None:
    path = tmp_path / PUNCTUATION
    refused(path, "no such file")
    save_punctuator(path, model, "abc")
    refused(path, "made for the tokenizer abc, here is xyz", "xyz")
    whole, tensors = path.read_bytes(), {name: tensor.clone() for name, tensor in load_file(path).items()}
    path.write_bytes(whole[:-2] + b"xx")
    refused(path, "damaged")
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "not a readable weights file")
    save_file(tensors, path)
    refused(path, "not a punctuator")
    about = {"format": 9, "config": {}, "tokenizer": "abc", "fingerprint": ""}
    save_file(tensors, path, {"muomni_punctuator": json.dumps(about)})
    refused(path, "format 9")
    fits = punctuator.fingerprint(tensors)
    for config in (
        {"width": 15},
        {"vocab_size": -3},
        {"strange": 1},
        {"width": "many"},
        {"n_layers": 10**9},
        {"n_heads": 0},
        7,
    ):
        fitting = (
            {"width": 16, "n_layers": 1, "n_heads": 2, "hidden": 32} | config if isinstance(config, dict) else config
        )
        own = about | {"format": 1, "config": fitting, "fingerprint": fits}
        save_file(tensors, path, {"muomni_punctuator": json.dumps(own)})
        refused(path, "not those of its header|not a punctuator")


def test_without_a_file_it_is_said(
    tokenizer: Tokenizer, model: Punctuator, tmp_path: Path, caplog, monkeypatch
) -> None:
    assert Scribe.load(None, tokenizer) is None and PUNCTUATION in caplog.text
    caplog.clear()
    monkeypatch.setattr(punctuator, "SHIPPED", tmp_path)
    save_punctuator(tmp_path / PUNCTUATION, model, "another")
    assert Scribe.load(tmp_path / PUNCTUATION, tokenizer) is None and "another tokenizer" in caplog.text
