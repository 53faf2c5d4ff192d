"""What recordings go through before an ear hears them: noise, a room, other paces, a telephone. Same seed, same sound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from muomni_core.audio.io import SAMPLE_RATE as RATE
from muomni_core.audio.resampling import resample

NOISE_DB = 15.0
ROOM_SECONDS = 0.3  # until an echo is 60 dB weaker
ROOM_DB = 5.0  # the voice itself over the room's answer


def noise(sound: np.ndarray, rng: np.random.Generator, decibels: float = NOISE_DB) -> np.ndarray:
    """Pink noise, `decibels` below the loud half of the sound."""
    added = pink(len(sound), rng)
    frames = np.square(sound[: len(sound) // 320 * 320].reshape(-1, 320)).mean(1)
    loud = np.sort(frames)[len(frames) // 2 :].mean() if len(frames) else np.square(sound).mean()
    return _clipped(sound + added * np.sqrt(loud) * 10 ** (-decibels / 20))


def pink(n_samples: int, rng: np.random.Generator, tilt: float = 1.0) -> np.ndarray:
    """Noise (N,) of mean square 1, whose power falls by 3 dB an octave above 50 Hz for each 1 of `tilt`."""
    spectrum = rng.normal(size=n_samples // 2 + 1) + 1j * rng.normal(size=n_samples // 2 + 1)
    spectrum *= np.maximum(np.fft.rfftfreq(n_samples, 1 / RATE), 50.0) ** (-tilt / 2)
    made = np.fft.irfft(spectrum, n_samples)
    return (made / np.sqrt(np.square(made).mean() + 1e-20)).astype(np.float32)


def room(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A small room: an answer of noise that dies away, from 2 ms after the voice on."""
    times = np.arange(int(ROOM_SECONDS * RATE)) / RATE
    answer = rng.normal(size=len(times)) * 10 ** (-3 * times / ROOM_SECONDS) * (times > 0.002)
    answer *= 10 ** (-ROOM_DB / 20) / np.sqrt(np.square(answer).sum())
    answer[0] = 1.0
    size = len(sound) + len(answer)
    heard = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(answer, size), size)[: len(sound)]
    return _clipped(heard * (np.abs(sound).max() / max(1e-9, float(np.abs(heard).max()))))


def pace(sound: np.ndarray, factor: float) -> np.ndarray:
    """`factor` times as fast at the same pitch (WSOLA: Verhelst & Roelands 1993)."""
    size, reach = 640, 200  # 40 ms pieces, half over each other, each moved to where it fits the one before
    hop, window = size // 2, np.hanning(size + 1)[:size].astype(np.float32)
    padded = np.pad(sound, (size, size + hop + reach + int(size * factor)))
    n_pieces = int(len(sound) / factor) // hop + 2
    out = np.zeros(n_pieces * hop + size, np.float32)
    wanted = padded[size - hop : size - hop + size]
    for i in range(n_pieces):
        middle = min(size - hop + round(i * hop * factor), len(padded) - size - hop - reach)
        around = padded[max(0, middle - reach) : middle + reach + size]
        start = max(0, middle - reach) + int(np.correlate(around, wanted, "valid").argmax())
        out[i * hop : i * hop + size] += window * padded[start : start + size]
        wanted = padded[start + hop : start + hop + size]
    return out[hop : hop + int(len(sound) / factor)]


def telephone(sound: np.ndarray) -> np.ndarray:
    """Nothing above 4 kHz, as at a rate of 8 kHz."""
    return resample(resample(sound, RATE, RATE // 2), RATE // 2, RATE)[: len(sound)]


def _clipped(sound: np.ndarray) -> np.ndarray:
    return np.clip(sound, -1.0, 1.0).astype(np.float32)


CONDITIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "clean": lambda sound, rng: sound,
    "noise": noise,
    "room": room,
    "slow": lambda sound, rng: pace(sound, 0.8),
    "fast": lambda sound, rng: pace(sound, 1.25),
    "telephone": lambda sound, rng: telephone(sound),
}


def disturb(sound: np.ndarray, condition: str, seed: int = 0) -> np.ndarray:
    """A sound (N,) at 16 kHz as it is heard under one of CONDITIONS; the same for the same seed. KeyError for others."""
    return CONDITIONS[condition](sound, np.random.default_rng(seed))


# --------------------------------------------------------------------------------- what nobody speaks in


def not_speech(seconds: float = 6.0, seed: int = 0) -> dict[str, np.ndarray]:
    """Sounds in which nobody speaks, by name: an ear should write nothing of them."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    made = {
        "silence": np.zeros(len(times)),
        "hiss": 0.001 * pink(len(times), rng, 0.0),
        "white noise": 0.1 * pink(len(times), rng, 0.0),
        "pink noise": 0.1 * pink(len(times), rng),
        "brown noise": 0.1 * pink(len(times), rng, 2.0),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * times),
        "vibrato": 0.3 * np.sin(2 * np.pi * 440 * times + 6 * np.sin(2 * np.pi * 5 * times)),
        "hum": 0.05 * sum(np.sin(2 * np.pi * 50 * h * times) for h in range(1, 9)),
        "organ": _chords(seconds, rng, 0.5, 0.0),
        "piano": _chords(seconds, rng, 0.5, 4.0),
        "beeps": 0.3 * np.sin(2 * np.pi * 880 * times) * (np.sin(2 * np.pi * 3 * times) > 0),
        "quick notes": _chords(seconds, rng, 0.2, 4.0),
    }
    return {name: sound.astype(np.float32) for name, sound in made.items()}


def _chords(seconds: float, rng: np.random.Generator, each: float, decay: float) -> np.ndarray:
    times = np.arange(round(each * RATE)) / RATE
    envelope = np.exp(-decay * times) * np.minimum(1, times / 0.01)
    chords = []
    for _ in range(int(np.ceil(seconds / each))):
        notes = 220 * 2 ** (rng.choice(24, 3, replace=False) / 12)
        chords.append(envelope * sum(np.sin(2 * np.pi * f * h * times) / h for f in notes for h in range(1, 7)))
    whole = np.concatenate(chords)[: round(seconds * RATE)]
    return 0.3 * whole / np.abs(whole).max()
