"""The 98 symbols that the ear writes: blank, unknown, end, and the 95 printable ASCII characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

BLANK, UNKNOWN, END = 0, 1, 2
FIRST = 3  # the space
N_SYMBOLS = 98


def encode_symbols(text: str) -> list[int]:
    """One symbol a character; what is not printable ASCII becomes `unknown`."""
    return [FIRST + ord(c) - 32 if " " <= c <= "~" else UNKNOWN for c in text]


def decode_symbols(symbols: Iterable[int]) -> str:
    """Characters of symbols; blank, unknown and end are dropped."""
    return "".join(chr(s - FIRST + 32) for s in symbols if s >= FIRST)


def collapse(path: Iterable[int]) -> list[int]:
    """A CTC path (a symbol a slot) as the symbols it says: repeats merged, then blanks dropped."""
    said, last = [], BLANK
    for symbol in path:
        if symbol not in (last, BLANK):
            said.append(symbol)
        last = symbol
    return said


def slots_needed(symbols: Sequence[int]) -> int:
    """How many CTC slots a target takes at least: one a symbol, and a blank between equal neighbours."""
    return len(symbols) + sum(a == b for a, b in pairwise(symbols))


def fits(symbols: Sequence[int], n_mel_frames: int, n_slots: int) -> bool:
    """Whether there is something to say and CTC has an alignment for it: the ear has `n_slots` slots in 8 mel frames."""
    return bool(symbols) and slots_needed(symbols) <= n_slots * -(-n_mel_frames // 8)
