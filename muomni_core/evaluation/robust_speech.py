"""Speaks 200 texts of all kinds and looks at each: does it end, is anything looped, is anything cut? Then it takes times.

    python -m muomni_core.evaluation.robust_speech

Prints a small table of both. Exit code 1 if a text breaks its contract, 0 otherwise; times are shown beside what is
wanted of two free cores, and break nothing, as they are the machine's as much as the model's.

What is looked at, a text:
- ends: sound comes back, all of its samples numbers, with no peak over 1; a text in which nothing can be said is refused.
- length: 0.5 to 2 times what the characters of its spoken form predict (a rate fitted on plain sentences).
- looped: no word lasts longer than anyone would say it.
- cut: every word of the spoken form is there and lasts, and the sound is quiet before it ends.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from muomni_core.audio.io import SAMPLE_RATE as RATE
from muomni_core.errors import InputError, one_line_errors
from muomni_core.text.pieces import pieces

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni
    from muomni_core.model.speaking import Said

SHORTEST, LONGEST = 0.5, 2.0  # of the predicted length
WANTED_FACTOR, WANTED_FIRST = 0.05, 0.3  # seconds of computing a second of sound; seconds to the first sound
EDGE = 400  # samples, 25 ms: the end of a sound that must be quiet
QUIET = 0.15  # of the loudest 25 ms

WORDS = """
the a my her this that our old little green cold kind quick quiet happy dog cat bird house garden river window table
teacher friend mother boy girl train letter morning evening winter summer road city story music bread apple coffee rain
walks runs sees likes finds brings opens writes hears makes takes sings waits sleeps comes looks goes
and but because when so with under over near behind after before into from today tomorrow again slowly never always
""".split()


class Rate(NamedTuple):
    """Seconds that a piece takes: what it always takes, and what each character of its spoken form adds."""

    base: float
    character: float

    def predict(self, text: str) -> float:
        spoken = [piece.text for piece in pieces(text) if piece.text]
        return len(spoken) * self.base + self.character * sum(map(len, spoken))


class Result(NamedTuple):
    """`problems` is empty for a text that keeps its contract; `ratio` is its length over the predicted one."""

    kind: str
    text: str
    ratio: float
    problems: list[str]


def plain_sentence(chance: random.Random, n_words: int) -> str:
    """Everyday words in any order."""
    return " ".join(chance.choice(WORDS) for _ in range(n_words)).capitalize() + "."


def texts(seed: int = 0) -> list[tuple[str, str]]:
    """200 pairs of kind and text, the same for the same seed, of one letter to 600 characters."""
    chance = random.Random(seed)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    digits = ["0", "7", "12", "99", "100", "1984", "2026", "007", "3.14159", "1,000,000", "1234567", "1/2", "50%"]
    digits += ["$5", "$3.50", "10:45", "24/7", "555-1234", "1 2 3 4 5", "0.001", "-12", "9" * 30, "2nd", "90210", "1e9"]
    marks = [".", "?!", "...", ",,,,", "()", "-- --", "!!!!!!!!", "* * *", "\"\" ''", ": ; , ."]
    capitals = [plain_sentence(chance, n).upper() for n in range(1, 17)] + ["NASA", "OK", "I", "WHY NOT"]
    repeated = [f"{chance.choice(WORDS)} " * n for n in (2, 3, 4, 5, 8, 10, 15, 20, 30, 60)]
    repeated += [f"{c} " * n for c, n in zip("abehiomstz", (2, 3, 5, 7, 9, 12, 20, 40, 80, 150), strict=True)]
    single = [*chance.sample(WORDS, 25), "strengths", "onomatopoeia", "queue", "rhythm", "hmm"]
    plain = [plain_sentence(chance, n) for n in range(3, 23) for _ in range(2)]
    long = []
    for n_characters in range(200, 601, 20):
        text = ""
        while len(text) < n_characters:
            text += plain_sentence(chance, chance.randint(3, 14))[:-1] + chance.choice(
                [". ", "? ", ", ", "! ", "\n\n", "; "]
            )
        long.append(text[:n_characters])
    odd = [
        "a" * 40,
        "Hello\N{WAVING HAND SIGN}there",
        "e.g. this, i.e. that",
        "Mr. and Mrs. Dr. St.",
        "x@y.org",
        "www.a.com",
    ]
    odd += ["(well)", "so... yes"]
    kinds = {
        "one letter": letters,
        "digits": digits,
        "punctuation": marks,
        "capitals": capitals,
        "repeated": repeated,
        "one word": single,
        "sentence": plain,
        "long": long,
        "odd": odd,
    }
    return [(kind, text.strip()) for kind, many in kinds.items() for text in many]


def fit_rate(speak: Callable[[str], float], seed: int = 1, count: int = 24) -> Rate:
    """The rate of a voice, by least squares over plain sentences; `speak` says how many seconds a text takes."""
    chance = random.Random(seed)
    sentences = [plain_sentence(chance, 3 + n % 12) for n in range(count)]
    lengths = [float(len(next(pieces(text)).text)) for text in sentences]
    slope, base = statistics.linear_regression(lengths, [speak(text) for text in sentences])
    return Rate(max(0.0, base), slope)


def problems_of(text: str, said: Sequence[Said], rate: Rate) -> tuple[float, list[str]]:
    """Length over the predicted one, and what is wrong with a text that was said."""
    found = []
    sound = np.concatenate([piece.sound for piece in said])
    if not np.isfinite(sound).all() or np.abs(sound).max() > 1.0001:
        found.append("samples that are no numbers, or over 1")
    ratio = len(sound) / RATE / rate.predict(text)
    if not SHORTEST <= ratio <= LONGEST:
        found.append(f"{ratio:.2f} of the predicted length")
    spoken = [piece.text for piece in pieces(text) if piece.text]
    for piece, wanted in zip(said, spoken, strict=True):
        letters = sum(c.isalpha() for c in wanted)
        if sum(c.isalpha() for word in piece.words for c in word.word) != letters:
            found.append(f"words are missing: {wanted[:30]!r}")
        found += _word_problems(piece)
        if not _quiet_end(piece.sound):
            found.append(f"loud at its end: {wanted[-30:]!r}")
    return ratio, found


def _word_problems(piece: Said) -> Iterator[str]:
    for word in piece.words:
        seconds = word.end - word.start
        if seconds <= 0:
            yield f"cut: {word.word!r} takes no time"
        elif seconds > 0.5 + 0.2 * len(word.word):
            yield f"looped or held: {word.word!r} takes {seconds:.2f} s"


def _quiet_end(sound: np.ndarray) -> bool:
    blocks = sound[len(sound) % EDGE :].reshape(-1, EDGE)
    loudness = np.sqrt(np.square(blocks).mean(1))
    return bool(loudness[-1] <= QUIET * loudness.max())


def check_all(omni: MuOmni, rate: Rate, some: Iterable[tuple[str, str]], **speech: str | None) -> Iterator[Result]:
    """Speaks every text and looks at it."""
    for kind, text in some:
        sayable = any(piece.text for piece in pieces(text))
        try:
            ratio, found = problems_of(text, list(omni.speak_pieces(text, **speech)), rate)
        except InputError:
            ratio, found = 1.0, ["refused, though it can be said"] if sayable else []
        else:
            found += [] if sayable else ["said, though there is nothing to say"]
        yield Result(kind, text, ratio, found)


def times(omni: MuOmni, rate: Rate, voice: str | None = None, repeats: int = 3) -> dict[str, dict[str, float]]:
    """By vocoder, the best of some: computing a second of sound for 10 seconds of it; seconds to the first sound.

    The first sound is measured on a text whose first sentence is a long one.
    """
    n_characters = int((10 - rate.base) / rate.character)
    chance = random.Random(2)
    text = ""
    while len(text) < n_characters - 8:
        text += chance.choice(WORDS) + (", " if len(text) % 5 == 4 else " ")
    result = {}
    for vocoder in omni.vocoders:
        spent, first, seconds = [], [], 0.0
        for _ in range(repeats + 1):  # the first pays for caches
            start = time.perf_counter()
            parts = omni.speak_pieces(text.strip(" ,") + ".", voice, vocoder)
            said = [next(parts)]
            first.append(time.perf_counter() - start)
            said += parts
            spent.append(time.perf_counter() - start)
            seconds = sum(len(piece.sound) for piece in said) / RATE
        result[vocoder] = {"seconds": seconds, "factor": min(spent[1:]) / seconds, "first_sound": min(first[1:])}
    return result


def report(results: Sequence[Result], rate: Rate, measured: dict[str, dict[str, float]]) -> str:
    """The table."""
    lines = [
        f"predicted: {rate.base:.2f} s a piece and {rate.character * 1000:.0f} ms a character",
        f"{'kind':12} {'texts':>5} {'broken':>6}  length over the predicted one",
    ]
    for kind in dict.fromkeys(result.kind for result in results):
        own = [result for result in results if result.kind == kind]
        ratios = [result.ratio for result in own]
        broken = sum(bool(result.problems) for result in own)
        lines.append(f"{kind:12} {len(own):5} {broken:6}  {min(ratios):.2f} to {max(ratios):.2f}")
    lines.append(f"{'all':12} {len(results):5} {sum(bool(r.problems) for r in results):6}")
    lines += [f"  {r.kind}: {r.text[:40]!r}: {'; '.join(r.problems[:3])}" for r in results if r.problems]
    for vocoder, found in measured.items():
        lines.append(
            f"{vocoder}: {found['factor']:.3f} s of computing a second of sound, for {found['seconds']:.1f} s "
            f"(wanted {WANTED_FACTOR}); first sound after {found['first_sound']:.2f} s (wanted {WANTED_FIRST})"
        )
    return "\n".join(lines)


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="folder of weights (default: those of the package)")
    parser.add_argument("--voice", help="default: the model's own")
    parser.add_argument("--vocoder", help="default: the model's own; times are taken of all")
    parser.add_argument("--count", type=int, help="look at that many of the texts, evenly picked (default: all 200)")
    parser.add_argument("--json", action="store_true", help="print all results as JSON instead of the table")
    args = parser.parse_args(arguments)
    some = texts()
    if args.count is not None and not 1 <= args.count <= len(some):
        parser.error(f"--count is 1 to {len(some)}")
    some = some[:: -(-len(some) // args.count)] if args.count else some
    from muomni_core import MuOmni

    omni = MuOmni.load(args.weights)
    speech = {"voice": args.voice, "vocoder": args.vocoder}
    rate = fit_rate(lambda text: sum(len(p.sound) for p in omni.speak_pieces(text, **speech)) / RATE)
    results = list(check_all(omni, rate, some, **speech))
    measured = times(omni, rate, args.voice)
    if args.json:
        print(json.dumps({"rate": rate._asdict(), "texts": [r._asdict() for r in results], "times": measured}))
    else:
        print(report(results, rate, measured))
    return int(any(result.problems for result in results))


if __name__ == "__main__":
    sys.exit(main())
