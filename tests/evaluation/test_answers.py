"""Answers in free words are compared by the words that carry them."""

from __future__ import annotations

import pytest

from muomni_core.evaluation.answers import content_words, key_words, said_share, word_overlap


def test_small_words_and_numbers_of_nouns_do_not_count() -> None:
    assert content_words("I see the two dogs' toys on a grass.") == {"two", "dog", "toy", "grass"}
    assert content_words("It is the.") == frozenset()


def test_the_nearest_caption_counts() -> None:
    captions = ["A brown dog runs over grass.", "A dog in a field."]
    assert word_overlap("A dog in the field.", captions) == 1
    assert word_overlap("Brown dogs run.", captions) == pytest.approx(2 * 3 / (3 + 4))
    assert word_overlap("A cat.", captions) == 0
    assert word_overlap("", captions) == 0 and word_overlap("dog", []) == 0


def test_saying_everything_does_not_pay() -> None:
    many = "dog cat man woman child tree car street field grass"
    assert word_overlap(many, ["A dog."]) < word_overlap("A dog.", ["A dog."])


@pytest.mark.parametrize(
    ("question", "answer", "wanted"),
    [
        ("What is two plus three?", "Two plus three is five.", {"five"}),
        ("Is a dog an animal?", "Yes, a dog is an animal.", {"yes"}),
        ("What is the capital of France?", "The capital of France is Paris.", {"paris"}),
        ("Say dog.", "Dog.", {"dog"}),
        ("Who?", "It is.", {"it", "is"}),
    ],
)
def test_what_an_answer_adds(question: str, answer: str, wanted: set[str]) -> None:
    assert key_words(question, answer) == wanted
    assert said_share(answer, key_words(question, answer)) == 1
    assert said_share("", key_words(question, answer)) == 0


def test_half_an_answer_is_half_right() -> None:
    assert said_share("It is tall.", frozenset({"tall", "plant"})) == 0.5
    assert said_share("anything", frozenset()) == 0
