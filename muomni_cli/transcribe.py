"""`muomni transcribe`: speech to text."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muomni_cli import batch as batch_lines
from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app
from muomni_core.errors import InputError

if TYPE_CHECKING:
    from muomni_core.model.hearing import Heard
    from muomni_core.tasks.transcribe import Source

EXAMPLES = """
muomni transcribe q.wav
muomni transcribe --json talks/ > talks.jsonl
muomni transcribe --format srt talk.mp3 -o talk.srt
muomni transcribe --batch clips.jsonl > heard.jsonl
arecord -f S16_LE -r 16000 -t raw -d 5 | muomni transcribe --rate 16000 -
"""
HEARING = "Hearing"


class FormatName(StrEnum):
    """muomni_core.tasks.subtitles.WRITERS, written out as importing it takes time; a test compares them."""

    text = "text"
    json = "json"
    srt = "srt"
    vtt = "vtt"
    tsv = "tsv"


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE|DIR",
            show_default=False,
            help="WAV, FLAC, OGG, MP3, ..., or folders of them; `-` reads stdin.",
        ),
    ] = None,
    batch: Annotated[str | None, batch_lines.option("audio, and where wanted id")] = None,
    format: Annotated[
        FormatName | None,
        typer.Option(
            "--format",
            metavar="text|json|srt|vtt|tsv",
            rich_help_panel=o.OUTPUT,
            help="What is written of each file.  [default: text]",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", rich_help_panel=o.OUTPUT, help="The same as --format json.")] = False,
    out: Annotated[
        str | None,
        typer.Option(
            "-o", "--out", metavar="FILE|DIR/", rich_help_panel=o.OUTPUT, help="Write there; in a folder a file each."
        ),
    ] = None,
    force: o.Force = False,
    rate: Annotated[
        int | None,
        typer.Option(
            "--rate",
            metavar="HZ",
            min=1_000,
            max=768_000,
            rich_help_panel=HEARING,
            help="The files are raw samples of this rate: 16 bit, little-endian, mono.",
        ),
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option(
            "--beam",
            metavar="N",
            min=1,
            max=100,
            rich_help_panel=HEARING,
            help="Weigh N texts by how English they are (default 32); 1 takes the likeliest letters.",
        ),
    ] = None,
    rescore: Annotated[
        bool, typer.Option("--rescore", rich_help_panel=HEARING, help="Let the language model choose among them.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", rich_help_panel=o.OUTPUT, help="Words as they are heard: lower case, no marks.")
    ] = False,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Write down what is said in recordings, a line a file: sentences as people write them, numbers in words.

    With several files, each line begins with the file's name and a tab. A file that fails does not stop the rest.
    JSON is an object a file: file, text, seconds of sound, and the words with their times and how sure the ear is.
    Subtitles of several files need -o DIR/.
    """
    console.begin(verbose, quiet)
    model = (weights, device.value, threads)
    if batch is not None:
        if files or format is not None or out is not None:
            raise console.UsageError(
                "--batch has its files in the file, and writes JSON on stdout: no FILE, --format, -o"
            )
        _batch(batch, model, rate=rate, beam=beam, rescore=rescore, plain=plain)
        return
    if not files:
        raise console.UsageError("missing FILE|DIR; - reads stdin")
    if files.count("-") > 1:
        raise console.UsageError("stdin can be read once: use - for one file only")
    if json and format not in (None, FormatName.json):
        raise console.UsageError(f"--json and --format {format} contradict each other")
    single = len(files) == 1 and not os.path.isdir(files[0])
    if single:
        console.check_input(files[0])
    from muomni_core.tasks.subtitles import WRITERS
    from muomni_core.tasks.transcribe import find_sounds, result_files, transcribe_files

    name = "json" if json else (format or FormatName.text).value
    writer = WRITERS[name]
    sources = find_sounds(files, raw=rate is not None)
    targets: dict[str, Path] = {}
    in_folder = out is not None and console.is_folder(out)
    if in_folder:
        made = result_files(sources, Path(str(out)), writer.suffix)
        targets = {source.name: path for source, path in zip(sources, made, strict=True)}
        for path in made:
            if path.exists():
                console.check_output(str(path), force)
    elif writer.one_file and not single:
        raise console.UsageError(f"--format {name} of several files needs a folder: -o DIR/")
    elif out is not None and out != "-":
        console.check_output(out, force)

    omni = console.load_model(*model)
    heard = transcribe_files(omni, sources, rate=rate, beam=beam, rescore=rescore, plain=plain)
    failed = 0
    with _bar(len(sources)) as advance, _written(None if in_folder else out, force) as write:
        for source, found, error in heard:
            with advance(source.name):
                if found is None:
                    failed += 1
                    complaint = error if source.name in error else f"{source.name}: {error}"
                    if single:
                        raise InputError(complaint)
                    console.complain(complaint)
                if in_folder:
                    if found is not None:
                        path = targets[source.name]
                        path.parent.mkdir(parents=True, exist_ok=True)
                        with _written(str(path), force) as write_own:
                            write_own(writer.render(source.name, found))
                elif text := _line(name, source, found, error, single):
                    write(text)
    if failed:
        raise typer.Exit(console.EXIT_FAILED)


def _batch(name: str, model: tuple[Any, ...], **options: Any) -> None:
    """A row, a file that is heard: a JSON line each, as they come."""
    from muomni_core.tasks.rows import read_rows, transcribe_rows

    batch_lines.run(name, model, lambda omni, lines, folder: transcribe_rows(omni, read_rows(lines), folder, **options))


def _line(name: str, source: Source, heard: Heard | None, error: str, single: bool) -> str:
    """What stands for a file among those of others on stdout or in one file."""
    from muomni_core.tasks.subtitles import WRITERS

    if heard is None:
        import json

        return json.dumps({"file": source.name, "error": error}, ensure_ascii=False) + "\n" if name == "json" else ""
    if name == "text" and not single:
        return f"{console.escape(source.name)}\t{heard.text}\n"
    return WRITERS[name].render(source.name, heard)


@contextlib.contextmanager
def _written(out: str | None, force: bool) -> Iterator[Callable[[str], Any]]:
    """A function that writes text on stdout, or into the file `out` that is there when the block ends well."""
    if out in (None, "-"):
        yield console.write
        return
    from muomni_core.files import open_output

    with open_output(str(out), force=force, mode="w") as file:
        # A file name may hold bytes that are no text: they are written as on stdout.
        yield lambda text: file.write(text.encode("utf-8", "backslashreplace").decode("utf-8"))


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Callable[[str], contextlib.AbstractContextManager[None]]]:
    """A bar on a person's terminal. What it gives is called with each file's name when that has been heard; the bar
    is out of the way while results are written."""
    if console.is_quiet() or not console.is_terminal(sys.stderr):
        yield lambda name: contextlib.nullcontext()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False, markup=False),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = bar.add_task("listening", total=total)

    @contextlib.contextmanager
    def advance(name: str) -> Iterator[None]:
        bar.stop()
        try:
            yield
        finally:
            bar.update(task, advance=1, description=console.escape(Path(name).name)[:40])
            bar.start()

    bar.start()
    try:
        yield advance
    finally:
        bar.stop()
