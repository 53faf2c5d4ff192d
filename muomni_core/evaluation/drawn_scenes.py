"""Drawn scenes: colour, number, shape and side of circles, squares and triangles.

    python -m muomni_core.evaluation.drawn_scenes

Scenes come from data/scenes.py with a seed that no training uses. `known_` are the questions of its own, as in
training; `other_` the same in words that no recipe has. An answer is right if it says the colour (number, shape, side)
and no other one.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from muomni_core.data.scenes import COLOURS, KINDS, SHAPES, Scene, SceneFacts, draw_scene, random_scene
from muomni_core.data.words import number_words, plural
from muomni_core.evaluation.metrics import words
from muomni_core.evaluation.table import Report, Settings, run, share

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

SCENES = 200
CLEAR = 0.1  # of the picture's side: a shape nearer to the middle is on no side
NUMBERS = {number_words(n): str(n) for n in range(7)} | {"no": "0", "none": "0", "a": "", "single": "1"}
WORDS_OF = {
    "colour": frozenset(COLOURS),
    "count": frozenset(str(n) for n in range(7)),
    "shape": frozenset(SHAPES),
    "side": frozenset({"left", "right"}),
}

# Said by nobody in data/phrasings.py.
OTHER = {
    "colour": (
        "What colour does the {n} have?",
        "Tell me, what colour is that {n}?",
        "Please name the colour of the {n}.",
        "The {n}: what color is it?",
        "In which colour is the {n} drawn?",
    ),
    "count": (
        "Could you count how many {b} there are?",
        "How many {b} have been drawn here?",
        "I would like to know how many {b} there are.",
        "What number of {b} can you find?",
        "How many {b} in total?",
    ),
    "shape": (
        "Which shape has been drawn?",
        "Can you say what shape it is?",
        "What figure do you see here?",
        "What kind of figure is it?",
        "Please tell me which shape that is.",
    ),
    "side": (
        "Would you say the {n} is left or right?",
        "Can you find the {n} on the left or on the right?",
        "Which side do you see the {n} on, left or right?",
        "Tell me whether the {n} is on the right or on the left.",
        "Left or right: where is the {n}?",
    ),
}
Question = tuple[str, str]  # as asked; the one word of WORDS_OF that answers it


def colour(scene: Scene, rng: random.Random) -> Question | None:
    single = [s for s in scene.shapes if SceneFacts(scene).forms[s.shape] == 1]
    if not single:
        return None
    chosen = rng.choice(single)
    return rng.choice(OTHER["colour"]).format(n=chosen.shape), chosen.colour


def count(scene: Scene, rng: random.Random) -> Question:
    forms = SceneFacts(scene).forms
    form = rng.choice([*forms, *forms, *SHAPES])  # what is there more often than what is not
    return rng.choice(OTHER["count"]).format(b=plural(form)), str(forms[form])


def shape(scene: Scene, rng: random.Random) -> Question | None:
    if len(scene.shapes) > 1:
        return None
    return rng.choice(OTHER["shape"]), scene.shapes[0].shape


def side(scene: Scene, rng: random.Random) -> Question | None:
    forms = SceneFacts(scene).forms
    clear = [s for s in scene.shapes if forms[s.shape] == 1 and abs(s.x - 0.5) >= CLEAR]
    if not clear:
        return None
    chosen = rng.choice(clear)
    return rng.choice(OTHER["side"]).format(n=chosen.shape), "left" if chosen.x < 0.5 else "right"


OTHER_KINDS: dict[str, Callable[[Scene, random.Random], Question | None]] = {
    "colour": colour,
    "count": count,
    "shape": shape,
    "side": side,
}


def said_words(kind: str, answer: str) -> frozenset[str]:
    """Which colours, numbers, shapes or sides an answer says; plurals and figures count as the words."""
    found = [word.removesuffix("s") if kind == "shape" else NUMBERS.get(word, word) for word in words(answer)]
    return frozenset(found) & WORDS_OF[kind]


def known_question(kind: str, scene: Scene, rng: random.Random) -> Question | None:
    """A question as in training, and the word that answers it."""
    pair = KINDS[f"scene_{kind}"][0](SceneFacts(scene), rng)
    if pair is None:
        return None
    right = said_words(kind, pair[1])
    return (pair[0], next(iter(right))) if len(right) == 1 else None


def measure(omni: MuOmni, settings: Settings) -> Report:
    """One question of each kind and wording for each scene that has an answer to it."""
    rng = random.Random(f"evaluation-{settings.seed}")
    report = Report(wanted={"right": 0.85})
    hits: dict[str, list[bool]] = {}
    for _ in range(settings.limit or SCENES):
        scene = random_scene(rng)
        picture = draw_scene(scene)
        for kind, make in OTHER_KINDS.items():
            for group, asked in (("known", known_question(kind, scene, rng)), ("other", make(scene, rng))):
                if asked is None:
                    continue
                question, right = asked
                answer = omni.ask(question, image=picture)
                hit = said_words(kind, answer) == {right}
                hits.setdefault(f"{group}_{kind}", []).append(hit)
                report.examples.append({"question": question, "answer": answer, "truth": right, "right": hit})
    report.figures = {"questions": len(report.examples), "right": share(e["right"] for e in report.examples)}
    for group in ("known", "other"):
        report.figures[group] = share(v for name, own in hits.items() if name.startswith(group) for v in own)
    report.figures |= {name: share(hits[name]) for name in sorted(hits)}
    return report


if __name__ == "__main__":
    sys.exit(run(__doc__, measure))
