"""`muomni ask`: a question about a picture, a recording, a text or nothing at all."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app
from muomni_core.errors import InputError

EXAMPLES = """
muomni ask --image cat.png "What do you see?"
cat notes.txt | muomni ask - "Summarise this"
"""
MAX_IMAGE_BYTES = 512_000_000


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    question: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION",
            show_default=False,
            help="The question; `-` reads stdin, before the question if there is one. Without it a recording is the "
            "question, a picture is asked what there is to see, and else a pipe's text is the question.",
        ),
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", "-i", metavar="FILE", rich_help_panel="Input", help="A picture.")
    ] = None,
    audio: Annotated[
        str | None, typer.Option("--audio", "-a", metavar="FILE", rich_help_panel="Input", help="A recording.")
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch",
            metavar="FILE.jsonl",
            rich_help_panel="Input",
            help="Many questions: a JSON object a line with id, image, audio, question; paths relative to the file.",
        ),
    ] = None,
    speak: Annotated[
        str | None,
        typer.Option(
            "--speak",
            metavar="OUT.wav",
            rich_help_panel=o.OUTPUT,
            help="Also speak the answer, while it is thought of, into a file; `-` for stdout.",
        ),
    ] = None,
    force: o.Force = False,
    voice: o.Voice = None,
    vocoder: o.Vocoder = None,
    speed: o.Speed = 1.0,
    max_tokens: o.MaxTokens = 64,
    temperature: o.Temperature = 0.0,
    top_p: o.TopP = 1.0,
    seed: o.Seed = 0,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Ask about a picture, a recording, a text, or just ask.

    The answer goes to stdout, word by word on a terminal.
    """
    console.begin(verbose, quiet)
    generation: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed % 2**63,
    }
    model = (weights, device.value, threads)
    if batch is not None:
        if question or image is not None or audio is not None or speak is not None:
            raise console.UsageError("--batch has its questions in the file: no QUESTION, --image, --audio, --speak")
        _batch(batch, model, generation)
        return
    asked = _asked(question, image, audio)
    for name in (image, audio):
        if name is not None:
            console.check_input(name)
    if speak is not None:
        console.check_output(speak, force)
    picture = io.BytesIO(_stdin_image()) if image == "-" else image
    omni = console.load_model(*model)
    request: dict[str, Any] = {"question": asked, "image": picture, "audio": audio}
    answer = omni.ask_stream(**request, **generation)
    if speak is None:
        for _ in _shown(answer, False):
            pass
        return
    from muomni_core.tasks.speak import ahead, speak_to_file

    speech: dict[str, Any] = {
        "voice": voice,
        "vocoder": vocoder and vocoder.value,
        "speed": speed,
        "seed": seed % 2**63,
    }
    with ahead(_shown(answer, speak == "-")) as pieces:
        speak_to_file(omni, pieces, speak, force=force, **speech)


def _asked(words: list[str] | None, image: str | None, audio: str | None) -> str | None:
    """The question by the rules of the argument's help; None if the recording is the question."""
    from muomni_core.tasks.ask import settle_question, with_text

    words = list(words or [])
    readers = words.count("-") + (image == "-") + (audio == "-")
    if readers > 1:
        raise console.UsageError("stdin can be read once: use - for one thing only")
    question = " ".join(console.argument_text(word) for word in words if word != "-") if words else None
    if "-" in words:
        text = console.read_stdin_text()
        if words == ["-"]:
            question = text
        elif not text.strip():
            raise InputError("stdin is empty; there is no text to ask about")
        elif question and question.strip():  # else: the empty question is refused below, whatever the text says
            question = with_text(text, question)
    elif not words and image is None and audio is None:
        if not console.piped_stdin():
            raise console.UsageError("give a QUESTION, --image or --audio")
        question = console.read_stdin_text()
    question = settle_question(question, image=image is not None, audio=audio is not None)
    return question if question is None else question.strip()


def _stdin_image() -> bytes:
    data = sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1) if sys.stdin is not None else b""
    if len(data) > MAX_IMAGE_BYTES:
        raise InputError(f"stdin holds more than {MAX_IMAGE_BYTES:,} bytes; no picture is that large")
    return data


def _shown(answer: Iterator[str], sound_on_stdout: bool) -> Iterator[str]:
    """The pieces of an answer, shown as they come on a terminal, else on one line at the end.

    The text makes way on stdout for a WAV.
    """
    live = console.is_terminal(sys.stdout) and not sound_on_stdout
    pieces = []
    try:
        for piece in answer:
            pieces.append(piece)
            if live:
                console.write(piece)
            yield piece
    finally:
        if live and pieces:
            console.write_line("")
    whole = "".join(pieces).strip()
    if sound_on_stdout:
        if not console.is_quiet():
            sys.stderr.write(console.escape(whole, keep="\n\t") + "\n")
    elif not live:
        console.write_line(whole)


def _batch(name: str, model: tuple[Path | None, str, int | None], generation: dict[str, Any]) -> None:
    """Answers a file of requests, a JSON line each, as they come. Exit code 1 if a row failed."""
    from muomni_core.tasks.ask import answer_batch, read_requests

    console.check_input(name)
    if name == "-" and sys.stdin is None:
        raise InputError("stdin is closed; name a file of requests")
    with contextlib.nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb") as lines:
        omni = console.load_model(*model)
        folder = Path() if name == "-" else Path(name).parent
        n_rows = n_failed = 0
        for row in answer_batch(omni, read_requests(lines, folder), **generation):
            n_rows += 1
            n_failed += "error" in row
            console.write_json(row)
    if n_failed:
        console.complain(f"{n_failed} of {n_rows} requests failed")
        raise typer.Exit(console.EXIT_FAILED)
    if not n_rows:
        raise InputError(f"{name} holds no requests")
