"""Forty everyday questions in words, for a person to read; what is plainly wrong is marked.

    python -m muomni_core.evaluation.everyday

No recipe of this project trains on them (data/everyday.py). Marks: `empty`; `repeats` (a run of three words said
twice, or a word three times in a row); `echo` (the question said back); `unended` (no full stop at the end, or cut off);
`off` (a sum, a day and the like without any word that answers it).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from muomni_core.data.everyday import everyday_questions
from muomni_core.evaluation.answers import key_words
from muomni_core.evaluation.metrics import words
from muomni_core.evaluation.table import Report, Settings, run, share

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

SIGNS = frozenset({"plus", "minus", "is"})  # of a sum: not what answers it
MARKS = ("empty", "repeats", "echo", "unended", "off")


def marks(question: str, answer: str, truth: str | None = None) -> list[str]:
    """What is plainly wrong with an answer; `truth` is given where only one answer is right."""
    said, asked = words(answer), words(question)
    found = []
    if not said:
        return ["empty"]
    runs = [tuple(said[i : i + 3]) for i in range(len(said) - 2)]
    if len(set(runs)) < len(runs) or any(len(set(run)) == 1 for run in runs):
        found.append("repeats")
    if len(asked) >= 3 and f" {' '.join(asked)} " in f" {' '.join(said)} ":
        found.append("echo")
    if not answer.rstrip().endswith((".", "!", "?")):
        found.append("unended")
    if truth is not None and not (key_words(question, truth) - SIGNS) & set(said):
        found.append("off")
    return found


def measure(omni: MuOmni, settings: Settings) -> Report:
    """Asks all of them; the rest of judging is a person's."""
    report = Report(at_most=frozenset(MARKS), wanted=dict.fromkeys(MARKS[:4], 0.0))
    for example in everyday_questions():
        answer = omni.ask(example.question)
        one_answer = example.kind in ("sum", "calendar", "opposite", "colour_of", "sound", "fact")
        found = marks(example.question, answer, example.answer if one_answer else None)
        row = {"question": example.question, "answer": answer, "marks": found}
        report.examples.append(row | ({"right": False, "truth": ", ".join(found)} if found else {}))
    report.figures = {"questions": len(report.examples)}
    report.figures |= {mark: share(mark in e["marks"] for e in report.examples) for mark in MARKS}
    report.figures["distinct"] = len({e["answer"] for e in report.examples}) / len(report.examples)
    return report


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, show=40))
