"""One row of the instruction mix, and how texts are compared and made to look as if they had been heard."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from muomni_core.data.words import number_words


@dataclass(frozen=True)
class Example:
    """A question and the answer that the Thinker learns.

    `image` is an index into the caller's list of pictures; `audio_text` is what a recording says (then `question` is
    empty and the caller supplies the sound); `turns` are earlier (user, assistant) exchanges.
    """

    kind: str
    question: str
    answer: str
    image: int | None = None
    audio_text: str | None = None
    turns: list[tuple[str, str]] = field(default_factory=list)


def plain(text: str) -> str:
    """Lower-case words alone: two texts with the same result are the same to this module."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower().replace("\u2019", "'")))


def as_heard(text: str) -> str:
    """How our recogniser would write `text`: lower-case, no punctuation, small numbers in words."""
    text = text.replace("\u2019", "'").replace("+", " plus ").replace("=", " ")
    text = re.sub(r"\d{1,3}(?!\d)", lambda m: f" {number_words(int(m.group()))} ", text)
    return " ".join(re.findall(r"[a-z0-9']+", text.lower().replace("-", " ")))


def heard_at(rng: random.Random, examples: Iterable[Example], rate: float) -> Iterator[Example]:
    """The examples, a share of `rate` with the question as_heard (not those of several lines: nobody speaks them)."""
    for example in examples:
        # Digits keep their form: an answer in digits goes with a question in digits.
        if rng.random() < rate and example.question and not re.search(r"[\n0-9+*/=]", example.question):
            yield replace(example, question=as_heard(example.question))
        else:
            yield example
