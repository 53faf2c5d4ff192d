"""How well case and marks are put to held-out text: `python -m muomni_core.evaluation.punctuation --data DIR`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from muomni_core.errors import one_line_errors
from muomni_core.model.punctuator import PUNCTUATION, Punctuator, likeliest_ends, likeliest_marks, load_punctuator
from muomni_core.text.tokenizer import Tokenizer
from muomni_core.text.written import ENDS, MARKS
from muomni_core.training.punctuator import IGNORED, Sampler, Words, read_words
from muomni_core.weights import SHIPPED

BATCHES = 60
NAMES = ("none", "comma", "period", "question", "exclamation")
CONDITIONS: dict[str, dict[str, float]] = {
    "pauses unknown": {"pauses": 0.0, "heard": 0.0},
    "with pauses": {"pauses": 1.0, "heard": 0.0},
    "with pauses, every tenth word misheard": {"pauses": 1.0, "heard": 1.0},
}


@torch.no_grad()
def measure(model: Punctuator, words: Words, tokenizer: Tokenizer, *, pauses: float, heard: float) -> dict[str, float]:
    """How runs of 3 to 96 words, whole sentences, are written, in percent.

    `case` is the share of words whose case is right, those that begin a sentence left out; the others are F1 of each
    mark; `sentence end` is that of any of `.?!` where a sentence follows: at the end of all there always is one.
    """
    sampler = Sampler(words, tokenizer, seed=1)
    right = n_cased = 0
    within, last = (np.zeros((len(MARKS), len(MARKS)), np.int64) for _ in range(2))
    for _ in range(BATCHES):
        batch = sampler.draw(2048, heard=heard, pauses=pauses, whole=1.0)
        case, logits = model(*batch[:4])
        rows, ends = torch.arange(len(logits)), batch.lasts.argmax(1)
        cased, inner = batch.case != IGNORED, batch.mark != IGNORED
        inner[rows, ends] = False
        right += int((case.argmax(-1) == batch.case)[cased].sum())
        n_cased += int(cased.sum())
        np.add.at(within, (batch.mark[inner].numpy(), likeliest_marks(logits)[inner].numpy()), 1)
        closed = batch.mark[rows, ends]
        known = closed != IGNORED
        np.add.at(last, (closed[known].numpy(), likeliest_ends(logits[rows, ends])[known].numpy()), 1)
    table, some = within + last, np.isin(np.arange(len(MARKS)), ENDS)
    found = {"case": 100 * right / n_cased}
    found |= {name: _f1(table[k, k], table[k].sum(), table[:, k].sum()) for k, name in enumerate(NAMES)}
    found["sentence end"] = _f1(within[some][:, some].sum(), within[some].sum(), within[:, some].sum())
    return {name: round(value, 1) for name, value in found.items()}


def _f1(hits: int, wanted: int, found: int) -> float:
    return 200 * float(hits) / max(1, int(wanted + found))


def report(model: Punctuator, words: Words, tokenizer: Tokenizer) -> Iterator[str]:
    """A line for each of CONDITIONS."""
    for name, options in CONDITIONS.items():
        yield f"{name}: {json.dumps(measure(model, words, tokenizer, **options))}"


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m muomni_core.evaluation.punctuation", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", required=True, type=Path, help="folder that holds text/*-val.jsonl.xz")
    parser.add_argument("--file", type=Path, default=SHIPPED / PUNCTUATION, help="default: the package's")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json, where it is not the package's")
    chosen = parser.parse_args(arguments)
    tokenizer = Tokenizer.load(chosen.tokenizer)
    model = load_punctuator(chosen.file, tokenizer.fingerprint)
    for line in report(model, read_words(chosen.data, "val"), tokenizer):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
