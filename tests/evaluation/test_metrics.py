"""Metrics against cases worked out by hand, and the laws that an edit distance obeys."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muomni_core.evaluation.metrics import (
    ErrorRate,
    bits_per_byte,
    char_error,
    cider,
    codebook_usage,
    edits,
    named,
    retrieval_recall,
    word_error,
    words,
)

short = st.text("abc", max_size=8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("Don't — it’s 5 o'clock", ["don't", "it's", "5", "o'clock"]),
        ("rock'n'roll", ["rock'n", "roll"]),
        ("well-known 'quoted'", ["well", "known", "quoted"]),
        ("café", ["caf"]),
        (" ... ", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("ref", "hyp", "expected"), [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("flaw", "lawn", 2)]
)
def test_edits_known(ref, hyp, expected):
    assert edits(ref, hyp) == expected


@given(short, short, short)
def test_edits_is_a_metric(a, b, c):
    assert edits(a, a) == 0
    assert edits(a, b) == edits(b, a)
    assert (edits(a, b) == 0) == (a == b)
    assert edits(a, c) <= edits(a, b) + edits(b, c)


@given(short, short)
def test_edits_bounds(a, b):
    assert abs(len(a) - len(b)) <= edits(a, b) <= max(len(a), len(b))
    assert edits(a + "x", b + "x") == edits(a, b)


def test_word_error_sums_before_dividing():
    # One of two words wrong, and one word too many over four: 2 of 6, not the mean of 1/2 and 1/4.
    error = word_error(["the cat", "A dog ran off."], ["the hat", "a big dog ran off"])
    assert error == ErrorRate(2, 6)
    assert error.rate == pytest.approx(1 / 3)


def test_char_error_ignores_spaces_and_case():
    assert char_error(["Ice cream"], ["i scream"]) == ErrorRate(2, 8)


def test_error_of_nothing_said():
    assert word_error([""], ["two words"]).rate == 2.0
    assert word_error([], []).rate == 0.0


def test_error_needs_pairs():
    with pytest.raises(ValueError):
        word_error(["a"], [])


def test_retrieval_with_several_captions():
    # Two pictures; texts 0 and 1 belong to the first, 2 to the second.
    similarity = [[0.9, 0.1, 0.5], [0.2, 0.3, 0.1]]
    recall = retrieval_recall(similarity, [0, 0, 1], ks=(1, 2, 3))
    assert recall["image_to_text_r1"] == 0.5  # the second picture finds texts 1 and 0 before its own
    assert recall["image_to_text_r2"] == 0.5
    assert recall["image_to_text_r3"] == 1.0
    assert recall["text_to_image_r1"] == pytest.approx(1 / 3)  # text 0 alone
    assert recall["text_to_image_r2"] == 1.0


def test_retrieval_perfect_and_tied():
    assert set(retrieval_recall(np.eye(12)).values()) == {1.0}
    collapsed = retrieval_recall(np.ones((12, 12)))
    assert set(collapsed.values()) == {0.0}


@given(st.permutations(range(6)))
def test_retrieval_does_not_depend_on_the_texts_order(order):
    rng = np.random.default_rng(0)
    similarity, groups = rng.normal(size=(3, 6)), np.array([0, 0, 1, 1, 2, 2])
    assert retrieval_recall(similarity[:, order], groups[order]) == retrieval_recall(similarity, groups)


@pytest.mark.parametrize(
    ("similarity", "groups"),
    [([[math.nan]], None), ([[1.0, 2.0]], None), ([[1.0, 2.0]], [0, 1]), ([1.0], None), ([[1.0, 2.0]], [0])],
)
def test_retrieval_refuses(similarity, groups):
    with pytest.raises(ValueError):
        retrieval_recall(similarity, groups)


LABELS = ["cat", "wild cat", "chair", "Windsor chair", "dog", "cell_phone", "scissors", "jacket or coat", "butterfly"]


@pytest.mark.parametrize(
    ("sentence", "label", "expected"),
    [
        ("I see a cat.", "cat", True),
        ("I see two CATS on a mat.", "cat", True),
        ("This is the cat's face.", "cat", True),
        ("I see a category.", "cat", False),
        ("I see a cat and a dog.", "cat", False),
        ("There are cats and dogs.", "dog", False),
        ("I see a wild cat.", "cat", False),
        ("I see a wild cat.", "wild cat", True),
        ("I see a cat.", "wild cat", False),
        ("It is a Windsor chair.", "Windsor chair", True),
        ("It is a Windsor chair.", "chair", False),
        ("It's two cell phones!", "cell_phone", True),
        ("A scissor.", "scissors", True),
        ("She wears a coat.", "jacket or coat", True),
        ("Butterflies fly.", "butterfly", True),
        ("", "cat", False),
    ],
)
def test_named(sentence, label, expected):
    assert named(sentence, label, LABELS) is expected


def test_cider_is_ten_for_the_reference_itself():
    refs = [["a black dog runs on grass"], ["two children play with red balls"]]
    assert cider(refs, [r[0] for r in refs]) == pytest.approx(10.0)


def test_cider_by_hand():
    # Two pictures of one reference each. "a" is in both: idf 0. The guess shares "dog" of {dog, ran}, so the cosine of
    # unigrams is 1 / (1 * sqrt(2)); "a dog" of {a dog, dog ran} for bigrams the same; no longer n-gram.
    score = cider([["a dog ran"], ["a cat"]], ["a dog", "bird"])
    assert score == pytest.approx(10 * (2 / math.sqrt(2)) / 4 / 2)


def test_cider_means_over_references_and_ignores_what_all_share():
    one = cider([["red ball"], ["blue car"]], ["red ball", ""])
    half = cider([["red ball", "green tree"], ["blue car"]], ["red ball", ""])
    assert half == pytest.approx(one / 2)
    assert cider([["same words"], ["same words"]], ["same words", "same words"]) == 0.0


def test_cider_refuses():
    for refs, hyps in (([], []), ([[]], ["a"]), ([["a"], ["b"]], ["a"])):
        with pytest.raises(ValueError):
            cider(refs, hyps)


def test_bits_per_byte():
    # A uniform guess over 256 bytes costs 8 bits a byte.
    assert bits_per_byte(10 * math.log(256), 10) == pytest.approx(8.0)
    with pytest.raises(ValueError):
        bits_per_byte(1.0, 0)


def test_codebook_usage():
    assert codebook_usage([[0, 3], [1, 3], [0, 3]], 4) == [0.5, 0.25]
    assert codebook_usage(np.zeros((0, 2), dtype=int), 4) == [0.0, 0.0]
    for bad in ([[4, 0]], [[-1, 0]], [1, 2]):
        with pytest.raises(ValueError):
            codebook_usage(bad, 4)
