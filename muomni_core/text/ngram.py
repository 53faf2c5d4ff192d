"""A small language model over the characters that the ear writes: it says which spelling is the likelier one.

    python -m muomni_core.text.ngram --data DIR --out letters.npz

Interpolated Witten-Bell estimates (Witten & Bell 1991) of up to ORDER characters, thinned out by how much each n-gram
adds over its shorter one (Stolcke 1998), 8 bits a probability, kept as a trie.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from muomni_core.errors import CheckpointError, DataError, one_line_errors
from muomni_core.files import open_output
from muomni_core.text.spoken import ctc_text

ALPHABET = " abcdefghijklmnopqrstuvwxyz'"
PLACE = {character: place for place, character in enumerate(ALPHABET)}
BITS = 5  # of a character in an n-gram's key
ORDER = 9
MAX_ENTRIES = 600_000  # about 1.25 MB
FORMAT = 1

_STEPS = 16  # a nat has so many steps of a stored logarithm
_BACKOFF_TOP = 4.0  # the largest logarithm of a back-off weight that is kept

Row = tuple[list[float], list[int]]


class LetterModel:
    """P(next character | text so far). A state is a number; `start` is the one after a space.

    `row(state)` gives the 28 logarithms (nats) and the 28 states that follow, in the order of ALPHABET.
    """

    def __init__(self, n_children: list[np.ndarray], characters: list[np.ndarray], values: list[np.ndarray]):
        """Of each order but the last, how many longer ones each n-gram has; of each order its last characters, and
        (2, N) uint8 of stored logarithms: probabilities and back-off weights."""
        sizes = [1, *(len(c) for c in characters)]
        starts = np.cumsum([0, *sizes])
        suffixes, keys, children = [np.zeros(1, np.int64)], np.zeros(1, np.int64), []
        for n, (counts, last) in enumerate(zip(n_children, characters, strict=True)):
            longer = np.repeat(keys, counts) << BITS | last
            shorter = np.searchsorted(keys, longer & ((1 << BITS * n) - 1))
            if counts.sum() != len(last) or (
                n and (keys[np.minimum(shorter, len(keys) - 1)] != longer & _mask(n)).any()
            ):
                raise ValueError("the trie does not hold together")
            suffixes.append(starts[n] + shorter)
            children.append(counts)
            keys = longer
        children.append(np.zeros(sizes[-1], np.int64))
        self._suffix = np.concatenate(suffixes)
        self._first = 1 + np.concatenate([[0], np.cumsum(np.concatenate(children), dtype=np.int64)])
        self._character = np.concatenate([np.zeros(1, np.uint8), *characters])
        stored = np.concatenate([np.zeros((2, 1)), *values], axis=1)
        self._logprob = (-stored[0] / _STEPS).astype(np.float32)
        self._backoff = (_BACKOFF_TOP - stored[1] / _STEPS).astype(np.float32)
        self.n_entries = len(self._suffix) - 1
        self._rows: dict[int, Row] = {}
        self.start = self.row(0)[1][0]

    @classmethod
    def load(cls, path: str | Path) -> LetterModel:
        """Raises CheckpointError where the file is missing, damaged or of another format."""
        try:
            with np.load(path, allow_pickle=False) as file:
                if int(file["format"]) != FORMAT or str(file["alphabet"]) != ALPHABET:
                    raise CheckpointError(f"{path} is a letter model of another format; build it again")
                orders = range(1, int(file["order"]) + 1)
                return cls(*([file[f"{name}_{n}"] for n in orders] for name in ("children", "characters", "values")))
        except FileNotFoundError:
            raise CheckpointError(
                f"{path}: no such letter model; build one with python -m muomni_core.text.ngram"
            ) from None
        except CheckpointError:
            raise
        except Exception:  # whatever bytes may be in it
            raise CheckpointError(f"{path} is damaged, or no letter model") from None

    def row(self, state: int) -> Row:
        """Logarithms of the next character's probabilities, and the states after it."""
        found = self._rows.get(state)
        if found is not None:
            return found
        if state == 0:
            logprobs, after = [-20.0] * len(ALPHABET), [0] * len(ALPHABET)
        else:
            shorter, states = self.row(int(self._suffix[state]))
            weight = float(self._backoff[state])
            logprobs, after = [value + weight for value in shorter], list(states)
        for child in range(int(self._first[state]), int(self._first[state + 1])):
            place = self._character[child]
            logprobs[place], after[place] = float(self._logprob[child]), child
        if len(self._rows) > 12_000:  # some 20 MB
            self._rows.clear()
        self._rows[state] = logprobs, after
        return logprobs, after

    def score(self, text: str) -> float:
        """Nats of a text that the ear may write, after a space. Raises KeyError for another character."""
        state, total = self.start, 0.0
        for character in text:
            logprobs, after = self.row(state)
            total += logprobs[PLACE[character]]
            state = after[PLACE[character]]
        return total


