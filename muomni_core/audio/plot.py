"""A picture of speech: waveform and log-mel of what was said, a row for every few seconds, the words below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from muomni_core.audio.io import SAMPLE_RATE as RATE
from muomni_core.audio.mel import log_mel, pad_to_hop

if TYPE_CHECKING:
    from muomni_core.model.speaking import Word

ROW_SECONDS = 6.0  # at most, of sound in a row
SCALE = 2  # drawn twice as large and reduced: smooth lines without a drawing library

# Sizes in pixels of the finished picture.
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1400, 56, 20, 54, 22
WAVE, MEL, WORDS, TICKS, GAP = 96, 176, 44, 20, 22

PAPER, INK, FAINT, GRID, WAVE_INK, WORD_INK = "#ffffff", "#1f2430", "#8a90a0", "#e6e8ee", "#2c6fbb", "#1f2430"
# Dark to bright, even in brightness (after matplotlib's magma).
COLOURS = np.array(
    [
        *[(0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122)],
        *[(229, 80, 100), (251, 135, 97), (254, 194, 135), (252, 253, 191)],
    ],
    np.float32,
)
DARKEST, BRIGHTEST = -10.5, 1.0  # log mel

Place = Callable[[float], float]  # seconds -> pixels from the left


def plot_speech(sound: np.ndarray, words: Sequence[Word], title: str = "") -> Image.Image:
    """Draws sound (N,) at 16 kHz and its words."""
    seconds = max(len(sound) / RATE, 0.01)
    n_rows = max(1, int(np.ceil(seconds / ROW_SECONDS - 1e-6)))
    per_row = seconds if n_rows == 1 else ROW_SECONDS
    row_height = WAVE + MEL + WORDS + TICKS
    height = TOP + n_rows * row_height + (n_rows - 1) * GAP + BOTTOM
    page = Image.new("RGB", (WIDTH * SCALE, height * SCALE), PAPER)
    draw = ImageDraw.Draw(page)
    _text(draw, LEFT, 20, _shortened(draw, title, WIDTH - LEFT - RIGHT - 90, 17), 17, INK)
    _text(draw, WIDTH - RIGHT, 22, f"{seconds:.2f} s", 14, FAINT, anchor="ra")
    peak = max(float(np.abs(sound).max(initial=0.0)), 0.05)
    for row in range(n_rows):
        top = TOP + row * (row_height + GAP)
        _row(page, draw, top, sound, words, row * per_row, per_row, peak)
    return page.resize((WIDTH, height), Image.Resampling.LANCZOS)


def _row(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    top: int,
    sound: np.ndarray,
    words: Sequence[Word],
    start: float,
    seconds: float,
    peak: float,
) -> None:
    part = sound[round(start * RATE) : round((start + seconds) * RATE)]
    inner = WIDTH - LEFT - RIGHT
    width = max(1, round(inner * len(part) / RATE / seconds))

    def x(time: float) -> float:
        return LEFT + inner * (time - start) / seconds

    _axis(draw, top, start, start + len(part) / RATE, seconds, x)
    _wave(draw, top, part, width, peak)
    page.paste(_mel_image(part, (width * SCALE, MEL * SCALE)), (LEFT * SCALE, (top + WAVE) * SCALE))
    for hertz in (500, 1000, 2000, 4000):
        y = top + WAVE + MEL * (1 - _mel_place(hertz))
        draw.line([((LEFT - 5) * SCALE, y * SCALE), (LEFT * SCALE, y * SCALE)], fill=FAINT, width=SCALE)
        _text(draw, LEFT - 8, y, f"{hertz / 1000:g}", 11, FAINT, anchor="rm")
    _text(draw, LEFT - 8, top + WAVE + MEL - 3, "kHz", 11, FAINT, anchor="rs")
    _words(draw, top, [w for w in words if start <= w.start < start + seconds], x)


def _axis(draw: ImageDraw.ImageDraw, top: int, start: float, end: float, seconds: float, x: Place) -> None:
    """Upright lines and their times, and the box around the row."""
    step = next(s for s in (0.1, 0.2, 0.5, 1.0, 2.0) if seconds / s <= 13 or s == 2.0)
    bottom = top + WAVE + MEL + WORDS
    for n in range(int(np.ceil(start / step - 1e-6)), int(end / step + 1e-6) + 1):
        at = x(n * step) * SCALE
        draw.line([(at, top * SCALE), (at, (top + WAVE) * SCALE)], fill=GRID, width=SCALE)
        draw.line([(at, bottom * SCALE), (at, (bottom + 4) * SCALE)], fill=FAINT, width=SCALE)
        _text(draw, x(n * step), bottom + 6, f"{n * step:.1f}", 11, FAINT, anchor="ma")
    _text(draw, LEFT - 16, bottom + 6, "s", 11, FAINT, anchor="ra")
    draw.line([(LEFT * SCALE, bottom * SCALE), (x(end) * SCALE, bottom * SCALE)], fill=GRID, width=SCALE)


def _wave(draw: ImageDraw.ImageDraw, top: int, part: np.ndarray, width: int, peak: float) -> None:
    """The lowest and the highest sample of each column, joined."""
    middle, reach = (top + WAVE / 2) * SCALE, (WAVE / 2 - 6) * SCALE / peak
    draw.line([(LEFT * SCALE, middle), ((LEFT + width) * SCALE, middle)], fill=GRID, width=SCALE)
    edges = np.linspace(0, len(part), width * SCALE + 1).astype(int)
    for column, (a, b) in enumerate(pairwise(edges)):
        piece = part[a : max(b, a + 1)]
        if len(piece):
            low, high = float(piece.min()), float(piece.max())
            at = LEFT * SCALE + column
            draw.line([(at, middle - high * reach - 1), (at, middle - low * reach + 1)], fill=WAVE_INK)


def _mel_image(part: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """The log mel, low tones below, as a picture of `size`."""
    mel = log_mel(pad_to_hop(torch.from_numpy(np.ascontiguousarray(part, np.float32)))).numpy()
    shown = ((mel - DARKEST) / (BRIGHTEST - DARKEST)).clip(0, 1)[:, ::-1].T  # (128, T)
    at = shown * (len(COLOURS) - 1)
    low = at.astype(int).clip(0, len(COLOURS) - 2)
    share = (at - low)[..., None]
    pixels = (COLOURS[low] * (1 - share) + COLOURS[low + 1] * share).round().astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BICUBIC)


def _mel_place(hertz: float) -> float:
    """Where a tone lies on Slaney's scale, 0 to 1 for 0 to 8000 Hz: even up to 1000 Hz, then even in its logarithm."""

    def mel(f: float) -> float:
        return f * 3 / 200 if f < 1000 else 15 + 27 * float(np.log(f / 1000) / np.log(6.4))

    return mel(hertz) / mel(8000)


