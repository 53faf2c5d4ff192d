"""The tokenizer: any Unicode comes back, user text never becomes a special token, offsets cover every character."""

from __future__ import annotations

import copy
import json
import lzma
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muomni_core.errors import CheckpointError, DataError, InputError
from muomni_core.text.tokenizer import (
    SPECIALS,
    StreamDecoder,
    Tokenizer,
    align_characters,
    balanced_texts,
    main,
    train_tokenizer,
)

TOKENIZER = Tokenizer.load()
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
QUICK = settings(max_examples=60, deadline=None)


def test_shipped_tokenizer_has_5000_entries_with_the_specials_first():
    assert TOKENIZER.vocab_size == 5000
    assert [TOKENIZER.pad_id, TOKENIZER.end_id, TOKENIZER.user_id] == [0, 1, 2]
    assert [TOKENIZER.assistant_id, TOKENIZER.image_id, TOKENIZER.audio_id] == [3, 4, 5]
    assert all(not TOKENIZER.token_bytes(i) for i in range(len(SPECIALS)))
    single = {TOKENIZER.token_bytes(i) for i in range(5000)}
    assert {bytes([b]) for b in range(256)} <= single  # the byte fallback


def test_common_english_takes_few_tokens():
    assert len(TOKENIZER.encode("What do you see?")) == 5
    assert len(TOKENIZER.encode("a cat sits on a bench")) <= 7


@QUICK
@given(ANY_TEXT)
def test_any_unicode_comes_back(text):
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert all(len(SPECIALS) <= i < 5000 for i in ids)
    assert TOKENIZER.encode_many([text, text]) == [ids, ids]


@pytest.mark.parametrize("text", ["<|end|>", "hi <|pad|>there", "<|user|><|assistant|>", " <|image|> "])
def test_text_that_looks_like_a_special_token_stays_text(text):
    for tokenizer in (TOKENIZER, copy.deepcopy(TOKENIZER)):
        ids = tokenizer.encode(text)
        assert min(ids) >= len(SPECIALS)
        assert tokenizer.decode(ids) == text
        assert tokenizer.encode_many([text]) == [ids]


def test_specials_are_left_out_when_decoding_and_strange_ids_are_refused():
    ids = TOKENIZER.encode("hello")
    assert TOKENIZER.decode([2, *ids, 1, 0]) == "hello"
    with pytest.raises(InputError, match="5000"):
        TOKENIZER.decode([5000])
    with pytest.raises(InputError):
        TOKENIZER.decode([-1])


def test_half_surrogates_become_the_replacement_character():
    assert TOKENIZER.decode(TOKENIZER.encode("a\udc80b")) == "a\ufffdb"


def test_digits_are_single_tokens():
    ids = TOKENIZER.encode("in 2026")
    assert [TOKENIZER.decode([i]) for i in ids] == ["in", " 2", "0", "2", "6"]


@QUICK
@given(ANY_TEXT)
def test_every_character_belongs_to_exactly_one_token(text):
    ids, offsets = TOKENIZER.encode_with_offsets(text)
    assert ids == TOKENIZER.encode(text)
    owners = align_characters(text, offsets)
    assert len(owners) == len(text)
    assert owners == sorted(owners)
    assert all(0 <= owner < len(ids) for owner in owners)
    assert all(offsets[owner][0] <= position < offsets[owner][1] for position, owner in enumerate(owners))


def test_a_space_belongs_to_the_word_that_follows():
    text = "a cat"
    ids, offsets = TOKENIZER.encode_with_offsets(text)
    assert len(ids) == 2
    assert align_characters(text, offsets) == [0, 1, 1, 1, 1]


def test_alignment_fills_gaps_forwards_and_refuses_text_without_tokens():
    assert align_characters("ab cd ", [(0, 2), (3, 5)]) == [0, 0, 1, 1, 1, 1]
    assert align_characters("", []) == []
    with pytest.raises(ValueError, match="without tokens"):
        align_characters("a", [])


@QUICK
@given(st.lists(st.integers(0, 4999), max_size=40))
def test_streamed_text_joined_is_the_decoded_text(ids):
    decoder = StreamDecoder(TOKENIZER)
    pieces = [decoder.push(i) for i in ids]
    assert "".join(pieces) + decoder.finish() == TOKENIZER.decode(ids)


def test_streaming_waits_for_the_whole_character():
    ids = TOKENIZER.encode("😀!")
    decoder = StreamDecoder(TOKENIZER)
    pieces = [decoder.push(i) for i in ids]
    assert [p for p in pieces if p] == ["😀", "!"]
    assert decoder.finish() == ""
    decoder.push(ids[0])
    assert decoder.finish() == "\ufffd"  # cut in the middle


def test_training_gives_exactly_the_entries_asked_for_or_says_why_not():
    texts = ["the cat sat on the mat", "the dog sat on the log"] * 20
    tokenizer = train_tokenizer(texts, vocab_size=274)
    assert tokenizer.vocab_size == 274
    assert tokenizer.decode(tokenizer.encode("the cat 😀")) == "the cat 😀"
    with pytest.raises(DataError, match="too little text"):
        train_tokenizer(texts, vocab_size=5000)


def test_saving_keeps_the_fingerprint_and_another_tokenizer_has_another(tmp_path: Path):
    TOKENIZER.save(tmp_path / "t.json")
    again = Tokenizer.load(tmp_path / "t.json")
    assert again.fingerprint == TOKENIZER.fingerprint
    assert len(again.fingerprint) == 12
    assert train_tokenizer(["the the the"] * 9, 264).fingerprint != TOKENIZER.fingerprint


def test_missing_or_damaged_files_are_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"none\.json"):
        Tokenizer.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{not json")
    with pytest.raises(CheckpointError, match=r"bad\.json"):
        Tokenizer.load(tmp_path / "bad.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match=r"binary\.json"):
        Tokenizer.load(tmp_path / "binary.json")


def test_retraining_from_a_data_folder(tmp_path: Path, capsys):
    (tmp_path / "text").mkdir()
    rows = [
        {"text": "the cat sat on the mat"},
        {"turns": ["how are you", "fine thanks"]},
        {"question": "who sat", "answer": "the cat", "context": "the cat sat on the mat"},
    ]
    with lzma.open(tmp_path / "text" / "tiny-train.jsonl.xz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    texts = list(balanced_texts(tmp_path))
    assert {"fine thanks", "the cat", "who sat"} <= set(texts)
    main(["--data", str(tmp_path), "--out", str(tmp_path / "out" / "t.json"), "--vocab-size", "266"])
    made = Tokenizer.load(tmp_path / "out" / "t.json")
    assert made.fingerprint in capsys.readouterr().out
    main(["--data", str(tmp_path), "--out", str(tmp_path / "again.json"), "--vocab-size", "266"])
    assert Tokenizer.load(tmp_path / "again.json").fingerprint == made.fingerprint
    with pytest.raises(DataError, match="--data"):
        list(balanced_texts(tmp_path / "text"))
