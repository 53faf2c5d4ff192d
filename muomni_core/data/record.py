"""One row of data, whatever it was read from, and the rules for the paths that data may name."""

from __future__ import annotations

import dataclasses
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from muomni_core.errors import DataError

AUDIO_SUFFIXES = frozenset({"ogg", "opus", "oga", "wav", "flac", "mp3", "aiff", "aif", "au"})
IMAGE_SUFFIXES = frozenset({"webp", "jpg", "jpeg", "png", "bmp", "gif", "tif", "tiff", "ppm"})

# tatoeba_english-val.jsonl.xz, librispeech-train-000.tar
FILE_NAME = re.compile(r"(?P<source>.+?)-(?P<split>train|val|test)(?:-\d+)?")
FILE_SUFFIX = re.compile(r"\.(?:jsonl|jsonl\.xz|tar|txt|json)$")


@dataclass(slots=True)
class Row:
    """One example. Fields that its source does not have are None, or an empty list.

    Reads like a dict too: `row["text"]`, `row.get("text")`, `"text" in row`, `dict(row)` give the fields that are set.
    """

    key: str  # unique under a data root: file without suffix, then the member, line or file within it
    source: str  # "librispeech" for librispeech-train-000.tar; the folder's name for a layout on disk
    split: str | None = None  # train, val, test, or None where no name says so
    audio: bytes | Path | None = None  # an encoded file's bytes, or where it lies
    image: bytes | Path | None = None
    text: str | None = None
    captions: list[str] = field(default_factory=list)
    label: str | None = None
    fine: str | None = None
    objects: list[str] = field(default_factory=list)
    question: str | None = None
    answer: str | None = None
    turns: list[str] = field(default_factory=list)
    context: str | None = None
    speaker: str | None = None
    seconds: float | None = None

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        value = getattr(self, name, None) if name in FIELDS else None
        return value if is_set(value) else default

    def __contains__(self, name: object) -> bool:
        return name in FIELDS and is_set(getattr(self, str(name)))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        return [name for name in FIELDS if is_set(getattr(self, name))]

    def sound_source(self) -> Path | BinaryIO:
        """The sound as `read_sound` takes it. Raises DataError where the row has none."""
        return self._source("audio")

    def image_source(self) -> Path | BinaryIO:
        """The picture as `load_image` takes it. Raises DataError where the row has none."""
        return self._source("image")

    def _source(self, name: str) -> Path | BinaryIO:
        value = getattr(self, name)
        if value is None:
            raise DataError(f"{self.key}: the row has no {name}")
        return io.BytesIO(value) if isinstance(value, bytes) else value


FIELDS = tuple(f.name for f in dataclasses.fields(Row))
TEXT_FIELDS = ("text", "label", "fine", "question", "answer", "context", "speaker")
LIST_FIELDS = ("captions", "objects", "turns")


def is_set(value: Any) -> bool:
    return value is not None and value != []


def name_and_split(file_name: str) -> tuple[str, str | None]:
    """("librispeech", "train") of "librispeech-train-000.tar"; the split is None where the name has none."""
    stem = FILE_SUFFIX.sub("", file_name)
    match = FILE_NAME.fullmatch(stem)
    return (match["source"], match["split"]) if match else (stem, None)


def key_prefix(path: Path, root: Path) -> str:
    """The file below the root without its suffix: speech/librispeech-train-000."""
    relative = path.relative_to(root) if path != root and path.is_relative_to(root) else Path(path.resolve().name)
    return FILE_SUFFIX.sub("", relative.as_posix())


def safe_relative(name: str, where: str) -> PurePosixPath:
    """`name` as a relative path without `..`. Raises DataError, beginning with `where`.

    Links on disk are not followed to judge: a data root may well be put together of links.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.name:
        raise DataError(f"{where}: the path {name!r} must be relative and stay inside the data folder")
    return path


def fill(row: Row, values: Any, where: str) -> Row:
    """Puts a JSON object's fields into `row`; `audio` and `image` are left to the caller, unknown names are ignored.

    Raises DataError, beginning with `where`, for a value of the wrong type.
    """
    if not isinstance(values, dict):
        raise DataError(f"{where}: expected a JSON object, got {type(values).__name__}")
    for name in TEXT_FIELDS:
        value = values.get(name)
        if value is not None and not isinstance(value, str):
            raise DataError(f"{where}: {name!r} must be text, got {type(value).__name__}")
        setattr(row, name, value)
    for name in LIST_FIELDS:
        value = values.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise DataError(f"{where}: {name!r} must be a list of texts")
        setattr(row, name, value)
    if (caption := values.get("caption")) is not None:
        if not isinstance(caption, str):
            raise DataError(f"{where}: 'caption' must be text; a list goes into 'captions'")
        row.captions = [caption, *row.captions]
    seconds = values.get("seconds")
    if seconds is not None:
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
            raise DataError(f"{where}: 'seconds' must be a number of seconds")
        row.seconds = float(seconds)
    return row
