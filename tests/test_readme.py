"""What README.md promises: its commands are those that CI runs, its files exist, its script works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def block(name: str) -> str:
    """The fenced block after `<!-- ci:name -->`."""
    found = re.search(rf"^<!-- ci:{name} -->\n```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no block marked ci:{name}"
    return found[1]


@pytest.mark.skipif(sys.platform == "win32", reason="a bash script")
def test_ci_runs_the_readmes_commands():
    listed = subprocess.run([ROOT / ".ci" / "run", "--list"], capture_output=True, text=True, check=True)
    assert listed.stdout == block("install") + block("test")


@pytest.mark.parametrize("name", ["install", "test"])
def test_the_first_commands_are_one_line_each(name):
    assert block(name).count("\n") == 1


def test_extras_that_the_readme_installs_exist():
    assert set(re.findall(r"\.\[(\w+)\]", README)) <= set(PROJECT["optional-dependencies"])


def test_links_and_named_files_exist():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    files = re.findall(r"(?:recipes|muomni_core)/[\w/]+\.(?:png|py|md)", README)
    missing = [name for name in {*links, *files} if not (ROOT / name).exists()]
    assert links and not missing


def test_example_picture_is_what_its_script_draws(tmp_path):
    from PIL import Image

    drawn = tmp_path / "drawn.png"
    subprocess.run([sys.executable, ROOT / "recipes/examples/draw.py", drawn], check=True)
    carried = ROOT / "recipes/examples/shapes.png"
    with Image.open(drawn) as new, Image.open(carried) as old:
        assert new.size == old.size
        pairs = zip(new.convert("RGB").tobytes(), old.convert("RGB").tobytes(), strict=True)
        assert max(abs(a - b) for a, b in pairs) <= 2  # Pillow's reduction may round otherwise in another version
    assert carried.stat().st_size < 20_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_the_chained_script(tmp_path):
    # The script's `muomni` is this checkout, whether or not it is installed.
    command = tmp_path / "bin" / "muomni"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m muomni_cli "$@"\n')
    command.chmod(0o755)
    paths = {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    script = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block("chain")],
        cwd=tmp_path,
        env=os.environ | paths,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert script.returncode == 0, script.stderr
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.samplerate, info.channels) == (16_000, 1)
    assert info.duration > 0.2


def test_the_shape_table_is_what_inspect_shapes_prints():
    from muomni_cli.inspect_shapes import markdown
    from muomni_core.model.shapes import inspect_shapes

    table = README.split("<!-- shapes:begin -->\n")[1].split("<!-- shapes:end -->")[0]
    assert table == markdown(inspect_shapes("tiny"))
