"""`muomni speak`: text to speech."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app
from muomni_core.errors import InputError

EXAMPLES = """
muomni speak "Hello, how are you?" -o hello.wav
cat lines.txt | muomni speak - -o lines/
"""


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", show_default=False, help="What to say; `-`, or a pipe alone, reads stdin."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.wav",
            rich_help_panel=o.OUTPUT,
            help="A WAV file; `-` for stdout; a folder (`DIR/`) for a file a line: 0001.wav, 0002.wav, ...",
        ),
    ] = None,
    force: o.Force = False,
    voice: o.Voice = None,
    list_voices: Annotated[
        bool, typer.Option("--list-voices", rich_help_panel="Speech", help="Print the names of the voices.")
    ] = False,
    vocoder: o.Vocoder = None,
    speed: o.Speed = 1.0,
    temperature: o.Temperature = 0.0,
    seed: o.Seed = 0,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Say a text aloud, into a 16 kHz WAV file."""
    console.begin(verbose, quiet)
    model = (weights, device.value, threads)
    if list_voices:
        if text or output is not None:
            raise console.UsageError("--list-voices stands alone: no TEXT, no -o")
        for name in console.load_model(*model).voices:
            console.write_line(name)
        return
    if output is None:
        raise console.UsageError("say where to with -o: a file, a folder with a slash at its end, or - for stdout")
    if not output:
        raise InputError("-o is empty; name a file, a folder or -")
    speech: dict[str, Any] = {"voice": voice, "vocoder": vocoder and vocoder.value, "speed": speed}
    speech |= {"temperature": temperature, "seed": seed % 2**63}  # torch takes 64 bits
    if output.endswith(("/", os.sep)) or (output != "-" and Path(output).is_dir()):
        _speak_lines(_said(text), Path(output), model, force, speech)
        return
    console.check_output(output, force)
    said = _said(text)
    from muomni_core.tasks.speak import speak_to_file

    speak_to_file(console.load_model(*model), said, output, force=force, **speech)


def _said(words: list[str] | None) -> str:
    """The text: the words as given, or stdin for `-` or for no word at all when there is a pipe."""
    words = list(words or [])
    if words and "-" in words and words != ["-"]:
        raise console.UsageError("- reads the text from stdin: give it alone")
    if not words and not console.piped_stdin():
        raise console.UsageError("give a TEXT, or - to read it from stdin")
    said = console.read_stdin_text() if words in ([], ["-"]) else " ".join(map(console.argument_text, words))
    if not said.strip():
        raise InputError("there is nothing to say; give some text")
    return said


def _speak_lines(said: str, folder: Path, model: tuple[Any, ...], force: bool, speech: dict[str, Any]) -> None:
    """A file a line. All targets are checked before the first is made; a line that fails does not stop the rest."""
    from muomni_core.tasks.speak import numbered, speak_lines

    lines = numbered(said, folder)
    if not folder.exists():
        if not folder.parent.is_dir():
            raise InputError(f"{folder.parent}: no such folder; make it first")
        folder.mkdir()
    for target, _ in lines:
        console.check_output(str(target), force)
    failed = 0
    for target, error in speak_lines(console.load_model(*model), lines, force=force, **speech):
        failed += error is not None
        if error is not None:
            console.complain(error if str(target) in error else f"{target}: {error}")
        elif console.is_verbose() or console.is_terminal(sys.stderr):
            console.say(f"made {target}")
    if failed:
        raise typer.Exit(console.EXIT_FAILED)
