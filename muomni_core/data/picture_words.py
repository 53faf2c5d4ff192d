"""The words that are known of a picture, as shares of the vocabulary: what its frames alone are to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from muomni_core.data.phrasings import SEE_ANSWER
from muomni_core.data.words import with_article
from muomni_core.evaluation.answers import key_words
from muomni_core.evaluation.metrics import WORD
from muomni_core.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # who asks needs no part of the training mix
    from muomni_core.data.picture_mix import PictureFacts

CAPTION = 0.2  # what a word of one caption counts beside one of the label: there are five captions
MIXED = 1.0  # of the Beta distribution of the parts that are mixed (mixup, Zhang 2018); 1: any part is as likely


def word_tokens(tokenizer: Tokenizer, question: str, answer: str) -> list[int]:
    """Tokens of the words that an answer adds to its question, without yes and no."""
    wanted = key_words(question, answer) - {"yes", "no", "not"}
    ids, spans = tokenizer.encode_with_offsets(answer)
    inside = [m.span() for m in WORD.finditer(answer.lower()) if m[0] in wanted]
    return [i for i, (start, end) in zip(ids, spans, strict=True) if any(a < end and start < b for a, b in inside)]


class PictureWords:
    """Of some pictures the shares (rows, vocabulary) that label and captions give to each token."""

    def __init__(self, facts: Sequence[PictureFacts], tokenizer: Tokenizer):
        self.vocab_size = tokenizer.vocab_size
        self._words = [self._shares(f, tokenizer) for f in facts]
        self.known = np.array([len(ids) > 0 for ids, _ in self._words])

    @staticmethod
    def _shares(facts: PictureFacts, tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
        counted: dict[int, float] = {}
        texts = [(SEE_ANSWER.format(a=with_article(facts.label)), 1.0)] if facts.label else []
        for text, count in texts + [(caption, CAPTION) for caption in facts.captions.texts]:
            for token in word_tokens(tokenizer, "", text):
                counted[token] = counted.get(token, 0.0) + count
        shares = torch.tensor(list(counted.values()))
        return torch.tensor(list(counted), dtype=torch.long), shares / shares.sum()

    def __call__(self, rows: Sequence[int]) -> Tensor:
        wanted = torch.zeros(len(rows), self.vocab_size)
        for n, row in enumerate(rows):
            ids, shares = self._words[row]
            wanted[n, ids] = shares
        return wanted


def mixed(frames: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """Each picture's frames (P, N, 128) and words (P, vocabulary) with a part of the next one's.

    Between the pictures that it knows a reader of frames learns to change its mind gradually; alone with them it learns
    them by heart.
    """
    part = torch.distributions.Beta(MIXED, MIXED).sample((len(frames), 1))
    part = torch.maximum(part, 1 - part)
    return (
        part[..., None] * frames + (1 - part[..., None]) * frames.roll(1, 0),
        part * words + (1 - part) * words.roll(1, 0),
    )
