"""What is in a photograph: "What do you see?" of the val rows of every labelled set.

    python -m muomni_core.evaluation.naming --data DIR

An answer is right if it says the label, in either number, and no other label of the set. `cats` and the like are those
pictures of all sets; `called_cat` are other everyday things that were called a cat. `everyday` are the pictures of
everyday things: cats, dogs, birds, vehicles, food, rooms. `by_chance`: how often an answer fits another picture of the
same set, which is what a model that doesn't look would get.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from muomni_core.data.phrasings import SEE
from muomni_core.errors import DataError
from muomni_core.evaluation.metrics import named
from muomni_core.evaluation.table import Report, Settings, run, share

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

SOURCES = (
    "caltech101",
    "coco_labels",
    "oxford_pets",
    "opennature_birds",
    "openimages",
    "wikimedia_animals",
    "grocery",
    "flowers",
    "clothing",
    "pixabay_landscapes",
)
EVERYDAY = ("coco_labels", "oxford_pets", "opennature_birds", "openimages")
KINDS = {"cats": "cat", "dogs": "dog", "birds": "bird", "cars": "car"}


def measure(omni: MuOmni, settings: Settings) -> Report:
    report = Report(wanted={"caltech101": 0.6, "everyday": 0.6, "cats": 0.75})
    for source in SOURCES:
        try:
            rows = [row for row in settings.pictures(source) if row.label]
        except DataError:
            if source == "caltech101":
                raise
            report.notes.append(f"{source} is not in the data")
            continue
        labels = {row.label for row in rows if row.label}
        for row in rows:
            answer = omni.ask(SEE, image=row.image)
            hit = named(answer, row.label or "", labels)
            report.examples.append(
                {"question": SEE, "answer": answer, "truth": row.label, "source": source, "right": hit}
            )
    by_source = {name: [e for e in report.examples if e["source"] == name] for name in SOURCES}
    everyday = [e for name in EVERYDAY for e in by_source[name]]
    report.figures = {"pictures": len(report.examples)}
    report.figures |= {name: share(e["right"] for e in own) for name, own in by_source.items() if own}
    report.figures["everyday"] = share(e["right"] for e in everyday)
    for name, own in (("caltech101", by_source["caltech101"]), ("everyday", everyday)):
        report.figures[f"{name}_by_chance"] = by_chance(own, settings.seed)
    for kind, label in KINDS.items():
        if own := [e for e in report.examples if e["truth"] == label]:
            report.figures[kind] = share(e["right"] for e in own)
            report.figures[f"{kind}_pictures"] = len(own)
    report.figures["called_cat"] = share(named(e["answer"], "cat", ()) for e in everyday if e["truth"] != "cat")
    return report


def by_chance(examples: Sequence[dict[str, Any]], seed: int = 0, rounds: int = 20) -> float:
    """Share of right answers where each picture is given another one's answer, of the same set."""
    rng = random.Random(seed)
    hits = []
    for source in sorted({e["source"] for e in examples}):
        own = [e for e in examples if e["source"] == source]
        labels = {e["truth"] for e in own}
        for _ in range(rounds):
            answers = rng.sample([e["answer"] for e in own], len(own))
            hits += [named(answer, e["truth"], labels) for e, answer in zip(own, answers, strict=True)]
    return share(hits)


if __name__ == "__main__":
    sys.exit(run(__doc__, measure))
