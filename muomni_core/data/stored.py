"""Files of features in the cache, one and its rows for each shard of data: all of them, or a few at a time.

They lie in MUOMNI_CACHE, or in `muomni` of the user's cache folder, and are made again when the data's contents change.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

try:
    import fcntl
except ImportError:  # Windows, where no workers are forked either
    fcntl = None  # type: ignore[assignment]

from muomni_core.data.layouts import files_below
from muomni_core.data.record import AUDIO_SUFFIXES, IMAGE_SUFFIXES
from muomni_core.data.rows import Patterns, expand, read_path
from muomni_core.errors import DataError

LOCK = ".lock"


def cache_folder() -> Path:
    named = os.environ.get("MUOMNI_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else base / "muomni"


_digests: dict[tuple[str, int, int], str] = {}  # contents read once a process: (path, size, mtime) -> digest


def _digest(path: Path) -> str:
    """Of a file's bytes: dates change between checkouts of the same data."""
    about = path.stat()
    memo = (str(path), about.st_size, about.st_mtime_ns)
    if memo not in _digests:
        with path.open("rb") as file:
            _digests[memo] = hashlib.file_digest(file, "blake2b").hexdigest()
    return _digests[memo]


def content_key(path: Path, what: str, root: Path | None = None) -> str:
    """A name that changes with the contents of a file or folder and with `what` is made of it.

    Args:
        root: given where sounds or pictures that `path` names count too; by size and date, as there may be thousands.
    """
    digest = hashlib.blake2b(f"{path.name}|{what}".encode(), digest_size=8)
    media = AUDIO_SUFFIXES | IMAGE_SUFFIXES
    named: set[Path] = set()
    for file in files_below(path) if path.is_dir() else [path]:
        if file.suffix[1:].lower() in media:
            named.add(file)
        else:
            digest.update(f"|{file.relative_to(path)}|{_digest(file)}".encode("utf-8", "surrogateescape"))
    if root is not None and path.is_file() and path.suffix != ".tar":
        values = (value for row in read_path(path, root) for value in (row.audio, row.image))
        named.update(value for value in values if isinstance(value, Path))
    for file in sorted(named):
        about = file.stat()
        digest.update(f"|{file.name}|{about.st_size}|{about.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    return f"{path.stem}-{digest.hexdigest()}"


def _early_key(path: Path, what: str) -> str:
    """The name that version 0 gave, by size and date."""
    about = path.stat()
    text = f"{path.name}|{about.st_size}|{about.st_mtime_ns}|{what}"
    return f"{path.stem}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _take_early(index: Path, early: Path) -> None:
    """Features of version 0 get a second name rather than being made again."""
    with contextlib.suppress(OSError):
        if early.exists() and not index.exists():
            index.with_suffix(".bin").unlink(missing_ok=True)
            os.link(early.with_suffix(".bin"), index.with_suffix(".bin"))
            os.link(early, index)


class Stored:
    """Features of all rows of some shards, in the cache from now on.

    `shards[i]` is the number of the shard that row i is of, `memory(i)` the whole file, flat, that its features lie in,
    and `names` are those of files that are not empty; they change with the data.

    Args:
        kind: the folder of the cache.
        what: all that the features depend on besides the data.
        make: a shard, and the file to write its features to -> its rows; what cannot be used has none.
    """

    def __init__(
        self,
        patterns: Patterns,
        root: Path,
        kind: str,
        what: str,
        dtype: str,
        make: Callable[[Path, Path], list[dict]],
    ):
        self.paths, self.root, self.kind, self.what, self.dtype = expand(patterns, root), root, kind, what, dtype
        self._make = make
        self._folder = self._find_folder()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._binaries = [self._folder / f"{self._key(path)}.bin" for path in self.paths]
        found = [self._read(path, binary) for path, binary in zip(self.paths, self._binaries, strict=True)]
        self._rows = [row for rows in found for row in rows]
        self.shards = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
        self.names = [binary.name for binary, rows in zip(self._binaries, found, strict=True) if rows]
        self._memories = self._begin([number for number, rows in enumerate(found) if rows])

    def take_rows(self) -> list[dict]:
        """The shards' rows in order, which are not kept."""
        rows, self._rows = self._rows, []
        return rows

    def memory(self, i: int) -> np.ndarray:
        return self._memories[int(self.shards[i])]

    def _begin(self, shards: list[int]) -> dict[int, np.ndarray]:
        return {shard: self._map(self._binaries[shard]) for shard in shards}

    def _map(self, binary: Path) -> np.ndarray:
        return np.memmap(binary, dtype=self.dtype, mode="r")

    def _find_folder(self) -> Path:
        return cache_folder() / self.kind

    def _key(self, path: Path) -> str:
        return content_key(path, self.what, self.root)

    def _read(self, path: Path, binary: Path) -> list[dict]:
        """The rows of a shard, whose features are made if they are not there."""
        index = binary.with_suffix(".json")
        if path.suffix == ".tar":
            _take_early(index, self._folder / f"{_early_key(path, self.what)}.json")
        if not index.exists():
            self._say(path)
            _write_rows(index, self._put(path, binary))
        return json.loads(index.read_text(encoding="utf-8"))

    def _put(self, path: Path, binary: Path) -> list[dict]:
        """Makes a shard's features, in place when they are whole; their rows."""
        # Under a name of its own: another run may be making the same.
        with _partial(binary) as partial:
            rows = self._make(path, partial)
            os.replace(partial, binary)
        return rows

    def _say(self, path: Path) -> None:
        print(f"features: {self.kind} of {path.name}", file=sys.stderr)


class Streamed(Stored):
    """Features of a few shards at a time, for data larger than the disk cache: `enter` makes and drops them.

    What is known of all rows stays: the first time, all shards are gone through once for it. Shards are told apart by
    size and date, as their contents are not read through at each start.
    """

    def _begin(self, shards: list[int]) -> dict[int, np.ndarray]:
        self._lanes: dict[int, dict[int, np.ndarray]] = {}
        return {}

    def enter(self, lane: int, shards: Sequence[int]) -> None:
        """Has the features of these shards and of no others in the lane's folder; several processes may come at once.

        Raises DataError where a shard no longer gives the rows that it gave.
        """
        if list(self._lanes.get(lane, ())) == list(shards):
            return
        folder = self._folder / f"lane-{lane}"
        folder.mkdir(exist_ok=True)
        self._lanes.pop(lane, None)
        kept = {self._binaries[shard].name for shard in shards}
        with _locked(folder / LOCK):
            for file in folder.iterdir():
                if file.name != LOCK and file.name not in kept:
                    file.unlink()
            # Mapped at once: they stay readable when another process has gone on and dropped them.
            self._lanes[lane] = {shard: self._remade(shard, folder) for shard in shards}

    def _put(self, path: Path, binary: Path) -> list[dict]:
        try:
            return super()._put(path, binary)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise DataError(
                f"the disk is full: no room for the features of {path.name} in {binary.parent}; make room, set "
                "MUOMNI_CACHE to a folder with more of it, or begin a new run with a smaller --set data.window"
            ) from None

    def _remade(self, shard: int, folder: Path) -> np.ndarray:
        path, binary = self.paths[shard], folder / self._binaries[shard].name
        if not binary.exists():
            rows = self._put(path, binary)
            index = self._binaries[shard].with_suffix(".json")
            if json.dumps(rows) != index.read_text(encoding="utf-8"):
                binary.unlink()
                raise DataError(f"{path} no longer gives the rows that it gave: delete {index} and begin a new run")
        return self._map(binary)

    def memory(self, i: int) -> np.ndarray:
        shard = int(self.shards[i])
        return next(memories[shard] for memories in self._lanes.values() if shard in memories)

    def _find_folder(self) -> Path:
        return super()._find_folder() / "streamed"

    def _key(self, path: Path) -> str:
        alone = path.suffix == ".tar" or (self.kind == "tokens" and path.is_file())  # names no other files
        return _early_key(path, self.what) if alone else super()._key(path)

    def _read(self, path: Path, binary: Path) -> list[dict]:
        index = binary.with_suffix(".json")
        if not index.exists():
            with _locked(self._folder / LOCK):
                for left in self._folder.iterdir():  # by one that was killed
                    if left.suffix in (".partial", ".bin"):
                        left.unlink()
                if not index.exists():  # meanwhile
                    self._say(path)
                    rows = self._put(path, binary)
                    binary.unlink()
                    _write_rows(index, rows)
        return json.loads(index.read_text(encoding="utf-8"))


@contextlib.contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """A name beside it to write under, gone afterwards."""
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _write_rows(index: Path, rows: list[dict]) -> None:
    with _partial(index) as partial:
        partial.write_text(json.dumps(rows), encoding="utf-8")
        os.replace(partial, index)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits for other processes of this machine."""
    with path.open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        yield
