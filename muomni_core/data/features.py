"""What does not change is computed once: mels and small pictures of the rows, in memory-mapped files a shard.

They lie in MUOMNI_CACHE, or in `muomni` of the user's cache folder, and are made again when the data's contents change.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from muomni_core.config import MelConfig, to_dict
from muomni_core.data.chat import row_ids
from muomni_core.data.layouts import files_below
from muomni_core.data.record import AUDIO_SUFFIXES, IMAGE_SUFFIXES, Row
from muomni_core.data.rows import Patterns, expand, read_path
from muomni_core.errors import MuOmniError
from muomni_core.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

MIN_SECONDS, MAX_SECONDS = 0.25, 25.0


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


def _key(path: Path, what: str, root: Path | None = None) -> str:
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
    """The name that version 0 gave."""
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


def _cached(
    path: Path, root: Path, kind: str, what: str, make: Callable[[Path, Path], list[dict]]
) -> tuple[Path, list[dict]]:
    """The binary file and the rows of one shard's features, made now if they are not there."""
    folder = cache_folder() / kind
    folder.mkdir(parents=True, exist_ok=True)
    binary = folder / f"{_key(path, what, root)}.bin"
    index = binary.with_suffix(".json")
    if path.suffix == ".tar":
        _take_early(index, folder / f"{_early_key(path, what)}.json")
    if not index.exists():
        print(f"features: {kind} of {path.name}", file=sys.stderr)
        # Under names of their own: another run may be making the same.
        partial = binary.with_name(f"{binary.stem}.{os.getpid()}.partial")
        try:
            rows = make(path, partial)
            os.replace(partial, binary)
            partial.write_text(json.dumps(rows), encoding="utf-8")
            os.replace(partial, index)
        finally:
            partial.unlink(missing_ok=True)
    return binary, json.loads(index.read_text(encoding="utf-8"))


class SpeechSet:
    """Clips as log-mels: `mel(i)`, `texts[i]`, `speakers[i]`, `frames[i]` (hundredths of a second), `sources[i]`.

    Clips shorter than 0.25 s or longer than 25 s are left out; unreadable ones are left out and named on stderr.
    """

    def __init__(self, patterns: Patterns, root: Path):
        self.texts: list[str] = []
        self.speakers: list[str] = []
        self.sources: list[str] = []
        self.frames: list[int] = []
        self._places: list[tuple[np.ndarray, int]] = []
        n_mels = MelConfig().n_mels
        what = json.dumps(to_dict(MelConfig()))
        for path in expand(patterns, root):
            binary, rows = _cached(path, root, "mel", what, lambda p, b: _make_mels(p, b, root))
            if not rows:
                continue
            memory = np.memmap(binary, dtype=np.float16, mode="r").reshape(-1, n_mels)
            for row in rows:
                self.texts.append(row["text"])
                self.speakers.append(row["speaker"])
                self.sources.append(row["source"])
                self.frames.append(row["frames"])
                self._places.append((memory, int(row["start"])))

    def __len__(self) -> int:
        return len(self.texts)

    def mel(self, i: int, start: int = 0, n_frames: int | None = None) -> Tensor:
        """(T, 128) float32 log mel of clip i, or a piece of it."""
        memory, offset = self._places[i]
        n_frames = self.frames[i] - start if n_frames is None else n_frames
        return torch.from_numpy(memory[offset + start : offset + start + n_frames].astype(np.float32))

    def hours(self) -> dict[str, float]:
        total: dict[str, float] = {}
        for source, frames in zip(self.sources, self.frames, strict=True):
            total[source] = total.get(source, 0.0) + frames / 360_000
        return total


def _make_mels(path: Path, binary: Path, root: Path) -> list[dict]:
    from muomni_core.audio.mel import log_mel

    rows, start = [], 0
    with open(binary, "wb") as out:
        for row, sound in _clips(path, root):
            mel = log_mel(torch.from_numpy(sound)).half().numpy()
            out.write(mel.tobytes())
            about = {"text": row.text, "speaker": row.speaker or "", "source": row.source}
            rows.append({**about, "start": start, "frames": len(mel)})
            start += len(mel)
    return rows


