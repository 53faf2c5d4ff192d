"""How right an answer in free words is: the words that carry it, compared."""

from __future__ import annotations

from collections.abc import Iterable

from muomni_core.evaluation.metrics import words

_SMALL = frozenset(
    "a an the this that these those there here it its he she they them him her his their i you we me my your our is are"
    " was were be been am has have had do does did and or but of in on at to with for from by as up so no not yes into"
    " onto over under near some one can see picture photo image".split()
)


def content_words(text: str) -> frozenset[str]:
    """The words of a text that say something; plurals and possessives count as their singular."""
    return frozenset(_stem(word) for word in words(text) if word not in _SMALL)


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def word_overlap(said: str, references: Iterable[str]) -> float:
    """Share of content words that an answer and the nearest reference have in common (Dice), 0 to 1.

    So neither a long list of words nor a single safe one gains by it.
    """
    mine = content_words(said)
    return max((_dice(mine, content_words(reference)) for reference in references), default=0.0)


def _dice(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0


def key_words(question: str, answer: str) -> frozenset[str]:
    """What an answer adds to its question: "five" of "Two plus three is five."; yes and no are words too.

    All of the answer's words where it adds none.
    """
    asked, given = set(words(question)), [w for w in words(answer) if w in ("yes", "no", "not") or w not in _SMALL]
    return frozenset(w for w in given if w not in asked) or frozenset(given) or frozenset(words(answer))


def said_share(said: str, wanted: frozenset[str]) -> float:
    """Share of the `wanted` words that are said."""
    return len(wanted & set(words(said))) / len(wanted) if wanted else 0.0
