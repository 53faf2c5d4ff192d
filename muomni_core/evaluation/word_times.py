"""How well word times are found: speech whose times are known is heard, and the times are compared.

    python -m muomni_core.evaluation.word_times [--count 20]

The Talker says sentences, and knows to the sample how long it makes every character; they are put together with silence
of random length. Only words that are heard right count: of others there is nothing to compare.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from muomni_core.audio.io import SAMPLE_RATE as RATE
from muomni_core.errors import one_line_errors
from muomni_core.evaluation.robust_speech import plain_sentence

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

WANTED = 0.08  # seconds


def compare(known: Sequence[tuple[str, float, float]], heard: Sequence[tuple[str, float, float]]) -> np.ndarray:
    """(word, start, end) twice -> (N, 2) seconds by which starts and ends of the words in both are late."""
    blocks = SequenceMatcher(None, [w[0] for w in known], [w[0] for w in heard], autojunk=False).get_matching_blocks()
    pairs = [(known[b.a + i], heard[b.b + i]) for b in blocks for i in range(b.size)]
    return np.array([(other[1] - one[1], other[2] - one[2]) for one, other in pairs]).reshape(-1, 2)


def measure(omni: MuOmni, count: int, seed: int = 0, voice: str | None = None) -> dict[str, Any]:
    """Speaks `count` sentences, hears them, and says how far off the times are.

    `within` is the share of starts and ends at most WANTED off; `median` and `p90` are of how far off they are, and
    `late` is the median of how late, all in seconds; `found` is the share of words that were heard right.
    """
    chance = random.Random(seed)
    off, n_words = [], 0
    for _ in range(count):
        known: list[tuple[str, float, float]] = []
        sounds: list[np.ndarray] = []
        n_samples = 0
        for _ in range(2):
            pause = np.zeros(round(chance.uniform(0.3, 1.5) * RATE), np.float32)
            pieces = list(omni.speak_pieces(plain_sentence(chance, chance.randint(4, 9)), voice))
            sounds += [pause, *(piece.sound for piece in pieces)]
            start = (n_samples + len(pause)) / RATE
            known += [(w.word.lower(), start + w.start, start + w.end) for piece in pieces for w in piece.words]
            n_samples = sum(map(len, sounds))
        heard = omni.listen((np.concatenate([*sounds, pause]), RATE), plain=True)
        off.append(compare(known, [word[:3] for word in heard.words]))
        n_words += len(known)
    errors = np.concatenate(off)
    if not len(errors):
        return {"found": 0.0, "words": n_words}
    distance = np.abs(errors)
    return {
        "found": len(errors) / n_words,
        "words": n_words,
        "within": float((distance <= WANTED).mean()),
        "median": float(np.median(distance)),
        "p90": float(np.quantile(distance, 0.9)),
        "late": statistics.median(errors.ravel().tolist()),
        "late_starts": float(np.median(errors[:, 0])),
        "late_ends": float(np.median(errors[:, 1])),
    }


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="folder of weights (default: those of the package)")
    parser.add_argument("--count", type=int, default=20, help="pairs of sentences (default: 20)")
    parser.add_argument("--voice", help="default: the model's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(arguments)
    from muomni_core import MuOmni

    found = measure(MuOmni.load(chosen.weights), chosen.count, chosen.seed, chosen.voice)
    print(json.dumps(found) if chosen.json else "\n".join(f"{name:12} {value:.3f}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
