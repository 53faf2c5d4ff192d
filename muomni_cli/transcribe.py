"""`muomni transcribe`: speech to text."""

from __future__ import annotations

from typing import Annotated

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app

EXAMPLES = """
muomni transcribe q.wav
muomni transcribe --json talks/*.ogg > talks.jsonl
"""


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", show_default=False, help="WAV, FLAC, OGG or MP3; `-` reads a WAV from stdin."),
    ],
    json: o.Json = False,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Write down what is said in recordings, a line a file, numbers in words.

    With several files, each line begins with the file's name and a tab. A file that fails does not stop the rest.
    --json prints an object a file with file, text and seconds of sound.
    """
    console.begin(verbose, quiet)
    if files.count("-") > 1:
        raise console.UsageError("stdin can be read once: use - for one file only")
    if len(files) == 1:
        console.check_input(files[0])
    from muomni_core.tasks.transcribe import transcribe_file, transcribe_files

    omni = console.load_model(weights, device.value, threads)
    if len(files) == 1 and not json:
        console.write_line(_line(transcribe_file(omni, files[0])["text"]))
        return
    failed = 0
    for found in transcribe_files(omni, files, measure=json):
        failed += "error" in found
        if "error" in found:
            named = found["file"] in found["error"]
            console.complain(found["error"] if named else f"{found['file']}: {found['error']}")
        if json:
            console.write_json(found)
        elif "text" in found:
            console.write_line(f"{console.escape(found['file'])}\t{_line(found['text'])}")
    if failed:
        raise typer.Exit(console.EXIT_FAILED)


def _line(text: str) -> str:
    return " ".join(text.split())
