"""A model that answers at once, in place of the trained one: what is tested here is the command line."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from typer.testing import CliRunner, Result

from muomni_cli.app import app
from muomni_core.audio.io import read_sound, write_wav
from muomni_core.errors import InputError
from muomni_core.model.hearing import Heard
from muomni_core.model.speaking import Said, Word
from muomni_core.model.word_times import HeardWord

ROOT = Path(__file__).parents[2]


class FakeOmni:
    """The interface of MuOmni; says what it was asked."""

    voices = ("slt", "kathleen")
    vocoders = ("neural", "griffin-lim")
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

    def conversation(self) -> FakeConversation:
        return FakeConversation(self)

    def attention(self, answer: str, question: str | None = None, image: Any = None, **options: Any) -> np.ndarray:
        self.calls.append({"attention": answer, "question": question, "image": image} | options)
        n_pictures = len(image) if isinstance(image, list) else 1
        return np.full((n_pictures, 4, 4), 1 / (16 * n_pictures), np.float32)

    def listen(self, source: Any, **options: Any) -> Heard:
        self.calls.append({"listen": source} | options)
        n_samples = len(read_sound(source))
        words = [HeardWord(str(n_samples), 0.0, 0.5, 0.75), HeardWord("samples", 0.5, 1.0, 0.75)]
        return Heard(words, n_samples / 16_000)

    def speak_pieces(
        self, text: str | Iterable[str], voice: str | None = None, vocoder: str | None = None, **settings: Any
    ) -> Iterator[Said]:
        """A hundredth of a second for each character and a piece for each part of the text."""
        call = {"text": "", "voice": voice, "vocoder": vocoder} | settings
        self.calls.append(call)
        for part in [text] if isinstance(text, str) else text:
            begun = len(call["text"]) / 100
            call["text"] += part
            if "\N{THUMBS UP SIGN}" in part:
                raise InputError("nothing in this text can be spoken")
            words = [Word(m[0], begun + m.start() / 100, begun + m.end() / 100) for m in re.finditer(r"\w+", part)]
            yield Said(np.full(160 * len(part), 0.25, np.float32), words, 1.0)

    def encode_sound(self, sound: np.ndarray) -> np.ndarray:
        return np.zeros((-(-len(sound) // 320), 2), np.int64)

    def decode_codes(self, codes: np.ndarray, n_samples: int, vocoder: str | None = None) -> np.ndarray:
        return np.full(n_samples, 0.25, np.float32)


class FakeConversation:
    """Counts what it was asked, and forgets it."""

    def __init__(self, omni: FakeOmni) -> None:
        self.omni, self.n_asked, self.said = omni, 0, []

    def reset(self) -> None:
        self.n_asked = 0

    def ask_stream(
        self, question: str | None = None, image: Any = None, audio: Any = None, **generation: Any
    ) -> Generator[str, None, None]:
        self.omni.calls.append({"question": question, "image": image, "audio": audio} | generation)
        if question == "fail":
            raise InputError("that went wrong")
        self.n_asked += 1
        return self._answer(question)

    def _answer(self, question: str | None) -> Generator[str, None, None]:
        said = []
        try:
            for piece in (f"{self.n_asked}: ", f"You asked {question}."):
                said.append(piece)
                yield piece
        finally:
            self.said.append("".join(said))


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


FAKE = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from fake_muomni import FakeOmni
from muomni_cli import console
console.load_model = lambda *_: FakeOmni()
from muomni_cli.__main__ import main
sys.argv[0] = "muomni"
main()
"""


def fake_process(*args: str, **settings: object) -> subprocess.Popen[bytes]:
    """A process of its own that runs `muomni ARGS` with the fake model."""
    code = FAKE.format(tests=str(Path(__file__).parent), root=str(ROOT))
    # A shell's background job ignores Ctrl-C, and so would its children.
    heed = None if sys.platform == "win32" else lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen([sys.executable, "-c", code, *args], stderr=subprocess.PIPE, preexec_fn=heed, **settings)
