"""Text of any length, cut into pieces that are spoken one at a time, as it comes and in constant memory.

Cut at sentence ends; what is too long for one breath at clauses. Where a text is cut depends on the text alone, not on
the blocks in which it arrives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from muomni_core.text.abbreviations import NEVER_LAST, SELDOM_LAST, STARTERS
from muomni_core.text.spoken import name_letters, spoken

LONGEST_PIECE = 200  # characters, as spoken
LONGEST_FIRST = 100  # the first piece is cut shorter where it can be, so that sound comes soon
LONGEST_SENTENCE = 1000  # characters, as written; what goes on without an end is cut here

# Seconds of silence at a join, all in all: where a sentence had to be cut without a mark, at a mark within it, at its
# end, and at the end of a paragraph.
WORD_PAUSE, CLAUSE_PAUSE, SENTENCE_PAUSE, PARAGRAPH_PAUSE = 0.1, 0.25, 0.5, 0.9

_BLOCK = 4096
_END = re.compile(
    r"""(?<![.!?…])[.!?…]++["'”’)\]*_]*+(?=\s|$)|[。！？]+|\n\s*\n|\n(?=\s*(?:[-*+•]|\d{1,3}[.)])\s)""",
)
_LAST_WORD = re.compile(r"([\w.]+)\.[\"'”’)\]*_]*$")
_NEXT_WORD = re.compile(r"""\s*["'“‘(\[*_]*(\w*)""")
_CLAUSE = re.compile(
    r"(?<=[;:,)—–])\s+|(?<!\s)\s+(?=[(—–]|(?:and|or|but|because|which|who|while|when|so)\s)",
)
_PARAGRAPH = re.compile(r"\n\s*\n")


class Piece(NamedTuple):
    """Something to be said in one go."""

    written: str
    text: str  # as it is spoken, with a mark at its end; "" if nothing in it can be said
    dropped: str  # characters that were left out because nobody could say them, each once
    pause: float  # seconds of silence before it; 0 for the first


def sentences(text: str, limit: int = LONGEST_PIECE) -> list[str]:
    """Pieces of `text`, as it was written, in which something can be said; spoken(piece).text is at most `limit` long.

    Cut at sentence ends, where that is too long at clauses.
    """
    return [piece.written for piece in pieces(text, limit, first=limit) if piece.text]


def pieces(text: str | Iterable[str], limit: int = LONGEST_PIECE, first: int = LONGEST_FIRST) -> Iterator[Piece]:
    """The pieces of a text, or of one that arrives in parts, each as soon as its end is known.

    Args:
        limit: longest piece, in characters as spoken.
        first: if the first piece is longer than this, it ends at its first clause.
    """
    gap, pause, begun = "", 0.0, False
    for sentence in _sentences([text] if isinstance(text, str) else text):
        gap += sentence[: len(sentence) - len(sentence.lstrip())]
        if not sentence.strip():
            continue
        if begun:
            pause = PARAGRAPH_PAUSE if _PARAGRAPH.search(gap) else SENTENCE_PAUSE
        parts = _split_long(sentence.strip(), limit)
        if not begun:
            parts = [*_split_first(parts[0], first), *parts[1:]]
        for n, part in enumerate(parts):
            said = spoken(part)
            text = _with_mark(name_letters(said.text), "." if n == len(parts) - 1 else ",")
            yield Piece(part, text, said.dropped, pause if said.text else 0.0)
            if said.text:
                begun, pause = True, CLAUSE_PAUSE if part.endswith(tuple(";:,)—–")) else WORD_PAUSE
        gap = sentence[len(sentence.rstrip()) :]


def _with_mark(text: str, mark: str) -> str:
    """A Talker has learned from sentences: without a mark at the end it would be cut short there."""
    return text + mark if text and (text[-1].isalnum() or text[-1] == "'") else text


