"""Trains what puts case and marks to transcripts, on written text that is made to look heard. Some 25 minutes on one core.

    python -m muomni_core.training.punctuator --data DIR --out punctuation.safetensors

Sentences of `text/*-train.jsonl.xz` run together, cut anywhere, some words spelled as an ear spells them, with pauses
as people make them or unknown ones. Then says how well the val texts come out.
"""

from __future__ import annotations

import argparse
import json
import logging
import lzma
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from muomni_core.errors import DataError, one_line_errors
from muomni_core.files import check_output
from muomni_core.model.punctuator import PAUSES, Punctuator, PunctuatorConfig, save_punctuator, word_pieces
from muomni_core.text.tokenizer import Tokenizer, texts_of_row, to_its_bound
from muomni_core.text.written import COMMA, ENDS, sentence_starts, written_words

log = logging.getLogger(__name__)

CARELESS = ("chatterbot_corpus", "nq_open_dev", "taskmaster4_coffee")  # written without much care for case and marks
LONGEST = 96  # words of a window
IGNORED = -100
FEWEST_WORDS = 2000


class Words(NamedTuple):
    """Written words in a row: their number in `known`, case, mark, and whether they begin a sentence, (N,) each."""

    known: list[str]
    word: np.ndarray
    case: np.ndarray
    mark: np.ndarray
    begins: np.ndarray


class Windows(NamedTuple):
    """A batch, ready for Punctuator; targets that nobody knows are IGNORED."""

    pieces: Tensor
    lengths: Tensor
    lasts: Tensor
    pauses: Tensor
    case: Tensor
    mark: Tensor


def read_words(data: Path, split: str, share: float = 1.0) -> Words:
    """The words of text/*-<split>.jsonl.xz below `data`, each source to its bound (times `share`) of characters.

    Raises DataError where there are too few.
    """
    known: dict[str, int] = {}
    columns: list[list[int]] = [[], [], [], []]
    for path in sorted((data / "text").glob(f"*-{split}.jsonl.xz")):
        source = path.name.removesuffix(f"-{split}.jsonl.xz")
        if source in CARELESS:
            continue
        for text in to_its_bound(source, _texts(path), share):
            words = written_words(text)
            for word, begins in zip(words, sentence_starts(words), strict=True):
                row = (known.setdefault(word.word, len(known)), word.case, word.mark, begins)
                for column, value in zip(columns, row, strict=True):
                    column.append(value)
    if len(columns[0]) < FEWEST_WORDS:
        raise DataError(f"too few sentences in {data}/text/*-{split}.jsonl.xz: {len(columns[0])} words")
    numbers, cases, marks, starts = (np.array(column, np.int32) for column in columns)
    return Words(list(known), numbers, cases, marks, starts.astype(bool))


