"""Requests and results as JSON lines: what a batch, or a program at the other end of a pipe, says and is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from muomni_core.errors import InputError, one_line

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

MAX_LINE_BYTES = 1_000_000
MAX_DROPPED_BYTES = 64_000_000  # of a line that is too long; what goes on beyond is no line of JSON


class Row(NamedTuple):
    """One request: its id, or the line's number where it has none, and its fields; `error` says why it is none."""

    id: Any
    number: int
    values: dict[str, Any]
    error: str | None = None


def read_rows(lines: BinaryIO) -> Iterator[Row]:
    """The rows of a JSONL stream, as its lines come. Empty lines are skipped; one that is no JSON object is an error.

    Raises InputError for what is no text at all: NUL bytes, or a line without an end.
    """
    for number, line in enumerate(_bounded_lines(lines), start=1):
        if line is None:
            yield Row(number, number, {}, f"line {number} is longer than {MAX_LINE_BYTES:,} bytes")
        elif line.strip():
            yield _parse(line, number)


def _bounded_lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Lines; None for one above the bound, whose bytes are dropped as they come."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if b"\0" in line:
            raise InputError(f"line {number} holds NUL bytes; requests are lines of JSON in UTF-8")
        if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        dropped = len(line)
        while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            dropped += len(rest)
            if dropped > MAX_DROPPED_BYTES:
                raise InputError(f"line {number} does not end; requests are lines of JSON")
        yield None


def _parse(line: bytes, number: int) -> Row:
    try:
        values = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return Row(number, number, {}, f"line {number} is not JSON")
    if not isinstance(values, dict):
        return Row(number, number, {}, f"line {number} is not a JSON object")
    return Row(number if values.get("id") is None else values["id"], number, values)


def text_of(row: Row, field: str) -> str:
    """A field that must be there and be text. Raises InputError."""
    value = row.values.get(field)
    if value is None:
        raise InputError(f"{field} is missing")
    if not isinstance(value, str):
        raise InputError(f"{field} must be text, not {type(value).__name__}")
    return value.encode("utf-8", "replace").decode()  # JSON can hold half of a surrogate pair


def file_of(row: Row, field: str, folder: Path) -> str:
    """A field that names a file, looked up in `folder`. Raises InputError."""
    name = text_of(row, field)
    if name in ("", "-") or "\0" in name:
        raise InputError(f"{field} must be the name of a file")
    return str(folder / name)


def number_of(row: Row, field: str, like: int | float) -> Any:
    """A field that must be a number where it is there; else `like`, whose kind it must have. Raises InputError."""
    value = row.values.get(field)
    if value is None:
        return like
    if isinstance(value, bool) or not isinstance(value, (int, type(like))) or (type(like) is int and value < 0):
        raise InputError(f"{field} must be {'a whole number' if type(like) is int else 'a number'}, not {value!r:.40}")
    return value


def answered(rows: Iterable[Row], answer: Callable[[Row], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """For each row `{"id", ...}` with what `answer` gives, or `{"id", "error"}`; one that fails does not stop the rest."""
    for row in rows:
        try:
            yield {"id": row.id, "error": row.error} if row.error is not None else {"id": row.id} | answer(row)
        except Exception as error:  # the row says what went wrong, and the caller exits with 1
            yield {"id": row.id, "error": one_line(error)}


def speak_rows(
    omni: MuOmni, rows: Iterable[Row], folder: Path, *, numbered: Path | None = None, force: bool = False, **speech: Any
) -> Iterator[dict[str, Any]]:
    """Speaks each row's `text` into its file `out` in `folder`: `{"id", "file", "seconds", "words", ...}`.

    Args:
        numbered: where rows without `out` go, as 0001.wav and so on, by their line; None: they fail.
        speech: as of MuOmni.speak; a row's own `voice`, `speed` and `seed` come before it.
    """
    from muomni_core.tasks.speak import speak_to_file

    def answer(row: Row) -> dict[str, Any]:
        own = {"voice": text_of(row, "voice")} if row.values.get("voice") is not None else {}
        own |= {"speed": number_of(row, "speed", speech.get("speed", 1.0))}
        own |= {"seed": number_of(row, "seed", speech.get("seed", 0)) % 2**63}
        if row.values.get("out") is None and numbered is not None:
            target = str(numbered / f"{row.number:04d}.wav")
        else:
            target = file_of(row, "out", folder)
        text = text_of(row, "text")
        return speak_to_file(omni, text, target, force=force, keep_words=True, **{**speech, **own}).as_json()

    return answered(rows, answer)


def transcribe_rows(
    omni: MuOmni, rows: Iterable[Row], folder: Path, *, rate: int | None = None, **options: Any
) -> Iterator[dict[str, Any]]:
    """Hears each row's `audio`, a file in `folder`: `{"id", "file", "text", "seconds", "confidence", "words"}`."""
    from muomni_core.tasks.subtitles import as_json
    from muomni_core.tasks.transcribe import transcribe_file

    def answer(row: Row) -> dict[str, Any]:
        name = file_of(row, "audio", folder)
        return as_json(name, transcribe_file(omni, name, rate=rate, **options))

    return answered(rows, answer)
