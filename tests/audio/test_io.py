"""Any sound comes in as 16 kHz mono float, whole or as blocks; any bytes end in samples or in one line."""

from __future__ import annotations

import io
import os
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from muomni_core.audio import io as sound_io
from muomni_core.audio.io import iter_sound, read_sound, resample
from muomni_core.errors import InputError

TONE = (np.sin(np.arange(8000) * 0.05) * 0.5).astype(np.float32)


def encoded(sound=TONE, rate=16_000, kind="WAV", subtype="PCM_16") -> bytes:
    out = io.BytesIO()
    soundfile.write(out, sound, rate, format=kind, subtype=subtype)
    return out.getvalue()


WAV = encoded()


def one_line(source) -> str:
    with pytest.raises(InputError) as caught:
        read_sound(source)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    return (np.sin(np.arange(round(rate * seconds)) * 2 * np.pi * hertz / rate) * 0.5).astype(np.float32)


# --- kinds of files


@pytest.mark.parametrize(
    ("kind", "subtype", "error"),
    [
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "PCM_U8", 1e-2),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 1e-7),
        ("WAV", "ULAW", 0.02),
        ("WAVEX", "PCM_16", 1e-4),
        ("WAVEX", "PCM_24", 1e-6),
        ("WAVEX", "FLOAT", 0),
        ("RF64", "PCM_16", 1e-4),
        ("FLAC", "PCM_16", 1e-4),
        ("FLAC", "PCM_24", 1e-6),
        ("AIFF", "PCM_16", 1e-4),
        ("OGG", "VORBIS", 0.1),
        ("MP3", "MPEG_LAYER_III", 0.1),
    ],
)
def test_kinds_of_files(kind, subtype, error, tmp_path):
    data = encoded(kind=kind, subtype=subtype)
    path = tmp_path / "sound"
    path.write_bytes(data)
    for source in (path, str(path), io.BytesIO(data), data):
        sound = read_sound(source)
        assert sound.dtype == np.float32 and sound.shape == TONE.shape
        assert np.abs(sound - TONE)[200:-200].max() <= error


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_rates_keep_pitch_length_and_level(rate):
    sound = read_sound(encoded(tone(rate), rate))
    assert len(sound) == 8_000
    assert np.abs(sound - tone(16_000))[100:-100].max() < 2e-3


def test_opus_bytes_as_training_data_has_them():
    data = encoded(tone(48_000), 48_000, "OGG", "OPUS")
    assert len(read_sound(io.BytesIO(data))) == 8_000


def test_what_16_khz_cannot_hold_is_filtered_and_not_folded():
    assert np.abs(read_sound((tone(48_000, hertz=12_000), 48_000)))[100:-100].max() < 1e-2


def test_channels_are_averaged():
    stereo = np.stack([TONE, np.zeros_like(TONE)], axis=1)
    assert np.allclose(read_sound(encoded(stereo)), TONE / 2, atol=1e-4)
    assert np.allclose(read_sound((stereo, 16_000)), TONE / 2)


