"""Speaks a list of sentences, so that a judge from outside can measure the voice.

    python -m muomni_core.evaluation.say --sentences DATA/text/tatoeba_english-val.jsonl.xz --out DIR --count 60

Writes DIR/0001.wav and so on and DIR/clips.jsonl with a row {"audio", "text"} for each; prints as JSON how much was
said and how long the model computed for a second of sound. Sentences have 4 to 16 words and no digit, so that a judge
who does not expand numbers is fair, and are taken in the file's order, each once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from muomni_core.audio.io import write_wav
from muomni_core.data.rows import read_rows
from muomni_core.data.shards import write_manifest
from muomni_core.errors import DataError, one_line_errors
from muomni_core.evaluation.metrics import words
from muomni_core.files import check_output

MIN_WORDS, MAX_WORDS = 4, 16


class Speaker(Protocol):
    """What `MuOmni` offers here."""

    def speak(self, text: str, voice: str | None = None, vocoder: str | None = None) -> tuple[np.ndarray, int]: ...


def judged_sentences(manifest: Path) -> Iterator[str]:
    """The different sentences of a text manifest that suit a judge. Raises DataError for a missing or damaged file."""
    path = manifest.absolute()
    seen: set[str] = set()
    for row in read_rows(path, path.parent):
        text = " ".join((row.text or "").split())
        suits = MIN_WORDS <= len(words(text)) <= MAX_WORDS and not any(c.isdigit() for c in text)
        if suits and text not in seen:
            seen.add(text)
            yield text


def say(
    speaker: Speaker,
    sentences: Sequence[str],
    out: Path,
    *,
    voice: str | None = None,
    vocoder: str | None = None,
    force: bool = False,
) -> dict[str, float]:
    """Speaks each sentence into `out`; returns clips, seconds of sound and the real-time factor.

    Nothing is spoken before every output is known to be free. Raises InputError where one is not.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{number:04d}.wav" for number in range(1, len(sentences) + 1)]
    manifest = out / "clips.jsonl"
    for path in (*paths, manifest):
        check_output(path, force)
    seconds = spent = 0.0
    for text, path in zip(sentences, paths, strict=True):
        start = time.perf_counter()
        sound, rate = speaker.speak(text, voice=voice, vocoder=vocoder)
        spent += time.perf_counter() - start
        seconds += len(sound) / rate
        write_wav(path, sound, force=force)
    write_manifest(manifest, ({"audio": p.name, "text": t} for p, t in zip(paths, sentences, strict=True)))
    return {
        "clips": len(paths),
        "seconds": round(seconds, 1),
        "real_time_factor": round(spent / seconds, 4) if seconds else 0.0,
    }


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=Path, required=True, help="text rows: FILE.jsonl or FILE.jsonl.xz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips and clips.jsonl")
    parser.add_argument("--voice", help="default: the model's own")
    parser.add_argument("--vocoder", help="default: the model's own")
    parser.add_argument("--count", type=int, default=60, help="how many sentences (60)")
    parser.add_argument("--skip", type=int, default=0, help="leave out that many suitable ones first (0)")
    parser.add_argument("--weights", type=Path, help="folder of weights (default: those of the package)")
    parser.add_argument("--force", action="store_true", help="overwrite clips that are there")
    args = parser.parse_args(arguments)
    if args.count < 1 or args.skip < 0:
        parser.error("--count must be at least 1 and --skip at least 0")
    sentences = list(islice(judged_sentences(args.sentences), args.skip, args.skip + args.count))
    if not sentences:
        raise DataError(f"{args.sentences}: no sentence of {MIN_WORDS} to {MAX_WORDS} words without digits is left")
    from muomni_core import MuOmni

    model = MuOmni.load(args.weights)
    model.speak("ready", voice=args.voice, vocoder=args.vocoder)  # the first call pays for caches, not for sound
    report = say(model, sentences, args.out, voice=args.voice, vocoder=args.vocoder, force=args.force)
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
