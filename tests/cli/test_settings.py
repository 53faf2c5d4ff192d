"""Settings: a flag comes before the environment, and that before the TOML; what is wrong there is one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_muomni import FakeOmni, refused, run

from muomni_cli import console, settings


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MUOMNI_CONFIG", str(tmp_path / "own.toml"))
    for name in settings.SETTINGS:
        monkeypatch.delenv(settings.variable(name), raising=False)
    return tmp_path / "own.toml"


@pytest.fixture
def loaded(omni: FakeOmni, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What models were loaded by: (weights, device, threads)."""
    seen: list[tuple] = []
    monkeypatch.setattr(console, "load_model", lambda *given: seen.append(given) or omni)
    return seen


def test_flag_then_environment_then_toml(toml: Path, loaded: list[tuple]) -> None:
    toml.write_text('device = "cpu"\nthreads = 3\nweights = "w"\n')
    run("ask", "hi")
    run("ask", "hi", env={"MUOMNI_DEVICE": "mps", "MUOMNI_THREADS": "2"})
    run("ask", "hi", "--device", "cuda", "--weights", "x", env={"MUOMNI_DEVICE": "mps"})
    assert loaded == [(toml.parent / "w", "cpu", 3), (toml.parent / "w", "mps", 2), (Path("x"), "cuda", 3)]


def test_every_setting_has_its_option_and_variable(toml: Path, omni: FakeOmni) -> None:
    toml.write_text('max-tokens = 9\nvoice = "kathleen"\nspeed = 2\nvocoder = "griffin-lim"\ndata = "d"\n')
    run("ask", "hi", "--speak", "a.wav")
    asked, spoken = omni.calls
    assert asked["max_tokens"] == 9
    assert (spoken["voice"], spoken["speed"], spoken["vocoder"]) == ("kathleen", 2.0, "griffin-lim")
    run("ask", "hi", "--speak", "b.wav", env={"MUOMNI_MAX_TOKENS": "8", "MUOMNI_VOICE": "slt", "MUOMNI_SPEED": "0.5"})
    asked, spoken = omni.calls[2:]
    assert (asked["max_tokens"], spoken["voice"], spoken["speed"]) == (8, "slt", 0.5)
    pages = "".join(run(command, "--help").stdout for command in ("ask", "speak", "train")).split()
    for name in settings.SETTINGS:
        assert f"--{name}" in pages and any(settings.variable(name) in word for word in pages), name


def test_a_command_without_an_option_is_not_troubled(toml: Path) -> None:
    toml.write_text("threads = 2\nspeed = 1.5\n")
    assert run("recipes", "ls").exit_code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('devise = "cpu"', ["no setting 'devise'", "did you mean device?"]),
        ("max_tokens = 3", ["did you mean max-tokens?"]),
        ("zzz = 1", ["no setting 'zzz'", "weights, device, threads"]),
        ('[ask]\ndevice = "cpu"', ["no setting 'ask'"]),
        ('"\\u001b[31m" = 1', ["no setting '\\x1b[31m'"]),
        ('threads = "two"', ["threads should be a number"]),
        ("threads = true", ["threads should be a number"]),
        ("device = 1", ["device should be text"]),
        ("threads = 0", ["threads: 0 is not at least 1"]),
        ("threads = 1.5", ["threads: '1.5' is not a whole number"]),
        ('device = "cdua"', ["did you mean cuda?"]),
        ("speed = nan", ["speed"]),
        ("device", ["not a TOML file"]),
        ("a = " + "[" * 5000, ["not a TOML file"]),
        ("#" * 1_000_001, ["larger than"]),
    ],
)
def test_what_is_wrong_in_the_toml_is_one_line(toml: Path, no_model: None, text: str, words: list[str]) -> None:
    toml.write_text(text)
    refused(run("speak", "hi", "-o", "a.wav"), "own.toml", *words)


def test_files_that_cannot_be_read(toml: Path, no_model: None, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(run("ask", "hi"), "MUOMNI_CONFIG", "no such file")
    toml.write_bytes(b"\xff\xfe\x00")
    refused(run("ask", "hi"), "not UTF-8")
    monkeypatch.setenv("MUOMNI_CONFIG", str(toml.parent))
    refused(run("ask", "hi"), str(toml.parent))


def test_help_works_with_a_broken_toml(toml: Path) -> None:
    toml.write_text("broken")
    assert run("ask", "--help").exit_code == 0 and run("--version").exit_code == 0


def test_a_wrong_variable_is_named(no_model: None) -> None:
    refused(run("ask", "hi", env={"MUOMNI_THREADS": "x"}), "MUOMNI_THREADS: 'x' is not a whole number", code=2)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="where Linux keeps settings")
def test_where_the_toml_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MUOMNI_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings.config_file() == tmp_path / "muomni" / "config.toml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert settings.config_file() == Path("/home/me/.config/muomni/config.toml")
    monkeypatch.setenv("MUOMNI_CONFIG", "")
    assert settings.config_file() is None and settings.read_settings() == {}


def test_doctor_says_what_is_set(toml: Path) -> None:
    toml.write_text("threads = 1\n")
    page = run("doctor", "--no-self-test", env={"MUOMNI_DEVICE": "cpu"}).stdout
    assert f"settings  MUOMNI_DEVICE=cpu, threads = 1 (of {toml})" in page
