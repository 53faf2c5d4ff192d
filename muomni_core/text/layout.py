"""A sentence as the Talker reads it: characters, and for each of them the Thinker's piece that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from muomni_core.text.tokenizer import Tokenizer, align_characters


@dataclass(frozen=True)
class Layout:
    """`characters[i]` is an id of the alphabet (from 1) and belongs to the token `tokens[owners[i]]`."""

    text: str
    characters: list[int]
    tokens: list[int]
    owners: list[int]


def lay_out(tokenizer: Tokenizer, spoken_text: str, alphabet: str) -> Layout:
    """Lays out a normalised sentence; a space before and behind it stands for the silence there.

    Raises ValueError for a character outside the alphabet, and for no text.
    """
    tokens, offsets = tokenizer.encode_with_offsets(spoken_text)
    owners = align_characters(spoken_text, offsets)
    text = f" {spoken_text} "
    characters = [alphabet.index(c) + 1 for c in text]
    return Layout(text, characters, tokens, [owners[0], *owners, owners[-1]])
