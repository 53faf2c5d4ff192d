"""Case and marks of written text, apart from its words: what the ear does not hear and `punctuator` puts back.

>>> [(w.word, CASES[w.case], MARKS[w.mark]) for w in written_words('"Well, Ann," he said. "Is it 5?"')]
[('well', 'capital', ','), ('ann', 'capital', ','), ('he', 'lower', ''), ('said', 'lower', '.'), \
('is', 'capital', ''), ('it', 'lower', ''), ('five', 'lower', '?')]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from muomni_core.text.characters import fold
from muomni_core.text.spoken import ctc_text

CASES = ("lower", "capital", "upper")
MARKS = ("", ",", ".", "?", "!")
LOWER, CAPITAL, UPPER = range(len(CASES))
NONE, COMMA, PERIOD, QUESTION, EXCLAMATION = range(len(MARKS))
ENDS = (PERIOD, QUESTION, EXCLAMATION)  # marks behind which a sentence begins, and
END_SIGNS = tuple(MARKS[end] for end in ENDS)  # how they are written

_TAIL = re.compile(r"[^A-Za-z0-9%$]*$")
_BETWEEN = re.compile(r"--|[,;:)]")
_SENTENCE = re.compile(r"""["'(]*[A-Z0-9$].*[.!?]["')]*""")
_FIGURE = re.compile(r"\d")
_UNEVEN = re.compile(r"[\d$%&@#/+=]|[A-Z]\.")  # what is read one way by itself and may be read another beside others


class WrittenWord(NamedTuple):
    """A word as the ear writes it, its place in CASES, and the place in MARKS of what stands behind it."""

    word: str
    case: int
    mark: int


def put(word: str, case: int, mark: int) -> str:
    """A lower-case word as people write it."""
    if case == UPPER:
        word = word.upper()
    elif case == CAPITAL:
        place = next((place for place, character in enumerate(word) if character.isalpha()), 0)
        word = word[:place] + word[place : place + 1].upper() + word[place + 1 :]
    return word + MARKS[mark]


def written_words(text: str) -> list[WrittenWord]:
    """The words of the sentences in `text`; lines that are none, or that are read otherwise than word by word, are left out.

    A mark that a small letter follows, as in direct speech, is a comma; dashes, colons and semicolons are commas too.
    """
    return [word for line in fold(text)[0].splitlines() for word in _line(line.strip())]


def _line(line: str) -> list[WrittenWord]:
    if not _SENTENCE.fullmatch(line):
        return []
    found: list[WrittenWord] = []
    pieces = line.split()
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        words = _cased(piece)
        mark = _mark(piece, following)
        if not words:  # a dash
            if found and not found[-1].mark:
                found[-1] = found[-1]._replace(mark=mark or NONE)
            continue
        found += [WrittenWord(*word, NONE) for word in words]
        # An initial or an abbreviation has a point of its own.
        last = words[-1][0]
        short = len(last) == 1 or (last not in piece.lower() and not _FIGURE.search(piece))
        if not (short and following and "." in piece and mark in (COMMA, PERIOD)):
            found[-1] = found[-1]._replace(mark=mark)
    loud = sum(word.case == UPPER for word in found)
    if not found or 5 * loud > len(found) or any(word.word == "i" and word.case == LOWER for word in found):
        return []
    if _UNEVEN.search(line) and ctc_text(line) != " ".join(word.word for word in found):
        return []
    if found[-1].mark not in ENDS:
        found[-1] = found[-1]._replace(mark=PERIOD)
    return found


def _mark(piece: str, following: str) -> int:
    tail = _TAIL.search(piece)
    signs = tail[0] if tail else ""
    end = next((MARKS.index(sign) for sign in reversed(signs) if sign in ".?!"), NONE)
    if "?" in signs:
        end = QUESTION
    if end:
        begins = next((character for character in following if character.isalnum()), "A")
        return COMMA if begins.islower() else end
    return COMMA if _BETWEEN.search(signs) or following.startswith("(") else NONE


@lru_cache(maxsize=200_000)
def _cased(piece: str) -> tuple[tuple[str, int], ...]:
    """The words that are said of a piece between spaces, with their case."""
    said = ctc_text(piece).split()
    as_written = re.findall(r"[A-Za-z']+", piece)
    if [word.lower().strip("'") for word in as_written] == [word.strip("'") for word in said]:
        return tuple((word, _case(own.strip("'"))) for word, own in zip(said, as_written, strict=True))
    letters = re.sub("[^A-Za-z]", "", piece)
    if letters.isupper() and len(letters) > 1:  # initials, each said by its name
        return tuple((word, CAPITAL if len(word) == 1 else LOWER) for word in said)
    return tuple((word, CAPITAL if place == 0 and letters[:1].isupper() else LOWER) for place, word in enumerate(said))


def _case(word: str) -> int:
    if len(word) > 1 and word.isupper():
        return UPPER
    return CAPITAL if word[:1].isupper() else LOWER


def sentence_starts(words: list[WrittenWord]) -> Iterator[bool]:
    """Of each word whether it begins a sentence, the first one too."""
    begins = True
    for word in words:
        yield begins
        begins = word.mark in ENDS
