"""How well photographs with captions are described: "What do you see?" of the Flickr8k val rows.

    python -m muomni_core.evaluation.captions --data DIR

- content_word: answers with at least one content word that two of the picture's captions use.
- cider: CIDEr times 10 over lower-cased words, document frequencies from the captions of the pictures measured; beside
  it what one fixed sentence for every picture gets.
- sentences: answers of at least four words that end; distinct: different ones among 100.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from muomni_core.data.phrasings import SEE
from muomni_core.data.sampling import evenly
from muomni_core.evaluation.answers import content_words
from muomni_core.evaluation.metrics import cider, words
from muomni_core.evaluation.table import Report, Settings, run, share

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni

SOURCE = "flickr8k"
FIXED = "A dog runs on the grass."


def agreed_words(captions: Sequence[str]) -> frozenset[str]:
    """Content words that at least two captions use."""
    counts = Counter(word for caption in captions for word in content_words(caption))
    return frozenset(word for word, count in counts.items() if count >= 2)


def is_sentence(answer: str) -> bool:
    return len(words(answer)) >= 4 and answer.rstrip().endswith((".", "!", "?"))


def caption_report(answers: Sequence[str], references: Sequence[Sequence[str]], question: str = SEE) -> Report:
    """The figures of answers (N) against each picture's captions."""
    hits = [bool(content_words(a) & agreed_words(r)) for a, r in zip(answers, references, strict=True)]
    some = evenly(answers, 100)
    figures = {
        "pictures": len(answers),
        "content_word": share(hits),
        "cider": cider(references, answers),
        "cider_of_one_sentence": cider(references, [FIXED] * len(answers)),
        "sentences": share(map(is_sentence, answers)),
        "distinct": len(set(some)) / len(some),
    }
    wanted = {"content_word": 0.6, "cider": 0.3, "distinct": 0.5}
    examples = [
        {"question": question, "answer": a, "truth": r[0], "right": hit}
        for a, r, hit in zip(answers, references, hits, strict=True)
    ]
    return Report(figures, wanted, examples=examples)


def measure(omni: MuOmni, settings: Settings) -> Report:
    """Asks about each photograph."""
    rows = [row for row in settings.pictures(SOURCE) if row.captions]
    answers = [omni.ask(SEE, image=row.image) for row in rows]
    return caption_report(answers, [row.captions for row in rows])


if __name__ == "__main__":
    sys.exit(run(__doc__, measure))
