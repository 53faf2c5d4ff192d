from __future__ import annotations

import numpy as np
from PIL import Image

from muomni_core.vision.explain import SIDE, draw_attention, heated
from muomni_core.vision.page import text_lines


def test_cells_with_attention_are_brighter() -> None:
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2] = 1.0
    shown = np.asarray(heated(Image.new("RGB", (80, 80), (200, 200, 200)), heat)).astype(int).mean(2)
    cells = shown.reshape(4, 20, 4, 20)[:, 6:14, :, 6:14].mean((1, 3))
    assert np.unravel_index(cells.argmax(), cells.shape) == (1, 2)
    assert cells[1, 2] > cells[3, 0] + 60


def test_a_page_has_every_picture() -> None:
    images = [Image.new("RGB", (50, 30), "blue")] * 4
    one = draw_attention(images[:1], np.full((1, 7, 7), 1 / 49, np.float32), "What?", "A blue wall.")
    several = draw_attention(images, np.full((4, 4, 4), 1 / 64, np.float32), "Which?", "word " * 200)
    assert one.width == several.width > 2 * SIDE
    assert several.height > one.height + SIDE


def test_lines_fit_and_say_where_they_are_cut() -> None:
    assert text_lines("", 100, 12) == []
    assert text_lines("one two", 500, 12) == ["one two"]
    cut = text_lines("many words " * 40, 100, 12, at_most=3)
    assert len(cut) == 3 and cut[-1].endswith("...")
    assert "".join(text_lines("x" * 100, 50, 12, at_most=99)) == "x" * 100
