"""Speech that free voices are made to say: as much as wanted, for the ear and for the default voice.

    python -m muomni_core.data.made_speech --data DATA [--out DATA/speech] [--shards 2] [--only slt]

Reads the `text/*-train.jsonl.xz` of the data root, picks sentences that are spoken as they are written
(no digits, no symbols), lets festival, flite and espeak-ng say them and writes WebDataset shards
`made_<voice>-train-NNN.tar` of Opus and JSON, as the recorded sets are laid out. A shard that exists is kept,
so an interrupted run goes on where it stopped. The engines are Debian's packages
`espeak-ng flite festival festvox-us-slt-hts festvox-kallpc16k`.

Voices that test the ear (flite `awb`, espeak-ng's variants) are not made here, and never should be.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

SHARD_SENTENCES = 500
VAL_SENTENCES = 60  # a voice
SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Voice:
    """One way of speaking: an engine's voice at a pace (1 is its own) and a pitch (1 is its own)."""

    name: str
    engine: str  # festival, flite or espeak
    voice: str
    sentences: int
    paces: tuple[float, ...] = (1.0,)
    pitches: tuple[float, ...] = (1.0,)
    asks: str = ""  # "words" or "pictures": questions that the omni stage has answers to, not sentences of `text/`


VARIED = {"paces": (0.8, 1.0, 1.2), "pitches": (0.85, 1.0, 1.2)}

# About 30 hours; slt is the voice that the Talker learns, the others teach the ear, and to answer spoken questions.
VOICES = (
    Voice("slt", "festival", "voice_cmu_us_slt_arctic_hts", 10_000),
    Voice("kaldiphone", "festival", "voice_kal_diphone", 2_000, (0.85, 1.0, 1.2)),
    Voice("flite_slt", "flite", "slt", 2_000, (0.8, 1.0, 1.2), (0.85, 1.0, 1.2)),
    Voice("flite_rms", "flite", "rms", 2_500, (0.8, 1.0, 1.2), (0.85, 1.0, 1.2)),
    Voice("flite_kal", "flite", "kal16", 2_000, (0.8, 1.0, 1.2), (0.85, 1.0, 1.25)),
    Voice("espeak_us", "espeak", "en-us", 2_500, (0.8, 1.0, 1.2), (0.7, 1.0, 1.3)),
    Voice("espeak_gb", "espeak", "en-gb", 1_500, (0.8, 1.0, 1.2), (0.7, 1.0, 1.3)),
    Voice("questions_slt", "festival", "voice_cmu_us_slt_arctic_hts", 1_500, asks="words"),
    Voice("questions_kaldiphone", "festival", "voice_kal_diphone", 1_000, (0.85, 1.0, 1.2), asks="words"),
    Voice("questions_flite_slt", "flite", "slt", 1_000, **VARIED, asks="words"),
    Voice("questions_flite_rms", "flite", "rms", 1_000, **VARIED, asks="words"),
    Voice("questions_flite_kal", "flite", "kal16", 1_000, **VARIED, asks="words"),
    Voice("questions_espeak_us", "espeak", "en-us", 1_000, **VARIED, asks="words"),
    Voice("pictures_slt", "festival", "voice_cmu_us_slt_arctic_hts", 750, asks="pictures"),
    Voice("pictures_kaldiphone", "festival", "voice_kal_diphone", 750, (0.85, 1.0, 1.2), asks="pictures"),
    Voice("pictures_flite_slt", "flite", "slt", 750, **VARIED, asks="pictures"),
    Voice("pictures_flite_rms", "flite", "rms", 750, **VARIED, asks="pictures"),
    Voice("pictures_flite_kal", "flite", "kal16", 750, **VARIED, asks="pictures"),
    Voice("pictures_espeak_us", "espeak", "en-us", 750, **VARIED, asks="pictures"),
)

# Source, share of the sentences. Everyday sentences first: they are what people say and ask.
TEXT_SOURCES = (
    ("tatoeba_english", 0.40),
    ("common_voice_en", 0.20),
    ("snakes_child_stories", 0.10),
    ("snakes_other_stories", 0.06),
    ("captions_flickr8k", 0.07),
    ("dailydialog_plusplus", 0.10),
    ("opentriviaqa", 0.07),
)

