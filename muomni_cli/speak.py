"""`muomni speak`: text to speech."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from muomni_cli import batch as batch_lines
from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app
from muomni_core.errors import InputError

EXAMPLES = """
muomni speak "Hello, how are you?" -o hello.wav
muomni speak --play "Can you hear me?"
tail -f log.txt | muomni speak - -o - --raw | aplay -f S16_LE -r 16000
cat lines.txt | muomni speak - -o lines/
muomni speak --batch texts.jsonl -o clips/
"""
LONGEST_TITLE = 200


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            show_default=False,
            help="What to say; `-`, or a pipe alone, reads stdin, and says each sentence as it comes.",
        ),
    ] = None,
    batch: Annotated[str | None, batch_lines.option("text, out (a WAV file), id, voice, speed, seed")] = None,
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
    raw: Annotated[
        bool, typer.Option("--raw", rich_help_panel=o.OUTPUT, help="16 bit PCM, 16 kHz, mono, without a header.")
    ] = False,
    play: Annotated[
        bool, typer.Option("--play", rich_help_panel=o.OUTPUT, help="Play it; -o may be left out.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", rich_help_panel=o.OUTPUT, help="Print when each word is said, as JSON.")
    ] = False,
    plot: Annotated[
        str | None,
        typer.Option(
            "--plot",
            metavar="OUT.png",
            rich_help_panel=o.OUTPUT,
            help="Draw waveform and log-mel with the words below; `-` for stdout.",
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
    top_p: o.TopP = 1.0,
    seed: o.Seed = 0,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Say a text aloud, into a 16 kHz WAV file or through the loudspeaker, while it is being made."""
    console.begin(verbose, quiet)
    model = (weights, device.value, threads)
    if list_voices:
        if text or output is not None or play or json or plot is not None:
            raise console.UsageError("--list-voices stands alone: no TEXT, no output")
        for name in console.load_model(*model).voices:
            console.write_line(name)
        return
    speech: dict[str, Any] = {"voice": voice, "vocoder": vocoder and vocoder.value, "speed": speed}
    speech |= {"temperature": temperature, "top_p": top_p, "seed": seed % 2**63}  # torch takes 64 bits
    if batch is not None:
        if text or raw or play or plot is not None or (output is not None and not console.is_folder(output)):
            raise console.UsageError("--batch takes its texts from the file: no TEXT, --raw, --play, --plot; -o DIR/")
        _batch(batch, model, output, {"force": force} | speech)
        return
    _check_outputs(output, raw, play, json, plot)
    if output is not None and console.is_folder(output):
        if raw or play or plot is not None:
            raise console.UsageError("a folder takes a WAV file a line: no --raw, --play, --plot")
        _speak_lines(_whole(_said(text)), Path(output), model, json, {"force": force} | speech)
        return
    for target in (output, plot):
        if target is not None:
            console.check_output(target, force)
    player = None
    if play:
        from muomni_core.audio.play import find_player

        player = find_player()
    said = _said(text)
    from muomni_core.tasks.speak import plot_record, speak_to_file

    omni = console.load_model(*model)
    title: list[str] = []
    record = speak_to_file(
        omni,
        _noted(said, title),
        output,
        force=force,
        raw=raw,
        player=player,
        keep_words=json or plot is not None,
        keep_sound=plot is not None,
        **speech,
    )
    if plot is not None:
        plot_record(record, plot, "".join(title), force=force)
    if json:
        console.write_json(record.as_json())


def _check_outputs(output: str | None, raw: bool, play: bool, json: bool, plot: str | None) -> None:
    """Raises where nothing is to be made, or where two things would go to the same place."""
    if output is None and not play:
        raise console.UsageError(
            "say where to with -o: a file, a folder with a slash at its end, or - for stdout; or --play"
        )
    if output == "" or plot == "":
        raise InputError(f"{'-o' if output == '' else '--plot'} is empty; name a file or -")
    if raw and output is None:
        raise console.UsageError("--raw says how -o is written: give -o")
    if (output == "-") + (plot == "-") + json > 1:
        raise console.UsageError("stdout takes one thing only: -o -, --plot - or --json")
    if output is not None and output != "-" and output == plot:
        raise console.UsageError("-o and --plot name the same file")


