"""The instruction mix of the omni stage: picture, scene, text and spoken questions with their answers.

>>> rng = random.Random(0)
>>> about_pictures = picture_examples(rows, rng, per_picture=4)
>>> scenes, about_scenes = scene_examples(rng, 2000)          # their `image` counts from 0 in `scenes`
>>> in_words = text_examples(text_rows, rng, 20000)
>>> to_speak = questions_to_speak(rng, 2000)                  # have the voices say `audio_text`

Everything is a function of the rng's state.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache

from muomni_core.data import phrasings as ask
from muomni_core.data.everyday import everyday_questions
from muomni_core.data.example import Example, as_heard, plain
from muomni_core.data.picture_mix import PictureFacts, all_labels, picture_examples
from muomni_core.data.scenes import scene_examples
from muomni_core.data.text_mix import (
    questions_to_speak,
    speakable,
    spoken_examples,
    spoken_questions,
    text_examples,
)
from muomni_core.data.text_rows import TextRows
from muomni_core.data.words import plural, with_article

__all__ = [
    "Example",
    "PictureFacts",
    "TextRows",
    "all_labels",
    "as_heard",
    "dedupe",
    "everyday_questions",
    "picture_examples",
    "picture_questions_to_speak",
    "plain",
    "questions_to_speak",
    "scene_examples",
    "spoken_examples",
    "spoken_picture_questions",
    "spoken_questions",
    "text_examples",
]

# Kinds whose words come out of data; the others' are written here and cannot be taken from a val split.
FROM_DATA = frozenset({"see", "describe", "doing", "define", "trivia", "reading", "task"})
MIN_WORDS = 5  # a shorter text ("I see a dog.") is nobody's


def dedupe(examples: Iterable[Example], val_texts: Iterable[str]) -> list[Example]:
    """The examples without doubles, and without those that hold a text of `val_texts` as their question or answer.

    `val_texts` are the captions, transcripts, turns, questions and texts of all val splits; compared by `plain`.
    """
    kept_apart = {p for text in val_texts if len((p := plain(text)).split()) >= MIN_WORDS}
    seen: set[tuple] = set()
    kept = []
    for e in examples:
        if e.kind in FROM_DATA:
            texts = [e.answer, *e.question.split("\n")]
            if any(plain(text) in kept_apart for text in texts):
                continue
        key = (e.kind, e.question, e.answer, e.image, e.audio_text, tuple(map(tuple, e.turns)))
        if key not in seen:
            seen.add(key)
            kept.append(e)
    return kept


# What the made voices ask about, in phrasings with a place for it.
_SPOKEN_THINGS = (
    "cat", "dog", "person", "man", "woman", "boy", "girl", "child", "bird", "horse", "car", "boat", "bicycle", "ball",
    "tree", "flower", "hat", "shirt", "circle", "square", "triangle", "red circle", "blue square", "green triangle",
)  # fmt: skip


@cache
def spoken_picture_questions() -> tuple[str, ...]:
    """Questions about pictures for the made voices (data/made_speech.py): all phrasings, of some common things."""
    fixed = [ask.SEE, *(q for _, questions in ask.NAMING for q in questions), *ask.DESCRIBE, *ask.WHO, *ask.WHERE]
    fixed += [*ask.IN_OR_OUT, *ask.ELSE, *ask.SCENE_SHAPE, *ask.SCENE_COLOUR_OF_IT, *ask.SCENE_COUNT_ALL]
    about = [q.format(a=with_article(n)) for n in _SPOKEN_THINGS for q in (*ask.YES_NO, *ask.IS_IT)]
    about += [q.format(n=n) for n in _SPOKEN_THINGS for q in (*ask.COLOUR, *ask.DOING, *ask.SCENE_SIDE)]
    about += [q.format(b=plural(n)) for n in _SPOKEN_THINGS for q in ask.COUNT]
    random.Random(0).shuffle(about)
    wanted = [q for q in [*fixed, *about[:600]] if speakable(q)]
    return tuple(dict.fromkeys(wanted))


def picture_questions_to_speak(examples: Iterable[Example], n: int) -> list[str]:
    """The `n` commonest questions about pictures that a voice can say; `spoken_examples` joins recordings to them."""
    counts: dict[str, int] = {}
    written: dict[str, str] = {}
    for e in examples:
        if e.image is not None and not e.turns and speakable(e.question):
            key = plain(e.question)
            counts[key] = counts.get(key, 0) + 1
            if e.question[:1].isupper():  # as written, not as heard
                written.setdefault(key, e.question)
    ordered = sorted(written, key=lambda key: (-counts[key], key))
    return [written[key] for key in ordered[:n]]
