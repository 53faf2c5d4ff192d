"""The two kinds of file that hold many rows: WebDataset tar shards and JSON lines (.jsonl, .jsonl.xz).

A shard pairs its members by key, `000012.ogg` with `000012.json`; what a JSON file calls its fields is what a line of
a manifest calls them. `recipes/data/README.md` documents both.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from muomni_core.data.record import (
    AUDIO_SUFFIXES,
    IMAGE_SUFFIXES,
    Row,
    fill,
    key_prefix,
    name_and_split,
    safe_relative,
)
from muomni_core.errors import DataError

DESCRIPTIONS = ("json", "txt", "cls")
KNOWN_SUFFIXES = AUDIO_SUFFIXES | IMAGE_SUFFIXES | set(DESCRIPTIONS)
MAX_LINE_BYTES = 16_000_000  # of a manifest; a small .xz may hold a line of gigabytes


def read_shard(path: Path, root: Path) -> Iterator[Row]:
    """The rows of a tar shard in the order of their first member; media as bytes.

    The whole index is checked before the first row. Raises DataError for a damaged file, for a member that is a link,
    a device or has a path that leaves the folder, and for a key that lacks its sound or picture, or its description.
    """
    source, split = name_and_split(path.name)
    prefix = key_prefix(path, root)
    try:
        with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
            groups = _index(tar, raw, path)
            for key, members in groups.items():
                row = Row(key=f"{prefix}/{key}", source=source, split=split)
                _fill_from_members(row, {suffix: _read(tar, m) for suffix, m in members.items()}, path.name, key)
                yield row
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{path} is damaged or no tar file ({error}): get or make it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _index(tar: tarfile.TarFile, raw: BinaryIO, path: Path) -> dict[str, dict[str, tarfile.TarInfo]]:
    groups: dict[str, dict[str, tarfile.TarInfo]] = {}
    for member in tar:
        # A negative size would send tarfile round in circles, so it is looked at before the next member.
        if member.size < 0 or member.issparse() or not (member.isreg() or member.isdir()):
            raise DataError(f"{path.name}: member {member.name!r} is not a plain file (links are not followed)")
        name = member.name.rstrip("/") if member.isdir() else member.name
        if member.isdir() and name in ("", "."):
            continue
        relative = safe_relative(name, path.name)
        stem, _, suffix = relative.name.partition(".")
        if member.isdir() or not stem or suffix.lower() not in KNOWN_SUFFIXES:
            continue
        key = (relative.parent / stem).as_posix()
        if groups.setdefault(key, {}).setdefault(suffix.lower(), member) is not member:
            raise DataError(f"{path.name}: member {member.name!r} is there twice")
    raw.seek(tar.offset)
    if raw.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile takes a broken header for the end
        raise DataError(f"{path} is damaged after {len(tar.getmembers())} members: get or make it again")
    for key, members in groups.items():
        media = [s for s in members if s in AUDIO_SUFFIXES or s in IMAGE_SUFFIXES]
        if not media:
            raise DataError(f"{path.name}: {key} has no sound or picture beside {key}.{next(iter(members))}")
        if not any(s in DESCRIPTIONS for s in members):
            raise DataError(f"{path.name}: {key}.json is missing beside {key}.{media[0]}")
        for kind, suffixes in (("sounds", AUDIO_SUFFIXES), ("pictures", IMAGE_SUFFIXES)):
            if sum(s in suffixes for s in members) > 1:
                raise DataError(f"{path.name}: {key} has several {kind}; a row takes one")
    return groups


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file is not None else b""


def _fill_from_members(row: Row, members: Mapping[str, bytes], shard: str, key: str) -> None:
    where = f"{shard}: {key}"
    if "json" in members:
        fill(row, _parse(members["json"], f"{where}.json"), f"{where}.json")
    for suffix, name in (("txt", "text"), ("cls", "label")):
        if suffix in members and getattr(row, name) is None:
            try:
                setattr(row, name, members[suffix].decode("utf-8").strip())
            except UnicodeDecodeError as error:
                raise DataError(f"{where}.{suffix} is not UTF-8 text") from error
    for suffix, blob in members.items():
        if suffix in AUDIO_SUFFIXES:
            row.audio = blob
        elif suffix in IMAGE_SUFFIXES:
            row.image = blob


def _parse(line: str | bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:  # bad JSON and bad UTF-8 are both ValueErrors
        raise DataError(f"{where} is not JSON in UTF-8: {error}") from error


def read_manifest(path: Path, root: Path) -> Iterator[Row]:
    """The rows of a .jsonl or .jsonl.xz file; `audio` and `image` are paths beside it. Empty lines are skipped.

    Raises DataError, naming the line, for what is not JSON, lacks every known field or names a file that is not there.
    """
    source, split = name_and_split(path.name)
    prefix = key_prefix(path, root)
    try:
        with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE_BYTES + 1), b""), 1):
                where = f"{path.name} line {number}"
                if len(line) > MAX_LINE_BYTES:
                    raise DataError(f"{where} is longer than {MAX_LINE_BYTES:,} bytes")
                if not line.strip():
                    continue
                values = _parse(line.removeprefix(b"\xef\xbb\xbf"), where)
                row = fill(Row(key=f"{prefix}/{number:06d}", source=source, split=split), values, where)
                row.audio = _beside(path, values.get("audio"), "audio", where)
                row.image = _beside(path, values.get("image"), "image", where)
                if len(row.keys()) == 2 + (split is not None):
                    raise DataError(
                        f"{where}: no field that is known (audio, image, text, caption, label, question, turns)"
                    )
                yield row
    except (lzma.LZMAError, EOFError) as error:
        raise DataError(f"{path} is damaged or no .xz file ({error}): get or make it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _beside(manifest: Path, name: Any, kind: str, where: str) -> Path | None:
    if name is None:
        return None
    if not isinstance(name, str):
        raise DataError(f"{where}: {kind!r} must be a path")
    path = manifest.parent / safe_relative(name, where)
    if not path.is_file():
        raise DataError(f"{where}: {kind} file {name!r} is missing beside {manifest.name}")
    return path


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_shard(path: Path, rows: Iterable[tuple[str, Mapping[str, bytes]]]) -> int:
    """Writes (key, {suffix: bytes}) rows as a tar shard, the same bytes for the same rows; returns their number."""
    count = 0
    with _replacing(path) as file, tarfile.open(fileobj=file, mode="w") as tar:
        for count, (key, members) in enumerate(rows, 1):  # noqa: B007
            for suffix, blob in members.items():
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(blob)
                tar.addfile(member, io.BytesIO(blob))
    return count


def write_manifest(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes rows as JSON lines, compressed where the name ends in .xz; returns their number."""
    count = 0
    with _replacing(path) as file, lzma.open(file, "wb") if path.suffix == ".xz" else nullcontext(file) as out:
        for count, row in enumerate(rows, 1):  # noqa: B007
            out.write(json.dumps(dict(row), ensure_ascii=False).encode() + b"\n")
    return count
