"""From posteriors to symbols: the beam finds what summing over all paths finds, and a letter model turns the scale."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muomni_core.text.decoding import SPACE, Decoding, beam_search, greedy, tidy
from muomni_core.text.ngram import LetterModel, build, encode
from muomni_core.text.symbols import BLANK, N_SYMBOLS, collapse, decode_symbols, encode_symbols

ALONE = Decoding(beam=200, letters=0.0, bonus=0.0)


def log_posteriors(rows: list[dict[int, float]]) -> np.ndarray:
    chances = np.full((len(rows), N_SYMBOLS), 1e-12)
    for slot, row in enumerate(rows):
        for symbol, chance in row.items():
            chances[slot, symbol] = chance
    return np.log(chances / chances.sum(1, keepdims=True))


def spelled(text: str) -> np.ndarray:
    """Posteriors that are sure of `text`: a slot a character, a blank after each."""
    rows = [{symbol: 0.98, BLANK: 0.02} for symbol in encode_symbols(text)]
    return log_posteriors([row for one in rows for row in (one, {BLANK: 1.0})])


def letter_model() -> LetterModel:
    arrays = build(encode(["the cat sat on the mat", "the cat ate the rat"] * 40), order=5, max_entries=2000)
    orders = range(1, int(arrays["order"]) + 1)
    return LetterModel(*([arrays[f"{name}_{n}"] for n in orders] for name in ("children", "characters", "values")))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10_000))
def test_the_beam_sums_over_all_paths(n_slots: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    symbols = [BLANK, *encode_symbols("ab ")]
    rows = [dict(zip(symbols, rng.dirichlet([1.0] * 4) * 0.9 + 0.025, strict=True)) for _ in range(n_slots)]
    logprobs = log_posteriors(rows)
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(symbols, repeat=n_slots):
        chance = math.exp(sum(logprobs[slot, symbol] for slot, symbol in enumerate(path)))
        # A second space, or one before the first letter, is as good as none; one at the end is told apart.
        said: list[int] = []
        for symbol in collapse(path):
            if symbol != SPACE or (said and said[-1] != SPACE):
                said.append(symbol)
        sums[tuple(said)] += chance
    found = beam_search(logprobs, ALONE)
    best = max(sums.values())
    assert found[0][1] in [tidy(list(said)) for said, chance in sums.items() if chance > best * 0.999]
    assert len(found) == len(sums)
    scores = sorted((math.log(chance) for chance in sums.values()), reverse=True)
    assert [score - found[0][0] for score, _ in found] == pytest.approx(
        [score - scores[0] for score in scores], abs=1e-3
    )


@pytest.mark.parametrize("text", ["hello all", "add", "a", "don't"])
@pytest.mark.parametrize("decoding", [ALONE, Decoding(beam=1), Decoding(beam=4)])
def test_what_is_sure_is_found(text: str, decoding: Decoding) -> None:
    assert decode_symbols(greedy(spelled(text))) == text
    assert decode_symbols(beam_search(spelled(text), decoding)[0][1]) == text


def test_the_letter_model_turns_the_scale() -> None:
    rows = [{symbol: 1.0} for symbol in encode_symbols("the ")]
    rows += [{encode_symbols("k")[0]: 0.55, encode_symbols("c")[0]: 0.45}]
    rows += [{symbol: 1.0} for symbol in encode_symbols("at")]
    logprobs = log_posteriors(rows)
    model = letter_model()
    assert decode_symbols(greedy(logprobs)) == "the kat"
    assert decode_symbols(beam_search(logprobs, Decoding(8, 0.0, 0.0), model)[0][1]) == "the kat"
    assert decode_symbols(beam_search(logprobs, Decoding(8), model)[0][1]) == "the cat"


def test_symbols_that_the_model_does_not_know_are_not_lost() -> None:
    assert decode_symbols(beam_search(spelled("cat 7X"), Decoding(4), letter_model())[0][1]) == "cat 7X"


def test_nothing_is_nothing() -> None:
    silent = log_posteriors([{BLANK: 1.0}] * 5)
    assert greedy(silent) == [] and beam_search(silent, Decoding(4))[0][1] == []
    assert beam_search(silent[:0], Decoding(4))[0][1] == []


def test_tidy() -> None:
    assert decode_symbols(tidy(encode_symbols("  a   b  "))) == "a b" and tidy([SPACE]) == []


def test_a_long_sound_stays_in_range() -> None:
    rng = np.random.default_rng(0)
    logprobs = np.log(rng.dirichlet(np.full(N_SYMBOLS, 0.05), size=1500) + 1e-9)
    score, symbols = beam_search(logprobs, Decoding(4), letter_model())[0]
    assert math.isfinite(score) and len(symbols) > 100


def test_choices() -> None:
    assert Decoding.of() == Decoding() and Decoding.of(4).beam == 4
    assert Decoding.of(None, True).beam == Decoding.beam and Decoding.of(16, True).beam == 16
    assert Decoding.of(1, True).beam == 8 and Decoding.of(1, True).rescore > 0
