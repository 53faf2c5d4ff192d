"""WAV headers are not believed, and what is written is a right one."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from muomni_core.audio.io import read_sound, write_wav
from muomni_core.audio.wav import WavWriter, wav_header
from muomni_core.errors import InputError, ShapeError

TONE = (np.sin(np.arange(8000) * 0.05) * 0.5).astype(np.float32)


def wav_of(sound: np.ndarray) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, sound, 16_000, format="WAV", subtype="PCM_16")
    return out.getvalue()


WAV = wav_of(TONE)
SIZE_AT = WAV.index(b"data") + 4


def with_length(data_length: int, riff_length: int | None = None) -> bytes:
    riff = WAV[4:8] if riff_length is None else struct.pack("<I", riff_length)
    return WAV[:4] + riff + WAV[8:SIZE_AT] + struct.pack("<I", data_length) + WAV[SIZE_AT + 4 :]


# --- WAV headers


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFF000, 0x80000000, 2 * len(TONE) + 1_000])
@pytest.mark.parametrize("riff_length", [None, 0, 0xFFFFFFFF])
def test_wrong_lengths_read_to_the_end(length, riff_length):
    assert np.allclose(read_sound(with_length(length, riff_length)), TONE, atol=1e-4)


def test_only_a_real_cut_is_mentioned(caplog):
    read_sound(with_length(0xFFFFFFFF))
    read_sound(with_length(0))
    assert not caplog.records
    assert len(read_sound(WAV[:-1001])) == len(TONE) - 501
    assert "cut off" in caplog.text


@pytest.mark.parametrize(
    "chunk", [b"junk\x03\0\0\0abc\0", b"junk\x03\0\0\0abc", b"LIST\x04\0\0\0INFO", b"odd!\0\0\0\0"]
)
def test_other_chunks_before_the_samples(chunk):
    assert np.allclose(read_sound(WAV[:12] + chunk + WAV[12:]), TONE, atol=1e-4)


def test_what_follows_the_samples_is_not_sound():
    assert len(read_sound(WAV + b"LIST\x04\0\0\0INFO" + b"rubbish")) == len(TONE)


def test_no_samples(tmp_path):
    path = tmp_path / "none.wav"
    path.write_bytes(WAV[:SIZE_AT] + bytes(4) + b"LIST\x04\0\0\0INFO")
    for source in (path, wav_of(TONE[:0])):
        with pytest.raises(InputError, match="holds no samples"):
            read_sound(source)


# --- writing


@given(st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=50))
@settings(max_examples=30, deadline=None)
def test_written_16_bit_values_come_back(values):
    samples = np.array(values, np.int16)
    out = io.BytesIO()
    write_wav(out, samples / np.float32(32_768))
    assert soundfile.read(io.BytesIO(out.getvalue()), dtype="int16")[0].tolist() == values
    assert np.array_equal(read_sound(out.getvalue()), samples / np.float32(32_768))


def test_written_file_is_16_bit_mono_and_clipped(tmp_path):
    path = tmp_path / "a.wav"
    write_wav(path, np.array([0.0, 2.0, -2.0]))
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (16_000, 1, "PCM_16", 3)
    assert soundfile.read(path, dtype="int16")[0].tolist() == [0, 32_767, -32_768]
    with pytest.raises(InputError, match="--force"):
        write_wav(path, TONE)
    write_wav(path, TONE, force=True)
    assert soundfile.info(path).frames == len(TONE)


def test_dash_is_standard_output(capfdbinary):
    write_wav("-", TONE)
    assert np.allclose(read_sound(capfdbinary.readouterr().out), TONE, atol=1e-4)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ShapeError, match=r"\(N,\)"):
        write_wav(tmp_path / "a.wav", TONE[None])
    with pytest.raises(InputError, match="not numbers"):
        write_wav(tmp_path / "a.wav", np.array([0.0, np.nan]))
    with pytest.raises(InputError, match="folder"):
        write_wav(tmp_path / "no" / "a.wav", TONE)
    assert not list(tmp_path.iterdir())


# --- written while it is being made


def at_once(sound: np.ndarray) -> bytes:
    out = io.BytesIO()
    write_wav(out, sound)
    return out.getvalue()


WHOLE = at_once(TONE)


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def written(file: io.BytesIO, raw: bool = False) -> bytes:
    writer = WavWriter(file, 16_000, raw=raw)
    for start in range(0, len(TONE), 100):
        writer.write(TONE[start : start + 100])
    writer.finish()
    assert writer.n_samples == len(TONE)
    return file.getvalue()


def test_a_file_written_in_parts_is_the_file_written_at_once():
    assert written(io.BytesIO()) == WHOLE
    behind = io.BytesIO(b"before")
    behind.seek(0, io.SEEK_END)
    assert written(behind) == b"before" + WHOLE


def test_a_pipe_gets_a_header_that_says_to_the_end():
    whole = written(Pipe())
    assert whole[4:8] == whole[40:44] == b"\xff" * 4
    assert whole[44:] == WHOLE[44:]
    assert np.allclose(read_sound(whole), TONE, atol=1e-4)
    assert soundfile.read(io.BytesIO(whole))[0].shape == TONE.shape


def test_raw_samples_have_no_header():
    assert written(Pipe(), raw=True) == written(io.BytesIO(), raw=True) == WHOLE[44:]


def test_sound_is_there_as_soon_as_it_is_written(tmp_path):
    with open(tmp_path / "a.wav", "wb") as file:
        writer = WavWriter(file, 16_000)
        assert (tmp_path / "a.wav").stat().st_size == 0
        writer.write(TONE[:10])
        assert (tmp_path / "a.wav").stat().st_size == 64


def test_a_file_that_is_added_to_is_not_gone_back_in(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"mine")
    with open(tmp_path / "a.wav", "ab") as file:
        writer = WavWriter(file, 16_000)
        writer.write(TONE)
        writer.finish()
    assert (tmp_path / "a.wav").read_bytes() == b"mine" + wav_header(None, 16_000) + WHOLE[44:]


def test_no_nonsense_is_streamed():
    with pytest.raises(InputError, match="not numbers"):
        WavWriter(io.BytesIO(), 16_000).write(np.array([np.inf]))
    with pytest.raises(ValueError, match="too many"):
        wav_header(1 << 31, 16_000)
