"""`--batch FILE.jsonl` of ask, speak and transcribe: a JSON line in, a JSON line out, as they come."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import typer

from muomni_cli import console
from muomni_core.errors import InputError

Answer = Callable[[Any, BinaryIO, Path], Iterable[dict[str, Any]]]


def option(fields: str) -> Any:
    """The option itself, for an Annotated; `fields` are what a row may hold."""
    return typer.Option(
        "--batch",
        metavar="FILE.jsonl",
        rich_help_panel="Input",
        help=f"Many at once: a JSON object a line with {fields}; paths relative to the file. `-` reads stdin and answers "
        "each line as it comes.",
    )


def run(name: str, model: tuple[Any, ...], answer: Answer) -> None:
    """Writes a line for each row of the file `name`, or of stdin, as soon as it is known. Exit code 1 if one failed.

    Args:
        model: the arguments of console.load_model, which is called when the file was found to be there.
        answer: called with the model, the binary lines and the folder that paths start from; yields the results.
    """
    console.check_input(name)
    if name == "-" and sys.stdin is None:
        raise InputError("stdin is closed; name a file of requests")
    with contextlib.nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb") as lines:
        omni = console.load_model(*model)
        n_rows = n_failed = 0
        for row in answer(omni, lines, Path() if name == "-" else Path(name).parent):
            n_rows += 1
            n_failed += "error" in row
            console.write_json(row)
    if n_failed:
        console.complain(f"{n_failed} of {n_rows} requests failed")
        raise typer.Exit(console.EXIT_FAILED)
    if not n_rows:
        raise InputError(f"{name} holds no requests")
