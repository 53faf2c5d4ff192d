"""Text on pictures that are made of other pictures: colours, the font, lines that fit."""

from __future__ import annotations

from functools import cache

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT, LINE, GOOD, BAD = "#ffffff", "#1f2430", "#7d8494", "#e3e6ec", "#2e9e5b", "#d2553f"


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def text_lines(text: str, width: float, size: int, at_most: int = 4) -> list[str]:
    """`text` broken into lines of at most `width` pixels; what is over the last line ends in "..."."""
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))

    def fits(line: str) -> bool:
        return measure.textlength(line, font=font(size)) <= width

    lines: list[str] = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if fits(longer):
            lines[-1] = longer
            continue
        while not fits(word):  # one word that is wider than the line
            head = next((n for n in range(len(word) - 1, 1, -1) if fits(word[:n])), 1)
            lines.append(word[:head])
            word = word[head:]
        lines.append(word)
    lines = [line for line in lines if line]
    if len(lines) > at_most:
        last = lines[at_most - 1]
        while last and not fits(f"{last}..."):
            last = last[:-1].rstrip()
        lines[at_most - 1 :] = [f"{last}..."]
    return lines


def write_lines(draw: ImageDraw.ImageDraw, x: float, y: float, lines: list[str], size: int, colour: str = INK) -> float:
    """Writes lines below each other from their upper left corner; returns where the next one would begin."""
    for line in lines:
        draw.text((x, y), line, font=font(size), fill=colour)
        y += line_height(size)
    return y


def line_height(size: int) -> int:
    return round(size * 1.3)
