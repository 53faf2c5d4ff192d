"""A picture of speech: of any length, with any words, and the sound where it is loud."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from muomni_core.audio.plot import LEFT, MEL, RIGHT, TOP, WAVE, WIDTH, plot_speech
from muomni_core.model.speaking import Word


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(np.arange(int(seconds * 16_000)) * 0.4)).astype(np.float32)


@pytest.mark.parametrize("seconds", [0, 1 / 16_000, 0.1, 5.999, 6, 6.01, 20])
def test_every_length_is_drawn(seconds: float) -> None:
    words = [Word("word", t, t + 0.2) for t in np.arange(0, seconds, 0.3)]
    image = plot_speech(tone(seconds), words, "a title " * 100)
    assert image.width == WIDTH and image.height > TOP + WAVE + MEL


def test_more_rows_for_more_sound() -> None:
    heights = [plot_speech(tone(seconds), []).height for seconds in (2, 6, 7, 13)]
    assert heights[0] == heights[1] < heights[2] < heights[3]


def test_a_tone_is_bright_where_it_sounds_and_at_its_height() -> None:
    sound = np.concatenate([np.zeros(16_000, np.float32), tone(1.0)])  # 1 kHz in the second half
    pixels = np.asarray(plot_speech(sound, [Word("tone", 1, 2)]).convert("L"), float)
    mel = pixels[TOP + WAVE : TOP + WAVE + MEL, LEFT : WIDTH - RIGHT]
    before, after = mel[:, : mel.shape[1] // 2 - 20], mel[:, mel.shape[1] // 2 + 20 :]
    assert before.mean() < 5 < after.mean()
    row = after.mean(1).argmax() / MEL
    assert 1 - row == pytest.approx(15 / 45.2, abs=0.03)  # 1 kHz is 15 of Slaney's 45.2 mels


def test_words_do_not_cover_each_other() -> None:
    from muomni_core.audio import plot

    drawn: list[tuple[float, float, str]] = []
    original = plot._text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            plot, "_text", lambda d, x, y, text, *a, **k: (drawn.append((x, y, text)), original(d, x, y, text, *a, **k))
        )
        plot_speech(tone(6), [Word("extraordinarily", t * 0.3, t * 0.3 + 0.2) for t in range(19)])
    places = sorted((y, x) for x, y, text in drawn if text == "extraordinarily")
    assert len({y for y, _ in places}) == 2
    assert all(b - a > 90 for (y, a), (z, b) in pairwise(places) if y == z)
