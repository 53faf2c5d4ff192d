"""The measures that evaluation reports. Each is a plain function of texts, codes or similarities; no model in here.

Word and character errors count as an independent judge of speech does: lower-case words without punctuation, and the
characters of those words run together.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
IRREGULAR_PLURALS = {
    "man": "men",
    "woman": "women",
    "person": "people",
    "child": "children",
    "foot": "feet",
    "tooth": "teeth",
    "goose": "geese",
    "mouse": "mice",
    "ox": "oxen",
    "octopus": "octopi",
    "cactus": "cacti",
}


def words(text: str) -> list[str]:
    """Lower-case words of a text, punctuation dropped, apostrophes kept inside words."""
    return WORD.findall(text.lower().replace("’", "'"))


def edits(ref: Sequence[Any], hyp: Sequence[Any]) -> int:
    """Levenshtein distance between two sequences: insertions, deletions and substitutions at one each."""
    row = list(range(len(hyp) + 1))
    for i, r in enumerate(ref, 1):
        diagonal, row[0] = row[0], i
        for j, h in enumerate(hyp, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (r != h))
    return row[-1]


@dataclass(frozen=True)
class ErrorRate:
    """Edits over the references' length; more than 1 where more was heard than said."""

    edits: int
    total: int

    @property
    def rate(self) -> float:
        return self.edits / max(1, self.total)


def _error(pairs: Iterable[tuple[Sequence[Any], Sequence[Any]]]) -> ErrorRate:
    counts = [(edits(ref, hyp), len(ref)) for ref, hyp in pairs]
    return ErrorRate(sum(e for e, _ in counts), sum(n for _, n in counts))


def word_error(refs: Sequence[str], hyps: Sequence[str]) -> ErrorRate:
    """Word errors of `hyps` against `refs` (as many of each), summed before they are divided.

    Raises ValueError where their numbers differ.
    """
    return _error((words(r), words(h)) for r, h in zip(refs, hyps, strict=True))


def char_error(refs: Sequence[str], hyps: Sequence[str]) -> ErrorRate:
    """Character errors over the words without spaces. Raises ValueError where the numbers of texts differ."""
    return _error(("".join(words(r)), "".join(words(h))) for r, h in zip(refs, hyps, strict=True))


def retrieval_recall(similarity: Any, groups: Sequence[int] | None = None, ks: Sequence[int] = (1, 5, 10)) -> dict:
    """Share of queries with a right partner among the first k, both ways.

    `similarity` (N pictures, M texts); `groups` (M,) is the picture's row of each text, by default one text a picture
    in the same order. Keys: `image_to_text_r1` and so on (any of the picture's texts counts), `text_to_image_r1`.
    A tie counts against the right one, so a model that says the same of everything does not look perfect.
    Raises ValueError on shapes that do not fit, groups outside the pictures and similarities that are not finite.
    """
    scores = np.asarray(similarity, dtype=np.float64)
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise ValueError(f"similarity: expected finite numbers of shape (N, M), got shape {scores.shape}")
    n, m = scores.shape
    if groups is None and n != m:
        raise ValueError(f"groups are needed where pictures ({n}) and texts ({m}) differ in number")
    owner = np.arange(m) if groups is None else np.asarray(groups, dtype=np.int64)
    if owner.shape != (m,) or owner.min() < 0 or owner.max() >= n:
        raise ValueError(f"groups: expected {m} rows of {n} pictures, got shape {owner.shape}")
    right = owner[None, :] == np.arange(n)[:, None]  # (N, M)
    best = np.where(right, scores, -np.inf).max(axis=1)  # the best of a picture's own texts; -inf where it has none
    image_rank = (~right & (scores >= best[:, None])).sum(axis=1)[right.any(axis=1)]
    text_rank = (~right & (scores >= scores[owner, np.arange(m)])).sum(axis=0)
    ranks = {"image_to_text": image_rank, "text_to_image": text_rank}
    return {f"{way}_r{k}": float((rank < k).mean()) for way, rank in ranks.items() for k in ks}


def _plurals(word: str) -> set[str]:
    forms = {word + "s", word + "es", IRREGULAR_PLURALS.get(word, word)}
    if word.endswith("y"):
        forms.add(word[:-1] + "ies")
    if word.endswith(("f", "fe")):
        forms.add(word.removesuffix("e")[:-1] + "ves")
    return forms


