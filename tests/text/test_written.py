"""Case and marks taken off written text, and put back."""

from __future__ import annotations

import pytest

from muomni_core.text.spoken import ctc_text
from muomni_core.text.written import CASES, MARKS, put, sentence_starts, written_words


def again(text: str) -> str:
    return " ".join(put(*word) for word in written_words(text))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Hello, how are you?", "Hello, how are you?"),
        ("I'm 20. It's Ann's!", "I'm twenty. It's Ann's!"),
        ('"Well, Ann," he said. "Is it 5?"', "Well, Ann, he said. Is it five?"),
        ('"Are you well?" said the hare.', "Are you well, said the hare."),
        ("Wait \N{EM DASH} a moment; then go: now...", "Wait, a moment, then go, now."),
        ("He met Dr. Lee and George W. Bush.", "He met Doctor Lee and George W Bush."),
        ("The well-known N.A.S.A. man saw NASA.", "The well known N A S A man saw NASA."),
        ("The BBC is on TV.", "The B B C is on T V."),
        ("A caf\N{LATIN SMALL LETTER E WITH ACUTE} in Paris (France).", "A cafe in Paris, France."),
        ("What?! Really!", "What? Really!"),
        ("One line.\nAn Unfinished Title\nAnother line.", "One line. Another line."),
    ],
)
def test_written_again(text: str, written: str) -> None:
    assert again(text) == written


@pytest.mark.parametrize(
    "text", ["", "hello there.", "No end", "THIS IS ALL SHOUTED.", "Well, i saw it.", "!?.", "At 3:45 pm."]
)
def test_what_is_no_sentence_teaches_nothing(text: str) -> None:
    assert written_words(text) == []


def test_the_words_are_those_of_the_ear() -> None:
    text = "Mrs. Hall's dog, a well-bred one, ate 12 of O'Brien's eggs! Did it?"
    assert [word.word for word in written_words(text)] == ctc_text(text).split()


def test_where_sentences_begin() -> None:
    words = written_words("Yes. I see, Ann. Why?")
    assert list(sentence_starts(words)) == [True, True, False, False, True]


def test_put() -> None:
    lower, capital, upper = range(len(CASES))
    assert put("'tis", capital, MARKS.index(",")) == "'Tis,"
    assert (put("nasa", upper, 0), put("i'm", capital, 0), put("7", capital, 0), put("", capital, 0)) == (
        "NASA",
        "I'm",
        "7",
        "",
    )
    assert put("so", lower, MARKS.index("!")) == "so!"
