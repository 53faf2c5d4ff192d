"""Is a spoken question answered as the written one? With the ear's transcript beside the frames, and without.

    python -m muomni_core.evaluation.spoken_questions --data DIR [--voice slt]

The forty everyday questions, and four questions about each of some val pictures, are said by a free voice that is
installed: festival's `slt` (the first that is found of slt, flite:slt, flite:awb, espeak:en-us), or `--voice`, as in
`flite:awb`, which no recipe trains on. The answers are the same if their words are. Without a voice it is skipped, and
says so.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from muomni_core.data.everyday import everyday_questions
from muomni_core.data.made_speech import say_festival
from muomni_core.data.sampling import evenly
from muomni_core.errors import InputError
from muomni_core.evaluation.metrics import word_error, words
from muomni_core.evaluation.table import Report, Settings, run, share

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

VOICES = ("slt", "flite:slt", "flite:awb", "espeak:en-us")
PICTURES = 10
SOURCES = ("oxford_pets", "flickr8k")
ABOUT_PICTURES = (
    "What do you see?",
    "Is there a dog in the picture?",
    "How many people are there?",
    "What is in the picture?",
)
PROGRAMS = {"slt": "festival", "flite": "flite", "espeak": "espeak-ng"}


def find_voice(name: str | None = None) -> str | None:
    """The voice asked for, or the first of VOICES whose program is installed; None where there is none.

    Raises InputError where the one asked for is not here.
    """
    for voice in VOICES if name is None else (name,):
        engine = voice.partition(":")[0]
        if engine not in PROGRAMS:
            raise InputError(f"no voice {voice!r}; there are slt, flite:NAME and espeak:NAME")
        if shutil.which(PROGRAMS[engine]):
            return voice
        if name is not None:
            raise InputError(f"the voice {voice} needs the program {PROGRAMS[engine]}, which is not installed")
    return None


def say_all(texts: Sequence[str], voice: str, folder: Path) -> list[Path | None]:
    """Sound files of the texts, in their order; None for what the voice failed on."""
    paths = [folder / f"{n:04d}.wav" for n in range(len(texts))]
    engine, _, name = voice.partition(":")
    if engine == "slt":
        say_festival(list(zip(texts, paths, strict=True)), "voice_cmu_us_slt_arctic_hts", 1.0)
    for text, path in zip(texts, paths, strict=True):
        if engine == "flite":
            subprocess.run(["flite", "-voice", name, "-t", text, "-o", str(path)], check=False, capture_output=True)
        elif engine == "espeak":
            subprocess.run(["espeak-ng", "-v", name, "-w", str(path), "--", text], check=False, capture_output=True)
    return [path if path.exists() and path.stat().st_size > 4000 else None for path in paths]


def measure(omni: MuOmni, settings: Settings, voice: str | None = None) -> Report:
    found = find_voice(voice)
    if found is None:
        return Report(notes=["skipped: no voice is installed; apt-get install festival festvox-us-slt-hts, or flite"])
    asked: list[tuple[str, bytes | Path | None]] = [(e.question, None) for e in everyday_questions()]
    if settings.data is not None:
        for source in SOURCES:
            for row in evenly(settings.pictures(source), min(PICTURES, settings.limit or PICTURES)):
                asked += [(question, row.image) for question in ABOUT_PICTURES]
    report = Report(wanted={"same": 0.8, "same_without_transcript": 0.5})
    texts = sorted({question for question, _ in asked})
    with tempfile.TemporaryDirectory() as folder:
        sounds = dict(zip(texts, say_all(texts, found, Path(folder)), strict=True))
        heard = {text: omni.transcribe(path, plain=True) for text, path in sounds.items() if path is not None}
        for question, image in asked:
            if (path := sounds[question]) is None:
                continue
            written, spoken, frames = (
                omni.ask(question, image=image),
                omni.ask(image=image, audio=path),
                omni.ask(image=image, audio=path, transcript=False),
            )
            report.examples.append(
                {
                    "question": question,
                    "answer": spoken,
                    "truth": written,
                    "without_transcript": frames,
                    "picture": image is not None,
                    "heard": heard[question],
                    "right": words(spoken) == words(written),
                    "right_without_transcript": words(frames) == words(written),
                }
            )
    report.figures = {"questions": len(report.examples)}
    for name, key in (("same", "right"), ("same_without_transcript", "right_without_transcript")):
        report.figures[name] = share(e[key] for e in report.examples)
        for kind, with_picture in (("in_words", False), ("about_pictures", True)):
            if own := [e for e in report.examples if e["picture"] == with_picture]:
                report.figures[f"{name}_{kind}"] = share(e[key] for e in own)
    report.figures["word_error"] = word_error(list(heard), list(heard.values())).rate
    lost = len(texts) - len(heard)
    report.notes.append(f"voice: {found}" + (f"; it failed on {lost} questions" if lost else ""))
    return report


if __name__ == "__main__":
    early = argparse.ArgumentParser(add_help=False)
    early.add_argument("--voice")
    chosen, rest = early.parse_known_args()
    sys.exit(run(__doc__, partial(measure, voice=chosen.voice), rest))