class WaveSet:
    """Clips as sound: `wave(i)` float32 (N,) at 16 kHz, `lengths[i]` samples. Which clips are left out: as SpeechSet."""

    def __init__(self, patterns: Patterns, root: Path):
        self.lengths: list[int] = []
        self._places: list[tuple[np.ndarray, int]] = []
        for path in expand(patterns, root):
            binary, rows = _cached(path, root, "waves", "int16", lambda p, b: _make_waves(p, b, root))
            if not rows:
                continue
            memory = np.memmap(binary, dtype=np.int16, mode="r")
            for row in rows:
                self.lengths.append(row["samples"])
                self._places.append((memory, row["start"]))

    def __len__(self) -> int:
        return len(self.lengths)

    def wave(self, i: int, start: int = 0, n_samples: int | None = None) -> Tensor:
        memory, offset = self._places[i]
        end = self.lengths[i] if n_samples is None else min(self.lengths[i], start + n_samples)
        return torch.from_numpy(memory[offset + start : offset + end].astype(np.float32) / 32768)


def _readable(path: Path, root: Path, read: Callable[[Row], T | None]) -> Iterator[tuple[Row, T]]:
    """Rows of a shard with what `read` makes of them (None: not asked for); what cannot be read is named on stderr."""
    for row in read_path(path, root):
        try:
            value = read(row)
        except MuOmniError as error:
            print(f"{row.key}: left out, {error}", file=sys.stderr)
            continue
        if value is not None:
            yield row, value


def _clips(path: Path, root: Path) -> Iterator[tuple[Row, np.ndarray]]:
    """The sounds of a shard that can be used, with their rows."""
    from muomni_core.audio.io import read_sound

    sounds = _readable(
        path, root, lambda row: None if row.audio is None or not row.text else read_sound(row.sound_source())
    )
    return ((row, sound) for row, sound in sounds if MIN_SECONDS <= len(sound) / 16_000 <= MAX_SECONDS)


def _make_waves(path: Path, binary: Path, root: Path) -> list[dict]:
    rows, start = [], 0
    with open(binary, "wb") as out:
        for _, sound in _clips(path, root):
            out.write((sound * 32767).astype(np.int16).tobytes())
            rows.append({"start": start, "samples": len(sound)})
            start += len(sound)
    return rows


class PictureSet:
    """Pictures as small squares-to-be: `pixels(i)` uint8 (3, H, W) with the shorter side `size`, and `rows[i]`."""

    def __init__(self, patterns: Patterns, root: Path, size: int = 128):
        self.rows: list[Row] = []
        self.files: list[str] = []  # of the features; their names change with the data
        self._places: list[tuple[np.memmap, int, int, int]] = []
        for path in expand(patterns, root):
            binary, rows = _cached(path, root, "pictures", str(size), lambda p, b: _make_pictures(p, b, root, size))
            if not rows:
                continue
            memory = np.memmap(binary, dtype=np.uint8, mode="r")
            self.files.append(binary.name)
            for row in rows:
                start, height, width = row.pop("place")
                self._places.append((memory, start, height, width))
                self.rows.append(Row(**row))

    def __len__(self) -> int:
        return len(self.rows)

    def squares(self) -> Squares:
        """All pictures squeezed to squares, made once."""
        return Squares(self)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(height, width) of each."""
        return [(height, width) for _, _, height, width in self._places]

    def pixels(self, i: int) -> Tensor:
        memory, start, height, width = self._places[i]
        return torch.from_numpy(memory[start : start + 3 * height * width].reshape(3, height, width).copy())


class Squares:
    """Pictures of a set as one array: `squares[rows]` uint8 (B, 3, size, size), squeezed; `shapes[rows]` (B, 2)."""

    def __init__(self, pictures: PictureSet, size: int = 128):
        self.shapes = torch.tensor(pictures.shapes, dtype=torch.float32).view(-1, 2)
        about = json.dumps([size, pictures.files])
        path = cache_folder() / "squares" / f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            print(f"features: {len(pictures)} squares", file=sys.stderr)
            from torchvision.transforms.v2.functional import resize

            array = np.empty((len(pictures), 3, size, size), dtype=np.uint8)
            for i in range(len(pictures)):
                array[i] = resize(pictures.pixels(i), [size, size], antialias=True).numpy()
            partial = path.with_name(f"{path.stem}.{os.getpid()}.partial.npy")
            np.save(partial, array)
            os.replace(partial, path)
        self.array = np.load(path, mmap_mode="r")
        self.more = np.empty((0, 3, size, size), dtype=np.uint8)

    def append(self, pictures: Sequence[Image.Image]) -> None:
        """Pictures that lie in no file, of the squares' own size; they are kept in memory."""
        more = np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in pictures])
        self.more = np.concatenate([self.more, more])
        self.shapes = torch.cat([self.shapes, torch.full((len(more), 2), float(more.shape[-1]))])

    def __len__(self) -> int:
        return len(self.array) + len(self.more)

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        squares = np.empty((len(rows), *self.more.shape[1:]), dtype=np.uint8)
        stored = rows < len(self.array)
        squares[stored] = self.array[rows[stored]]
        squares[~stored] = self.more[rows[~stored] - len(self.array)]
        return torch.from_numpy(squares)


