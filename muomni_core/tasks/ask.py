"""Questions about pictures, recordings and text: one, or many from a JSONL file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from muomni_core.data.phrasings import SEE as PICTURE_QUESTION
from muomni_core.errors import InputError

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

MAX_LINE_BYTES = 1_000_000
FIELDS = ("image", "audio", "question")


@dataclass(frozen=True)
class Request:
    """One question; `error` says why it cannot even be asked (a batch goes on without it)."""

    id: Any
    question: str | None = None
    image: str | Path | BinaryIO | None = None
    audio: str | Path | BinaryIO | None = None
    error: str | None = None


def with_text(text: str, question: str) -> str:
    """A text and the question about it, in the order of training: the text first."""
    return f"{text.strip()}\n{question.strip()}" if text.strip() else question


def settle_question(question: str | None, *, image: bool, audio: bool) -> str | None:
    """The question that is asked when `question` was given: None only if a recording is the question.

    Raises InputError for white space alone, and if there is nothing to ask about.
    """
    if question is not None:
        if not question.strip():
            raise InputError("the question is empty; ask something")
        return question
    if audio:
        return None
    if image:
        return PICTURE_QUESTION
    raise InputError("nothing is asked; give a question, an image or a recording")


def read_requests(lines: BinaryIO, folder: Path) -> Iterator[Request]:
    """The requests of a JSONL stream, as its lines come; relative paths are looked up in `folder`.

    An empty line is skipped. A line that is no request comes back with `error` set; its id is the line's number, as
    is that of a request without one.
    """
    for number, line in enumerate(_bounded_lines(lines), start=1):
        if line is None:
            yield Request(number, error=f"line {number} is longer than {MAX_LINE_BYTES:,} bytes")
        elif line.strip():
            yield _parse(line, number, folder)


def _bounded_lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Lines; None for one above the bound, whose bytes are dropped as they come."""
    while line := stream.readline(MAX_LINE_BYTES):
        if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield None


def _parse(line: bytes, number: int, folder: Path) -> Request:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return Request(number, error=f"line {number} is not JSON")
    if not isinstance(row, dict):
        return Request(number, error=f"line {number} is not a JSON object")
    key = number if row.get("id") is None else row["id"]
    values = {field: row.get(field) for field in FIELDS}
    for field, value in values.items():
        if value is not None and not isinstance(value, str):
            return Request(key, error=f"{field} must be text, not {type(value).__name__}")
        if field != "question" and value is not None and (value in ("", "-") or "\0" in value):
            return Request(key, error=f"{field} must be the name of a file")
    try:
        question = settle_question(values["question"], image=bool(values["image"]), audio=bool(values["audio"]))
    except InputError as error:
        return Request(key, error=str(error))
    if question is not None:
        question = question.encode("utf-8", "replace").decode()  # JSON can hold half of a surrogate pair
    image, audio = values["image"], values["audio"]
    return Request(key, question, image and folder / image, audio and folder / audio)


def answer(omni: MuOmni, request: Request, **generation: Any) -> str:
    """The answer to one request; `generation` is passed to MuOmni.ask. Raises MuOmniError."""
    return omni.ask(request.question, image=request.image, audio=request.audio, **generation)


def answer_batch(omni: MuOmni, requests: Iterable[Request], **generation: Any) -> Iterator[dict[str, Any]]:
    """For each request `{"id", "answer"}`, or `{"id", "error"}`; one that fails does not stop the rest."""
    for request in requests:
        if request.error is not None:
            yield {"id": request.id, "error": request.error}
            continue
        try:
            yield {"id": request.id, "answer": answer(omni, request, **generation)}
        except Exception as error:  # the row says what went wrong, and the caller exits with 1
            yield {"id": request.id, "error": one_line(error)}


def one_line(error: Exception) -> str:
    """What an error says, on one line, with its kind if it is not one of ours."""
    from muomni_core.errors import MuOmniError

    if isinstance(error, MuOmniError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = f"unexpected {type(error).__name__}: {error}"
    return " ".join(text.split())