def _texts(path: Path) -> Iterator[str]:
    """Every text once, the rows in an order of chance that is always the same."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    random.Random(path.name).shuffle(rows)
    yield from dict.fromkeys(text for row in rows for text in texts_of_row(row))


class Sampler:
    """Draws windows of words."""

    def __init__(self, words: Words, tokenizer: Tokenizer, seed: int):
        self.words, self._tokenizer = words, tokenizer
        self._rng = np.random.default_rng(seed)
        self._pieces = word_pieces(tokenizer, words.known)
        self._starts = np.flatnonzero(words.begins)

    def draw(self, n_words: int, *, heard: float = 0.5, pauses: float = 0.65, whole: float = 0.5) -> Windows:
        """Windows that hold some `n_words` words.

        Args:
            heard: share of the windows with words as an ear may spell them.
            pauses: share of those in which the pauses are known.
            whole: share of those that are whole sentences, from beginning to end.
        """
        rng = self._rng
        longest = int(np.exp(rng.uniform(np.log(4), np.log(LONGEST + 1))))
        return self._batch(
            [
                self._window(longest, rng.random() < heard, rng.random() < pauses, rng.random() < whole)
                for _ in range(max(1, n_words // longest))
            ]
        )

    def _window(self, longest: int, heard: bool, pauses: bool, whole: bool) -> tuple[Any, ...]:
        rng, words, total = self._rng, self.words, len(self.words.word)
        n = int(rng.integers(max(1, longest * 3 // 4), longest + 1))
        if whole:
            place = int(rng.integers(len(self._starts)))
            first = int(self._starts[place])
            following = int(np.searchsorted(self._starts, first + n, side="right")) - 1
            last = int(self._starts[following]) if following > place else min(first + longest, total)
        else:
            first = int(rng.integers(max(1, total - n)))
            last = min(first + n, total)
        own = slice(first, last)
        mark = words.mark[own].astype(np.int64)
        case = np.where(words.begins[own] & (words.case[own] == 1), IGNORED, words.case[own]).astype(np.int64)
        kinds = self._pauses(mark) if pauses else np.zeros(len(mark), np.int64)
        kinds[-1] = 0
        target = mark.copy()
        if target[-1] not in ENDS:
            target[-1] = IGNORED
        pieces = [self._pieces[number] for number in words.word[own]]
        if heard:
            for which in np.flatnonzero(rng.random(len(pieces)) < rng.choice([0.03, 0.1, 0.2])):
                wrong = misheard(words.known[words.word[first + which]], rng)
                pieces[which] = word_pieces(self._tokenizer, [wrong])[0]
        return pieces, kinds, case, target

    def _pauses(self, mark: np.ndarray) -> np.ndarray:
        """Kinds of pause as measured on recordings: most readers pause at marks, slow ones between words as well."""
        rng = self._rng
        tempo, between = np.exp(rng.normal(0, 0.3)), rng.choice([0.04, 0.12, 0.2, 0.45])
        end, comma = np.isin(mark, ENDS), mark == COMMA
        there = rng.random(len(mark)) < np.where(end, 0.93, np.where(comma, 0.8, between))
        typical = np.where(end, 0.5, np.where(comma, 0.24, np.where(rng.random(len(mark)) < 0.2, 0.35, 0.11)))
        seconds = np.where(there, tempo * typical * np.exp(rng.normal(0, 0.5, len(mark))), 0.0)
        kinds = 1 + np.searchsorted(PAUSES, seconds, side="right")
        return np.where(rng.random(len(mark)) < 0.05, 0, kinds)

    def _batch(self, windows: list[tuple[Any, ...]]) -> Windows:
        flat = [[piece for ids in pieces for piece in ids] for pieces, *_ in windows]
        lasts = [np.cumsum([len(ids) for ids in pieces]) - 1 for pieces, *_ in windows]
        rows = (flat, lasts, *([row[part] for row in windows] for part in (1, 2, 3)))
        pieces, ends, kinds, case, mark = (
            _padded(row, fill) for row, fill in zip(rows, (0, 0, 0, IGNORED, IGNORED), strict=True)
        )
        return Windows(pieces, torch.tensor([len(row) for row in flat]), ends, kinds, case, mark)


def _padded(rows: Sequence[Sequence[int] | np.ndarray], fill: int) -> Tensor:
    table = np.full((len(rows), max(map(len, rows))), fill, np.int64)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return torch.from_numpy(table)


def misheard(word: str, rng: np.random.Generator) -> str:
    """A word with a letter too few, too many, or another one."""
    place = int(rng.integers(len(word)))
    letter = "etaoinshrdlu"[int(rng.integers(12))]
    made = (
        word[:place] + word[place + 1 :],
        word[:place] + letter + word[place + 1 :],
        word[:place] + letter + word[place:],
        word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
    )[int(rng.integers(4))]
    return made.replace("'", "") or letter


def loss_of(model: Punctuator, batch: Windows) -> Tensor:
    case, mark = model(*batch[:4])
    return F.cross_entropy(case.transpose(1, 2), batch.case, ignore_index=IGNORED) + F.cross_entropy(
        mark.transpose(1, 2), batch.mark, ignore_index=IGNORED
    )


def train(words: Words, tokenizer: Tokenizer, *, steps: int, seed: int = 0, n_words: int = 2048) -> Punctuator:
    """A punctuator of so many steps on windows of some `n_words` words in all."""
    torch.manual_seed(seed)
    sampler = Sampler(words, tokenizer, seed)
    model = Punctuator(PunctuatorConfig(vocab_size=tokenizer.vocab_size))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
    warm = min(300, steps // 10 + 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, 0.02 + 0.98 * (1 + np.cos(np.pi * step / steps)) / 2)
    )
    begun, mean = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        loss = loss_of(model, sampler.draw(n_words))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean += (loss.item() - mean) / min(step, 100)
        if step % 200 == 0 or step == steps:
            log.info("step %d of %d: loss %.3f, %.0f s", step, steps, mean, time.monotonic() - begun)
    return model.eval()


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m muomni_core.training.punctuator", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", required=True, type=Path, help="folder that holds text/*-train.jsonl.xz")
    parser.add_argument("--out", required=True, type=Path, help="file to write, such as punctuation.safetensors")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json, where it is not the package's")
    parser.add_argument("--steps", type=int, default=3_500, metavar="N")
    parser.add_argument("--share", type=float, default=1.0, metavar="X", help="of the text that is read")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--force", action="store_true", help="overwrite what exists")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    from muomni_core.evaluation.punctuation import report

    check_output(chosen.out, chosen.force)
    tokenizer = Tokenizer.load(chosen.tokenizer)
    words = read_words(chosen.data, "train", chosen.share)
    log.info("%d words of train text, %d different ones", len(words.word), len(words.known))
    model = train(words, tokenizer, steps=chosen.steps, seed=chosen.seed)
    save_punctuator(chosen.out, model, tokenizer.fingerprint)
    for line in report(model, read_words(chosen.data, "val", chosen.share), tokenizer):
        print(line)
    print(f"{chosen.out}: {chosen.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
