"""Where somebody may be speaking: found by how the spectrum moves, without a model.

From 40 ms to the next, the shape of a spectrum over wide bands stays exactly what it was in a tone, a chord or a hum, and
wavers a little in noise; in speech it changes, most of the time, and is never still. Loudness counts for little, so that
quiet speech is found and loud noise is not. It errs towards speech: what is left to it the ear itself may refuse.
"""

from __future__ import annotations

import numpy as np

from muomni_core.audio.segments import runs

FRAMES = 4  # of the mel, 40 ms: what is looked at
BANDS = np.linspace(4, 112, 13).astype(int)  # twelve wide bands, of 128; the lowest hold hum, the highest often nothing
QUIETEST = -60.0  # dB of a frame's loudness that is listened to at all
RANGE = 35.0  # dB below the loud frames
MOVED = 1.8  # dB, mean over the bands: noise moves by about 1.1
STILL = 0.4
STILL_RANGE = 15.0  # dB below the loud frames: a hum behind the speaker may be still
WINDOW = 37  # frames, 1.5 s: over that it is counted how often the spectrum moved
SURE, LIKELY = 0.25, 0.12  # shares of moved frames: where a stretch of speech is found, and how far it reaches
TOO_STILL = 0.08  # share of still frames about a frame from which on it is music; speech has 0.02 on the whole
WHOLE_STILL = 0.04  # likewise of a whole stretch
FEW = 2.5  # still frames that a short word may have
LEAST_HEARD = 4  # frames that shares are of at least, so that a click is not all movement
EDGE = 12  # frames, 0.5 s, that are added to either side


def speech_frames(log_mel: np.ndarray) -> np.ndarray:
    """Log mel (T, 128) -> (ceil(T/4),) bool: may that 40 ms be speech?"""
    n_frames = -(-len(log_mel) // FRAMES)
    if not n_frames:
        return np.zeros(0, bool)
    padded = np.pad(log_mel, ((0, n_frames * FRAMES - len(log_mel)), (0, 0)), mode="edge")
    power = np.exp(2.0 * padded.astype(np.float64)).reshape(n_frames, FRAMES, -1).mean(1)
    bands = np.add.reduceat(power, BANDS[:-1], axis=1) / np.diff(BANDS, append=power.shape[1])[: len(BANDS) - 1]
    loudness = 10 * np.log10(bands.sum(1) + 1e-10)
    loud = float(np.quantile(loudness, 0.98))
    heard = loudness > max(loud - RANGE, QUIETEST)
    shape = 10 * np.log10(bands + 1e-8)
    shape -= shape.mean(1, keepdims=True)
    change = np.abs(np.diff(shape, axis=0, prepend=shape[:1])).mean(1)
    still = heard & (change < STILL) & (loudness > loud - STILL_RANGE)
    still[0] = False
    n_heard = np.maximum(_sum_around(heard), LEAST_HEARD)
    share = _sum_around(heard & (change > MOVED)) / n_heard
    share[_sum_around(still) > np.maximum(TOO_STILL * n_heard, FEW)] = 0.0
    return _widen(_reach(share, heard, still))


def _sum_around(values: np.ndarray) -> np.ndarray:
    half = WINDOW // 2
    total = np.concatenate([[0.0], np.cumsum(np.pad(values.astype(np.float64), half))])
    return total[2 * half + 1 :] - total[: -2 * half - 1]


def _reach(share: np.ndarray, heard: np.ndarray, still: np.ndarray) -> np.ndarray:
    """The stretches of likely frames that hold a sure one and are not too still as a whole."""
    likely = share > LIKELY
    found = np.zeros(len(share), bool)
    for start, stop in runs(likely):
        own = heard[start:stop]
        if (share[start:stop] > SURE)[own].any() and still[start:stop].sum() <= max(WHOLE_STILL * own.sum(), FEW):
            found[start:stop] = True
    return found


def _widen(found: np.ndarray) -> np.ndarray:
    total = np.concatenate([[0], np.cumsum(np.pad(found, EDGE))])
    return total[2 * EDGE + 1 :] - total[: -2 * EDGE - 1] > 0
