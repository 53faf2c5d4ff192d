"""What Tab offers: commands, stages, voices, recipes, and files of the right kind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_muomni import ROOT, run

from muomni_cli.app import Dispatcher
from muomni_cli.completion import voices_in
from muomni_core.model.omni import MuOmni
from muomni_core.tasks.export import export
from muomni_core.weights import SHIPPED


def offered(line: str) -> list[str]:
    """What bash is offered at the end of the line."""
    words = len(line.split()) - (0 if line.endswith(" ") else 1)
    result = run(env={"_MUOMNI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(words)})
    assert result.stderr == ""
    return [name for name in result.stdout.splitlines() if name]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ["a.wav", "b.PNG", "c.jsonl", "d.codes", "e.toml", "talks/f.mp3", "talks/g.ogg", ".hidden/h.wav"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "bad\nname.wav").write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_stages_and_choices() -> None:
    assert set(Dispatcher.lazy) <= set(offered("muomni "))
    assert offered("muomni train --stage t") == ["thinker", "talker"]
    assert offered("muomni ask --device c") == ["cpu", "cuda"]
    assert offered("muomni speak --voc") == ["--vocoder"]
    assert offered("muomni codec ") == ["encode", "decode"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("muomni transcribe ", ["a.wav", "talks/"]),
        ("muomni transcribe t", ["talks/f.mp3", "talks/g.ogg"]),  # a single folder is gone into
        ("muomni transcribe talks/f", ["talks/f.mp3"]),
        ("muomni transcribe .h", [".hidden/h.wav"]),
        ("muomni ask --image ", ["b.PNG", "talks/"]),
        ("muomni ask --audio a", ["a.wav"]),
        ("muomni ask --batch ", ["c.jsonl", "talks/"]),
        ("muomni codec encode ", ["a.wav", "talks/"]),
        ("muomni codec decode ", ["d.codes", "talks/"]),
        ("muomni recipes show ", ["base", "framewise", "smoke", "tiny", "e.toml", "talks/"]),
        ("muomni train --recipe s", ["smoke"]),
        ("muomni transcribe none/", []),
    ],
)
def test_files_of_the_right_kind(place: Path, line: str, expected: list[str]) -> None:
    assert offered(line) == expected


def test_folders_alone(place: Path) -> None:
    (place / "talks" / "inner").mkdir()
    assert offered("muomni ask --weights ") == ["talks/inner/"]
    (place / "other").mkdir()
    assert offered("muomni export ") == ["other/", "talks/"]


def test_voices_are_those_of_the_weights(tmp_path: Path, untrained_weights: Path) -> None:
    voices = list(MuOmni.load(device="cpu").voices)
    assert offered("muomni speak --voice ") == voices == voices_in(SHIPPED)
    header = json.dumps({"config": {"talker": {"voices": ["anna", "ben"]}}})
    data = json.dumps({"__metadata__": {"muomni": header}}).encode()
    (tmp_path / "talker.safetensors").write_bytes(len(data).to_bytes(8, "little") + data)
    assert offered(f"muomni speak --weights {tmp_path} --voice a") == ["anna"]
    export(MuOmni.load(untrained_weights, device="cpu"), tmp_path / "model")
    assert voices_in(tmp_path / "model") == MuOmni.load(untrained_weights, device="cpu").voices
    for bad in (b"", b"\xff" * 100, b"\x02" + b"\0" * 7 + b"[]"):
        (tmp_path / "talker.safetensors").write_bytes(bad)
        assert voices_in(tmp_path) == []


def test_nothing_heavy_is_imported_for_a_tab() -> None:
    code = (
        "import os, sys\n"
        "os.environ.update(_MUOMNI_COMPLETE='complete_bash', COMP_WORDS='muomni speak --voice ', COMP_CWORD='3')\n"
        "from muomni_cli.app import app\ntry: app([])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'soundfile'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, "") and "slt" in found.stdout
