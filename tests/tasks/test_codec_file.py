"""Codes files: every value comes back, damage never goes unnoticed, and another codec's codes are refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from muomni_core.config import MICRO
from muomni_core.errors import CheckpointError, InputError, ShapeError
from muomni_core.tasks.codec_file import CodesFile, bit_rate, decode_file, encode_file, pack, unpack


class FakeOmni:
    """Samples in, one frame in 320 out, as the real codec's rates are; no network."""

    def __init__(self):
        self.config, self.fingerprints = MICRO, {"codec": "0123456789ab"}

    def encode_sound(self, sound):
        frames = -(-len(sound) // 320)
        return np.arange(frames * 2).reshape(frames, 2) % MICRO.codec.codebook_size

    def decode_codes(self, codes, n_samples, vocoder=None):
        assert codes.shape == (-(-n_samples // 320), 2)
        return np.full(n_samples, 0.25 if vocoder is None else 0.5, np.float32)


@st.composite
def codes_files(draw):
    size = draw(st.one_of(st.integers(1, 70_000), st.sampled_from([2**31 - 1, 2**16, 2**20 + 1])))
    frames, books = draw(st.integers(1, 20)), draw(st.integers(1, 5))
    values = draw(st.lists(st.integers(0, size - 1), min_size=frames * books, max_size=frames * books))
    codes = np.array(values, np.int64).reshape(frames, books)
    return CodesFile(draw(st.integers(1, 2**32 - 1)), draw(st.integers(1, 2**64 - 1)), codes, size, draw(names))


names = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(codes_files())
@settings(max_examples=60, deadline=None)
def test_pack_and_unpack_are_inverse(file):
    assert unpack(pack(file)) == file


@given(codes_files(), st.data())
@settings(max_examples=80, deadline=None)
def test_damage_is_an_input_error(file, data):
    whole = bytearray(pack(file))
    place = data.draw(st.integers(0, len(whole) - 1))
    cut = bytes(whole[:place])
    whole[place] ^= data.draw(st.integers(1, 255))
    for bad in (bytes(whole), cut, bytes(whole) + b"x"):
        with pytest.raises(InputError) as caught:
            unpack(bad, "a.codes")
        assert str(caught.value).startswith("a.codes") and "\n" not in str(caught.value)


@given(st.binary(max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_body_with_a_right_checksum_is_a_file_or_an_input_error(body):
    data = b"MUOC\x01" + body
    try:
        file = unpack(data + struct.pack("<I", zlib.crc32(data)))
    except InputError:
        return
    assert file.codes.size <= 8 * len(body)


def test_a_header_that_promises_the_world_allocates_nothing():
    body = struct.pack("<4sBBBIIIQ", b"MUOC", 1, 255, 0, 16_000, 2**31 - 1, 2**32 - 1, 2**63)
    with pytest.raises(InputError, match="damaged"):
        unpack(body + struct.pack("<I", zlib.crc32(body)))


def test_size_and_bit_rate_are_those_of_packed_bits():
    file = CodesFile(16_000, 16_000, np.zeros((50, 2), np.int64), 1024, "0123456789ab")
    assert bit_rate(file) == 1000.0
    assert len(pack(file)) == 27 + 12 + 50 * 2 * 10 // 8 + 4
    assert unpack(pack(CodesFile(16_000, 0, np.zeros((0, 2), int), 1024, ""))).codes.shape == (0, 2)


def test_newer_version_is_said_so():
    data = bytearray(pack(CodesFile(16_000, 1, np.zeros((1, 2), int), 4, "x")))
    data[4] = 9
    with pytest.raises(InputError, match="version 9"):
        unpack(bytes(data))


def test_pack_refuses_what_does_not_fit():
    good = np.zeros((3, 2), int)
    with pytest.raises(ShapeError):
        pack(CodesFile(16_000, 1, np.zeros(3, int), 4, "x"))
    for bad in (
        CodesFile(16_000, 1, good + 4, 4, "x"),
        CodesFile(16_000, 1, good - 1, 4, "x"),
        CodesFile(16_000, 1, good, 0, "x"),
        CodesFile(-1, 1, good, 4, "x"),
        CodesFile(16_000, 1, good, 4, "x" * 300),
    ):
        with pytest.raises(ValueError):
            pack(bad)


@pytest.mark.parametrize("n_samples", [1, 319, 320, 321, 16_001])
def test_a_sound_comes_back_with_its_number_of_samples(tmp_path, n_samples):
    sound, codes, out = tmp_path / "a.wav", tmp_path / "a.codes", tmp_path / "b.wav"
    soundfile.write(sound, np.full(n_samples, 0.1), 16_000)
    written = encode_file(FakeOmni(), sound, codes)
    assert unpack(codes.read_bytes()) == written and written.codec_fingerprint == "0123456789ab"
    assert decode_file(FakeOmni(), codes, out) == written
    assert soundfile.read(out)[0].tolist() == [0.25] * n_samples
    decode_file(FakeOmni(), codes, out, force=True, vocoder="griffin-lim")
    assert soundfile.info(out).frames == n_samples and soundfile.read(out)[0][0] == 0.5


def test_existing_outputs_are_kept_and_seen_before_the_work(tmp_path):
    out = tmp_path / "there"
    out.write_bytes(b"old")
    with pytest.raises(InputError, match="--force"):
        encode_file(None, "no such sound", out)
    with pytest.raises(InputError, match="--force"):
        decode_file(None, "no such codes", out)
    assert out.read_bytes() == b"old"


def test_dash_reads_and_writes_the_standard_streams(tmp_path, monkeypatch, capfdbinary):
    data = pack(CodesFile(16_000, 400, np.ones((2, 2), int), MICRO.codec.codebook_size, "0123456789ab"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    decode_file(FakeOmni(), "-", "-")
    samples, rate = soundfile.read(io.BytesIO(capfdbinary.readouterr().out))
    assert rate == 16_000 and len(samples) == 400


def test_codes_of_another_codec_are_refused_by_name(tmp_path):
    other = SimpleNamespace(config=MICRO, fingerprints={"codec": "ffffffffffff"})
    data = pack(CodesFile(16_000, 1, np.zeros((1, 2), int), 64, "0123456789ab"))
    with pytest.raises(CheckpointError, match=r"0123456789ab.*ffffffffffff"):
        decode_file(other, data, tmp_path / "a.wav")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"n_samples": 10**15},
        {"n_samples": 1},
        {"sample_rate": 8_000},
        {"codebook_size": 128},
        {"codes": np.zeros((2, 3), int)},
    ],
)
def test_a_header_that_does_not_fit_its_codes(tmp_path, change):
    right = {"sample_rate": 16_000, "n_samples": 400, "codes": np.zeros((2, 2), int), "codebook_size": 64}
    data = pack(CodesFile(**{**right, **change}, codec_fingerprint="0123456789ab"))
    with pytest.raises(InputError, match="does not fit"):
        decode_file(FakeOmni(), data, tmp_path / "a.wav")


def test_a_sound_is_no_codes_file(tmp_path):
    with pytest.raises(InputError, match="not a codes file"):
        decode_file(FakeOmni(), b"RIFF" + bytes(100), tmp_path / "a.wav")
