"""Questions about pictures, recordings and text: one, or many from a JSONL file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from muomni_core.data.phrasings import SEE as PICTURE_QUESTION
from muomni_core.errors import InputError, one_line
from muomni_core.tasks.rows import Row, read_rows

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

FIELDS = ("image", "audio", "question")


@dataclass(frozen=True)
class Request:
    """One question; `error` says why it cannot even be asked (a batch goes on without it)."""

    id: Any
    question: str | None = None
    image: Any = None  # as MuOmni.ask takes it: one or a list
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
    for row in read_rows(lines):
        yield _parse(row, folder) if row.error is None else Request(row.id, error=row.error)


def _parse(row: Row, folder: Path) -> Request:
    key = row.id
    values = {field: row.values.get(field) for field in FIELDS}
    for field, value in values.items():
        many = value if isinstance(value, list) and field == "image" else [] if value is None else [value]
        for one in many:
            if not isinstance(one, str):
                return Request(key, error=f"{field} must be text, not {type(one).__name__}")
            if field != "question" and (one in ("", "-") or "\0" in one):
                return Request(key, error=f"{field} must be the name of a file")
    try:
        question = settle_question(values["question"], image=bool(values["image"]), audio=bool(values["audio"]))
    except InputError as error:
        return Request(key, error=str(error))
    if question is not None:
        question = question.encode("utf-8", "replace").decode()  # JSON can hold half of a surrogate pair
    image, audio = values["image"], values["audio"]
    images = [folder / one for one in image] if isinstance(image, list) else image and folder / image
    return Request(key, question, images, audio and folder / audio)


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
