"""Codec codes in a file: bit-packed, with a header that describes itself and a checksum.

Little-endian: magic `MUOC`, version u8, codebooks u8, length of the fingerprint u8, sample rate u32, entries a codebook
u32, frames u32, samples u64, the fingerprint (ASCII); then all codes, frame by frame and codebook by codebook, each
ceil(log2(entries)) bits (at least 1), highest bit first, filled up with zeros to a whole byte; then CRC-32 of it all.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from muomni_core.audio.io import SAMPLE_RATE, SoundSource, read_sound, write_wav
from muomni_core.errors import CheckpointError, InputError, ShapeError
from muomni_core.files import check_output, open_input, open_output, source_name

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

MAGIC = b"MUOC"
VERSION = 1
MAX_BYTES = 64_000_000  # days of sound at the rates that there are
_HEADER = struct.Struct("<4sBBBIIIQ")
_CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True, eq=False)
class CodesFile:
    """What a codes file holds; `codes` is (F, Q) of integers from 0 to codebook_size - 1."""

    sample_rate: int
    n_samples: int
    codes: np.ndarray
    codebook_size: int
    codec_fingerprint: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CodesFile):
            return NotImplemented
        mine, theirs = ({**vars(x), "codes": None} for x in (self, other))
        return mine == theirs and np.array_equal(self.codes, other.codes)


def pack(file: CodesFile) -> bytes:
    """The bytes of a codes file. Raises ShapeError or ValueError for what the format cannot hold."""
    codes = np.asarray(file.codes)
    if codes.ndim != 2 or not 1 <= codes.shape[1] <= 255:
        raise ShapeError(f"codes: expected shape (F, Q), got {codes.shape}")
    if not 1 <= file.codebook_size < 2**31:
        raise ValueError(f"a codebook has 1 to {2**31 - 1} entries, not {file.codebook_size}")
    if codes.size and (codes.min() < 0 or codes.max() >= file.codebook_size):
        raise ValueError(f"codes are 0 to {file.codebook_size - 1}; found {codes.min()} to {codes.max()}")
    name = file.codec_fingerprint.encode("ascii")
    try:
        header = _HEADER.pack(
            MAGIC, VERSION, codes.shape[1], len(name), file.sample_rate, file.codebook_size, len(codes), file.n_samples
        )
    except struct.error:
        raise ValueError("sample rate, length or fingerprint does not fit a codes file") from None
    body = header + name + _pack_bits(codes.ravel(), _width(file.codebook_size))
    return body + _CHECKSUM.pack(zlib.crc32(body))


def unpack(data: bytes, name: str = "the codes file") -> CodesFile:
    """The inverse of pack. Raises InputError (with `name`) if anything is not as pack wrote it."""
    if data[:4] != MAGIC:
        raise InputError(f"{name} is not a codes file; make one with: muomni codec encode")
    if len(data) > 4 and data[4] != VERSION:
        raise InputError(f"{name} is a codes file of version {data[4]}, this muomni reads {VERSION}; update muomni")
    damaged = InputError(f"{name} is damaged or cut off; encode the sound again")
    if len(data) < _HEADER.size + _CHECKSUM.size:
        raise damaged
    body, (checksum,) = data[: -_CHECKSUM.size], _CHECKSUM.unpack(data[-_CHECKSUM.size :])
    _, _, n_codebooks, name_length, rate, size, n_frames, n_samples = _HEADER.unpack(body[: _HEADER.size])
    packed = body[_HEADER.size + name_length :]
    fingerprint = body[_HEADER.size : _HEADER.size + name_length]
    # Lengths are checked before anything is allocated by them; a right checksum alone doesn't make a header sensible.
    if (
        zlib.crc32(body) != checksum
        or not (n_codebooks and rate and 1 <= size < 2**31 and fingerprint.isascii())
        or len(fingerprint) != name_length
        or len(packed) != -(-n_frames * n_codebooks * _width(size) // 8)
        or bool(n_frames) != bool(n_samples)
    ):
        raise damaged
    codes = _unpack_bits(packed, n_frames * n_codebooks, _width(size)).reshape(n_frames, n_codebooks)
    if codes.size and codes.max() >= size:
        raise damaged
    return CodesFile(rate, n_samples, codes, size, fingerprint.decode("ascii"))


def bit_rate(file: CodesFile) -> float:
    """Bits a second of sound that the codes take, without the header."""
    bits = file.codes.size * _width(file.codebook_size)
    return bits * file.sample_rate / file.n_samples if file.n_samples else 0.0


def encode_file(omni: MuOmni, source: SoundSource, target: str | Path, force: bool = False) -> CodesFile:
    """Any sound to a codes file; `-` is standard input or output. Returns what was written.

    Raises InputError for a bad sound, or for an output that cannot be written: found out before the work.
    """
    check_output(target, force)
    sound = read_sound(source)
    codes = np.asarray(omni.encode_sound(sound), np.int64)
    file = CodesFile(SAMPLE_RATE, len(sound), codes, omni.config.codec.codebook_size, omni.fingerprints["codec"])
    data = pack(file)
    with open_output(target, force=force) as out:
        out.write(data)
    return file


def decode_file(
    omni: MuOmni,
    source: str | Path | BinaryIO | bytes,
    target: str | Path,
    force: bool = False,
    vocoder: str | None = None,
) -> CodesFile:
    """A codes file to a WAV file of exactly as many samples as were encoded. Returns what was read.

    Raises InputError for a damaged file or an output that cannot be written, CheckpointError for another codec's codes.
    """
    check_output(target, force)
    name = source_name(source)
    with open_input(source) as opened:
        if opened.read(len(MAGIC)) != MAGIC:  # before a large file of another kind is read whole
            raise InputError(f"{name} is not a codes file; make one with: muomni codec encode")
        try:
            data = MAGIC + opened.read(MAX_BYTES)
            if len(data) > MAX_BYTES:
                raise InputError(f"{name} is larger than {MAX_BYTES:,} bytes; encode the sound in parts")
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror or error}") from None
    file = unpack(data, name)
    _check_fits(file, omni, name)
    write_wav(target, omni.decode_codes(file.codes, file.n_samples, vocoder), force=force)
    return file


def _check_fits(file: CodesFile, omni: MuOmni, name: str) -> None:
    codec, hop, own = omni.config.codec, omni.config.mel.hop_length, omni.fingerprints["codec"]
    if file.codec_fingerprint != own:
        raise CheckpointError(
            f"{name} was encoded by codec {file.codec_fingerprint or 'without a name'}, and this one is {own}; "
            "give --weights with the codec that encoded it"
        )
    # ceil of a ceil: hops of mel, then codec frames of them
    frames = ((file.n_samples + hop - 1) // hop + codec.stride - 1) // codec.stride
    expected = (frames, codec.n_codebooks, codec.codebook_size, omni.config.mel.sample_rate)
    if (*file.codes.shape, file.codebook_size, file.sample_rate) != expected:
        raise InputError(f"{name}: its header does not fit its codes; encode the sound again")
    if not frames:
        raise InputError(f"{name} holds no sound; encode one")


def _width(codebook_size: int) -> int:
    return max(1, (codebook_size - 1).bit_length())


def _pack_bits(values: np.ndarray, width: int) -> bytes:
    places = np.arange(width - 1, -1, -1)
    return np.packbits(((values[:, None].astype(np.int64) >> places) & 1).astype(np.uint8).ravel()).tobytes()


def _unpack_bits(data: bytes, count: int, width: int) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count * width).reshape(count, width)
    values = np.zeros(count, np.int64)
    for place in range(width):
        values = values << 1 | bits[:, place]
    return values
