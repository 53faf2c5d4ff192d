"""Is there a ... in the picture? Half of the questions have a yes.

    python -m muomni_core.evaluation.yes_no --data DIR

A picture with captions is asked about what two of them name and what none of them hints at; one with a label about that
and about another thing of its set. The things asked for in vain are drawn as often as those that are there, so
the thing alone says nothing about the answer. `sentences`: answers that begin with yes or no and go on.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from muomni_core.data.picture_mix import PictureFacts
from muomni_core.data.words import NO_ARTICLE, is_plural, with_article
from muomni_core.evaluation.metrics import words
from muomni_core.evaluation.table import Report, Settings, run, share

if TYPE_CHECKING:
    from muomni_core.data.record import Row
    from muomni_core.model.omni import MuOmni

SOURCES = ("flickr8k", "coco_captions", "coco_labels", "caltech101", "oxford_pets", "grocery")
PICTURES = 150  # a set, where no --limit says more
QUESTION = "Is there {} in the picture?"


def questions(rows: Sequence[Row], rng: random.Random) -> list[tuple[int, str, bool]]:
    """(row, thing, is it there): for every picture that has something to ask, one of each answer."""
    facts = [PictureFacts(dict(row)) for row in rows]
    there = [[thing for thing in one.present if _askable(thing)] for one in facts]
    asked = [(n, rng.choice(things)) for n, things in enumerate(there) if things]
    pool = [thing for _, thing in asked]
    found: list[tuple[int, str, bool]] = []
    for n, thing in asked:
        absent = [other for other in pool if facts[n].absent(other) and other not in there[n]]
        if absent:
            found += [(n, thing, True), (n, rng.choice(absent), False)]
    return found


def _askable(thing: str) -> bool:
    return not is_plural(thing) and thing not in NO_ARTICLE


def measure(omni: MuOmni, settings: Settings) -> Report:
    report = Report(wanted={"right": 0.72})
    right: dict[str, list[bool]] = {}
    answers: list[str] = []
    limited = Settings(settings.data, settings.limit or PICTURES, settings.seed)
    for source in SOURCES:
        rows = limited.pictures(source)
        for n, thing, present in questions(rows, random.Random(f"{settings.seed}-{source}")):
            question = QUESTION.format(with_article(thing))
            answer = omni.ask(question, image=rows[n].image)
            first = words(answer)[:1]
            hit = first == ["yes" if present else "no"]
            right.setdefault(source, []).append(hit)
            answers.append(answer)
            truth = "yes" if present else "no"
            report.examples.append({"question": question, "answer": answer, "truth": truth, "right": hit})
    said_yes = [words(answer)[:1] == ["yes"] for answer in answers]
    report.figures = {
        "questions": len(answers),
        "right": share(hit for hits in right.values() for hit in hits),
        **{f"right_{source}": share(hits) for source, hits in right.items()},
        "said_yes": share(said_yes),
        "sentences": share(words(a)[:1] in (["yes"], ["no"]) and len(words(a)) >= 3 for a in answers),
    }
    return report


if __name__ == "__main__":
    sys.exit(run(__doc__, measure))
