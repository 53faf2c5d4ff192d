"""Sound inputs of every kind that the command line reads, and the commands that read them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import strategies as st
from mutations import bent, damaged, reworded, rewritten_header
from PIL import Image


@dataclass(frozen=True)
class Case:
    """A command about one damaged file. `args` names it as {file}; `stdin`: it comes down a pipe."""

    name: str  # the file's name
    data: bytes
    ways: Callable[[bytes], st.SearchStrategy[bytes]]
    args: tuple[str, ...]
    stdin: bool = False
    made: tuple[str, ...] = ()  # what the command may write
    env: dict[str, str] = field(default_factory=dict)
    weights: str = ""  # the folder beside whose files it lies: "stages" or "export"


def _sound(format: str, subtype: str, rate: int = 16_000, channels: int = 1) -> bytes:
    times = np.arange(int(0.4 * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 220 * times) * np.sin(2 * np.pi * 3 * times)
    blob = io.BytesIO()
    soundfile.write(blob, np.stack([wave] * channels, 1), rate, format=format, subtype=subtype)
    return blob.getvalue()


def _picture(format: str, mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    blob = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(blob, format=format)
    return blob.getvalue()


def _shard() -> bytes:
    blob = io.BytesIO()
    with tarfile.open(fileobj=blob, mode="w") as tar:
        for name, data in (("a.wav", _sound("WAV", "PCM_16")), ("a.json", b'{"text": "one two", "seconds": 0.4}')):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return blob.getvalue()


RECIPE = b"""
[model]
preset = "micro"
width = 32

[data]
train = ["speech/*-train-*.tar"]
val = ["speech/*-val-*.tar"]

[train]
steps = 10
batch = 2
lr = 1e-3
"""
SETTINGS = b'device = "cpu"\nthreads = 1\nvoice = "low"\nspeed = 1.0\nmax-tokens = 4\nweights = "w"\ndata = "d"\n'
QUESTIONS = b"""{"id": 1, "question": "hello", "image": "p.png"}
{"id": "b", "question": "what?", "audio": "s.wav"}
{"question": "who?"}
"""
TEXTS = b"""{"id": 1, "text": "hello there", "out": "o1.wav", "voice": "slt", "speed": 1.5, "seed": 3}
{"text": "it costs $3.50 on 3/4/2020", "out": "o2.wav"}
"""
CLIPS = b'{"id": 1, "audio": "s.wav"}\n{"audio": "s.wav", "id": [1, 2]}\n'
MANIFEST = (
    b'{"audio": "s.wav", "text": "one two", "speaker": "a", "seconds": 0.4}\n{"audio": "s.wav", "text": "three"}\n'
)
SPOKEN = ("o1.wav", "o2.wav", "o3.wav", "x", "y", "3")


def cases(stages: Path, export: Path) -> list[Case]:
    """All of them; `stages` and `export` are folders of weights."""
    found: list[Case] = []
    bytes_only, text = damaged(bent), damaged(bent, reworded)
    header = damaged(bent, rewritten_header, rewritten_header)
    for name, data in {
        "s.wav": _sound("WAV", "PCM_16"),
        "f.wav": _sound("WAV", "FLOAT", 8_000, 2),
        "u.wav": _sound("WAVEX", "PCM_24", 44_100),
        "s.ogg": _sound("OGG", "VORBIS", 22_050),
        "s.opus": _sound("OGG", "OPUS", 48_000),
        "s.flac": _sound("FLAC", "PCM_16", 44_100, 2),
        "s.mp3": _sound("MP3", "MPEG_LAYER_III", 44_100),
        "s.aiff": _sound("AIFF", "PCM_16"),
    }.items():
        found.append(Case(name, data, bytes_only, ("transcribe", "--json", "{file}")))
        found.append(Case(name, data, bytes_only, ("transcribe", "-"), stdin=True))
        found.append(Case(name, data, bytes_only, ("ask", "--audio", "{file}")))
        found.append(
            Case(name, data, bytes_only, ("codec", "encode", "{file}", "-o", "out.codes"), made=("out.codes",))
        )
    found.append(Case("s.raw", bytes(9_000), bytes_only, ("transcribe", "--rate", "8000", "{file}")))
    for name, data in {
        "p.png": _picture("PNG"),
        "a.png": _picture("PNG", "RGBA"),
        "p.jpg": _picture("JPEG"),
        "p.webp": _picture("WEBP"),
        "p.gif": _picture("GIF"),
        "p.bmp": _picture("BMP"),
        "p.tiff": _picture("TIFF"),
    }.items():
        found.append(Case(name, data, bytes_only, ("ask", "--image", "{file}")))
        found.append(Case(name, data, bytes_only, ("ask", "--image", "-", "what?"), stdin=True))
    uses = {
        "codec": ("codec", "encode", "s.wav", "-o", "out.codes"),
        "audio": ("transcribe", "s.wav"),
        "vision": ("ask", "--image", "p.png"),
        "omni": ("ask", "hello"),
        "talker": ("speak", "hello", "-o", "o1.wav"),
    }
    for stage, args in uses.items():
        path = stages / f"{stage}.safetensors"
        found.append(Case(path.name, path.read_bytes(), header, args, made=("out.codes", "o1.wav"), weights="stages"))
        found.append(
            Case(path.name, path.read_bytes(), header, ("doctor", "--no-self-test", "--json"), weights="stages")
        )
    for name, way in {
        "model.safetensors": header,
        "config.json": text,
        "tokenizer.json": text,
        "letters.npz": bytes_only,
        "punctuation.safetensors": header,
    }.items():
        for args in (("transcribe", "s.wav"), ("ask", "hello")):
            found.append(Case(name, (export / name).read_bytes(), way, args, weights="export"))
    codes = ("codec", "decode", "{file}", "-o", "o1.wav")
    found.append(Case("c.codes", (export.parent / "c.codes").read_bytes(), bytes_only, codes, made=("o1.wav",)))
    found.append(Case("audio.toml", RECIPE, text, ("recipes", "validate", "{file}")))
    found.append(Case("audio.toml", RECIPE, text, ("train", "--stage", "audio", "--dry-run", "--recipe", "{file}")))
    found.append(
        Case(
            "own.toml",
            SETTINGS,
            text,
            ("speak", "hi", "-o", "o1.wav"),
            made=("o1.wav",),
            env={"MUOMNI_CONFIG": "own.toml"},
        )
    )
    found.append(Case("q.jsonl", QUESTIONS, text, ("ask", "--batch", "{file}", "--max-tokens", "4")))
    found.append(Case("q.jsonl", QUESTIONS, text, ("ask", "--batch", "-", "--max-tokens", "4"), stdin=True))
    found.append(Case("t.jsonl", TEXTS, text, ("speak", "--batch", "{file}"), made=SPOKEN))
    found.append(Case("l.jsonl", CLIPS, text, ("transcribe", "--batch", "{file}")))
    measured = ("eval", "--stage", "audio", "--json", "--manifest", "{file}")
    found.append(Case("m-val.jsonl", MANIFEST, text, measured))
    found.append(Case("m-val-000.tar", _shard(), bytes_only, measured))
    for args in (("ask", "-"), ("speak", "-", "-o", "o1.wav")):
        found.append(Case("text", "Hello, how are you? Größe 猫".encode(), bytes_only, args, True, ("o1.wav",)))
    return found


def shown(case: Case, data: bytes) -> str:
    """A case as a line to paste into a shell."""
    return json.dumps({"args": case.args, "file": case.name, "stdin": case.stdin, "bytes": data[:400].hex()})
