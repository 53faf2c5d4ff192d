"""Any sound in, 16 kHz mono float out; and 16 bit WAV files written. Everything goes through soundfile."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import soundfile

from muomni_core.audio.resampling import resample, resample_blocks
from muomni_core.audio.wav import FileView, pcm16, wav_header, wav_view
from muomni_core.errors import InputError, ShapeError
from muomni_core.files import open_input, open_output, source_name

__all__ = ["SAMPLE_RATE", "SoundSource", "iter_sound", "read_sound", "resample", "write_wav"]

SAMPLE_RATE = 16_000
SoundSource = str | Path | BinaryIO | bytes | tuple[np.ndarray, int]

_log = logging.getLogger(__name__)

_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000
_MAX_CHANNELS = 64
_LOUDEST = 16.0  # floats up to here are a hot recording and are clipped; beyond, they are integers in disguise
_BLOCK_VALUES = 1 << 19  # values (frames x channels) read at once: 2 MiB of float32

_INTEGER_SCALES = {
    np.dtype(np.int16): (0.0, 2.0**15),
    np.dtype(np.int32): (0.0, 2.0**31),
    np.dtype(np.int8): (0.0, 2.0**7),
    np.dtype(np.uint8): (128.0, 2.0**7),
}


def read_sound(source: SoundSource, *, max_seconds: float | None = None) -> np.ndarray:
    """A whole sound as float32 (N,), 16 kHz, mono, -1 to 1; N is ceil(samples * 16000 / rate).

    `source` is a path, `-` for standard input, a binary file, bytes, or (array, rate) with an array of float (-1 to 1),
    int16, int32, int8 or uint8, shaped (N,) or (N, channels). Only the first `max_seconds` are read, if given.
    A file that is cut off gives what is there. Raises InputError, which names the source.
    """
    limit = None if max_seconds is None else max(1, round(max_seconds * SAMPLE_RATE))
    blocks: list[np.ndarray] = []
    total = 0
    for block in _resampled(source):
        blocks.append(block)
        total += len(block)
        if limit is not None and total >= limit:
            break
    return np.concatenate(blocks)[:limit]


def iter_sound(source: SoundSource, seconds: float = 30.0) -> Iterator[np.ndarray]:
    """The same samples as read_sound, in blocks of `seconds` (the last one shorter), in memory of a few blocks.

    Raises InputError, for a damaged place only when it is reached.
    """
    size = max(1, round(seconds * SAMPLE_RATE))
    held: list[np.ndarray] = []
    total = 0
    for block in _resampled(source):
        held.append(block)
        total += len(block)
        if total >= size:
            joined = np.concatenate(held)
            whole = total // size * size
            yield from np.split(joined[:whole], whole // size)
            held, total = [joined[whole:].copy()], total - whole
    if total:
        yield np.concatenate(held)


def write_wav(target: str | Path | BinaryIO, sound: np.ndarray, *, force: bool = False) -> None:
    """Writes float sound (N,) as 16 kHz mono 16 bit PCM; `-` is standard output. What is over 1 is clipped.

    Raises InputError if the file exists (without `force`) or cannot be written, ShapeError if it is not (N,).
    """
    sound = np.asarray(sound)
    if sound.ndim != 1:
        raise ShapeError(f"write_wav: expected shape (N,), got {sound.shape}")
    try:
        header = wav_header(len(sound), SAMPLE_RATE)
    except ValueError:
        raise InputError("a WAV file cannot hold more than 37 hours of sound; write it in parts") from None
    if isinstance(target, str | os.PathLike):
        with open_output(target, force=force) as file:
            _write_pcm(file, header, sound)
    else:
        _write_pcm(target, header, sound)


def _write_pcm(file: IO[bytes], header: bytes, sound: np.ndarray) -> None:
    file.write(header)
    for start in range(0, len(sound), _BLOCK_VALUES):
        file.write(pcm16(sound[start : start + _BLOCK_VALUES]))


# ------------------------------------------------------------------------------------------------- in: blocks


def _resampled(source: SoundSource) -> Iterator[np.ndarray]:
    """Checked blocks at 16 kHz, mono; at least one sample in all."""
    if isinstance(source, tuple):
        if len(source) != 2:
            raise InputError("a sound is a path, a binary file, bytes or (array, rate)")
        rate, blocks = _array_blocks(*source)
        yield from _finished(blocks, rate, "the given sound")
        return
    name = source_name(source)
    with open_input(source) as file:
        view, missing = wav_view(file)
        if missing:
            _log.warning("%s is cut off: %d bytes of sound are missing at its end", name, missing)
        with _open_sound(view, name) as opened:
            yield from _finished(_file_blocks(opened, name), opened.samplerate, name)


def _finished(blocks: Iterator[np.ndarray], rate: int, name: str) -> Iterator[np.ndarray]:
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise InputError(f"{name}: a sample rate of {rate} Hz cannot be; it is between 1,000 and 768,000")
    some = False
    for block in resample_blocks(_mono(blocks, name), rate, SAMPLE_RATE):
        some = some or len(block) > 0
        if len(block):
            yield np.clip(block, -1.0, 1.0)  # resampling overshoots
    if not some:
        raise InputError(f"{name} holds no samples; record or convert it again")


def _mono(blocks: Iterator[np.ndarray], name: str) -> Iterator[np.ndarray]:
    """(n, channels) float blocks -> checked float32 (n,)."""
    for block in blocks:
        peak = float(np.abs(block).max(initial=0.0))  # NaN, if there is one, wins
        if not np.isfinite(peak):
            raise InputError(f"{name} holds samples that are not numbers (NaN or infinite); record or convert it again")
        if peak > _LOUDEST:
            raise InputError(f"{name}: float samples reach {peak:g}, where -1 to 1 is wanted; divide, or give int16")
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float64)
        yield np.clip(mono, -1.0, 1.0).astype(np.float32)


def _array_blocks(array: np.ndarray, rate: int) -> tuple[int, Iterator[np.ndarray]]:
    try:
        array = np.asarray(array)
        whole_rate = int(rate)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise InputError("a sound is (array, rate): samples as a numpy array, and a whole number of Hz") from None
    if whole_rate != rate:
        raise InputError(f"a sample rate is a whole number of Hz, not {rate}")
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 1 <= array.shape[1] <= _MAX_CHANNELS):
        raise InputError(f"a sound is shaped (N,) or (N, channels), not {array.shape}; transpose or flatten it")
    if array.dtype not in _INTEGER_SCALES and array.dtype.kind != "f":
        raise InputError(f"samples of {array.dtype} have no known scale; give float (-1 to 1), int16, int32 or uint8")
    frames = array.reshape(len(array), -1) if array.size else np.zeros((0, 1), np.float32)
    return whole_rate, _scaled_blocks(frames)


def _scaled_blocks(frames: np.ndarray) -> Iterator[np.ndarray]:
    middle, scale = _INTEGER_SCALES.get(frames.dtype, (0.0, 1.0))
    size = max(1, _BLOCK_VALUES // frames.shape[1])
    for start in range(0, len(frames), size):
        block = frames[start : start + size]
        yield block if frames.dtype.kind == "f" else ((block.astype(np.float64) - middle) / scale).astype(np.float32)


class _Stream(soundfile.SoundFile):
    """A file read from its beginning to its end: without the seek that SoundFile does after each read.

    That seek fails where a header doesn't know the length (FLAC from a pipe), and is inexact in MP3.
    """

    def seekable(self) -> bool:
        return False


def _open_sound(file: FileView, name: str) -> _Stream:
    head = file.read(4)
    file.seek(0)
    try:
        with contextlib.nullcontext() if head in (b"RIFF", b"fLaC", b"OggS") else _QUIET:
            return _Stream(file)
    except Exception:  # any bytes may come here, and libsndfile's bindings raise many kinds
        raise InputError(
            f"{name} is not a sound that can be read; give WAV, FLAC, OGG, Opus, MP3 or AIFF, whole and undamaged"
        ) from None


def _file_blocks(opened: _Stream, name: str) -> Iterator[np.ndarray]:
    """float32 (n, channels) blocks to the end of the file, or to where it is cut off."""
    if opened.channels > _MAX_CHANNELS:
        raise InputError(f"{name} says it has {opened.channels} channels; at most {_MAX_CHANNELS} can be read")
    quiet = _QUIET if opened.subtype.startswith("MPEG") else contextlib.nullcontext()
    total = 0
    while True:
        # When decoding fails midway, what came before the fault is in the buffer, but not how much: hence the NaN.
        block = np.full((max(1, _BLOCK_VALUES // opened.channels), opened.channels), np.nan, np.float32)
        try:
            with quiet:
                got, damaged = len(opened.read(out=block)), False
        except Exception:  # the decoders' errors, see _open_sound
            filled = np.append(np.isfinite(block).all(axis=1), False)
            got, damaged = int(filled.argmin()), True
        total += got
        if not total and damaged:
            raise InputError(f"{name} is damaged: no sound in it can be read; record or convert it again") from None
        if got:
            yield block[:got]
        if damaged:
            _log.warning("%s is damaged: reading stopped after %.1f seconds", name, total / opened.samplerate)
        if damaged or not got:
            return


class _QuietDecoder:
    """While it is held, what C code writes to stderr is dropped: the MP3 decoder comments on every odd frame.

    Counted, so that threads may nest; where there is no stderr, it does nothing.
    """

    def __init__(self) -> None:
        self._lock, self._depth, self._saved = threading.Lock(), 0, -1

    def __enter__(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth > 1:
                return
            with contextlib.suppress(OSError):
                self._saved = os.dup(2)
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, 2)
                os.close(null)

    def __exit__(self, *_: Any) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth and self._saved >= 0:
                os.dup2(self._saved, 2)
                os.close(self._saved)
                self._saved = -1


_QUIET = _QuietDecoder()
