"""Change of sample rate, of whole sounds and of streams alike."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_MAX_TERM = 2_000  # of the ratio of two rates; the kernel has the product of both terms in values
_SINC_ZEROS = 16


def resample(sound: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Float sound (N,) at `rate` Hz to (ceil(N * target / rate),) at `target` Hz, band-limited.

    A ratio that is not one of whole numbers up to 2,000 (44,101 to 16,000) is rounded to one, and the length with it.
    """
    if rate == target or not len(sound):
        return sound
    return np.concatenate(list(resample_blocks([np.asarray(sound, np.float32)], rate, target)))


@functools.lru_cache(maxsize=16)
def _kernel(rate: int, target: int) -> tuple[int, int, int, torch.nn.Module]:
    """(reduced rate, reduced target, how many groups of reduced rate the kernel reaches to either side, transform)."""
    import torchaudio

    ratio = Fraction(rate, target)
    if max(ratio.numerator, ratio.denominator) > _MAX_TERM:
        # An odd rate would need gigabytes of kernel; the nearest small ratio is off by 1 in 4,000 at worst.
        ratio = ratio.limit_denominator(max(1, int(_MAX_TERM / max(1.0, float(ratio)))))
    low, high = ratio.numerator, ratio.denominator
    transform = torchaudio.transforms.Resample(low, high, lowpass_filter_width=_SINC_ZEROS)
    reach = 0 if low == high else -(-transform.width // low)
    return low, high, reach, transform


def resample_blocks(blocks: Iterable[np.ndarray], rate: int, target: int) -> Iterator[np.ndarray]:
    """Float32 blocks (n,) in, blocks out; together the same as resampling the whole.

    The kernel maps groups of `low` samples to groups of `high`, and reaches `reach` groups to either side. So `reach`
    groups of the past are kept before each block, and as many of the future are waited for.
    """
    if rate == target:
        yield from blocks
        return
    import torch

    low, high, reach, transform = _kernel(rate, target)

    def convert(sound: np.ndarray, skip: int, stop: int | None) -> np.ndarray:
        with torch.inference_mode():
            out = transform(torch.from_numpy(np.ascontiguousarray(sound)))
        return out[skip * high : None if stop is None else stop * high].numpy()

    held = np.zeros(0, np.float32)
    past = 0  # groups at the start of `held` that have been given out already
    for block in blocks:
        held = np.concatenate([held, block])
        ready = len(held) // low - reach
        if ready > past:
            yield convert(held[: (ready + reach) * low], past, ready)
            drop = max(0, ready - reach)
            held, past = held[drop * low :], ready - drop
    if len(held) > past * low:
        yield convert(held, past, None)
