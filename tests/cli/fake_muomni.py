"""A model that answers at once, in place of the trained one: what is tested here is the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from typer.testing import CliRunner, Result

from muomni_cli.app import app
from muomni_core.audio.io import read_sound, write_wav
from muomni_core.errors import InputError


class FakeOmni:
    """The interface of MuOmni; says what it was asked."""

    voices = ("slt", "kathleen")
    config = SimpleNamespace(
        codec=SimpleNamespace(codebook_size=1024, n_codebooks=2, stride=2),
        mel=SimpleNamespace(hop_length=160, sample_rate=16_000),
    )
    fingerprints = {"codec": "0123456789ab"}  # noqa: RUF012

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def ask(self, question: str | None = None, image: Any = None, audio: Any = None, **generation: Any) -> str:
        self.calls.append({"question": question, "image": image, "audio": audio} | generation)
        for source in (image, audio):
            if isinstance(source, (str, Path)) and str(source) != "-" and not Path(source).exists():
                raise InputError(f"{source}: no such file")
        return f"You asked: {question}"

    def ask_stream(self, *args: Any, **settings: Any) -> Iterator[str]:
        yield from self.ask(*args, **settings).partition(" ")

    def transcribe(self, source: Any) -> str:
        self.calls.append({"transcribe": source})
        sound = source[0] if isinstance(source, tuple) else read_sound(source)
        return f"{len(sound)} samples"

    def speak(self, text: str, voice: str | None = None, vocoder: str | None = None, **settings: Any) -> Any:
        self.calls.append({"text": text, "voice": voice, "vocoder": vocoder} | settings)
        if "\N{THUMBS UP SIGN}" in text:
            raise InputError("nothing in this text can be spoken")
        return np.full(160 * len(text), 0.25, np.float32), 16_000

    def encode_sound(self, sound: np.ndarray) -> np.ndarray:
        return np.zeros((-(-len(sound) // 320), 2), np.int64)

    def decode_codes(self, codes: np.ndarray, n_samples: int, vocoder: str | None = None) -> np.ndarray:
        return np.full(n_samples, 0.25, np.float32)


def run(*args: str, stdin: str | bytes | None = None, env: dict[str, str] | None = None) -> Result:
    """`muomni ARGS` with `stdin` as its piped input (none: empty)."""
    return CliRunner().invoke(app, list(args), input=stdin, env=env)


def refused(result: Result, *words: str, code: int = 1) -> str:
    """Checks for one line on stderr with `words` in it, nothing on stdout and the exit code; returns the line."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("muomni: ") and result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr and "unexpected" not in result.stderr, result.stderr
    for word in words:
        assert word in result.stderr
    return result.stderr


def make_wav(path: Path, seconds: float = 0.1) -> Path:
    write_wav(path, np.full(int(seconds * 16_000), 0.1, np.float32))
    return path
