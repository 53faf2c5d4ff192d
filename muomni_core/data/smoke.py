"""The data of `recipes/smoke`: small, drawn and sounded here in seconds, laid out as real data is.

    python -m muomni_core.data.smoke --out DIR

Speech is a code that an ear can learn, not language: every letter is a burst of two tones of its own, a space is
silence, and the two voices differ in pitch and pace. Pictures are one coloured shape each. The same seed gives the
same bytes.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image, ImageDraw

from muomni_core.data.shards import write_manifest, write_shard
from muomni_core.errors import DataError

VERSION = 1  # raise it when what is made changes: older data is then made again
MARKER = "smoke.json"
SAMPLE_RATE = 16_000

WORDS = ("a", "big", "bird", "cat", "day", "dog", "fish", "good", "here", "is", "my", "no", "old", "red", "sun", "yes")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Five low and six high tones make 30 pairs; both ladders widen upwards as the ear's resolution does.
TONES = tuple(itertools.product((330, 430, 560, 730, 950), (1250, 1550, 1900, 2350, 2900, 3500)))

COLOURS = {"red": (214, 40, 40), "green": (46, 160, 67), "blue": (45, 90, 220), "yellow": (240, 200, 30)}
SHAPES = ("circle", "square", "triangle")
GROUNDS = {"white": (250, 250, 250), "black": (15, 15, 15), "grey": (130, 130, 130)}
PICTURE_SIZE = 96


@dataclass(frozen=True)
class SmokeVoice:
    """A voice of the tone code: scale of its tones, its pitch in Hz, seconds a letter."""

    name: str
    scale: float
    pitch: float
    letter: float


VOICES = (SmokeVoice("low", 1.0, 100.0, 0.090), SmokeVoice("high", 1.12, 190.0, 0.075))


def make_smoke(folder: str | Path, *, seed: int = 0, clips: int = 240, pictures: int = 240, texts: int = 600) -> Path:
    """Makes the data below `folder` (text/, speech/, images/) and returns the folder; what is there already is kept.

    The numbers are those of the train splits; val has an eighth of them. Only files named smoke* are written.
    Raises DataError where the folder cannot be written.
    """
    folder = Path(folder)
    try:
        _make(folder, seed, clips, pictures, texts)
    except OSError as error:
        raise DataError(f"the smoke data cannot be written to {folder}: {error.strerror or error}") from error
    return folder


def _make(folder: Path, seed: int, clips: int, pictures: int, texts: int) -> None:
    made = {"version": VERSION, "seed": seed, "clips": clips, "pictures": pictures, "texts": texts}
    marker = folder / MARKER
    if marker.is_file() and marker.read_text() == json.dumps(made):
        return
    marker.unlink(missing_ok=True)
    for split in ("train", "val"):
        part = 1 if split == "train" else 8
        for voice in VOICES:
            rows = speech_rows(voice, split, max(1, clips // len(VOICES) // part), seed)
            write_shard(folder / f"speech/smoke_{voice.name}-{split}-000.tar", rows)
        count = max(len(COLOURS) * len(SHAPES), pictures // part)
        for name, questions in (("shapes", False), ("questions", True)):
            write_shard(folder / f"images/smoke_{name}-{split}-000.tar", picture_rows(split, count, seed, questions))
        for name, pool in (("sentences", sentence_pool()), ("dialogues", dialogue_pool()), ("answers", answer_pool())):
            chosen = _share(pool, split, seed)[: max(1, texts // part)]
            write_manifest(folder / f"text/smoke_{name}-{split}.jsonl.xz", chosen)
    marker.write_text(json.dumps(made))


def _share(pool: Iterable[Any], split: str, seed: int) -> list[Any]:
    """This split's part of a pool, shuffled: an eighth is val, and nothing is in both."""
    rows = list(pool)
    random.Random(f"{seed}-pool").shuffle(rows)
    held_out = max(1, len(rows) // 8)
    return rows[:held_out] if split == "val" else rows[held_out:]


def sentence_pool() -> Iterator[dict[str, Any]]:
    """Every sentence of a grammar with four slots."""
    things = ("dog", "cat", "bird", "fish", "child")
    for size, one, verb, other in itertools.product(
        ("big", "small", "old", "young"), things, ("sees", "likes", "follows", "hears", "helps"), things
    ):
        if one != other:
            yield {"text": f"The {size} {one} {verb} the {other}."}


def dialogue_pool() -> Iterator[dict[str, Any]]:
    names = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal")
    things = ("apples", "games", "songs", "stories", "trains")
    greetings = ("Hello", "Hi", "Good morning")
    for greeting, name, thing in itertools.product(greetings, names, things):
        yield {
            "turns": [
                f"{greeting}, I am {name}.",
                f"{greeting}, {name}. How can I help you?",
                f"Do you like {thing}?",
                f"I like to talk about {thing}.",
            ]
        }


def answer_pool() -> Iterator[dict[str, Any]]:
    numbers = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    for a, b in itertools.product(range(6), range(5)):
        yield {"question": f"What is {numbers[a]} plus {numbers[b]}?", "answer": f"It is {numbers[a + b]}."}
    for a, b in itertools.combinations(range(11), 2):
        yield {"question": f"Is {numbers[b]} more than {numbers[a]}?", "answer": "Yes, it is more."}
        yield {"question": f"Is {numbers[a]} more than {numbers[b]}?", "answer": "No, it is less."}


def speech_rows(voice: SmokeVoice, split: str, count: int, seed: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    """`count` clips as members of a shard; every voice has texts of its own, and none of val is in train."""
    texts = [" ".join(words) for n in (2, 3) for words in itertools.permutations(WORDS, n)]
    turn = VOICES.index(voice)
    mine = _share(texts, split, seed)[turn :: len(VOICES)][:count]
    for number, text in enumerate(mine):
        sound = say(text, voice, np.random.default_rng([seed, turn, split == "val", number]))
        blob = io.BytesIO()  # FLAC, as an Ogg stream's serial number is drawn anew at each writing
        soundfile.write(blob, sound, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        row = {"text": text, "speaker": f"smoke_{voice.name}/{voice.name}", "seconds": len(sound) / SAMPLE_RATE}
        yield f"{number:06d}", {"flac": blob.getvalue(), "json": json.dumps(row).encode()}


def say(text: str, voice: SmokeVoice, rng: np.random.Generator) -> np.ndarray:
    """Lower-case letters and spaces -> float32 (N,) at 16 kHz, peak below 0.5; paces and loudness vary a little."""
    pieces = [np.zeros(int(0.06 * SAMPLE_RATE))]
    for letter in text:
        n = int(SAMPLE_RATE * voice.letter * rng.uniform(0.9, 1.1))
        if letter == " ":
            pieces.append(np.zeros(n))
            continue
        low, high = TONES[LETTERS.index(letter)]
        t = np.arange(n) / SAMPLE_RATE
        tones = 0.6 * np.sin(2 * np.pi * low * voice.scale * t) + 0.4 * np.sin(2 * np.pi * high * voice.scale * t)
        # The voice's pitch beats in the loudness, and each letter fades in and out, so that doubled ones stay two.
        pitch = 0.7 + 0.3 * np.cos(2 * np.pi * voice.pitch * t)
        pieces.append(rng.uniform(0.25, 0.4) * tones * pitch * np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 0.5)
    pieces.append(np.zeros(int(0.06 * SAMPLE_RATE)))
    sound = np.concatenate(pieces)
    return (sound + rng.normal(0, 1e-3, len(sound))).astype(np.float32)


def picture_rows(split: str, count: int, seed: int, questions: bool) -> Iterator[tuple[str, dict[str, bytes]]]:
    """`count` pictures as members of a shard: label and captions, and a question with its answer where asked for.

    Every colour and shape is in both splits: position, size and ground are what differ.
    """
    kinds = list(itertools.product(COLOURS, SHAPES))
    rng = random.Random(f"{seed}-{split}-{questions}")
    for number in range(count):
        colour, shape = kinds[number % len(kinds)]
        ground = rng.choice(list(GROUNDS))
        blob = io.BytesIO()
        draw(colour, shape, ground, rng).save(blob, "PNG")
        row: dict[str, Any] = {
            "label": shape,
            "fine": f"{colour} {shape}",
            "captions": [f"a {colour} {shape} on a {ground} ground", f"A {shape} that is {colour}."],
        }
        if questions:
            row["question"], row["answer"] = _question(colour, shape, ground, number + number // len(kinds), rng)
        yield f"{number:06d}", {"png": blob.getvalue(), "json": json.dumps(row).encode()}


def _question(colour: str, shape: str, ground: str, turn: int, rng: random.Random) -> tuple[str, str]:
    other = rng.choice([s for s in SHAPES if s != shape])
    asked = rng.choice([shape, other])
    kinds: Sequence[tuple[str, str]] = (
        (f"What colour is the {shape}?", f"The {shape} is {colour}."),
        ("What do you see?", f"I see a {colour} {shape}."),
        (f"Is there a {asked}?", f"Yes, there is a {shape}." if asked == shape else f"No, it is a {shape}."),
        ("What is behind it?", f"The ground is {ground}."),
    )
    return kinds[turn % len(kinds)]


def draw(colour: str, shape: str, ground: str, rng: random.Random) -> Image.Image:
    """One shape on a plain ground, RGB, PICTURE_SIZE square."""
    image = Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE), GROUNDS[ground])
    pen = ImageDraw.Draw(image)
    size = rng.randint(PICTURE_SIZE // 3, PICTURE_SIZE * 2 // 3)
    left, top = (rng.randint(4, PICTURE_SIZE - size - 4) for _ in range(2))
    box = (left, top, left + size, top + size)
    fill = tuple(min(255, max(0, part + rng.randint(-14, 14))) for part in COLOURS[colour])
    if shape == "circle":
        pen.ellipse(box, fill)
    elif shape == "square":
        pen.rectangle(box, fill)
    else:
        pen.polygon([(left, top + size), (left + size, top + size), (left + size // 2, top)], fill)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the data root to make")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(make_smoke(args.out, seed=args.seed))


if __name__ == "__main__":
    main()
