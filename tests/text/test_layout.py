"""A sentence as the Talker reads it."""

from __future__ import annotations

import pytest

from muomni_core.config import TalkerConfig
from muomni_core.text.layout import lay_out
from muomni_core.text.tokenizer import Tokenizer

ALPHABET = TalkerConfig().alphabet


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


def test_every_character_belongs_to_the_piece_that_it_is_part_of(tokenizer: Tokenizer) -> None:
    layout = lay_out(tokenizer, "hello, how are you?", ALPHABET)
    assert layout.text == " hello, how are you? "
    assert "".join(ALPHABET[c - 1] for c in layout.characters) == layout.text
    assert len(layout.owners) == len(layout.characters)
    assert layout.owners == sorted(layout.owners)
    assert set(layout.owners) == set(range(len(layout.tokens)))
    for n, token in enumerate(layout.tokens):
        said = "".join(c for c, owner in zip(layout.text, layout.owners, strict=True) if owner == n)
        assert tokenizer.decode([token]).strip() == said.strip()


def test_a_character_outside_the_alphabet_is_an_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError):
        lay_out(tokenizer, "naïve", ALPHABET)
