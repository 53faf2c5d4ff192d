"""Finding pictures by words and words by pictures: R@1, R@5 and R@10 of the Flickr8k val rows, five captions each.

    python -m muomni_core.evaluation.retrieval --data DIR

By `m.embed`, as anyone would use it. A picture counts as found if any of its own captions is among the first; a tie
counts against the right one.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from muomni_core.evaluation.metrics import retrieval_recall
from muomni_core.evaluation.table import Report, Settings, run

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

SOURCE = "flickr8k"


def measure(omni: MuOmni, settings: Settings) -> Report:
    rows = [row for row in settings.pictures(SOURCE) if row.captions]
    images = np.stack([omni.embed(image=row.image) for row in rows])
    captions = [(n, caption) for n, row in enumerate(rows) for caption in row.captions]
    texts = np.stack([omni.embed(text=caption) for _, caption in captions])
    figures: dict[str, float] = {"pictures": len(rows), "captions": len(captions)}
    figures |= retrieval_recall(images @ texts.T, [n for n, _ in captions])
    report = Report(figures, {"image_to_text_r10": 0.25, "text_to_image_r10": 0.25})
    if settings.limit is not None:
        report.notes.append("easier than among all pictures: leave --limit out to compare")
    return report


if __name__ == "__main__":
    sys.exit(run(__doc__, measure))
