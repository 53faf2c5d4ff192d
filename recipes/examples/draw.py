"""Draws the example picture of the README: a red circle and a blue square on a light ground.

python recipes/examples/draw.py [OUT.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

SIZE = 448
SCALE = 4  # drawn larger and reduced, so that edges are smooth
GROUND, RED, BLUE = (244, 241, 232), (214, 40, 40), (38, 84, 200)


def draw() -> Image.Image:
    """An RGB picture, SIZE pixels a side."""
    image = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE), GROUND)
    pen = ImageDraw.Draw(image)
    pen.ellipse([SCALE * v for v in (48, 148, 200, 300)], fill=RED)
    pen.rectangle([SCALE * v for v in (256, 156, 392, 292)], fill=BLUE)
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("shapes.png")
    draw().save(target, optimize=True)