def _same_noun(one: str, other: str) -> bool:
    """The same word, or one the other's plural."""
    return one == other or other in _plurals(one) or one in _plurals(other)


def _mentions(said: Sequence[str], noun: Sequence[str]) -> bool:
    """Do the words of `noun` stand in `said` in a row, the last in either number?"""
    return any(
        list(said[at : at + len(noun) - 1]) == list(noun[:-1]) and _same_noun(said[at + len(noun) - 1], noun[-1])
        for at in range(len(said) - len(noun) + 1)
    )


def _names(label: str) -> list[list[str]]:
    """The ways to say a label: `jacket or coat` is either, `cell_phone` two words."""
    ways = [words(way.replace("_", " ")) for way in re.split(r"\bor\b", label)]
    return [way for way in ways if way]


def named(sentence: str, label: str, labels: Iterable[str]) -> bool:
    """Does the sentence say the label, in singular or plural, and no other label of the set?

    A label of several words must stand there whole. Another label that is a part of this one ("chair" of "Windsor
    chair") does no harm; one that merely contains it ("Windsor chair" where "chair" is right) does.
    """
    said = [word.removesuffix("'s") for word in words(sentence)]
    right = _names(label)
    if not any(_mentions(said, way) for way in right):
        return False
    others = (way for other in labels for way in _names(other))
    return not any(_mentions(said, way) for way in others if not any(_mentions(own, way) for own in right))


def _ngrams(text: str, n: int) -> Counter[tuple[str, ...]]:
    parts = words(text)
    return Counter(tuple(parts[i : i + n]) for i in range(len(parts) - n + 1))


def cider(refs: Sequence[Sequence[str]], hyps: Sequence[str]) -> float:
    """CIDEr (Vedantam et al. 2015) times 10: one sentence a picture against the several of its references.

    Mean over n = 1 to 4 and over references of the cosine of tf-idf vectors of n-grams over lower-cased words, no
    stemming; document frequencies are counted over these pictures' references, so a score belongs to its set.
    Raises ValueError where there is no picture, their numbers differ or a picture has no reference.
    """
    if not refs or not all(refs):
        raise ValueError("cider: every picture needs at least one reference")
    total = 0.0
    for n in (1, 2, 3, 4):
        counted = [[_ngrams(ref, n) for ref in some] for some in refs]
        frequency = Counter(gram for some in counted for gram in set().union(*some))

        def weigh(counts: Counter, frequency: Counter = frequency) -> dict[tuple[str, ...], float]:
            # The term frequency's denominator falls out of the cosine.
            return {gram: c * math.log(len(refs) / max(1, frequency[gram])) for gram, c in counts.items()}

        for some, hyp in zip(counted, hyps, strict=True):
            guess = weigh(_ngrams(hyp, n))
            total += sum(_cosine(guess, weigh(ref)) for ref in some) / len(some)
    return 10 * total / (4 * len(refs))


def _cosine(a: dict[tuple[str, ...], float], b: dict[tuple[str, ...], float]) -> float:
    length = math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
    return sum(v * b.get(gram, 0.0) for gram, v in a.items()) / length if length else 0.0


def bits_per_byte(nll_nats: float, n_bytes: int) -> float:
    """The summed negative log-likelihood (nats) of a text as bits for each of its UTF-8 bytes.

    Unlike perplexity it compares models of different tokenizers. Raises ValueError without bytes.
    """
    if n_bytes <= 0:
        raise ValueError("bits_per_byte: no bytes to divide by")
    return nll_nats / (math.log(2) * n_bytes)


def codebook_usage(codes: Any, size: int) -> list[float]:
    """Share of each codebook's `size` entries that occur in `codes` (N,Q): a number from 0 to 1 for each of Q.

    Raises ValueError on another shape or an entry outside the codebook.
    """
    table = np.asarray(codes)
    if table.ndim != 2 or (table.size and (table.min() < 0 or table.max() >= size)):
        raise ValueError(f"codes: expected shape (N, Q) with entries from 0 to {size - 1}, got shape {table.shape}")
    return [len(np.unique(column)) / size for column in table.T]
