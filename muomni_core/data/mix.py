"""The instruction mix of the omni stage: picture, scene, text and spoken questions with their answers.

>>> rng = random.Random(0)
>>> about_pictures = picture_examples(rows, rng, per_picture=4)
>>> scenes, about_scenes = scene_examples(rng, 2000)          # their `image` counts from 0 in `scenes`
>>> in_words = text_examples(text_rows, rng, 20000)
>>> to_speak = questions_to_speak(rng, 2000)                  # have the voices say `audio_text`

Everything is a function of the rng's state.
"""

from __future__ import annotations

from collections.abc import Iterable

from muomni_core.data.everyday import everyday_questions
from muomni_core.data.example import Example, as_heard, plain
from muomni_core.data.picture_mix import PictureFacts, all_labels, picture_examples
from muomni_core.data.scenes import scene_examples
from muomni_core.data.text_mix import questions_to_speak, speakable, spoken_examples, text_examples
from muomni_core.data.text_rows import TextRows

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
