"""Rows of training data, whatever holds them: shards, manifests, or the folder layouts that users have on disk.

>>> for row in read_rows("speech/*-train-*.tar", root): ...
>>> for row in read_rows(["text/*-train.jsonl.xz", "!text/captions_*"], root): ...
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from muomni_core.data import layouts
from muomni_core.data.record import Row, safe_relative
from muomni_core.data.shards import read_manifest, read_shard
from muomni_core.errors import DataError
from muomni_core.files import is_root

__all__ = ["Row", "expand", "fingerprint", "read_rows"]

Patterns = str | Path | Sequence[str | Path]

DIGEST_BYTES = 65_536  # read at either end of a file for the fingerprint


def read_rows(patterns: Patterns, root: str | Path) -> Iterator[Row]:
    """Rows of all files and folders below `root` that match, file after file, names in order.

    A pattern is relative to `root`, with `*`, `?`, `[...]` and `**`; one that begins with `!` leaves files out again.
    Raises DataError at once for what is missing, and while reading for what does not fit.
    """
    root = Path(root)
    return _read_all(expand(patterns, root), root)


def expand(patterns: Patterns, root: str | Path) -> list[Path]:
    """The files and folders that match: pattern after pattern, sorted within one, each of them once.

    Raises DataError where a pattern leaves the root, or matches nothing.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(
            f"the data folder {root} is missing: give --data DIR or set MUOMNI_DATA (recipes/data/ says how each set is"
            " had), or use --recipe smoke, which needs none"
        )
    listed = [patterns] if isinstance(patterns, (str, Path)) else list(patterns)
    texts = [_below(p, root) for p in listed]
    left_out = {path for text in texts if text.startswith("!") for path in _matches(text[1:], root)}
    found: dict[Path, None] = {}
    for text in texts:
        if text.startswith("!"):
            continue
        matches = [path for path in _matches(text, root) if path not in left_out]
        if not matches:
            raise DataError(_missing(text, root))
        found.update(dict.fromkeys(matches))
    return list(found)


def _below(pattern: str | Path, root: Path) -> str:
    if isinstance(pattern, Path) and pattern.is_relative_to(root):
        pattern = glob.escape(pattern.relative_to(root).as_posix())
    text = str(pattern)
    if text != ".":
        safe_relative(text.removeprefix("!"), "data pattern")
    return text


def _matches(pattern: str, root: Path) -> list[Path]:
    if pattern == ".":
        return [root]
    return [root / name for name in sorted(glob.glob(pattern, root_dir=root, recursive=True))]


def _missing(pattern: str, root: Path) -> str:
    remedy = "recipes/data/ says how it is had"
    if Path(pattern).name.startswith("made_"):
        remedy = f"make it with `python -m muomni_core.data.made_speech --data {root}`"
    return f"{root / pattern} is missing: {remedy}; --recipe smoke needs no data"


def _read_all(paths: list[Path], root: Path) -> Iterator[Row]:
    for path in paths:
        yield from read_path(path, root)


def read_path(path: Path, root: Path) -> Iterator[Row]:
    """Rows of one file or folder. Raises DataError where it is no kind of data that is known."""
    if is_root(path):
        raise DataError(f"{path} is all that is on this machine; name the folder of the data")
    if path.is_dir():
        inner = [path / name for name in sorted(os.listdir(path)) if is_shard(name)]
        return _read_all(inner, root) if inner else layouts.read_folder(path, root)
    if path.exists() and not path.is_file():  # data is read more than once, and has an end
        raise DataError(f"{path} is a device or a pipe; give a file")
    if path.name.endswith(".tar"):
        return read_shard(path, root)
    if path.name.endswith((".jsonl", ".jsonl.xz")):
        return read_manifest(path, root)
    return layouts.read_file(path, root)


def is_shard(name: str) -> bool:
    return name.endswith((".tar", ".jsonl", ".jsonl.xz")) and not name.startswith(".")


def fingerprint(patterns: Patterns, root: str | Path) -> str:
    """12 hex digits that tell this data from other data: names below the root, sizes, both ends of every file.

    Where the root lies does not matter, nor whether parts of it are links. Raises DataError as `expand` does.
    """
    root = Path(root)
    files: set[Path] = set()
    for path in expand(patterns, root):
        files.update(layouts.files_below(path) if path.is_dir() else [path])
    digest = hashlib.sha256()
    for path in sorted(files):
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                digest.update(f"{path.relative_to(root).as_posix()}\0{size}\0".encode("utf-8", "surrogateescape"))
                file.seek(0)
                digest.update(file.read(DIGEST_BYTES))
                file.seek(max(DIGEST_BYTES, size - DIGEST_BYTES))
                digest.update(file.read(DIGEST_BYTES))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()[:12]