def _mask(n: int) -> int:
    return (1 << BITS * n) - 1


# ------------------------------------------------------------------------------------------------------- building


class _Order(NamedTuple):
    """All n-grams of a length, sorted: keys, counts, probabilities, which is its shorter one and which its context."""

    keys: np.ndarray
    counts: np.ndarray
    logprobs: np.ndarray
    suffix: np.ndarray
    context: np.ndarray


def encode(texts: Iterable[str]) -> np.ndarray:
    """Texts of ALPHABET as one row of places in it (uint8), a space before each and behind the last."""
    joined = " ".join(("", *texts, ""))
    table = np.full(256, 255, np.uint8)
    table[np.frombuffer(ALPHABET.encode(), np.uint8)] = np.arange(len(ALPHABET))
    places = table[np.frombuffer(joined.encode("latin-1", "replace"), np.uint8)]
    return places[places < 255]


def build(places: np.ndarray, order: int = ORDER, max_entries: int = MAX_ENTRIES) -> dict[str, np.ndarray]:
    """The arrays of a model's file, of the characters of `encode`. Raises DataError without text."""
    if len(places) < 2 * order:
        raise DataError("too little text for a letter model; give more")
    orders = _estimate(places.astype(np.int64), order)
    low, high = 0.0, 1.0
    while _count(_thin(orders, high)) > max_entries:
        low, high = high, high * 4
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _count(_thin(orders, middle)) > max_entries else (low, middle)
    return _pack(orders, _thin(orders, high))


def _estimate(places: np.ndarray, order: int) -> list[_Order]:
    orders: list[_Order] = []
    keys_at = np.zeros(len(places), np.int64)
    before = _Order(
        np.zeros(1, np.int64), np.ones(1, np.int64), np.full(1, -np.log(len(ALPHABET))), *[np.zeros(1, int)] * 2
    )
    for n in range(1, order + 1):
        keys_at = keys_at[: len(places) - n + 1] << BITS | places[n - 1 :]
        keys, counts = np.unique(keys_at, return_counts=True)
        if n == 1:  # every character is possible
            keys, counts = np.arange(len(ALPHABET)), np.bincount(places, minlength=len(ALPHABET))
        elif n > 3:
            keys, counts = keys[counts > 1], counts[counts > 1]
        context = np.searchsorted(before.keys, keys >> BITS)
        suffix = np.searchsorted(before.keys, keys & _mask(n - 1))
        total = np.bincount(context, counts, minlength=len(before.keys))
        types = np.bincount(context, counts > 0, minlength=len(before.keys))
        # What was left out as seen once is neither counted nor a type: its part stays with the shorter n-grams.
        total = np.maximum(total, before.counts) if n > 1 else total
        chance = counts + types[context] * np.exp(before.logprobs[suffix])
        logprobs = np.log(chance) - np.log(total[context] + types[context])
        before = _Order(keys, counts, logprobs, suffix, context)
        orders.append(before)
    return orders


def _thin(orders: list[_Order], least: float) -> list[np.ndarray]:
    """Which n-grams stay: those that lower the text's cost by `least` nats, and those that others hang on."""
    kept: list[np.ndarray] = []
    needed = np.zeros(len(orders[-1].keys), bool)
    for n in range(len(orders) - 1, -1, -1):
        own = orders[n]
        keep = np.ones(len(own.keys), bool)
        if n:
            weights = _backoffs(orders, n, np.ones(len(own.keys), bool))
            backed = weights[own.context] + orders[n - 1].logprobs[own.suffix]
            keep = needed | (own.counts * (own.logprobs - backed) >= least)
            needed = np.zeros(len(orders[n - 1].keys), bool)
            needed[own.suffix[keep]] = needed[own.context[keep]] = True
        kept.append(keep)
    return kept[::-1]


