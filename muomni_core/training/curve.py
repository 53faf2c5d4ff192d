"""Curves of a run as a picture, drawn with Pillow: the loss, and the metric by which weights are kept."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from muomni_core.checkpoint import write_atomically
from muomni_core.errors import InputError

WIDTH, PANEL, MARGIN = 900, 300, (80, 40, 20, 44)  # left, top, right, bottom
INK, GRID, FAINT, LINE, POINTS = "#222222", "#e4e4e4", "#b9cfe8", "#1f5fa8", "#b4441e"


def plot_run(folder: Path, stages: tuple[str, ...]) -> list[Path]:
    """Draws DIR/logs/<stage>/loss.png of every stage that has a metrics.jsonl; returns the pictures' paths.

    Raises InputError where there is none.
    """
    from muomni_core.training.log import log_folder, read_rows
    from muomni_core.training.stages import stage_class

    made = []
    for stage in stages:
        source = log_folder(folder, stage) / "metrics.jsonl"
        if source.is_file():
            made.append(source.with_name("loss.png"))
            draw_curves(read_rows(source), made[-1], stage, stage_class(stage).score)
    if not made:
        raise InputError(f"{folder}: no run here with logs/STAGE/metrics.jsonl")
    return made


def draw_curves(rows: list[dict[str, Any]], path: Path, stage: str, score: str) -> None:
    """Writes a PNG of two panels: loss over steps, each line's and smoothed; validation below.

    Args:
        rows: of metrics.jsonl.
        score: the stage's metric, with "-" before it where more is better.
    """
    name = score.lstrip("-")
    loss = [(row["step"], row["loss"]) for row in rows]
    values = [(row["step"], row["metrics"][name]) for row in rows if name in row.get("metrics", {})]
    n_panels = 1 + bool(values)
    image = Image.new("RGB", (WIDTH, n_panels * PANEL), "white")
    last = max((step for step, _ in loss), default=1)
    _panel(image, 0, f"{stage}: loss", last, [(loss, FAINT, False), (_smooth(loss), LINE, False)])
    if values:
        better = "more is better" if score.startswith("-") else "less is better"
        _panel(image, PANEL, f"{stage}: {name} of validation ({better})", last, [(values, POINTS, True)])
    blob = io.BytesIO()
    image.save(blob, "PNG")
    write_atomically(path, blob.getvalue())


Series = list[tuple[int, float]]


def _smooth(points: Series) -> Series:
    """A moving average over a fiftieth of the run, which forgets its start."""
    keep = 1 - 1 / max(1.0, len(points) / 50)
    total = weight = 0.0
    smoothed = []
    for step, value in points:
        total, weight = keep * total + value, keep * weight + 1
        smoothed.append((step, total / weight))
    return smoothed


def _panel(image: Image.Image, top: int, title: str, last: int, series: list[tuple[Series, str, bool]]) -> None:
    """Axes and curves; each series is points, colour, and whether points are marked."""
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    left, upper, right, lower = MARGIN
    x0, x1, y0, y1 = left, WIDTH - right, top + upper, top + PANEL - lower
    pen.text((left, top + 12), title, INK, font)
    ys = sorted(y for points, _, _ in series for _, y in points if math.isfinite(y))
    # A first step far above all others would flatten the rest.
    low, high = (ys[0], ys[min(len(ys) - 1, int(len(ys) * 0.99))]) if ys else (0.0, 1.0)
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    if low == high:
        low, high = low - 0.5, high + 0.5

    def place(step: float, value: float) -> tuple[float, float]:
        inside = min(max(value, low), high)
        return x0 + (x1 - x0) * step / max(1, last), y1 - (y1 - y0) * (inside - low) / (high - low)

    for tick in ticks:
        _, y = place(0, tick)
        pen.line([(x0, y), (x1, y)], GRID)
        pen.text((x0 - 8, y), f"{tick:.4g}", INK, font, anchor="rm")
    for tick in _ticks(0, last):
        if tick <= last:
            x, _ = place(tick, low)
            pen.line([(x, y1), (x, y1 + 5)], INK)
            pen.text((x, y1 + 8), f"{tick:g}", INK, font, anchor="ma")
    pen.text((x1, y1 + 24), "step", INK, font, anchor="ra")
    pen.line([(x0, y0), (x0, y1), (x1, y1)], INK)
    for points, colour, marked in series:
        places = [place(step, value) for step, value in points if math.isfinite(value)]
        if len(places) > 1:
            pen.line(places, colour, 2, joint="curve")
        for x, y in places if marked or len(places) == 1 else []:
            pen.ellipse([x - 4, y - 4, x + 4, y + 4], colour)


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers from at or below `low` to at or above it."""
    span = high - low
    if not span > 0:
        return [low]
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if span / (m * step) <= 7)
    first = math.floor(low / step)
    return [n * step for n in range(first, math.ceil(high / step - 1e-9) + 1)]
