"""`muomni ask`: a question about a picture, a recording, a text or nothing at all."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muomni_cli import batch as batch_lines
from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.answers import shown, spoken
from muomni_cli.help import HelpCommand, new_app
from muomni_core.errors import InputError

if TYPE_CHECKING:
    from muomni_core import MuOmni

EXAMPLES = """
muomni ask --image cat.png "What do you see?"
cat notes.txt | muomni ask - "Summarise this"
muomni ask                      # a conversation, on a terminal; /help tells what it can do
"""
MAX_STDIN_BYTES = 512_000_000


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    question: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION",
            show_default=False,
            help="The question; `-` reads stdin, before the question if there is one. Without it a recording is the "
            "question, a picture is asked what there is to see, a pipe's text is the question, and on a terminal a "
            "conversation begins.",
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image", "-i", metavar="FILE", rich_help_panel="Input", help="A picture; give it again for several."
        ),
    ] = None,
    video: Annotated[
        str | None,
        typer.Option(
            "--video",
            metavar="FILE",
            rich_help_panel="Input",
            help="Frames of a video: GIF, WebP, PNG; others with ffmpeg.",
        ),
    ] = None,
    frames: Annotated[
        int,
        typer.Option(
            "--frames", metavar="N", min=1, max=64, rich_help_panel="Input", help="Pictures that are taken of it."
        ),
    ] = 4,
    audio: Annotated[
        str | None, typer.Option("--audio", "-a", metavar="FILE", rich_help_panel="Input", help="A recording.")
    ] = None,
    no_transcript: Annotated[
        bool,
        typer.Option(
            "--no-transcript", rich_help_panel="Input", help="Think about the sound itself, without the words heard."
        ),
    ] = False,
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
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="OUT.png",
            rich_help_panel=o.OUTPUT,
            help="Draw which parts of the picture the answer attended to.",
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
    no_repeat: o.NoRepeat = 4,
    candidates: o.Candidates = 32,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Ask about pictures, a recording, a text, or just ask.

    The answer goes to stdout, word by word on a terminal.
    """
    console.begin(verbose, quiet)
    seed %= 2**63
    generation: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
        "no_repeat": no_repeat,
        "candidates": candidates,
        "transcript": not no_transcript,
    }
    speech: dict[str, Any] = {"voice": voice, "vocoder": vocoder and vocoder.value, "speed": speed, "seed": seed}
    model = (weights, device.value, threads)
    images = image or []
    sources = [*images, *([] if video is None else [video]), *([] if audio is None else [audio])]
    if batch is not None:
        if question or sources or speak is not None or explain is not None:
            raise console.UsageError(
                "--batch has its questions in the file: no QUESTION, --image, --video, --audio, --speak, --explain"
            )
        _batch(batch, model, generation)
        return
    _check_outputs(speak, explain, force, pictures=bool(images or video is not None))
    if not question and not sources and console.is_terminal(sys.stdin):
        _converse(model, speak, force=force, frames=frames, generation=generation, speech=speech)
        return
    asked = _asked(question, sources, pictures=bool(images or video is not None), audio=audio is not None)
    for name in sources:
        console.check_input(name)
    pictures: list[Any] = [io.BytesIO(_stdin_bytes("picture")) if name == "-" else name for name in images]
    if video is not None:
        from muomni_core.vision.video import video_frames

        pictures += video_frames(io.BytesIO(_stdin_bytes("video")) if video == "-" else video, frames)
    sound: Any = io.BytesIO(_stdin_bytes("recording")) if audio == "-" and explain is not None else audio
    omni = console.load_model(*model)
    request: dict[str, Any] = {"question": asked, "image": pictures[0] if len(pictures) == 1 else pictures or None}
    request["audio"] = sound
    pieces = shown(omni.ask_stream(**request, **generation), speak == "-")
    if speak is None:
        answer = "".join(pieces).strip()
    else:
        answer = spoken(omni, pieces, speak, force=force, **speech)
    if explain is not None:
        _explain(omni, explain, answer, pictures, request | {"transcript": not no_transcript}, force)


def _check_outputs(speak: str | None, explain: str | None, force: bool, *, pictures: bool) -> None:
    if explain is not None:
        if not pictures:
            raise console.UsageError("--explain shows where in a picture the answer looked: give --image or --video")
        if explain == "-":
            raise console.UsageError("--explain needs the name of a file: the answer goes to stdout")
        console.check_output(explain, force)
    if speak is not None:
        console.check_output(speak, force)


def _explain(omni: MuOmni, target: str, answer: str, pictures: list[Any], request: dict[str, Any], force: bool) -> None:
    """Draws where the answer looked into a PNG."""
    from muomni_core.files import open_output
    from muomni_core.vision.explain import draw_attention

    shares = omni.attention(answer, **request)
    page = draw_attention(pictures, shares, request["question"] or "(a spoken question)", answer)
    with open_output(target, force=force) as file:
        page.save(file, format="PNG")


def _converse(model: tuple[Path | None, str, int | None], speak: str | None, **settings: Any) -> None:
    """Questions from the terminal, until it ends."""
    from muomni_cli import conversation

    if speak == "-":
        raise console.UsageError("--speak - is for one answer: give a QUESTION, or name a file")
    talk = conversation.Talk(console.load_model(*model), speak=speak, **settings)
    console.say("ask away; /help lists what else there is, Ctrl-D ends")
    talk.run(conversation.typed_line)


def _asked(words: list[str] | None, sources: list[str], *, pictures: bool, audio: bool) -> str | None:
    """The question by the rules of the argument's help; None if the recording is the question."""
    from muomni_core.tasks.ask import settle_question, with_text

    words = list(words or [])
    if words.count("-") + sources.count("-") > 1:
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
    elif not words and not sources:
        if not console.piped_stdin():
            raise console.UsageError("give a QUESTION, --image or --audio")
        question = console.read_stdin_text()
    question = settle_question(question, image=pictures, audio=audio)
    return question if question is None else question.strip()


def _stdin_bytes(kind: str) -> bytes:
    data = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1) if sys.stdin is not None else b""
    if len(data) > MAX_STDIN_BYTES:
        raise InputError(f"stdin holds more than {MAX_STDIN_BYTES:,} bytes; no {kind} is that large here")
    return data


def _batch(name: str, model: tuple[Path | None, str, int | None], generation: dict[str, Any]) -> None:
    """Answers a file of requests, a JSON line each, as they come. Exit code 1 if a row failed."""
    from muomni_core.tasks.ask import answer_batch, read_requests

    batch_lines.run(
        name, model, lambda omni, lines, folder: answer_batch(omni, read_requests(lines, folder), **generation)
    )