SPEAKABLE = re.compile(r"[A-Za-z][A-Za-z ,.'!?-]*")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def sentences_of(row: dict) -> Iterator[str]:
    """Every sentence of a text row, whatever its kind."""
    for text in (row.get("text"), row.get("question"), *row.get("turns", ())):
        for line in (text or "").replace("’", "'").splitlines():
            yield from (part.strip() for part in SENTENCE_END.split(line))


def speakable(sentence: str) -> bool:
    """Is it said as it is written: words of letters, 3 to 22 of them, no shouting and no single initials?"""
    words = sentence.split()
    return (
        3 <= len(words) <= 22
        and len(sentence) <= 130
        and SPEAKABLE.fullmatch(sentence) is not None
        and not any(len(w) > 1 and w.isupper() for w in words)
        and not re.search(r"\b(?:Mr|Mrs|Ms|Dr|St|vs|etc|No)\.|\b[B-HJ-Zb-hj-z]\b|\.\.|--", sentence)
    )


def collect_sentences(text_dir: Path, count: int, seed: int = 0) -> list[str]:
    """`count` different sentences, shares as in TEXT_SOURCES, in a seeded order."""
    rng = random.Random(seed)
    chosen: dict[str, None] = {}
    for name, share in TEXT_SOURCES:
        path = text_dir / f"{name}-train.jsonl.xz"
        pool: dict[str, None] = {}
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                pool.update((s, None) for s in sentences_of(json.loads(line)) if speakable(s))
        candidates = [s for s in pool if s not in chosen]
        rng.shuffle(candidates)
        chosen.update((s, None) for s in candidates[: round(share * count)])
    result = list(chosen)
    rng.shuffle(result)
    return result[:count]


