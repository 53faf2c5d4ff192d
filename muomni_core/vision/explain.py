"""A picture of where an answer looked: the cells of each picture, brighter the more attention they had."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from muomni_core.vision.image import ImageSource, square_image
from muomni_core.vision.page import FAINT, INK, PAPER, font, line_height, text_lines, write_lines

SIDE, MARGIN, GAP = 420, 28, 16
GLOW = np.array((255, 150, 30), np.float32)
MOST_PER_ROW = 3  # of several pictures, of which the heat alone is shown


def draw_attention(images: Sequence[ImageSource], shares: np.ndarray, question: str, answer: str) -> Image.Image:
    """Question, pictures and answer on one page; of a single picture it itself stands beside its heat.

    Args:
        images: as the model was given them; shown as it sees them, the middle square.
        shares: (pictures, grid, grid), of all attention to cells.
    """
    squares = [square_image(image, SIDE) for image in images]
    peak = float(shares.max()) or 1.0
    tiles = [heated(square, own / peak) for square, own in zip(squares, shares, strict=True)]
    labels = [f"{own.sum():.0%} of its attention, at most {own.max():.0%} in a cell" for own in shares]
    if len(squares) == 1:
        where = f"where it looked: {shares.max():.0%} of its attention in one of {shares[0].size} cells"
        tiles, labels = [squares[0], *tiles], ["what it saw", where]
    columns = 2 if len(tiles) in (2, 4) else min(len(tiles), MOST_PER_ROW)
    n_rows = -(-len(tiles) // columns)
    width = 2 * MARGIN + columns * SIDE + (columns - 1) * GAP
    inner = width - 2 * MARGIN
    asked, said = text_lines(question, inner, 19, 3), text_lines(answer, inner, 24, 5)
    tile_height = SIDE + 12 + line_height(15)
    top = MARGIN + len(asked) * line_height(19) + 12
    bottom = top + n_rows * tile_height + (n_rows - 1) * GAP + 16
    page = Image.new("RGB", (width, bottom + len(said) * line_height(24) + MARGIN - 6), PAPER)
    draw = ImageDraw.Draw(page)
    write_lines(draw, MARGIN, MARGIN, asked, 19, FAINT)
    for n, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        x, y = MARGIN + n % columns * (SIDE + GAP), top + n // columns * (tile_height + GAP)
        page.paste(tile, (x, y))
        draw.text((x, y + SIDE + 8), label, font=font(15), fill=FAINT)
    write_lines(draw, MARGIN, bottom, said, 24, INK)
    return page


def heated(square: Image.Image, heat: np.ndarray) -> Image.Image:
    """The square dimmed where `heat` (grid, grid), 0 to 1, is low, and aglow where it is high; cells outlined."""
    side, grid = square.width, len(heat)
    smooth = Image.fromarray(np.ascontiguousarray(heat, np.float32)).resize((side, side), Image.Resampling.BICUBIC)
    strength = np.sqrt(np.asarray(smooth).clip(0, 1))[..., None]  # small shares are to be seen, too
    pixels = np.asarray(square, np.float32)
    grey = pixels.mean(2, keepdims=True) * 0.4 + 20
    shown = grey * (1 - strength) + pixels * strength
    shown = shown * (1 - 0.35 * strength**2) + GLOW * 0.35 * strength**2
    result = Image.fromarray(shown.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(result, "RGBA")
    for n in range(1, grid):
        at = round(n * side / grid)
        draw.line([(at, 0), (at, side)], fill=(255, 255, 255, 60))
        draw.line([(0, at), (side, at)], fill=(255, 255, 255, 60))
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    if heat.max() >= 1:
        box = [round(v * side / grid) for v in (column, row, column + 1, row + 1)]
        draw.rectangle((box[0] + 1, box[1] + 1, box[2] - 2, box[3] - 2), outline=(255, 255, 255, 230), width=2)
    return result
