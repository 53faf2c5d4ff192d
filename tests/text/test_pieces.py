"""Text in pieces: where it is cut, that nothing is lost, and that how it arrives makes no difference."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muomni_core.text.pieces import (
    CLAUSE_PAUSE,
    LONGEST_SENTENCE,
    PARAGRAPH_PAUSE,
    SENTENCE_PAUSE,
    WORD_PAUSE,
    pieces,
    sentences,
)
from muomni_core.text.spoken import ctc_text, spoken

WRITTEN = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from("0123456789 .,:/-$\u20ac%'\"&+@#aAIVXmsdrSt()\n\r"), max_size=40),
    st.lists(
        st.sampled_from([*"aZ9.'-?\n", "St. ", "Dr. ", "p.m. ", "I. ", "U.S. ", "\n\n", "1. ", "Hi! ", ", "]),
        max_size=30,
    ).map("".join),
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello there. How are you? Fine!", ["Hello there.", "How are you?", "Fine!"]),
        ("Dr. Smith has 3.5 apples. He eats.", ["Dr. Smith has 3.5 apples.", "He eats."]),
        ("J. K. Rowling wrote it. I read it.", ["J. K. Rowling wrote it.", "I read it."]),
        ("At 5 p.m. we left. At 6 p.m. He came.", ["At 5 p.m. we left.", "At 6 p.m.", "He came."]),
        ("In the U.S. Army. I am in the U.S. It is big.", ["In the U.S. Army.", "I am in the U.S.", "It is big."]),
        ('"Stop!" he said. "Why?"', ['"Stop!"', "he said.", '"Why?"']),
        ("lower case. so is this", ["lower case.", "so is this"]),
        ("Title\n\nText here", ["Title", "Text here"]),
        ("List:\n1. First\n2. Second", ["List:", "1. First", "2. Second"]),
        ("Wait... what? !!! ...", ["Wait...", "what?"]),
        ("See e.g. page 5, No. 7. Done.", ["See e.g. page 5, No. 7.", "Done."]),
        ("", []),
        ("?! \U0001f600", []),
    ],
)
def test_sentences(text: str, found: list[str]) -> None:
    assert sentences(text) == found


def test_a_long_sentence_is_cut_at_clauses_and_says_the_same() -> None:
    text = "I went to the market, where I bought apples, and then, because it was late, I walked home in the rain, " * 5
    found = sentences(text.strip(", ") + ".")
    assert all(20 < len(spoken(piece).text) <= 200 for piece in found)
    assert all(piece.endswith((",", ".")) for piece in found)
    assert ctc_text(" ".join(found)) == ctc_text(text)


@pytest.mark.parametrize("text", ["a" * 1000, "7" * 300, "word " * 300, "$1,234,567.89 " * 30])
def test_every_piece_is_bounded(text: str) -> None:
    found = sentences(text)
    assert found
    assert all(0 < len(spoken(piece).text) <= 200 for piece in found)


@settings(max_examples=60, deadline=None)
@given(WRITTEN, st.sampled_from([40, 200]))
def test_sentences_lose_nothing_that_is_written(written: str, limit: int) -> None:
    found = sentences(written, limit)
    assert all(spoken(piece).text for piece in found)
    assert all(len(spoken(piece).text) <= limit or len(piece) == 1 for piece in found)
    squeezed, position = "".join(written.split()), 0
    for piece in found:  # each is a part of the text, in its order
        part = "".join(piece.split())
        position = squeezed.index(part, position) + len(part)


@settings(max_examples=150, deadline=None)
@given(WRITTEN, st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_how_a_text_arrives_makes_no_difference(written: str, sizes: list[int]) -> None:
    def arriving() -> Iterator[str]:
        start = n = 0
        while start < len(written):
            yield written[start : start + sizes[n % len(sizes)]]
            start += sizes[n % len(sizes)]
            n += 1

    assert list(pieces(arriving())) == list(pieces(written))


def test_a_text_without_an_end_arrives_in_any_blocks() -> None:
    text = "some words, and more of them without any end " * 150 + "Dr." + " " * 3000 + "x. Y"
    whole = list(pieces(text))
    assert max(len(piece.written) for piece in whole) <= LONGEST_SENTENCE
    for size in (1, 7, 999, 5000):
        assert list(pieces(text[n : n + size] for n in range(0, len(text), size))) == whole


@pytest.mark.parametrize(
    ("before", "after"),
    [("Hello there.\n", "How are"), ("One is. ", "Two"), ("Title\n\n", "x"), ("\u597d\u3002 a. ", "b")],
)
def test_a_sentence_is_handed_on_as_soon_as_it_is_known(before: str, after: str) -> None:
    asked = []

    def arriving() -> Iterator[str]:
        yield before
        asked.append(True)
        yield after

    found = (piece for piece in pieces(arriving()) if piece.text)
    assert next(found).text and not asked


def test_an_abbreviation_waits_for_the_word_behind_it() -> None:
    assert [p.written for p in pieces(["I saw Dr. ", "Sm", "ith. Then"])] == ["I saw Dr. Smith.", "Then"]


def test_pauses_fit_the_mark() -> None:
    found = list(pieces("One. Two!\n\nThree\r\n\r\n\U0001f600\r\nFour, " + "four " * 20 + ", five " + "six " * 60))
    assert [p.pause for p in found if p.text][:5] == [0, SENTENCE_PAUSE, PARAGRAPH_PAUSE, PARAGRAPH_PAUSE, CLAUSE_PAUSE]
    assert found[-1].pause == WORD_PAUSE and found[-1].text.endswith(".") and found[-2].text.endswith("six,")
    assert next(pieces("?! Hi")).pause == 0


def test_a_long_first_sentence_begins_with_its_first_clause() -> None:
    clause = "On the evening of the third day, "
    long = clause + "when nobody thought of rain any more and the harvest was in the barns, a cloud came over the hill."
    assert next(pieces(long)).written == clause.strip()
    assert next(pieces("Well, " + clause + "it rained.")).written.endswith("rained.")
    assert len(list(pieces("word " * 35))) == 1  # nowhere to cut


def test_a_long_text_takes_little_memory() -> None:
    tracemalloc.start()
    n = sum(1 for _ in pieces("It rains. " for _ in range(1_000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 1_000 and peak < 1_000_000


@pytest.mark.parametrize("unit", [*"a1(-'$ \n", "1/", "1,", "A ", "a.", "x@", "www.", "I."])
def test_no_input_takes_for_ever(unit: str) -> None:
    assert "".join("".join(p.written for p in pieces(unit * 500)).split()) == "".join((unit * 500).split())
