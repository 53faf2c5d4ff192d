"""What does not change is computed once: mels and small pictures of the rows, in memory-mapped files a shard.

Of a set with `streamed` the features of a few shards at a time are there: see stored.Streamed and windows.py.
"""

from __future__ import annotations

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
from muomni_core.data.record import Row
from muomni_core.data.rows import Patterns, expand, read_path
from muomni_core.data.stored import Stored, Streamed, cache_folder, content_key
from muomni_core.errors import DataError, MuOmniError
from muomni_core.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

MIN_SECONDS, MAX_SECONDS = 0.25, 25.0


_named: set[tuple[Path, str]] = set()  # rows that were said to be left out: streamed ones are read each epoch


class SpeechSet:
    """Clips as log-mels: `mel(i)`, `texts[i]`, `speakers[i]`, `frames[i]` (hundredths of a second), `sources[i]`.

    Clips shorter than 0.25 s or longer than 25 s are left out; unreadable ones are left out and named on stderr.
    """

    def __init__(self, patterns: Patterns, root: Path, streamed: bool = False):
        self.texts: list[str] = []
        self.speakers: list[str] = []
        self.sources: list[str] = []
        self.frames: list[int] = []
        self._starts: list[int] = []
        self.n_mels = MelConfig().n_mels
        what = json.dumps(to_dict(MelConfig()))
        kind = Streamed if streamed else Stored
        self.stored = kind(patterns, root, "mel", what, "float16", lambda p, b: _make_mels(p, b, root))
        for row in self.stored.take_rows():
            self.texts.append(row["text"])
            self.speakers.append(row["speaker"])
            self.sources.append(row["source"])
            self.frames.append(row["frames"])
            self._starts.append(row["start"])

    def __len__(self) -> int:
        return len(self.texts)

    def mel(self, i: int, start: int = 0, n_frames: int | None = None) -> Tensor:
        """(T, 128) float32 log mel of clip i, or a piece of it."""
        memory, offset = self.stored.memory(i).reshape(-1, self.n_mels), self._starts[i]
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

    def __init__(self, patterns: Patterns, root: Path, streamed: bool = False):
        kind = Streamed if streamed else Stored
        self.stored = kind(patterns, root, "waves", "int16", "int16", lambda p, b: _make_waves(p, b, root))
        rows = self.stored.take_rows()
        self.lengths: list[int] = [row["samples"] for row in rows]
        self._starts: list[int] = [row["start"] for row in rows]

    def __len__(self) -> int:
        return len(self.lengths)

    def wave(self, i: int, start: int = 0, n_samples: int | None = None) -> Tensor:
        memory, offset = self.stored.memory(i), self._starts[i]
        end = self.lengths[i] if n_samples is None else min(self.lengths[i], start + n_samples)
        return torch.from_numpy(memory[offset + start : offset + end].astype(np.float32) / 32768)


