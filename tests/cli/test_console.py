"""Help, versions, errors, pipes: what holds for every command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_muomni import ROOT, FakeOmni, fake_process, refused, run

from muomni_cli import console
from muomni_cli.app import Dispatcher
from muomni_core import __version__
from muomni_core.errors import InputError

COMMANDS = [
    "ask",
    "transcribe",
    "speak",
    "codec",
    "codec encode",
    "codec decode",
    "inspect-shapes",
    "train",
    "recipes",
    "recipes ls",
    "recipes show",
    "recipes copy",
    "recipes validate",
    "eval",
    "export",
    "doctor",
]
HEAVY = ("torch", "torchaudio", "torchvision", "numpy", "soundfile", "PIL", "tokenizers", "pydantic", "rich")


def process(*args: str, **settings: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "muomni_cli", *args], cwd=ROOT, capture_output=True, timeout=60, **settings
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0 and result.stderr == ""
    examples = result.stdout.partition("Examples:\n")[2].strip().splitlines()
    assert len(examples) >= 2 and all("muomni " + command in line for line in examples)
    assert result.stdout == run(*command.split(), "-h").stdout


def test_options_are_grouped() -> None:
    page = run("ask", "--help").stdout
    places = [page.index(f"\n{group}:\n") for group in ("Arguments", "Input", "Output", "Speech", "Model", "General")]
    assert places == sorted(places)


def test_every_command_is_listed_with_a_line_of_help() -> None:
    page = run("--help").stdout
    for name, line in Dispatcher.lazy.items():
        assert f"{name} " in page and line in page
    assert {command.split()[0] for command in COMMANDS} == set(Dispatcher.lazy)


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["ask", "--help"],
        ["train", "--help"],
        ["ask", "--imgae", "x"],
        ["speak", "--speed", "9"],
    ],
)
def test_nothing_heavy_is_imported_before_a_command_runs(args: list[str]) -> None:
    code = (
        "import sys\nfrom muomni_cli.app import app\n"
        f"try: app({args!r})\nexcept SystemExit: pass\n"
        f"sys.stderr.write('heavy:' + ','.join(n for n in {HEAVY!r} if n in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert found.stderr.rpartition("heavy:")[2] == "", found.stderr


def test_version() -> None:
    assert run("--version").stdout == f"muomni {__version__}\n"


def test_without_a_command_the_help_is_shown() -> None:
    result = run()
    assert result.exit_code == 2 and "Commands:" in result.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["aks"], ["ask"]),
        (["ask", "--imgae", "x"], ["--image", "muomni ask --help"]),
        (["ask", "--device", "cdua"], ["did you mean cuda"]),
        (["ask", "hi", "--max-tokens", "0"], ["1 to 1024"]),
        (["ask", "hi", "--temperature", "warm"], ["'warm' is not a number"]),
        (["ask", "hi", "--threads", "1.5"], ["not a whole number"]),
        (["ask", "--image"], ["--image"]),
        (["--nonsense"], ["--nonsense"]),
        (["ask", "--\x1b[31mred"], ["\\x1b"]),
    ],
)
def test_wrong_flags_are_one_line_and_code_2(args: list[str], words: list[str]) -> None:
    refused(run(*args), *words, code=2)


def test_flags_may_come_from_the_environment(omni: FakeOmni, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple] = []
    monkeypatch.setattr(console, "load_model", lambda *settings: seen.append(settings) or omni)
    run("ask", "hi", env={"MUOMNI_DEVICE": "cpu", "MUOMNI_THREADS": "2", "MUOMNI_WEIGHTS": "w"})
    run("ask", "hi", "--device", "cuda", env={"MUOMNI_DEVICE": "cpu"})
    assert seen == [(Path("w"), "cpu", 2), (None, "cuda", None)]


def test_missing_weights_are_refused_before_torch_is_imported() -> None:
    found = process("ask", "hi", "--weights", "none")
    assert (found.returncode, found.stdout, found.stderr) == (1, b"", b"muomni: --weights none: no such folder\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("two\nlines \x1b[31m"), "muomni: two\\nlines \\x1b[31m"),
        (OSError(28, "No space left on device", "out.wav"), "muomni: out.wav: No space left on device"),
        (ValueError("odd"), "muomni: unexpected ValueError: odd (-v shows where)"),
        (MemoryError(), "muomni: unexpected MemoryError (-v shows where)"),
    ],
)
def test_whatever_goes_wrong_is_one_line(
    omni: FakeOmni, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    def ask(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(omni, "ask", ask)
    result = run("ask", "hi")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line + "\n")


def test_a_surprise_shows_where_with_v(omni: FakeOmni, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(omni, "ask", lambda *_, **__: 1 / 0)
    assert "Traceback" in run("ask", "hi", "-v").stderr


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141)])
def test_interrupts_and_broken_pipes_are_quiet(
    omni: FakeOmni, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def ask(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(omni, "ask", ask)
    result = run("ask", "hi")
    assert (result.exit_code, result.output) == (code, "")


def test_a_reader_that_goes_away_is_no_error() -> None:
    with fake_process("ask", "--batch", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.close()
        _, errors = child.communicate(b'{"question": "a"}\n' * 3, timeout=60)
    assert (child.returncode, errors) == (console.EXIT_HANGUP, b"")


def test_answers_of_a_session_come_one_by_one() -> None:
    with fake_process("ask", "--batch", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        for question in (b"first", b"second"):
            child.stdin.write(b'{"question": "' + question + b'"}\n')
            child.stdin.flush()
            assert question in child.stdout.readline()  # before stdin ends
        child.stdin.close()
        assert child.wait(timeout=60) == 0


def test_ctrl_c_is_quiet() -> None:
    with fake_process("ask", "--batch", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdin.write(b'{"question": "a"}\n')
        child.stdin.flush()
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=60) == console.EXIT_INTERRUPTED
        assert child.stderr.read() == b""


def test_a_full_disk_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full, fake_process("ask", "hi", stdout=full) as child:
        errors = child.communicate(timeout=60)[1]
    assert child.returncode == 1 and errors.count(b"\n") == 1 and b"No space left" in errors


def test_utf8_whatever_the_locale() -> None:
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with fake_process("ask", "größe", stdout=subprocess.PIPE, env=env) as child:
        out, errors = child.communicate(timeout=60)
    assert (out.decode(), errors) == ("You asked: größe\n", b"")


def test_the_readme_chain_works_in_a_shell(omni: FakeOmni) -> None:
    said = run("speak", "hello", "-o", "-").stdout_bytes
    heard = run("transcribe", "-", stdin=said).stdout
    answer = run("ask", "-", stdin=heard).stdout
    assert answer == "You asked: 800 samples\n"
    assert run("speak", "-", "-o", "a.wav", stdin=answer).exit_code == 0


def test_escape_keeps_what_people_read() -> None:
    assert console.escape("größe 猫 ok") == "größe 猫 ok"
    assert console.escape("a\x1b[0m\n\u202e\x9b") == "a\\x1b[0m\\n\\u202e\\x9b"