def _said(words: list[str] | None) -> Iterator[str]:
    """The text: the words as given, or stdin as it comes for `-` or for no word at all when there is a pipe.

    Waits for the first of it. Raises InputError if there is nothing but white space.
    """
    words = list(words or [])
    if words and "-" in words and words != ["-"]:
        raise console.UsageError("- reads the text from stdin: give it alone")
    if not words and not console.piped_stdin():
        raise console.UsageError("give a TEXT, or - to read it from stdin")
    parts = _arriving() if words in ([], ["-"]) else iter([" ".join(map(console.argument_text, words))])
    begun = next((part for part in parts if part.strip()), None)
    if begun is None:
        raise InputError("there is nothing to say; give some text")
    return chain([begun], parts)


def _arriving() -> Iterator[str]:
    """stdin as text, in parts as they come; encodings as in console.decode_text. Raises InputError for NUL bytes."""
    if sys.stdin is None:
        raise InputError("stdin is closed; give the text as an argument")
    stdin: Any = sys.stdin.buffer  # read1 gives what is there, without waiting for more
    data = stdin.read1(1 << 16)
    while len(data) == 1 and (more := stdin.read1(1)):
        data += more  # a mark of UTF-16 may come byte by byte
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decoder = codecs.getincrementaldecoder("utf-16" if marked else "utf-8-sig")(errors="replace")
    while data:
        part = decoder.decode(data)
        if "\0" in part:  # /dev/zero would be a text without an end in which nothing can be said
            raise InputError("stdin holds NUL bytes; it is no text")
        yield part
        data = stdin.read1(1 << 16)
    yield decoder.decode(b"", final=True)


def _whole(parts: Iterator[str]) -> str:
    """A text whose end must be known before anything is made. Raises InputError if it is larger than read_stdin takes."""
    text = ""
    for part in parts:
        text += part
        if len(text) > console.MAX_TEXT_BYTES:
            raise InputError(f"the text is longer than {console.MAX_TEXT_BYTES:,} characters; give it in parts")
    return text


def _noted(parts: Iterator[str], title: list[str]) -> Iterator[str]:
    """The same parts; their beginning goes into `title` as well, for the head of a plot."""
    for part in parts:
        title.append(part[: max(0, LONGEST_TITLE - sum(map(len, title)))])
        yield part


def _speak_lines(said: str, folder: Path, model: tuple[Any, ...], json: bool, options: dict[str, Any]) -> None:
    """A file a line. All targets are checked before the first is made; a line that fails does not stop the rest."""
    from muomni_core.tasks.speak import numbered, speak_lines

    lines = numbered(said, folder)
    _make(folder)
    for target, _ in lines:
        console.check_output(str(target), options["force"])
    failed = 0
    for target, record, error in speak_lines(console.load_model(*model), lines, keep_words=json, **options):
        failed += record is None
        if record is None:
            console.complain(error if str(target) in error else f"{target}: {error}")
        elif json:
            console.write_json(record.as_json())
        elif console.is_verbose() or console.is_terminal(sys.stderr):
            console.say(f"made {target}")
    if failed:
        raise typer.Exit(console.EXIT_FAILED)


def _make(folder: Path) -> None:
    if not folder.exists():
        if not folder.parent.is_dir():
            raise InputError(f"{folder.parent}: no such folder; make it first")
        folder.mkdir()


def _batch(name: str, model: tuple[Any, ...], output: str | None, options: dict[str, Any]) -> None:
    """A row, a file: a JSON line each, as they come."""
    from muomni_core.tasks.rows import read_rows, speak_rows

    console.check_input(name)
    numbered = None if output is None else Path(output)
    if numbered is not None:
        _make(numbered)
    batch_lines.run(
        name,
        model,
        lambda omni, lines, folder: speak_rows(omni, read_rows(lines), folder, numbered=numbered, **options),
    )