def _readable(path: Path, root: Path, read: Callable[[Row], T | None]) -> Iterator[tuple[Row, T]]:
    """Rows of a shard with what `read` makes of them (None: not asked for); what cannot be read is named on stderr."""
    for row in read_path(path, root):
        try:
            value = read(row)
        except MuOmniError as error:
            if (path, row.key) not in _named:
                print(f"{row.key}: left out, {error}", file=sys.stderr)
                _named.add((path, row.key))
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

    def __init__(self, patterns: Patterns, root: Path, size: int = 128, streamed: bool = False):
        self.rows: list[Row] = []
        self._places: list[tuple[int, int, int]] = []
        kind = Streamed if streamed else Stored
        self.stored = kind(
            patterns, root, "pictures", str(size), "uint8", lambda p, b: _make_pictures(p, b, root, size)
        )
        for row in self.stored.take_rows():
            start, height, width = row["place"]
            self._places.append((start, height, width))
            self.rows.append(Row(**{name: value for name, value in row.items() if name != "place"}))

    def __len__(self) -> int:
        return len(self.rows)

    def squares(self) -> Squares:
        """All pictures squeezed to squares: made once, or, where they are streamed, whenever they are asked for."""
        return Squares(self)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(height, width) of each."""
        return [(height, width) for _, height, width in self._places]

    def pixels(self, i: int) -> Tensor:
        memory, (start, height, width) = self.stored.memory(i), self._places[i]
        return torch.from_numpy(memory[start : start + 3 * height * width].reshape(3, height, width).copy())


class Squares:
    """Pictures of a set as one array: `squares[rows]` uint8 (B, 3, size, size), squeezed; `shapes[rows]` (B, 2)."""

    def __init__(self, pictures: PictureSet, size: int = 128):
        self.shapes = torch.tensor(pictures.shapes, dtype=torch.float32).view(-1, 2)
        self.pictures, self.size, self.n_stored = pictures, size, len(pictures)
        self.array = None if isinstance(pictures.stored, Streamed) else self._all()
        self.more = np.empty((0, 3, size, size), dtype=np.uint8)

    def _all(self) -> np.ndarray:
        about = json.dumps([self.size, self.pictures.stored.names])
        path = cache_folder() / "squares" / f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            print(f"features: {self.n_stored} squares", file=sys.stderr)
            array = np.empty((self.n_stored, 3, self.size, self.size), dtype=np.uint8)
            for i in range(self.n_stored):
                array[i] = self._squeezed(i)
            partial = path.with_name(f"{path.stem}.{os.getpid()}.partial.npy")
            np.save(partial, array)
            os.replace(partial, path)
        return np.load(path, mmap_mode="r")

    def _squeezed(self, i: int) -> np.ndarray:
        from torchvision.transforms.v2.functional import resize

        return resize(self.pictures.pixels(i), [self.size, self.size], antialias=True).numpy()

    def append(self, pictures: Sequence[Image.Image]) -> None:
        """Pictures that lie in no file, of the squares' own size; they are kept in memory."""
        more = np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in pictures])
        self.more = np.concatenate([self.more, more])
        self.shapes = torch.cat([self.shapes, torch.full((len(more), 2), float(more.shape[-1]))])

    def __len__(self) -> int:
        return self.n_stored + len(self.more)

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        squares = np.empty((len(rows), *self.more.shape[1:]), dtype=np.uint8)
        stored = rows < self.n_stored
        if self.array is None:
            for place in np.flatnonzero(stored):
                squares[place] = self._squeezed(int(rows[place]))
        else:
            squares[stored] = self.array[rows[stored]]
        squares[~stored] = self.more[rows[~stored] - self.n_stored]
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
        about = "|".join(content_key(p, "tokens") for p in paths) + f"|{tokenizer.fingerprint}|{seed}"
        name = hashlib.sha256(about.encode()).hexdigest()[:16]
        folder = cache_folder() / "tokens"
        folder.mkdir(parents=True, exist_ok=True)
        ids_path, documents_path = folder / f"{name}.ids.npy", folder / f"{name}.documents.npy"
        if not documents_path.exists():
            ids, documents, n_bytes = _token_stream(paths, root, tokenizer, seed)
            if not len(ids):
                raise DataError(f"{paths[0]}: no row has any text")
            np.save(folder / f"{name}.bytes.npy", np.array(n_bytes))
            np.save(ids_path, ids)
            partial = documents_path.with_suffix(".partial.npy")
            np.save(partial, documents)
            os.replace(partial, documents_path)
        self.ids = np.load(ids_path, mmap_mode="r")
        self.documents = np.load(documents_path, mmap_mode="r")
        self.n_bytes = int(np.load(folder / f"{name}.bytes.npy"))

    def n_rows(self, size: int) -> int:
        """How many rows of `size` tokens it has."""
        return max(1, (len(self.ids) - 1) // size)

    def row(self, i: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids and documents of row i, and of the token that follows it: (size + 1,) int64 each."""
        piece = slice(i * size, (i + 1) * size + 1)
        return self.ids[piece].astype(np.int64), self.documents[piece].astype(np.int64)


def _token_stream(paths: list[Path], root: Path, tokenizer: Tokenizer, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The tokens of all rows (N,) uint16, whose they are (N,) int32, and how many bytes the rows have."""
    rows = [(row_ids(tokenizer, r), _n_bytes(r)) for path in paths for r in read_path(path, root)]
    rows = [row for row in rows if row[0]]
    # Rows of a source lie together in their file; shuffled, a piece of the stream is a mix.
    order = np.random.default_rng(seed).permutation(len(rows))
    ids = np.concatenate([np.zeros(0, np.uint16), *(np.array(rows[i][0], dtype=np.uint16) for i in order)])
    lengths = [len(rows[i][0]) for i in order]
    return ids, np.repeat(np.arange(len(lengths), dtype=np.int32), lengths), sum(n_bytes for _, n_bytes in rows)


class StreamedTokens:
    """Text rows as a stream a shard, of which only some lie on the disk at a time; cut into rows of `size` tokens."""

    def __init__(self, patterns: Patterns, root: Path, tokenizer: Tokenizer, size: int):
        def make(path: Path, binary: Path) -> list[dict]:
            ids, documents, _ = _token_stream([path], root, tokenizer, 0)
            binary.write_bytes(np.stack([ids.astype(np.int32), documents], 1).tobytes())
            return [{"start": start} for start in range(0, len(ids) - size, size)]

        self.stored = Streamed(patterns, root, "tokens", f"{tokenizer.fingerprint}|{size}", "int32", make)
        self._starts = [row["start"] for row in self.stored.take_rows()]

    def __len__(self) -> int:
        return len(self._starts)

    def row(self, i: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids and documents of row i, and of the token that follows it: (size + 1,) int64 each."""
        start = self._starts[i]
        pairs = self.stored.memory(i).reshape(-1, 2)[start : start + size + 1].astype(np.int64)
        return pairs[:, 0], pairs[:, 1]


def _n_bytes(row: Row) -> int:
    parts = row.turns or [row.context or "", row.question or "", row.answer or "", row.text or ""]
    return sum(len(p.encode()) for p in parts)