def _words(draw: ImageDraw.ImageDraw, top: int, words: Sequence[Word], x: Place) -> None:
    """Each word under the middle of its sound, in the second line where the first is taken; a mark where it ends."""
    line_top = top + WAVE + MEL
    taken = [0.0, 0.0]
    for word in words:
        left, right = x(word.start), x(word.end)
        for edge in (left, right):
            at = min(edge, WIDTH - RIGHT) * SCALE  # a word may go on in the next row
            draw.line([(at, line_top * SCALE), (at, (line_top + 5) * SCALE)], fill=FAINT, width=SCALE)
        width = draw.textlength(word.word, font=_font(14)) / SCALE
        middle = min(max((left + right) / 2, LEFT + width / 2), WIDTH - RIGHT - width / 2)
        line = 0 if middle - width / 2 >= taken[0] + 5 or taken[0] <= taken[1] else 1
        middle = max(middle, taken[line] + 5 + width / 2)
        taken[line] = middle + width / 2
        _text(draw, middle, line_top + 8 + 17 * line, word.word, 14, WORD_INK, anchor="ma")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * SCALE)


def _text(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, size: int, colour: str, anchor: str = "la") -> None:
    draw.text((x * SCALE, y * SCALE), text, font=_font(size), fill=colour, anchor=anchor)


def _shortened(draw: ImageDraw.ImageDraw, text: str, width: int, size: int) -> str:
    """`text` on one line of at most `width` pixels."""
    text = " ".join(text.split())
    if draw.textlength(text, font=_font(size)) <= width * SCALE:
        return text
    while text and draw.textlength(text + "...", font=_font(size)) > width * SCALE:
        text = text[:-1]
    return text.rstrip() + "..."
