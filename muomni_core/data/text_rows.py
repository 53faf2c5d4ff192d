"""Examples out of text rows: definitions, trivia, questions on a passage, summaries, continuations.

Dialogue rows give none: their second speakers are people at a counter, in an office, at home, and what they say is
wrong or odd from a small helper. Its small talk is written by hand (smalltalk.py).
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from muomni_core.data.example import Example, plain
from muomni_core.data.words import sentence

_GLOSS = re.compile(r"([a-z][a-z-]+) \((noun|verb|adjective|adverb)\): ([^.]+?)\.")
_DEFINE = (
    "What does {x} mean?", "What does the word {x} mean?", "What is the meaning of {x}?", "Define {x}.",
    "What is the definition of {x}?", "Explain the word {x}.", "Can you explain the word {x}?",
    "What do you mean by {x}?", "Tell me what {x} means.", "Do you know what {x} means?", "What is meant by {x}?",
)  # fmt: skip
_SUMMARISE = (
    "Summarise this.", "Summarize this.", "Summarise this text.", "Summarise this in one sentence.",
    "What is this about?", "What is the text about?", "Give me a short summary.",
    "Please summarise the text.", "Sum this up.",
)  # fmt: skip
_CONTINUE = (
    "Continue the story.", "Continue this.", "What happens next?", "Go on.", "Continue the text.", "How does it go on?",
)  # fmt: skip
MAX_TRIVIA_WORDS = 14


class TextRows:
    """What is fit for questions in rows with text, or question and answer; made once, drawn from often."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]):
        glosses: dict[str, list[tuple[str, str]]] = {}
        self.trivia: list[tuple[str, str]] = []
        self.reading: list[tuple[str, str, str]] = []
        self.passages: list[list[str]] = []
        used: Counter[str] = Counter()
        for row in rows:
            if match := _GLOSS.match(row.get("text") or ""):
                used.update(set(re.findall(r"[a-z]+", match[3].lower())))
                glosses.setdefault(match[1], []).append((match[2], match[3]))
            elif text := row.get("text"):
                self._passage(text)
            elif row.get("context"):
                if passage := _around(row["context"], row.get("answer") or ""):
                    self.reading.append((passage, row["question"], sentence(row["answer"])))
            elif row.get("question"):
                self._trivia(row["question"], row.get("answer") or "")
        # A word with one sense has one answer; those that other glosses use themselves are worth asking for.
        single = {w: senses[0] for w, senses in glosses.items() if len(senses) == 1 and _fit_gloss(w, senses[0][1])}
        common = {w: g for w, g in single.items() if used[w] >= 2}
        self.glosses = [(w, *g) for w, g in sorted((common if len(common) >= 50 else single).items())]

    def _trivia(self, question: str, answer: str) -> None:
        question, answer = question.strip(), answer.strip()
        fit = re.match(r"(What|Who|Which|Where|When|How|In what|In which)\b.*\?$", question)
        if not fit or re.search(r"\bth(?:is|ese)\b|following|not\b|\bwhich one|[\"()]", question, re.IGNORECASE):
            return
        short = len(question.split()) <= MAX_TRIVIA_WORDS and 1 <= len(answer.split()) <= 5
        if short and re.match(r"[\w$ ,.'-]+$", answer):
            self.trivia.append((question, sentence(answer)))

    def _passage(self, text: str) -> None:
        if not 150 <= len(text) <= 6000:
            return
        if any(not line.rstrip().endswith((".", "!", "?", '"')) for line in text.strip().splitlines()):
            return  # titles and lists
        parts = _sentences(text.replace("\n", " "))
        if len(parts) >= 4 and all(4 <= len(p.split()) <= 28 for p in parts[:4]):
            self.passages.append(parts[:6])

    def makers(self) -> dict[str, Callable[[random.Random], Example | None]]:
        """A maker for each kind that the rows have something for."""
        found: dict[str, Callable[[random.Random], Example | None]] = {}
        if self.glosses:
            found["define"] = self.define
        if self.trivia:
            found["trivia"] = lambda rng: _made("trivia", *rng.choice(self.trivia))
        if self.reading:
            found["reading"] = self.read
        if self.passages:
            found["task"] = self.task
        return found

    def define(self, rng: random.Random) -> Example:
        word, part, gloss = rng.choice(self.glosses)
        if part == "verb" and not gloss.startswith("to "):
            gloss = f"to {gloss}"
        return _made("define", rng.choice(_DEFINE).format(x=word), f"{word[:1].upper()}{word[1:]} means {gloss}.")

    def read(self, rng: random.Random) -> Example:
        passage, question, answer = rng.choice(self.reading)
        return _made("reading", f"{passage}\n{question}", answer)

    def task(self, rng: random.Random) -> Example | None:
        """The first sentence as the summary of the first few; the third as what follows the first two."""
        parts = rng.choice(self.passages)
        if rng.random() < 0.5:
            return _made("task", f"{' '.join(parts[:4])}\n{rng.choice(_SUMMARISE)}", parts[0])
        return _made("task", f"{' '.join(parts[:2])}\n{rng.choice(_CONTINUE)}", parts[2])


def _fit_gloss(word: str, gloss: str) -> bool:
    """Short, and not in terms of the word itself."""
    words = plain(gloss).split()
    return 2 <= len(words) <= 13 and "(" not in gloss and not any(w[:5] == word[:5] for w in words)


def _made(kind: str, question: str, answer: str) -> Example:
    return Example(kind, question, answer)


def _sentences(text: str) -> list[str]:
    return [p.strip() for p in re.findall(r"[^.!?]+[.!?]+[\"']?", text) if p.strip()]


def _around(context: str, answer: str) -> str:
    """The sentence of the passage that holds most of the answer's words, with its neighbours; "" where none does."""
    content = {w for w in plain(answer).split() if len(w) > 3}
    parts = _sentences(context.replace("\n", " "))
    if not content or len(parts) < 2 or not 1 <= len(answer.split()) <= 12:
        return ""
    scores = [len(content & set(plain(p).split())) / len(content) for p in parts]
    best = max(range(len(parts)), key=scores.__getitem__)
    passage = " ".join(parts[max(0, best - 1) : best + 2])
    return passage if scores[best] >= 0.6 and len(passage.split()) <= 70 else ""
