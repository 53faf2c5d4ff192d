"""Whatever is done to a file, a command ends: with a sane result, or with one line and exit code 1 or 2.

No traceback, no hang over 20 seconds, no memory over 2 GB, nothing written but the output. MUOMNI_FUZZ_EXAMPLES says how
many damaged inputs are tried (2000 take a quarter of an hour).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported by path; this finds the modules beside them

from inputs import Case, cases, shown
from mutations import WORDS

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("MUOMNI_FUZZ_EXAMPLES", "30"))
SECONDS, BYTES = 20, 2_000_000_000

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs commands in forks")


@dataclass
class Place:
    """Where the commands run: `files` is made anew for each, `folder` holds what they are made of."""

    folder: Path
    forker: subprocess.Popen[str]
    cases: list[Case] = field(repr=False)
    last: dict = field(default_factory=dict, repr=False)  # what `run` gave

    @property
    def files(self) -> Path:
        return self.folder / "files"

    def run(self, args: list[str], *, stdin: bytes = b"", env: dict[str, str] | None = None) -> dict:
        """What became of `muomni ARGS`: code, seconds, bytes, stdout, stderr."""
        streams = {name: str(self.folder / name) for name in ("stdin", "stdout", "stderr")}
        Path(streams["stdin"]).write_bytes(stdin)
        request = {"args": args, "cwd": str(self.files), "env": env or {}, "seconds": SECONDS} | streams
        self.forker.stdin.write(json.dumps(request) + "\n")
        self.forker.stdin.flush()
        line = self.forker.stdout.readline()
        assert line, f"the process that forks ended with {self.forker.wait()} at {args}"
        found = json.loads(line)
        self.last = found | {name: Path(streams[name]).read_bytes() for name in ("stdout", "stderr")}
        return self.last

    def fresh(self) -> None:
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir()
        for name in ("s.wav", "p.png"):
            (self.files / name).write_bytes((self.folder / name).read_bytes())


@pytest.fixture(scope="module")
def place(untrained_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    from muomni_core import MuOmni
    from muomni_core.tasks.codec_file import encode_file
    from muomni_core.tasks.export import export

    folder = tmp_path_factory.mktemp("fuzz")
    omni = MuOmni.load(untrained_weights, device="cpu")
    export(omni, folder / "export")
    env = {name: value for name, value in os.environ.items() if not name.startswith("MUOMNI_")}
    env |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "MUOMNI_CONFIG": ""}
    shutil.copytree(untrained_weights, folder / "stages")
    from inputs import _picture, _sound

    (folder / "s.wav").write_bytes(_sound("WAV", "PCM_16"))
    (folder / "p.png").write_bytes(_picture("PNG"))
    encode_file(omni, str(folder / "s.wav"), str(folder / "c.codes"))
    command = [sys.executable, str(Path(__file__).with_name("forker.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as forker:
        assert forker.stdout.readline() == "ready\n"
        yield Place(folder, forker, cases(folder / "stages", folder / "export"))
        forker.stdin.close()


def try_case(place: Place, case: Case, data: bytes) -> str:
    """Runs a command about damaged bytes. Returns what is wrong with how it ended, or nothing."""
    place.fresh()
    folder = place.folder / (case.weights or "stages")
    args = [arg.replace("{file}", case.name) for arg in case.args]
    if case.weights:  # the damaged file among the sound ones
        folder = place.files / "weights"
        folder.mkdir()
        for path in (place.folder / case.weights).iterdir():
            if path.name != case.name:
                (folder / path.name).symlink_to(path)
        (folder / case.name).write_bytes(data)
    elif not case.stdin:
        (place.files / case.name).write_bytes(data)
    if args[0] not in ("recipes", "train") and not case.env:
        args += ["--weights", str(folder)]
    before = {path.name for path in place.files.iterdir()}
    found = place.run([*args, "-q"], stdin=data if case.stdin else b"", env=case.env)
    new = {path.name for path in place.files.iterdir()} - before - (set(case.made) if found["code"] == 0 else set())
    if "--batch" in args:
        new -= set(case.made)
    return verdict(found, new)


def verdict(found: dict, new: set[str]) -> str:
    """What is wrong with how a command ended, or nothing."""
    errors = found["stderr"].decode("utf-8", "replace")
    if found["seconds"] > SECONDS or found["code"] in (-signal.SIGKILL, -signal.SIGXCPU):
        return f"did not end, after computing for {found['seconds']:.0f} s"
    if found["bytes"] > BYTES:
        return f"held {found['bytes'] / 1e9:.1f} GB"
    if found["code"] not in (0, 1, 2):
        return f"exit code {found['code']}: {errors[-300:]}"
    said = errors + found["stdout"].decode("utf-8", "replace")
    if "Traceback" in errors or re.search(r"unexpected [A-Z]", said):
        return f"a surprise: {errors[-600:]} {found['stdout'][-300:]!r}"
    if found["code"] and (errors.count("\n") != 1 or not errors.startswith("muomni: ")):
        return f"not one line: {errors[-600:]!r}"
    if any(not c.isprintable() and c != "\n" for c in errors):
        return f"control characters: {errors!r}"
    if new:
        return f"left {sorted(new)} behind"
    return ""


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 100,  # the same few each time; many are new ones
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_damaged_files(place: Place, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(place.cases), label="case")
    damage = data.draw(case.ways(case.data))
    wrong = try_case(place, case, damage)
    note(shown(case, damage))
    assert not wrong, wrong


@settings(
    max_examples=max(10, EXAMPLES // 10),
    deadline=None,
    derandomize=EXAMPLES <= 100,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_odd_arguments(place: Place, data: st.DataObject) -> None:
    word = st.one_of(
        st.sampled_from(["-", "--", "-o", "--image", "--audio", "--batch", "--seed", "--speed", "-q", "--json", "-v"]),
        st.sampled_from(["s.wav", "p.png", ".", "none", "o1.wav", "x/", "/dev/full", "\x1b[31m", "", "nan", "1e9"]),
        st.sampled_from(["/", *(word.strip('"') for word in WORDS)]),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    )
    commands = ["ask", "speak", "transcribe", "codec encode", "codec decode", "recipes show", "doctor --no-self-test"]
    command = data.draw(st.sampled_from(commands))
    args = [*command.split(), "-q", *data.draw(st.lists(word, max_size=5))]
    place.fresh()
    found = place.run(args, env={"MUOMNI_WEIGHTS": str(place.folder / "stages"), "MUOMNI_MAX_TOKENS": "4"})
    if command == "transcribe":  # a line for each file that fails
        found["stderr"] = b"".join(found["stderr"].splitlines(keepends=True)[-1:])
    if "-v" not in args:
        wrong = verdict(found, set())
        assert not wrong, f"{args}: {wrong}"


def test_sound_inputs_give_results(place: Place) -> None:
    """What is undamaged works; else the rest of this file would look at refusals alone."""
    commands = {case.args: case for case in place.cases}  # one of each
    for case in commands.values():
        wrong = try_case(place, case, case.data)
        assert not wrong, (case.args, case.name, wrong)
        # A recipe and settings name data and weights that are not there.
        assert place.last["code"] == (1 if case.name == "own.toml" or "train" in case.args else 0), place.last
