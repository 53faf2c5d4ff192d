"""speak: where the sound goes, while it is being made, and what is told about it."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_muomni import FakeOmni, fake_process, refused, run
from PIL import Image

from muomni_cli import speak
from muomni_cli.console import MAX_TEXT_BYTES
from muomni_core.audio.io import read_sound


def test_text_becomes_a_wav(omni: FakeOmni) -> None:
    result = run("speak", "hello", "-o", "out.wav", "--voice", "slt", "--vocoder", "griffin-lim", "--speed", "1.5")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert len(read_sound("out.wav")) == 800
    expected = {"text": "hello", "voice": "slt", "vocoder": "griffin-lim", "speed": 1.5}
    assert omni.calls == [expected | {"temperature": 0.0, "top_p": 1.0, "seed": 0}]


@pytest.mark.parametrize("args", [("-",), ()])
def test_text_comes_from_a_pipe(omni: FakeOmni, args: tuple[str, ...]) -> None:
    run("speak", *args, "-o", "out.wav", stdin="first line\nsecond\n")
    assert omni.calls[0]["text"].split() == ["first", "line", "second"]


def test_a_wav_on_stdout_is_a_whole_wav(omni: FakeOmni) -> None:
    result = run("speak", "hello", "-o", "-")
    assert result.exit_code == 0 and len(read_sound(io.BytesIO(result.stdout_bytes))) == 800


def test_no_wav_on_a_terminal(no_model: None, terminal: set[str]) -> None:
    terminal.add("stdout")
    refused(run("speak", "hello", "-o", "-"), "terminal")


def test_each_line_becomes_a_numbered_file(omni: FakeOmni) -> None:
    result = run("speak", "-", "-o", "lines/", stdin="one\n\nthree\n")
    assert result.exit_code == 0
    assert sorted(path.name for path in Path("lines").iterdir()) == ["0001.wav", "0003.wav"]
    assert [call["text"] for call in omni.calls] == ["one", "three"]


def test_an_existing_folder_needs_no_slash(omni: FakeOmni) -> None:
    Path("lines").mkdir()
    run("speak", "-", "-o", "lines", stdin="one\ntwo\n")
    assert len(list(Path("lines").iterdir())) == 2


def test_a_folder_is_checked_before_the_first_file_is_made(omni: FakeOmni) -> None:
    Path("lines").mkdir()
    Path("lines/0002.wav").write_text("mine")
    refused(run("speak", "-", "-o", "lines/", stdin="one\ntwo\n"), "0002.wav exists")
    assert [path.name for path in Path("lines").iterdir()] == ["0002.wav"] and not omni.calls
    assert run("speak", "-", "-o", "lines/", "--force", stdin="one\ntwo\n").exit_code == 0


def test_a_line_that_cannot_be_spoken_does_not_stop_the_rest(omni: FakeOmni) -> None:
    result = run("speak", "-", "-o", "lines/", stdin="one\n\N{THUMBS UP SIGN}\nthree\n")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1 and "0002.wav" in result.stderr
    assert sorted(path.name for path in Path("lines").iterdir()) == ["0001.wav", "0003.wav"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("speak", "hi"), 2),
        (("speak", "hi", "-", "-o", "x.wav"), 2),
        (("speak", "hi", "-o", "x.wav", "--speed", "9"), 2),
        (("speak", "hi", "-o", "x.wav", "--speed", "nan"), 2),
        (("speak", "hi", "-o", "x.wav", "--vocoder", "wavenet"), 2),
        (("speak", "hi", "-o", "x.wav", "--seed", "-1"), 2),
        (("speak", "hi", "-o", "x.wav", "--max-tokens", "3"), 2),
        (("speak", "--list-voices", "hi"), 2),
        (("speak", "hi", "--raw"), 2),
        (("speak", "hi", "--raw", "--play"), 2),
        (("speak", "hi", "-o", "lines/", "--raw"), 2),
        (("speak", "hi", "-o", "lines/", "--play"), 2),
        (("speak", "hi", "-o", "lines/", "--plot", "x.png"), 2),
        (("speak", "hi", "-o", "-", "--json"), 2),
        (("speak", "hi", "-o", "-", "--plot", "-"), 2),
        (("speak", "hi", "-o", "x.wav", "--plot", "x.wav"), 2),
        (("speak", "hi", "-o", "x.wav", "--top-p", "0"), 2),
        (("speak", "hi", "-o", "x.wav", "--plot", ""), 1),
        (("speak", "hi", "-o", "x.wav", "--plot", "none/x.png"), 1),
        (("speak", " ", "-o", "x.wav"), 1),
        (("speak", "-", "-o", "x.wav"), 1),
        (("speak", "hi", "-o", ""), 1),
        (("speak", "hi", "-o", "none/x.wav"), 1),
        (("speak", "hi", "-o", "none/deep/"), 1),
    ],
)
def test_what_speak_refuses(no_model: None, args: tuple[str, ...], code: int) -> None:
    refused(run(*args), code=code)
    assert not list(Path().iterdir())


def test_what_is_no_text_or_never_ends(omni: FakeOmni) -> None:
    for target in ("a.wav", "clips/"):
        refused(run("speak", "-", "-o", target, stdin=b"hi\0"), "NUL bytes")
    refused(run("speak", "-", "-o", "clips/", stdin="hello\n" * (MAX_TEXT_BYTES // 6 + 1)), "give it in parts")
    assert not list(Path().iterdir())


def test_a_device_is_simply_written(omni: FakeOmni) -> None:
    assert run("speak", "hi", "-o", "/dev/null").exit_code == 0


def test_voices_are_listed(omni: FakeOmni) -> None:
    assert run("speak", "--list-voices").stdout == "slt\nkathleen\n"


def test_raw_samples_have_no_header(omni: FakeOmni) -> None:
    assert run("speak", "hello", "-o", "-", "--raw").stdout_bytes == b"\0\x20" * 800
    run("speak", "hello", "-o", "out.pcm", "--raw")
    assert Path("out.pcm").read_bytes() == b"\0\x20" * 800


def test_json_tells_when_each_word_is_said(omni: FakeOmni) -> None:
    result = run("speak", "it is", "so", "-o", "out.wav", "--json")
    words = [("it", 0.0, 0.02), ("is", 0.03, 0.05), ("so", 0.06, 0.08)]
    assert json.loads(result.stdout) == {
        "file": "out.wav",
        "seconds": 0.08,
        "voice": "slt",
        "vocoder": "neural",
        "words": [{"word": w, "start": a, "end": b} for w, a, b in words],
    }
    result = run("speak", "-", "-o", "lines/", "--json", "--vocoder", "griffin-lim", stdin="one\n\ntwo\n")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(row["file"], row["words"][0]["word"]) for row in rows] == [
        ("lines/0001.wav", "one"),
        ("lines/0003.wav", "two"),
    ]
    assert rows[0]["vocoder"] == "griffin-lim" and result.stderr == ""


def test_a_plot_is_a_picture(omni: FakeOmni) -> None:
    assert run("speak", "hello there", "-o", "out.wav", "--plot", "out.png").exit_code == 0
    with Image.open("out.png") as image:
        assert image.format == "PNG" and image.width > image.height > 100
    refused(run("speak", "hello", "-o", "new.wav", "--plot", "out.png"), "out.png exists")
    assert not Path("new.wav").exists()
    result = run("speak", "hello", "-o", "new.wav", "--plot", "-")
    assert result.stdout_bytes.startswith(b"\x89PNG") and Path("new.wav").exists()


# --- as it comes


class Arriving(io.RawIOBase):
    """A pipe whose parts come one a read; `log` says what had happened before each."""

    def __init__(self, parts: list[bytes], log: list[str]) -> None:
        self.parts, self.log = list(parts), log

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self.log.append("read")
        data = self.parts.pop(0) if self.parts else b""
        buffer[: len(data)] = data
        return len(data)


def arriving(monkeypatch: pytest.MonkeyPatch, *parts: bytes) -> tuple[Iterator[str], list[str]]:
    log: list[str] = []
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Arriving(list(parts), log))))
    return speak._arriving(), log


def test_stdin_is_taken_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    text, log = arriving(monkeypatch, b"One. ", b"Two. ")
    assert next(text) == "One. " and len(log) == 1
    assert next(text) == "Two. " and len(log) == 2
    assert "".join(text) == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_characters_may_come_in_parts(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    text, _ = arriving(monkeypatch, *(bytes([b]) for b in "Größe 5 €".encode(encoding)))
    assert "".join(text) == "Größe 5 €"


def test_broken_characters_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = arriving(monkeypatch, b"a\xff", b"b\xe2\x82")
    assert "".join(text) == "a\ufffdb\ufffd"


# --- through the loudspeaker


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A player that writes what it hears into a file, and is the only one there is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "paplay"
    copy = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{copy}" > "{tmp_path}/heard"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return script


needs_shell = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")


@needs_shell
def test_speech_is_played(omni: FakeOmni, player: Path) -> None:
    assert run("speak", "hello", "--play").exit_code == 0
    assert Path("heard").read_bytes() == b"\0\x20" * 800
    assert run("speak", "hello there", "--play", "-o", "out.wav").exit_code == 0
    assert len(read_sound("out.wav")) == len(Path("heard").read_bytes()) // 2 == 1760


@needs_shell
def test_a_player_that_fails_is_one_line(omni: FakeOmni, player: Path) -> None:
    player.write_text("#!/bin/sh\necho first >&2; echo no card >&2; exit 1\n")
    refused(run("speak", "hello" * 100_000, "--play", "-o", "out.wav"), "paplay cannot play here: no card")
    assert not Path("out.wav").exists()


@needs_shell
def test_without_a_player_one_line_says_so(no_model: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(run("speak", "hello", "--play"), "no player", "aplay", "-o")


@pytest.mark.skipif(sys.platform == "win32", reason="a kill cannot be heard there")
def test_a_kill_leaves_nothing_behind(tmp_path: Path) -> None:
    process = fake_process("speak", "-", "-o", str(tmp_path / "out.wav"), stdin=subprocess.PIPE)
    try:
        assert process.stdin is not None
        process.stdin.write(b"Hello there. And now something else.\n")
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]  # it has begun, and waits for more
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []
