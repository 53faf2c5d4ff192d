"""From the ear's posteriors to symbols: the likeliest path, or a prefix beam search with a letter model (Hannun 2014)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from muomni_core.text.ngram import ALPHABET, LetterModel
from muomni_core.text.symbols import BLANK, FIRST, N_SYMBOLS, collapse, encode_symbols

SPACE = FIRST
LEAST = 1e-2  # posterior below which a symbol is not tried in a slot
RESCORE = 0.3  # weight of the Thinker where it is asked for
FALLEN = 14.0  # nats behind the best at which a prefix is given up

_PLACES = [-1] * N_SYMBOLS
for _place, _symbol in enumerate(encode_symbols(ALPHABET)):
    _PLACES[_symbol] = _place


@dataclass(frozen=True)
class Decoding:
    """How posteriors become text.

    Attributes:
        beam: prefixes that are kept; 1 takes the likeliest symbol of each slot and needs no letter model.
        letters: weight of the letter model's logarithms.
        bonus: nats for each symbol, as a letter model makes short texts likelier.
        rescore: weight of the Thinker's logarithms, which then choose among the beam's texts; 0 leaves it out.
    """

    beam: int = 32
    letters: float = 0.9
    bonus: float = 1.0
    rescore: float = 0.0

    @classmethod
    def of(cls, beam: int | None = None, rescore: bool = False) -> Decoding:
        """What people choose: a beam (None: the default), and whether the Thinker has a say, which takes 8 texts or more."""
        beam = cls.beam if beam is None else beam
        return cls(max(beam, 8) if rescore else beam, rescore=RESCORE if rescore else 0.0)


def greedy(logprobs: np.ndarray) -> list[int]:
    """The symbols of the likeliest path of (S, 98)."""
    return tidy(collapse(logprobs.argmax(1).tolist()))


def tidy(symbols: list[int]) -> list[int]:
    """Printable symbols with one space between words and none outside."""
    kept: list[int] = []
    for symbol in symbols:
        if symbol > SPACE or (symbol == SPACE and kept and kept[-1] != SPACE):
            kept.append(symbol)
    return kept[:-1] if kept and kept[-1] == SPACE else kept


class _Prefix:
    """A text so far. Each text is one object only, so that a dictionary tells them apart by identity."""

    __slots__ = ("children", "parent", "score", "state", "symbol")

    def __init__(self, parent: _Prefix | None, symbol: int, state: int, score: float):
        self.parent, self.symbol, self.state, self.score = parent, symbol, state, score
        self.children: dict[int, _Prefix] = {}

    def symbols(self) -> list[int]:
        found, prefix = [], self
        while prefix.parent is not None:
            found.append(prefix.symbol)
            prefix = prefix.parent
        return found[::-1]


def beam_search(
    logprobs: np.ndarray, decoding: Decoding, model: LetterModel | None = None
) -> list[tuple[float, list[int]]]:
    """The `beam` best texts of (S, 98) with their scores (nats, up to one constant), best first."""

    def extend(prefix: _Prefix, symbol: int) -> _Prefix:
        score, state = decoding.bonus, prefix.state
        if model is not None:
            place = _PLACES[symbol]
            if place >= 0:
                logs, after = model.row(state)
                score, state = score + decoding.letters * logs[place], after[place]
            else:  # what the model does not know it says nothing about
                score, state = 0.0, model.start
        child = _Prefix(prefix, symbol, state, prefix.score + score)
        prefix.children[symbol] = child
        return child

    root = _Prefix(None, BLANK, 0 if model is None else model.start, 0.0)
    # Of each prefix the probabilities of all its paths that end in a blank, and in its last symbol.
    active: dict[_Prefix, list[float]] = {root: [1.0, 0.0]}
    for blank, candidates in _slots(logprobs):
        if not candidates:  # all of them go on with a blank
            for sums in active.values():
                sums[0], sums[1] = sums[0] + sums[1], 0.0
            continue
        grown: dict[_Prefix, list[float]] = {}
        for prefix, (after_blank, after_symbol) in active.items():
            total = after_blank + after_symbol
            stays = grown.setdefault(prefix, [0.0, 0.0])
            stays[0] += total * blank
            last = prefix.symbol
            for symbol, chance in candidates:
                if symbol == last:
                    if symbol == SPACE:  # one space is as good as two
                        stays[1] += total * chance
                        continue
                    stays[1] += after_symbol * chance
                    gain = after_blank * chance
                    if not gain:
                        continue
                elif symbol == SPACE and last == BLANK:
                    stays[0] += total * chance
                    continue
                else:
                    gain = total * chance
                child = prefix.children.get(symbol) or extend(prefix, symbol)
                grown.setdefault(child, [0.0, 0.0])[1] += gain
        active = _best(grown, decoding.beam)
    return _ranked(active, decoding, model)


def _slots(logprobs: np.ndarray) -> list[tuple[float, list[tuple[int, float]]]]:
    """Of each slot the posterior of the blank, and the other symbols that are likely enough to be tried."""
    chances = np.exp(logprobs)
    slots: list[tuple[float, list[tuple[int, float]]]] = [(blank, []) for blank in chances[:, BLANK].tolist()]
    places, symbols = np.nonzero(chances[:, FIRST:] >= LEAST)
    values = chances[places, symbols + FIRST]
    for slot, symbol, value in zip(places.tolist(), (symbols + FIRST).tolist(), values.tolist(), strict=True):
        slots[slot][1].append((symbol, value))
    return slots


def _best(grown: dict[_Prefix, list[float]], beam: int) -> dict[_Prefix, list[float]]:
    ranked = [(math.log(b + s) + p.score, p, b, s) for p, (b, s) in grown.items() if b + s > 0.0]
    ranked.sort(key=lambda found: -found[0])
    # Scaled by one number for all, so that the products of a long sound stay in range.
    top, scale = ranked[0][0] - FALLEN, 1.0 / max(b + s for _, _, b, s in ranked[:beam])
    return {p: [b * scale, s * scale] for score, p, b, s in ranked[:beam] if score >= top}


def _ranked(
    active: dict[_Prefix, list[float]], decoding: Decoding, model: LetterModel | None
) -> list[tuple[float, list[int]]]:
    found = []
    for prefix, (after_blank, after_symbol) in active.items():
        score = math.log(after_blank + after_symbol) + prefix.score
        if model is not None and prefix.symbol not in (SPACE, BLANK):  # the last word must end, too
            score += decoding.letters * model.row(prefix.state)[0][0]
        found.append((score, tidy(prefix.symbols())))
    return sorted(found, key=lambda one: -one[0])