def val_sentences(text_dir: Path) -> list[str]:
    """Held-out sentences, from the second half of a val file: its beginning is what voices are judged on."""
    with lzma.open(text_dir / "tatoeba_english-val.jsonl.xz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line)["text"] for line in lines]
    return [text for text in rows[len(rows) // 2 :] if speakable(text)]


def question_sentences(voice: Voice) -> list[str]:
    """The questions that this voice asks; another one asks others, in another order."""
    from muomni_core.data.mix import spoken_picture_questions, spoken_questions

    in_words = [e.audio_text for e in spoken_questions() if e.audio_text]
    questions = in_words if voice.asks == "words" else list(spoken_picture_questions())
    return random.Random(voice.name).sample(questions, voice.sentences)


def say_festival(jobs: list[tuple[str, Path]], voice: str, pace: float) -> None:
    """One festival process says them all: starting it costs more than a sentence."""
    lines = [f"({voice})", f"(Parameter.set 'Duration_Stretch {1 / pace:.3f})"]
    for text, path in jobs:
        safe = text.replace("\\", "").replace('"', "")
        lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{safe}")) "{path}" \'riff)')
    script = jobs[0][1].parent / "say.scm"
    script.write_text("\n".join(lines))
    subprocess.run(["festival", "-b", str(script)], check=False, capture_output=True)


def say_flite(text: str, path: Path, voice: str, pace: float, pitch: float) -> None:
    mean = {"slt": 170, "rms": 100, "kal16": 105}[voice] * pitch
    command = ["flite", "-voice", voice, "--setf", f"duration_stretch={1 / pace:.3f}"]
    command += ["--setf", f"int_f0_target_mean={mean:.0f}", "-t", text, "-o", str(path)]
    subprocess.run(command, check=False, capture_output=True)


def say_espeak(text: str, path: Path, voice: str, pace: float, pitch: float) -> None:
    command = ["espeak-ng", "-v", voice, "-s", f"{160 * pace:.0f}", "-p", f"{min(99, 50 * pitch):.0f}"]
    subprocess.run([*command, "-w", str(path), "--", text], check=False, capture_output=True)


def make_shard(voice: Voice, number: int, sentences: list[str], out: Path) -> float:
    """Says `sentences` and writes one shard; returns its hours. Sentences that an engine failed on are left out."""
    import soundfile

    from muomni_core.audio.io import resample

    rng = random.Random(f"{voice.name}-{number}")
    rows = [(s, rng.choice(voice.paces), rng.choice(voice.pitches)) for s in sentences]
    rows.sort(key=lambda row: row[1])  # festival takes one pace a process
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i:06d}.wav" for i in range(len(rows))]
        if voice.engine == "festival":
            for pace in voice.paces:
                jobs = [(row[0], path) for row, path in zip(rows, paths, strict=True) if row[1] == pace]
                if jobs:
                    say_festival(jobs, voice.voice, pace)
        else:
            say = say_flite if voice.engine == "flite" else say_espeak
            for (text, pace, pitch), path in zip(rows, paths, strict=True):
                say(text, path, voice.voice, pace, pitch)
        partial = out.with_suffix(".partial")
        with tarfile.open(partial, "w") as tar:
            for i, ((text, pace, pitch), path) in enumerate(zip(rows, paths, strict=True)):
                if not path.exists() or path.stat().st_size < 4000:
                    continue
                sound, rate = soundfile.read(path, dtype="float32")
                sound = resample(sound, rate, SAMPLE_RATE)
                opus = io.BytesIO()
                soundfile.write(opus, sound, SAMPLE_RATE, format="OGG", subtype="OPUS")
                speaker = f"made/{voice.name}" + ("" if pace == pitch == 1 else f"/{pace}/{pitch}")
                length = round(len(sound) / SAMPLE_RATE, 3)
                row = {"text": text, "speaker": speaker, "seconds": length}
                seconds += length
                for suffix, blob in (("ogg", opus.getvalue()), ("json", json.dumps(row).encode())):
                    member = tarfile.TarInfo(f"{i:06d}.{suffix}")
                    member.size = len(blob)
                    tar.addfile(member, io.BytesIO(blob))
        os.replace(partial, out)
    return seconds / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data root with text/*-train.jsonl.xz")
    parser.add_argument("--out", type=Path, help="where the shards go (default: DATA/speech)")
    parser.add_argument("--shards", type=int, help=f"at most so many shards of {SHARD_SENTENCES} sentences a voice")
    parser.add_argument("--only", action="append", help="this voice alone (may be repeated)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    out = args.out or args.data / "speech"
    out.mkdir(parents=True, exist_ok=True)
    voices = [v for v in VOICES if not args.only or v.name in args.only]
    for program in sorted({"espeak-ng" if v.engine == "espeak" else v.engine for v in voices}):
        if not shutil.which(program):
            sys.exit(
                f"{program} is missing: apt-get install espeak-ng flite festival festvox-us-slt-hts festvox-kallpc16k"
            )
    pool = collect_sentences(args.data / "text", sum(v.sentences for v in VOICES if not v.asks))
    held_out = val_sentences(args.data / "text")
    tasks, start = [], 0
    for place, voice in enumerate(VOICES):  # every voice has its own sentences, also where --only leaves some out
        if voice.asks:
            mine = question_sentences(voice)
        else:
            mine, start = pool[start : start + voice.sentences], start + voice.sentences
        if voice not in voices:
            continue
        path = out / f"made_{voice.name}-val-000.tar"
        if not path.exists() and not voice.asks:
            first = place * VAL_SENTENCES
            tasks.append((voice, 1000, held_out[first : first + VAL_SENTENCES], path))
        for number, first in enumerate(range(0, len(mine), SHARD_SENTENCES)[: args.shards]):
            path = out / f"made_{voice.name}-train-{number:03d}.tar"
            if not path.exists():
                tasks.append((voice, number, mine[first : first + SHARD_SENTENCES], path))
    # A digest of the sentences says whether two machines made the same corpus.
    print("sentences:", len(pool), hashlib.sha256("\n".join(pool).encode()).hexdigest()[:12], file=sys.stderr)
    hours: dict[str, float] = {}
    with ProcessPoolExecutor(args.jobs) as workers:
        futures = {workers.submit(make_shard, *task): task for task in tasks}
        for done, future in enumerate(as_completed(futures), 1):
            voice = futures[future][0]
            hours[voice.name] = hours.get(voice.name, 0.0) + future.result()
            print(f"{done}/{len(tasks)} shards, {sum(hours.values()):.1f} h", file=sys.stderr)
    for name, value in hours.items():
        print(f"{name}\t{value:.2f} h")


if __name__ == "__main__":
    main()
