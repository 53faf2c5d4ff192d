"""The `muomni` command: a dispatcher that imports nothing heavy. Each command is one file, imported when it is used."""

from __future__ import annotations

from typing import Annotated, ClassVar

import typer

from muomni_cli.help import MainGroup, new_app
from muomni_core import __version__


class Dispatcher(MainGroup):
    """The commands of muomni: a name and its line of help each; the file is the name with underscores."""

    lazy: ClassVar = {
        "ask": "Ask about a picture, a recording, a text, or just ask.",
        "transcribe": "Write down what is said in recordings.",
        "speak": "Say a text aloud, into a 16 kHz WAV file.",
        "codec": "Pack sound into a small file of codes, and unpack it.",
        "inspect-shapes": "Show each component's shapes and parameters.",
        "train": "Train one stage of the model, or all.",
        "recipes": "List, show, copy and check recipes of trainings.",
        "eval": "Measure one stage of the model.",
        "doctor": "Check what is here, and that it works.",
        "export": "Put a whole model into one folder.",
    }


app = new_app(
    name="muomni",
    cls=Dispatcher,
    no_args_is_help=True,
    add_completion=True,
    epilog="""
    muomni ask --image cat.png "What do you see?"
    muomni transcribe q.wav | muomni ask - | muomni speak - -o a.wav
    """,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"muomni {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A tiny omni model: it reads, looks, listens and speaks, on this machine.

    `-` stands for stdin or stdout. Options may also come from the environment (MUOMNI_DEVICE, ...) and from
    config.toml in the config folder. Exit codes: 0 done, 1 something could not be done, 2 wrong flags, 130 Ctrl-C, 141
    the reader of a pipe went away.
    """
