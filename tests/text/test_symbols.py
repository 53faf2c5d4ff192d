"""The ear's 98 symbols, and how many slots they need."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muomni_core.config import AudioConfig
from muomni_core.text.symbols import (
    BLANK,
    END,
    FIRST,
    N_SYMBOLS,
    UNKNOWN,
    collapse,
    decode_symbols,
    encode_symbols,
    slots_needed,
)

ASCII = "".join(map(chr, range(32, 127)))
symbols_of = st.lists(st.integers(UNKNOWN, N_SYMBOLS - 1), max_size=20)


def test_there_are_as_many_symbols_as_the_ear_writes():
    assert encode_symbols(ASCII) == list(range(FIRST, N_SYMBOLS))
    assert N_SYMBOLS == AudioConfig().n_symbols == 98
    assert len({BLANK, UNKNOWN, END, FIRST}) == 4


@given(st.text(ASCII))
def test_printable_text_comes_back(text):
    assert decode_symbols(encode_symbols(text)) == text


@given(st.text())
def test_every_character_is_one_symbol(text):
    symbols = encode_symbols(text)
    assert len(symbols) == len(text)
    assert all(s == UNKNOWN or FIRST <= s < N_SYMBOLS for s in symbols)
    assert decode_symbols(symbols) == "".join(c for c in text if c in ASCII)


def test_what_is_no_printable_ascii_is_unknown():
    assert encode_symbols("né\n") == [encode_symbols("n")[0], UNKNOWN, UNKNOWN]
    assert decode_symbols([BLANK, UNKNOWN, END]) == ""


def test_a_path_collapses_to_what_it_says():
    h, e, l, o = encode_symbols("helo")  # noqa: E741
    assert collapse([BLANK, h, h, BLANK, e, l, l, BLANK, l, o, o, BLANK]) == encode_symbols("hello")
    assert collapse([l, l, l]) == [l]
    assert collapse([l, BLANK, l]) == [l, l]
    assert collapse([]) == collapse([BLANK, BLANK]) == []


def test_equal_neighbours_need_a_blank_between():
    assert [slots_needed(encode_symbols(t)) for t in ("", "a", "ab", "aa", "aaa", "hello", "bookkeeper")] == [
        0,
        1,
        2,
        3,
        5,
        6,
        13,
    ]
    assert slots_needed(encode_symbols("éé")) == 3  # unknowns are symbols too


@given(symbols_of)
def test_a_path_of_the_slots_needed_says_it(symbols):
    path: list[int] = []
    for s in symbols:
        path += [BLANK, s] if path and path[-1] == s else [s]
    assert len(path) == slots_needed(symbols)
    assert collapse(path) == symbols
