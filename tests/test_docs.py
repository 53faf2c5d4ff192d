"""docs/: its pages are what the command line says of itself, and whole."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from muomni_cli.app import Dispatcher, app

ROOT = Path(__file__).parent.parent


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = load("pages")


def test_the_pages_are_what_the_commands_say() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in PAGES.FOLDER.glob("*.md")}
    made = {name: text.rstrip() + "\n" for name, text in PAGES.pages().items()}
    assert written == made, "run: python docs/pages.py"


@pytest.mark.parametrize("name", Dispatcher.lazy)
def test_a_page_has_every_option_of_its_help(name: str) -> None:
    page = PAGES.page(name)
    command = get_command(app).get_command(None, name)
    parts = [[name, part] for part in command.commands] if hasattr(command, "commands") else [[name]]
    for part in parts:
        help_page = CliRunner().invoke(app, [*part, "--help"]).stdout
        for option in set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", help_page, re.MULTILINE)) - {"--help"}:
            assert f"`{option}`" in page or f"`{option}/" in page, (part, option)


def test_examples_use_options_that_exist() -> None:
    for name in Dispatcher.lazy:
        page = PAGES.page(name)
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
            for command in re.split(r"[|\n]|&&", block):
                words = shlex.split(command, comments=True)
                if words[:1] != ["muomni"]:
                    continue
                options = re.findall(r"`(--?[\w-]+)[`/]", PAGES.page(words[1]))
                used = [word for word in words[2:] if re.match(r"--?[a-z]", word)]
                assert set(used) <= {*options, "-o", "-f"}, command


def test_links_lead_somewhere() -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), (path.name, link)


def test_recordings_are_pictures_of_the_scripts_commands() -> None:
    scenes = load("record").SCENES
    drawn = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "recordings").glob("*.svg")}
    assert set(drawn) == set(scenes), "run: python docs/record.py"
    for name, svg in drawn.items():
        shown = " ".join("".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ").split())
        for command in scenes[name]:
            assert command.split(" ")[0] in shown and command.split()[-1] in shown, (name, command)
        assert "@font-face" not in svg and "<script" not in svg and len(svg) < 40_000
        assert not re.search(r"/(?:root|home|tmp|Users)/", svg) and "Traceback" not in svg