def _make_pictures(path: Path, binary: Path, root: Path, size: int) -> list[dict]:
    from PIL import Image

    from muomni_core.vision.image import load_image

    rows, start = [], 0
    with open(binary, "wb") as out:
        pictures = _readable(path, root, lambda row: None if row.image is None else load_image(row.image_source()))
        for row, picture in pictures:
            scale = size / min(picture.size)
            # Very long pictures keep their middle: twice the shorter side is as much as any crop will see.
            width, height = (min(2 * size, max(size, round(side * scale))) for side in picture.size)
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
            pixels = np.asarray(picture, dtype=np.uint8).transpose(2, 0, 1)
            out.write(pixels.tobytes())
            about = {k: row[k] for k in ("key", "source", "label", "fine", "objects", "captions") if k in row}
            about |= {k: row[k] for k in ("question", "answer") if k in row}
            rows.append({**about, "place": [start, height, width]})
            start += pixels.size
    return rows


class TokenSet:
    """Text rows as one stream: `ids` uint16 and `documents` int32 (the number of the row that a token is of)."""

    def __init__(self, patterns: Patterns, root: Path, tokenizer: Tokenizer, seed: int = 0):
        paths = expand(patterns, root)
        about = "|".join(_key(p, "tokens") for p in paths) + f"|{tokenizer.fingerprint}|{seed}"
        name = hashlib.sha256(about.encode()).hexdigest()[:16]
        folder = cache_folder() / "tokens"
        folder.mkdir(parents=True, exist_ok=True)
        ids_path, documents_path = folder / f"{name}.ids.npy", folder / f"{name}.documents.npy"
        if not documents_path.exists():
            rows = [(row_ids(tokenizer, r), _n_bytes(r)) for path in paths for r in read_path(path, root)]
            rows = [row for row in rows if row[0]]
            # Rows of a source lie together in their file; shuffled, a window of the stream is a mix.
            order = np.random.default_rng(seed).permutation(len(rows))
            stream = np.concatenate([np.array(rows[i][0], dtype=np.uint16) for i in order])
            lengths = np.array([len(rows[i][0]) for i in order])
            np.save(folder / f"{name}.bytes.npy", np.array(sum(rows[i][1] for i in order)))
            np.save(ids_path, stream)
            partial = documents_path.with_suffix(".partial.npy")
            np.save(partial, np.repeat(np.arange(len(lengths), dtype=np.int32), lengths))
            os.replace(partial, documents_path)
        self.ids = np.load(ids_path, mmap_mode="r")
        self.documents = np.load(documents_path, mmap_mode="r")
        self.n_bytes = int(np.load(folder / f"{name}.bytes.npy"))

    def window(self, start: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        return self.ids[start : start + size].astype(np.int64), self.documents[start : start + size].astype(np.int64)


def _n_bytes(row: Row) -> int:
    parts = row.turns or [row.context or "", row.question or "", row.answer or "", row.text or ""]
    return sum(len(p.encode()) for p in parts)