def _backoffs(orders: list[_Order], n: int, keep: np.ndarray) -> np.ndarray:
    """Logarithms of the weights that the contexts of orders[n] give to the shorter n-grams, if `keep` stays."""
    own, size = orders[n], len(orders[n - 1].keys)
    said = np.bincount(own.context[keep], np.exp(own.logprobs[keep]), minlength=size)
    shorter = np.bincount(own.context[keep], np.exp(orders[n - 1].logprobs[own.suffix[keep]]), minlength=size)
    return np.log(np.maximum(1 - said, 1e-6)) - np.log(np.maximum(1 - shorter, 1e-6))


def _count(kept: list[np.ndarray]) -> int:
    return sum(int(keep.sum()) for keep in kept)


def _pack(orders: list[_Order], kept: list[np.ndarray]) -> dict[str, np.ndarray]:
    arrays = {"format": np.array(FORMAT), "order": np.array(len(orders)), "alphabet": np.array(ALPHABET)}
    for n, (own, keep) in enumerate(zip(orders, kept, strict=True)):
        above = kept[n - 1] if n else np.ones(1, bool)
        size = len(above)
        arrays[f"children_{n + 1}"] = np.bincount(own.context[keep], minlength=size)[above].astype(np.uint8)
        arrays[f"characters_{n + 1}"] = (own.keys[keep] & _mask(1)).astype(np.uint8)
        weights = np.zeros(len(own.keys))
        if n + 1 < len(orders):
            weights = _backoffs(orders, n + 1, kept[n + 1])
        stored = np.stack([-own.logprobs[keep] * _STEPS, (_BACKOFF_TOP - weights[keep]) * _STEPS])
        arrays[f"values_{n + 1}"] = np.clip(np.rint(stored), 0, 255).astype(np.uint8)
    return arrays


def save(arrays: dict[str, np.ndarray], path: str | Path, *, force: bool = False) -> None:
    """Writes what `build` made. Raises InputError if the file exists (without `force`) or cannot be written."""
    with open_output(path, force=force) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def texts(data: Path, max_characters: int) -> Iterator[str]:
    """Train texts below `data` as the ear writes them, and what the clips of speech/*-train-*.tar say.

    Raises DataError where there is no text.
    """
    from muomni_core.data.rows import read_rows
    from muomni_core.text.tokenizer import balanced_texts

    said = dict.fromkeys(
        row.text
        for path in sorted((data / "speech").glob("*-train-*.tar"))
        for row in read_rows(path, data)
        if row.text
    )
    left = max_characters
    for text in (*said, *balanced_texts(data)):
        if left <= 0:
            return
        written = ctc_text(text)
        left -= len(written) + 1
        if written:
            yield written


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m muomni_core.text.ngram", description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder that holds text/ (and speech/)")
    parser.add_argument("--out", required=True, type=Path, help="file to write, such as letters.npz")
    parser.add_argument("--order", type=int, default=ORDER, choices=range(2, 13), metavar="N", help="longest n-gram")
    parser.add_argument("--max-entries", type=int, default=MAX_ENTRIES, metavar="N", help="n-grams kept, 2 bytes each")
    parser.add_argument("--max-characters", type=int, default=30_000_000, metavar="N", help="text that is read")
    parser.add_argument("--force", action="store_true", help="overwrite what exists")
    chosen = parser.parse_args(arguments)
    places = encode(texts(chosen.data, chosen.max_characters))
    save(build(places, chosen.order, chosen.max_entries), chosen.out, force=chosen.force)
    n_entries = LetterModel.load(chosen.out).n_entries
    print(
        f"{chosen.out}: {len(places):,} characters of text, {n_entries:,} n-grams, {chosen.out.stat().st_size:,} bytes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
