"""WAV headers: read without believing their lengths, and written by hand so that a pipe gets one too."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from typing import IO, Any, BinaryIO

import numpy as np

from muomni_core.errors import InputError

_STREAMED = 0x7FFF0000  # lengths from here on are what programs write into a pipe: not known yet
_KNOWN_CHUNKS = (b"fmt ", b"data", b"LIST", b"fact", b"bext", b"JUNK", b"junk", b"cue ", b"smpl", b"PEAK", b"id3 ")


class FileView(io.RawIOBase):
    """A read-only file of `header`, then `length` bytes of a seekable `file` from `start`.

    Seeking before its beginning goes to the beginning: decoders of damaged files do that, from C, where an exception
    would only be printed.
    """

    def __init__(self, file: BinaryIO, start: int, length: int, header: bytes = b"") -> None:
        super().__init__()
        self._file, self._start, self._header = file, start, header
        self._size = len(header) + length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._size - self._at))
        data = self._header[self._at : self._at + wanted]
        if len(data) < wanted:
            self._file.seek(self._start + self._at + len(data) - len(self._header))
            data += self._file.read(wanted - len(data))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def wav_view(file: BinaryIO) -> tuple[FileView, int]:
    """A view of `file` that libsndfile reads to its true end, and how many bytes are missing of what it promises.

    A RIFF WAVE gets a new header: format, then the samples that are there, whether the old one says 0, 0xFFFFFFFF or
    more than there is. Everything else is shown as it is.
    """
    end = file.seek(0, os.SEEK_END)
    as_is = FileView(file, 0, end)
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return as_is, 0
    kept = b""
    data: tuple[int, int] | None = None
    for kind, start, size in _chunks(file, end):
        if kind == b"data" and data is None:
            data = start, size
        elif kind in (b"fmt ", b"fact") and size <= 1024 and start + size <= end:
            file.seek(start)
            kept += struct.pack("<4sI", kind, size) + file.read(size) + b"\0" * (size % 2)
    if data is None or b"fmt " not in kept:
        return as_is, 0
    start, promised = data
    length = min(promised, end - start, 0xFFFFFFFF - 4096)
    missing = promised - length if promised < _STREAMED else 0
    header = struct.pack("<4sI4s", b"RIFF", len(kept) + length + 12, b"WAVE")
    return FileView(file, start, length, header + kept + struct.pack("<4sI", b"data", length)), missing


def _chunks(file: BinaryIO, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, size) of each chunk; the size of the samples is settled, and may be more than there is."""
    at = 12
    while at + 8 <= end:
        file.seek(at)
        kind, size = struct.unpack("<4sI", file.read(8))
        start = at + 8
        if kind == b"data" and size == 0 and not _ends_in_chunks(file, start, end):
            size = end - start
        yield kind, start, size
        at = start + size
        if size % 2:
            file.seek(at)
            at += 0 if file.read(4) in _KNOWN_CHUNKS else 1  # some programs forget to pad to an even place


def _ends_in_chunks(file: BinaryIO, at: int, end: int) -> bool:
    """True if the bytes from `at` are whole chunks to the end: then samples of length 0 before them are meant."""
    while at + 8 <= end:
        file.seek(at)
        kind, size = struct.unpack("<4sI", file.read(8))
        if not all(32 <= c < 127 for c in kind):
            return False
        at += 8 + size + size % 2
    return at in (end, end + 1)


def wav_header(n_samples: int | None, sample_rate: int) -> bytes:
    """The 44 bytes before 16 bit mono samples; None says that nobody knows yet how many there will be.

    ValueError if they are more than a WAV file can hold.
    """
    size = 0xFFFFFFFF if n_samples is None else 2 * n_samples
    if n_samples is not None and size > 0xFFFFFFFF - 36:
        raise ValueError("too many samples for a WAV file")
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    riff = struct.pack("<4sI4s", b"RIFF", min(36 + size, 0xFFFFFFFF), b"WAVE")
    return riff + fmt + struct.pack("<4sI", b"data", size)


def pcm16(sound: np.ndarray) -> bytes:
    """Float sound (N,) as 16 bit samples; what is over 1 is clipped. Raises InputError for NaN and infinities."""
    if not np.isfinite(sound).all():
        raise InputError("the sound to write holds values that are not numbers (NaN or infinite)")
    return np.clip(np.rint(np.asarray(sound, np.float32) * 32768.0), -32768, 32767).astype("<i2").tobytes()


class WavWriter:
    """Writes sound into an open binary `file` while it is being made, at once readable by whoever waits for it.

    Where the file can be gone back in, its header is set right by `finish`; in a pipe it says 0xFFFFFFFF, which readers
    take for "to the end". `raw` leaves the header out. Nothing is written before the first sound.
    """

    def __init__(self, file: IO[bytes], sample_rate: int, *, raw: bool = False) -> None:
        self._file, self._rate, self._raw = file, sample_rate, raw
        self._start: int | None = None
        self.n_samples: int | None = None

    def write(self, sound: np.ndarray) -> None:
        """Adds sound (N,). Raises InputError for values that are no numbers."""
        data = pcm16(sound)
        if self.n_samples is None:
            self.n_samples = 0
            if not self._raw:
                self._start = self._file.tell() if _rewritable(self._file) else None
                self._file.write(wav_header(None, self._rate))
        self._file.write(data)
        self._file.flush()
        self.n_samples += len(sound)

    def finish(self) -> None:
        """Sets the header right. Raises InputError if there is more sound than a WAV file can say."""
        if self._start is None or self.n_samples is None:
            return
        try:
            header = wav_header(self.n_samples, self._rate)
        except ValueError:
            raise InputError("a WAV file cannot hold more than 37 hours of sound; write it in parts, or raw") from None
        end = self._file.tell()
        self._file.seek(self._start)
        self._file.write(header)
        self._file.seek(end)


def _rewritable(file: IO[bytes]) -> bool:
    """Whether what was written can be written again: no pipe, and not a file that was opened to be added to."""
    if not file.seekable():
        return False
    try:
        import fcntl

        return not fcntl.fcntl(file.fileno(), fcntl.F_GETFL) & os.O_APPEND
    except (ImportError, OSError):  # no such call here, or no operating system's file at all
        return True
