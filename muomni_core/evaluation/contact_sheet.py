"""Val pictures with what is said of them, on one page, right and wrong alike.

    python -m muomni_core.evaluation.contact_sheet OUT.png --data DIR [--count 24] [--seed 0]

Pictures are drawn by chance from sets with labels and sets with captions in turn: none is chosen by its answer. A green
bar stands beside an answer that names the label, or says a word that two of the captions use; a red one beside the
others; below it, in grey, what the picture's data say.
"""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from muomni_core.data.phrasings import SEE
from muomni_core.errors import DataError, one_line_errors
from muomni_core.evaluation.answers import content_words
from muomni_core.evaluation.captions import agreed_words
from muomni_core.evaluation.metrics import named
from muomni_core.evaluation.table import Settings, load, parser, settings
from muomni_core.files import check_output, open_output
from muomni_core.vision.image import square_image
from muomni_core.vision.page import BAD, FAINT, GOOD, INK, LINE, PAPER, font, line_height, text_lines, write_lines

if TYPE_CHECKING:
    from muomni_core.data.record import Row
    from muomni_core.model.omni import MuOmni

SOURCES = ("flickr8k", "oxford_pets", "flickr8k", "caltech101", "coco_captions", "coco_labels", "flickr8k", "grocery")
COLUMNS, SIDE, MARGIN, GAP = 6, 216, 36, 22
ANSWER, TRUTH = 15, 12  # sizes of text
ANSWER_LINES, TRUTH_LINES = 4, 2
TOP, RADIUS = 62, 8


@dataclass(frozen=True)
class Shown:
    """A picture with its answer; `truth` is what its data say."""

    image: Image.Image
    answer: str
    truth: str
    right: bool


def draw_rows(found: Settings, count: int, sources: Sequence[str] = SOURCES) -> list[tuple[Row, set[str]]]:
    """`count` val rows, the sources in turn, with the labels of their set. Raises DataError if there are too few."""
    rng = random.Random(found.seed)
    pools: dict[str, list[Row]] = {}
    labels: dict[str, set[str]] = {}
    for source in dict.fromkeys(sources):
        rows = [row for row in found.pictures(source) if row.label or len(row.captions) > 1]
        labels[source] = {row.label for row in rows if row.label}
        pools[source] = rng.sample(rows, len(rows))
    chosen: list[tuple[Row, set[str]]] = []
    while len(chosen) < count:
        before = len(chosen)
        for source in sources:
            if pools[source] and len(chosen) < count:
                chosen.append((pools[source].pop(), labels[source]))
        if len(chosen) == before:
            raise DataError(f"there are only {before} val pictures for {count} places")
    return chosen


def answered(omni: MuOmni, row: Row, labels: set[str], question: str = SEE) -> Shown:
    """Asks about one picture."""
    answer = omni.ask(question, image=row.image)
    if row.label:
        right, truth = named(answer, row.label, labels), row.label
    else:
        right, truth = bool(content_words(answer) & agreed_words(row.captions)), row.captions[0]
    source = io.BytesIO(row.image) if isinstance(row.image, bytes) else row.image
    assert source is not None
    return Shown(square_image(source, SIDE), answer, truth, right)


def sheet(some: Sequence[Shown], title: str) -> Image.Image:
    """The page; a row of pictures is as high as its longest answer."""
    inner = SIDE - 12
    rows = [some[i : i + COLUMNS] for i in range(0, len(some), COLUMNS)]
    texts = [
        [
            (text_lines(s.answer, inner, ANSWER, ANSWER_LINES), text_lines(s.truth, inner, TRUTH, TRUTH_LINES))
            for s in row
        ]
        for row in rows
    ]
    below = [max(len(a) * line_height(ANSWER) + len(t) * line_height(TRUTH) + 18 for a, t in row) for row in texts]
    width = 2 * MARGIN + COLUMNS * SIDE + (COLUMNS - 1) * GAP
    height = MARGIN + TOP + sum(below) + len(rows) * (SIDE + GAP) - GAP + MARGIN
    page = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN - 6), title, font=font(24), fill=INK)
    n_right = f"{sum(s.right for s in some)} of {len(some)} right"
    draw.text((width - MARGIN, MARGIN - 2), n_right, font=font(18), fill=FAINT, anchor="ra")
    y = MARGIN + TOP - 14
    for row, lines, extra in zip(rows, texts, below, strict=True):
        for column, (one, (answer, truth)) in enumerate(zip(row, lines, strict=True)):
            x = MARGIN + column * (SIDE + GAP)
            page.paste(rounded(one.image), (x, y))
            draw.rounded_rectangle((x, y, x + SIDE - 1, y + SIDE - 1), RADIUS, outline=LINE)
            top = y + SIDE + 10
            bottom = top + len(answer) * line_height(ANSWER)
            draw.rounded_rectangle((x, top + 2, x + 4, bottom), 2, fill=GOOD if one.right else BAD)
            write_lines(draw, x + 12, top, answer, ANSWER)
            write_lines(draw, x + 12, bottom + 2, truth, TRUTH, FAINT)
        y += SIDE + GAP + extra
    return page


def rounded(image: Image.Image, radius: int = RADIUS) -> Image.Image:
    """The picture with round corners on paper."""
    mask = Image.new("L", (image.width * 4, image.height * 4), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), radius * 4, fill=255)
    result = Image.new("RGB", image.size, PAPER)
    result.paste(image, mask=mask.resize(image.size, Image.Resampling.LANCZOS))
    return result


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument("out", metavar="OUT.png")
    made.add_argument("--count", type=int, default=24, help="pictures (24)")
    made.add_argument("--question", default=SEE, help=f"what is asked ({SEE})")
    made.add_argument("--force", action="store_true", help="overwrite OUT.png")
    args = made.parse_args(arguments)
    if args.count < 1:
        made.error("--count must be at least 1")
    check_output(args.out, args.force)
    rows = draw_rows(settings(args), args.count)
    omni = load(args.weights)
    page = sheet([answered(omni, row, labels, args.question) for row, labels in rows], args.question)
    with open_output(args.out, force=args.force) as file:
        page.save(file, format="PNG")
    return 0


if __name__ == "__main__":
    sys.exit(main())
