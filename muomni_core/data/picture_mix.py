"""Questions about photographs: from labels, objects and captions to what a person would ask and be answered."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from muomni_core.data import phrasings as ask
from muomni_core.data.captions import THINGS, CaptionFacts
from muomni_core.data.example import Example, heard_at
from muomni_core.data.scenes import count_answer
from muomni_core.data.words import (
    AMBIENT,
    KINDS,
    WILD,
    is_plural,
    join,
    kinds_of,
    plural,
    related,
    there_is,
    with_article,
)

Pair = tuple[str, str]
_SKIPPED_OBJECTS = {"sports ball", "remote", "mouse", "tie"}  # hardly seen at this size, or doubtful words
_PEOPLE = frozenset({"person", "man", "woman", "boy", "girl", "child", "baby"})
_NO_THINGS = KINDS["place"] | _PEOPLE | {"snow", "water", "mountain", "animal", "human face"}  # nobody owns or bought
_ASKABLE_KINDS = ("bird", "fruit", "flower", "insect", "animal", "vehicle", "vegetable")


class PictureFacts:
    """What is known of one picture. `row` is a Row or a mapping with label, fine, objects, captions, source."""

    def __init__(self, row: Mapping[str, Any]):
        self.label: str | None = row.get("label")
        self.fine: str | None = row.get("fine")
        self.objects: list[str] = list(row.get("objects") or [])
        self.captions = CaptionFacts(row.get("captions") or [])
        self.source: str = row.get("source") or ("captions" if self.captions.texts else "labels")

    @cached_property
    def things(self) -> list[str]:
        """Everything that is known to be in it."""
        found = [self.label] if self.label else []
        found += [o for o in self.objects if o not in found and o not in _SKIPPED_OBJECTS]
        return found

    @cached_property
    def present(self) -> list[str]:
        """What a yes may be said of: the things, their kinds, and what captions agree on."""
        kinds = [k for t in self.things for k in kinds_of(t) if k in _ASKABLE_KINDS]
        return list(dict.fromkeys(self.things + kinds + self.captions.present))

    def absent(self, name: str) -> bool:
        """Whether a no may be said of it."""
        if self.captions.texts:
            return self.captions.absent(name) and not any(related(name, t) for t in self.things)
        if not self.things or any(related(name, t) or set(kinds_of(t)) & {name} for t in self.things):
            return False
        if any(_shared_kind(name, t) for t in self.things):
            return False
        if self.objects:  # annotated: what is often about was looked for, people were not
            return name not in ("person", "people", "man", "woman", "child", "human face")
        return name not in AMBIENT or self.label in WILD

    def other(self, rng: random.Random, labels: Sequence[str]) -> str | None:
        """A label that could be there and is not, of the same kind more often than not."""
        kinds = kinds_of(self.label or "")
        close = [x for x in labels if kinds and kinds[0] in kinds_of(x)]
        for _ in range(12):
            name = rng.choice(close if close and rng.random() < 0.6 else labels)
            if name != self.label and self.absent(name):
                return name
        return None


def _shared_kind(a: str, b: str) -> bool:
    """Whether `a` is a kind that holds things like `b` ("piece of clothing" beside a tie)."""
    return a in KINDS and b in KINDS[a]


# --- one question each; None where it does not apply -----------------------------------------------------------------


def see(facts: PictureFacts, rng: random.Random) -> Pair | None:
    """The question of a picture alone: one fixed form for a labelled picture, else a caption."""
    if facts.label:
        return ask.SEE, ask.SEE_ANSWER.format(a=with_article(facts.label))
    return (ask.SEE, rng.choice(facts.captions.best)) if facts.captions.best else None


def name_it(facts: PictureFacts, rng: random.Random) -> Pair | None:
    """Any other way to ask what is there; the form of the answer follows the question."""
    if not facts.label:
        return None
    form, questions = rng.choices(ask.NAMING, [len(q) for _, q in ask.NAMING])[0]
    if is_plural(facts.label):
        form = form.replace("This is {a}", "These are {a}").replace("There is", "There are")
    return rng.choice(questions), form.format(a=with_article(facts.label))


def describe(facts: PictureFacts, rng: random.Random) -> Pair | None:
    if not facts.captions.best:
        return None
    groups = [q for _, q in ask.NAMING[:1] + ask.NAMING[2:]] + [ask.NAMING[1][1][:6], ask.DESCRIBE, ask.DESCRIBE]
    return rng.choice(rng.choice(groups)), rng.choice(facts.captions.best)


def choose(facts: PictureFacts, rng: random.Random, labels: Sequence[str]) -> Pair | None:
    if not facts.label or not (other := facts.other(rng, labels)) or is_plural(other) != is_plural(facts.label):
        return None
    pair = [with_article(facts.label), with_article(other)]
    rng.shuffle(pair)
    verb = "These are" if is_plural(facts.label) else "It is"
    return rng.choice(ask.CHOICE).format(a=pair[0], b=pair[1]), f"{verb} {with_article(facts.label)}."


def is_it(facts: PictureFacts, rng: random.Random, labels: Sequence[str]) -> Pair | None:
    """ "Is this a dog?" "No, it is a cat." Half of each."""
    if not facts.label or is_plural(facts.label):
        return None
    if rng.random() < 0.5:
        kinds = [k for k in kinds_of(facts.label) if k in _ASKABLE_KINDS]
        name = rng.choice([facts.label, *kinds])
        return rng.choice(ask.IS_IT).format(a=with_article(name)), f"Yes, it is {with_article(name)}."
    other = facts.other(rng, labels)
    if not other or is_plural(other):
        return None
    question = rng.choice(ask.IS_IT).format(a=with_article(other))
    return question, f"No, it is {with_article(facts.label)}."


def kind(facts: PictureFacts, rng: random.Random) -> Pair | None:
    kinds = kinds_of(facts.label or "")
    if not kinds or facts.label is None:
        return None
    verb = "These are" if is_plural(facts.label) else "It is"
    return rng.choice(ask.KIND).format(k=rng.choice(kinds)), f"{verb} {with_article(facts.label)}."


def fine(facts: PictureFacts, rng: random.Random) -> Pair | None:
    """The breed. One species of bird a picture cannot be learned: those are answered with a plain word of doubt."""
    if not facts.fine or not facts.label:
        return None
    if facts.label == "bird":
        return rng.choice(ask.FINE_OTHER).format(n="bird"), "I can't tell which bird it is."
    questions = ask.FINE if facts.label in ("cat", "dog") else ask.FINE_OTHER
    return rng.choice(questions).format(n=facts.label), f"It is {with_article(facts.fine)}."


def what_else(facts: PictureFacts, rng: random.Random) -> Pair | None:
    """Asked after "What do you see?" (the caller puts that exchange in front)."""
    if not facts.label or not facts.objects:
        return None
    rest = [o for o in facts.things if o != facts.label and not related(o, facts.label)][:3]
    if not rest:
        return None
    return rng.choice(ask.ELSE), f"I also see {join([with_article(o) for o in rest])}."


def colour(facts: PictureFacts, rng: random.Random) -> Pair | None:
    if not facts.captions.colours:
        return None
    noun, said = rng.choice(facts.captions.colours)
    if is_plural(noun):
        return rng.choice(ask.COLOUR_MANY).format(b=noun), f"The {noun} are {said}."
    return rng.choice(ask.COLOUR).format(n=noun), f"The {noun} is {said}."


def count(facts: PictureFacts, rng: random.Random) -> Pair | None:
    counts = facts.captions.counts
    if not counts or (all(n == 1 for _, n in counts) and rng.random() < 0.85):  # ones would be most of it
        return None
    noun, n = rng.choice(counts)
    return rng.choice(ask.COUNT).format(b=plural(noun)), count_answer(n, noun)


def doing(facts: PictureFacts, rng: random.Random) -> Pair | None:
    if not facts.captions.deeds:
        return None
    doer, deed = rng.choice(facts.captions.deeds)
    return rng.choice(ask.DOING).format(n=doer), f"The {doer} is {deed}."


def who(facts: PictureFacts, rng: random.Random) -> Pair | None:
    return (rng.choice(ask.WHO), f"I see {facts.captions.who}.") if facts.captions.who else None


def where(facts: PictureFacts, rng: random.Random) -> Pair | None:
    captions, place = facts.captions, facts.label in KINDS["place"]
    if place and facts.label != "desert" and rng.random() < 0.5:
        outside = facts.label in ("street", "forest", "beach")
    elif captions.outside is not None and rng.random() < 0.5:
        outside = captions.outside
    elif captions.place:
        return rng.choice(ask.WHERE), f"It is {captions.place}."
    else:
        return None
    return rng.choice(ask.IN_OR_OUT), f"It is {'outside' if outside else 'inside'}."


def cannot(facts: PictureFacts, rng: random.Random) -> Pair | None:
    """What the picture does not tell, or something asked of a thing that is not there."""
    if rng.random() < 0.5:
        for _ in range(8):
            noun = rng.choice(tuple(THINGS))
            if noun not in _NO_THINGS - _PEOPLE and facts.absent(noun):
                doing_it = noun in _PEOPLE or (noun in KINDS["animal"] and rng.random() < 0.5)
                question = rng.choice(ask.DOING if doing_it else ask.COLOUR).format(n=noun)
                return question, ask.CANT_SEE.format(a=with_article(noun))
    people = [t for t in facts.present if t in _PEOPLE]
    things = [t for t in facts.present if t not in _NO_THINGS and not is_plural(t)]
    question, answer = rng.choice(ask.CANT_TELL)
    names = people if "{p}" in question else things
    if "{" in question and not names:
        return None
    return (question.format(n=rng.choice(names), p=rng.choice(names)) if "{" in question else question), answer


# kind: (how often, what makes it). "see" and "yesno" are dealt out apart, "what_else" has the first exchange in front.
_OTHERS: dict[str, tuple[float, Callable[..., Pair | None]]] = {
    "name": (14, name_it),
    "describe": (16, describe),
    "choice": (6, choose),
    "is_it": (5, is_it),
    "kind": (6, kind),
    "fine": (8, fine),
    "else": (8, what_else),
    "colour": (8, colour),
    "count": (9, count),
    "doing": (7, doing),
    "who": (3, who),
    "where": (7, where),
    "cannot": (1.5, cannot),
}
SEE_SHARE, YES_NO_SHARE = 0.22, 0.22


def _slots(rng: random.Random, n_rows: int, per_picture: int) -> tuple[list[int], list[int], list[int]]:
    """Which pictures get how many of: the one question, a yes or no, another question."""
    see_at: list[int] = []
    yes_no_at: list[int] = []
    other_at: list[int] = []
    for image in range(n_rows):
        for place in range(per_picture):
            draw = rng.random()
            if draw < SEE_SHARE and not (place and image in see_at[-1:]):  # once a picture is enough
                see_at.append(image)
            elif draw < SEE_SHARE + YES_NO_SHARE:
                yes_no_at.append(image)
            else:
                other_at.append(image)
    return see_at, yes_no_at, other_at


def yes_no_pairs(
    rng: random.Random, facts: Sequence[PictureFacts], slots: Sequence[int]
) -> list[tuple[int, str, bool]]:
    """(picture, thing, whether it is there), as many of either for each thing by itself.

    So neither the question alone, nor the thing, tells the answer. Things seldom seen are asked about more often than
    they are there.
    """
    seen: dict[str, int] = defaultdict(int)
    for f in facts:
        for name in f.present:
            seen[name] += 1
    slots = list(slots)
    rng.shuffle(slots)
    half = len(slots) // 2
    asked: dict[str, list[int]] = defaultdict(list)
    for image in slots[:half]:
        if names := facts[image].present:
            weights = [seen[n] ** -0.5 for n in names]
            asked[rng.choices(names, weights)[0]].append(image)
    by_source: dict[str, list[int]] = defaultdict(list)
    for image in slots[half:] or slots:
        by_source[facts[image].source].append(image)
    everywhere = slots[half:] or slots
    found = []
    for name in sorted(asked):
        for image in asked[name]:
            near = by_source[facts[image].source] or everywhere
            for attempt in range(60):  # the same source first: a no should not be told by the look of the set
                other = rng.choice(near if attempt < 20 and rng.random() < 0.8 else everywhere)
                if facts[other].absent(name):
                    found += [(image, name, True), (other, name, False)]
                    break
    return found


def _yes_no_example(rng: random.Random, image: int, name: str, there: bool) -> Example:
    shown, many = with_article(name), plural(name)
    if is_plural(name) or (name in KINDS["animal"] | _MANY and rng.random() < 0.12):
        question = rng.choice(ask.YES_NO_MANY).format(b=many)
        answer = f"Yes, there are {many}." if there else f"No, there are no {many} in the picture."
    else:
        question = rng.choice(ask.YES_NO).format(a=shown)
        verb = there_is(name)
        answer = (ask.YES if there else ask.NO).format(there_is=verb, a=shown, n=name)
    return Example("yesno", question, answer, image)


_MANY = frozenset({"animal", "person", "car", "boat", "bird", "man", "woman", "child", "bicycle", "flower"})


def picture_examples(
    rows: Iterable[Mapping[str, Any] | PictureFacts], rng: random.Random, per_picture: int = 4, heard_rate: float = 0.25
) -> list[Example]:
    """About `per_picture` questions with answers for each row; `image` is the row's place in `rows`.

    `rows` may be PictureFacts made before: what captions say is worked out once then, not at every call.
    Yes and no are balanced over all, and for each thing. A share of `heard_rate` of the questions is lower-case and
    without punctuation. The same rng state gives the same examples.
    """
    facts = [row if isinstance(row, PictureFacts) else PictureFacts(row) for row in rows]
    labels = sorted({f.label for f in facts if f.label and f.label not in KINDS["place"]})
    see_at, yes_no_at, other_at = _slots(rng, len(facts), per_picture)
    examples = []
    for image in see_at:
        if pair := see(facts[image], rng):
            examples.append(Example("see", *pair, image))
    examples += [_yes_no_example(rng, *pair) for pair in yes_no_pairs(rng, facts, yes_no_at)]
    kinds, weights = list(_OTHERS), [weight for weight, _ in _OTHERS.values()]
    for image in other_at:
        f = facts[image]
        for _ in range(20):
            name = rng.choices(kinds, weights)[0]
            make = _OTHERS[name][1]
            pair = make(f, rng, labels) if name in ("choice", "is_it") and labels else None
            if name not in ("choice", "is_it"):
                pair = make(f, rng)
            if pair:
                turns = [see(f, rng)] if name == "else" else []
                examples.append(Example(name, sentence_case(pair[0]), pair[1], image, None, [t for t in turns if t]))
                break
    rng.shuffle(examples)
    return list(heard_at(rng, examples, heard_rate))


def sentence_case(question: str) -> str:
    return question[:1].upper() + question[1:]


def all_labels(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The labels of all sets in `rows`, sorted."""
    return sorted({label for row in rows if (label := row.get("label"))})