def test_odd_rates_need_no_giant_kernel():
    sound = read_sound((tone(44_101, 0.2), 44_101))
    assert abs(len(sound) - 3_200) <= 1 and np.abs(sound - tone(16_000, 0.2)[: len(sound)])[100:-100].max() < 1e-2


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_one_sample_works(rate):
    assert len(read_sound(encoded(TONE[5:6], rate))) == -(-16_000 // rate)


# --- damaged files


def test_cut_files_give_what_is_there():
    long = np.tile(TONE, 12) + np.random.default_rng(0).standard_normal(96_000).astype(np.float32) * 0.01
    for kind, subtype in (("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16")):
        data = encoded(long, kind=kind, subtype=subtype)
        sound = read_sound(data[: len(data) * 3 // 4])
        assert 0.3 * len(long) < len(sound) < 0.9 * len(long), kind
        assert np.abs(sound - long[: len(sound)])[: len(sound) - 3000].max() < 0.1, kind


def test_flac_from_a_pipe_does_not_know_its_length():
    data = bytearray(encoded(kind="FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    assert np.allclose(read_sound(bytes(data)), TONE, atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(value):
    bad = TONE.copy()
    bad[100:] = value
    for source in (encoded(bad, subtype="FLOAT"), (bad, 16_000), (np.full(10, value), 44_100)):
        assert "not numbers" in one_line(source)


def test_wrong_kinds(tmp_path):
    assert "no such file" in one_line(tmp_path / "no.wav")
    assert "is a folder" in one_line(tmp_path)
    assert "is empty" in one_line(b"")
    assert "not a sound" in one_line(b"I am text, really.\n" * 50)
    assert "not a sound" in one_line(WAV[:30])
    assert "channels" in one_line(encoded(np.zeros((10, 100), np.float32)))


FILES = [
    encoded(TONE[:1500], kind=kind, subtype=subtype)
    for kind, subtype in (
        ("WAV", "PCM_16"),
        ("WAVEX", "FLOAT"),
        ("WAV", "IMA_ADPCM"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
    )
]


@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=6), st.data())
@settings(max_examples=100, deadline=None)
def test_any_damage_ends_in_samples_or_one_line(data, changes, draw):
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    stop = draw.draw(st.integers(1, len(damaged)))
    try:
        sound = read_sound(bytes(damaged[:stop]), max_seconds=20)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert 0 < len(sound) <= 20 * 16_000 and np.isfinite(sound).all() and np.abs(sound).max() <= 1


def test_the_mp3_decoder_keeps_its_comments_to_itself(capfd):
    data = bytearray(encoded(kind="MP3", subtype="MPEG_LAYER_III"))
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    read_sound(bytes(data[:-100]))
    assert capfd.readouterr().err == ""
    os.write(2, b"stderr is back")
    assert capfd.readouterr().err == "stderr is back"


# --- pipes and blocks


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
def test_a_pipe_of_any_kind(kind):
    data = encoded(kind=kind, subtype="MPEG_LAYER_III" if kind == "MP3" else "PCM_16")
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: os.fdopen(writing, "wb").write(data))
    writer.start()
    with os.fdopen(reading, "rb") as pipe:
        assert len(read_sound(pipe)) == len(TONE)
    writer.join()


def test_dash_is_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(WAV)))
    assert len(read_sound("-")) == len(TONE)


@given(
    rate=st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000]),
    n=st.integers(1, 2_000),
    read_at_once=st.integers(100, 700),
    seconds=st.floats(0.001, 0.3),
)
@settings(max_examples=25, deadline=None)
def test_blocks_are_the_whole(rate, n, read_at_once, seconds):
    noise = np.random.default_rng(n).uniform(-0.9, 0.9, (n, 2)).astype(np.float32)
    whole = read_sound((noise, rate))
    assert len(whole) == -(-n * 16_000 // rate)
    usual, sound_io._BLOCK_VALUES = sound_io._BLOCK_VALUES, read_at_once
    try:
        for source in ((noise, rate), encoded(noise, rate, subtype="FLOAT")):
            blocks = list(iter_sound(source, seconds))
            assert np.allclose(np.concatenate(blocks), whole, atol=1e-5)
            assert {len(b) for b in blocks[:-1]} <= {max(1, round(seconds * 16_000))} and len(blocks[-1])
    finally:
        sound_io._BLOCK_VALUES = usual


def test_a_long_sound_is_read_a_block_at_a_time(monkeypatch):
    monkeypatch.setattr(sound_io, "_BLOCK_VALUES", 1_000)
    bad = TONE.copy()
    bad[-1] = np.nan
    blocks = iter_sound((bad, 16_000), 0.1)
    assert len(next(blocks)) == 1_600  # the fault at the end has not been reached
    with pytest.raises(InputError):
        list(blocks)


def test_max_seconds_reads_no_further():
    assert np.array_equal(read_sound((TONE, 16_000), max_seconds=0.1), TONE[:1_600])
    assert len(read_sound((TONE, 16_000), max_seconds=100)) == len(TONE)


# --- arrays


@pytest.mark.parametrize(
    ("dtype", "scale", "middle"),
    [(np.int16, 32_767, 0), (np.int32, 2**31 - 1, 0), (np.uint8, 127, 128), (np.int8, 127, 0)],
)
def test_integers_are_scaled(dtype, scale, middle):
    samples = np.rint(TONE.astype(np.float64) * scale + middle).astype(dtype)
    assert np.abs(read_sound((samples, 16_000)) - TONE).max() < 1.5 / min(scale, 30_000)
    extremes = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
    assert np.allclose(read_sound((extremes, 16_000)), [-1, 1], atol=0.01)


def test_float_arrays_stay_as_they_are():
    for dtype in (np.float16, np.float32, np.float64):
        assert np.abs(read_sound((TONE.astype(dtype), 16_000)) - TONE).max() < 1e-3
    assert read_sound((np.array([0.5, 1.5, -3.0]), 16_000)).tolist() == [0.5, 1.0, -1.0]
    assert len(read_sound((TONE[::2], np.int64(8_000)))) == len(TONE)
    assert len(read_sound((TONE[:10].tolist(), 16_000))) == 10


@pytest.mark.parametrize(
    "source",
    [
        (TONE * 32_767, 16_000),
        ((TONE * 32_767).astype(np.int64), 16_000),
        (TONE > 0, 16_000),
        (TONE.astype(complex), 16_000),
        (TONE[None], 16_000),
        (TONE[None, None], 16_000),
        (np.float32(0.5), 16_000),
        (TONE[:0], 16_000),
        (TONE, 0),
        (TONE, -16_000),
        (TONE, 16_000.5),
        (TONE, float("inf")),
        (TONE, None),
        (TONE, 10**12),
        ("q.wav", 16_000),
        3.5,
        None,
        (TONE, 16_000, 1),
    ],
)
def test_arrays_that_cannot_be(source):
    one_line(source)


def test_resample_of_nothing_and_of_the_same_rate():
    assert len(resample(TONE[:0], 8_000, 16_000)) == 0
    assert resample(TONE, 16_000, 16_000) is TONE
    assert len(resample(TONE[:7], 48_000, 16_000)) == 3