def _sentences(arriving: Iterable[str]) -> Iterator[str]:
    """The whole text in slices, white space included, each but the last up to the end of a sentence."""
    buffer = ""
    for block in _blocks(arriving):
        buffer += block
        while end := _sentence_end(buffer[: 2 * LONGEST_SENTENCE], len(buffer) >= 2 * LONGEST_SENTENCE):
            yield buffer[:end]
            buffer = buffer[end:]
    while buffer:
        end = _sentence_end(buffer[: 2 * LONGEST_SENTENCE], True)
        yield buffer[:end]
        buffer = buffer[end:]


def _blocks(arriving: Iterable[str]) -> Iterator[str]:
    """Small blocks with single line ends; a carriage return waits for what follows it."""
    held = ""
    for text in arriving:
        for start in range(0, len(text), _BLOCK):
            block = held + text[start : start + _BLOCK]
            held = "\r" if block.endswith("\r") else ""
            yield block.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
    if held:
        yield "\n"


def _sentence_end(text: str, final: bool) -> int:
    """Where the first sentence of `text` ends; 0 if that depends on what comes later, which `final` rules out."""
    for match in _END.finditer(text):
        if match.end() == len(text) and "\n" not in match[0] and not final:
            return 0
        ends = _ends(text, match, final)
        if ends is None:
            return 0
        if ends and match.end() <= LONGEST_SENTENCE:
            return match.end()
        if match.end() > LONGEST_SENTENCE:
            break
    else:
        if not final:
            return 0
    if len(text) <= LONGEST_SENTENCE:
        return len(text)
    return _last_cut(text[:LONGEST_SENTENCE])


def _ends(text: str, match: re.Match, final: bool) -> bool | None:
    """Whether the mark ends a sentence: not after "Dr.", "J.", or the "1." of a list. None if the next word decides."""
    before = _LAST_WORD.search(text[max(0, match.start() - 40) : match.end()])
    if not before or "\n" in match[0]:
        return True
    word = before[1]
    if word.isdigit() and not text[: match.end()].strip(" \n.0123456789"):
        return False
    small = word.lower()
    never = small in NEVER_LAST or (len(word) == 1 and word.isupper() and word != "I")
    if not (never or small in SELDOM_LAST or re.fullmatch(r"(?:\w\.)+\w", word)):
        return True
    next_word = _NEXT_WORD.match(text, match.end())
    following = next_word[1] if next_word else ""
    if not final and (not next_word or next_word.end() == len(text)):
        return None
    if small in NEVER_LAST:
        return not following
    return not following or following in STARTERS


def _last_cut(text: str) -> int:
    """Where text without an end is cut: at the last clause of its second half, else at a space, else at its end."""
    for cut in (_CLAUSE, re.compile(r"\s+")):
        if places := [m.end() for m in cut.finditer(text) if m.end() > len(text) // 2]:
            return places[-1]
    return len(text)


def _split_first(piece: str, limit: int) -> list[str]:
    """A long first piece in two, at its first clause that is neither very short nor nearly all."""
    if len(spoken(piece).text) <= limit:
        return [piece]
    for match in _CLAUSE.finditer(piece):
        if 20 <= match.end() <= len(piece) - 20:
            return [piece[: match.end()].strip(), piece[match.end() :].strip()]
    return [piece]


def _split_long(piece: str, limit: int) -> list[str]:
    """Halves at the clause nearest the middle, else at a space, else anywhere, until each is short enough as spoken."""
    if len(piece) < 2 or len(spoken(piece).text) <= limit:
        return [piece]
    middle = len(piece) / 2
    for cut in (_CLAUSE, re.compile(r"\s+")):
        places = [m.end() for m in cut.finditer(piece) if len(piece) * 0.15 < m.end() < len(piece) * 0.85]
        if places:
            break
    place = min(places or [len(piece) // 2], key=lambda p: abs(p - middle))
    return _split_long(piece[:place].strip(), limit) + _split_long(piece[place:].strip(), limit)
