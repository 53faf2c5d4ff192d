"""The answer about a picture that agrees best with the other answers there might be, and with the eye.

The Thinker's likeliest next token, again and again, makes a likely text of few answers. Here many answers are drawn; the
eye, which has learned which texts belong to which pictures (CLIP), gives each a weight, as a second expert beside the
Thinker (product of experts, Hinton 2002); and the one is given that has most words in common with all of them (minimum
Bayes risk, Kumar & Byrne 2004). What the Thinker is unsure of the eye decides, and one odd sample does not count.

This is for answers that say what is in a picture, which are the texts that the eye knows: of colours, sides and yes or no
it is no judge (of drawn scenes 81.3% are answered rightly without it, 79.5% with it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from muomni_core.data.example import plain
from muomni_core.data.phrasings import DESCRIBE, NAMING, SEE
from muomni_core.model.cache import KVCache
from muomni_core.model.thinker import Thinker

TEMPERATURE = 0.8  # of the draws
EYE = 12.0  # weight of the eye's cosines beside the Thinker's logarithms

_WHAT_IS_SEEN = frozenset(
    map(plain, (SEE, *DESCRIBE, *(question for _, questions in NAMING for question in questions)))
)


def asks_what_is_seen(question: str) -> bool:
    """Whether a question is one of those that are answered by what is in the picture, case and marks aside."""
    return plain(question) in _WHAT_IS_SEEN


@torch.no_grad()
def draw_answers(
    thinker: Thinker,
    embeddings: Tensor,
    end_id: int,
    *,
    count: int,
    max_tokens: int,
    generator: torch.Generator,
    cache: KVCache,
) -> list[list[int]]:
    """`count` answers to a prompt (1, T, 256) without their end tokens: the likeliest one, and draws.

    Args:
        cache: what came before the prompt; it has taken in the prompt afterwards, and none of the answers.
    """
    from muomni_core.model.talker import sample

    logits = thinker.logits(thinker(embeddings, cache=cache)[:, -1]).expand(count, -1)
    many = cache.copied(count, cache.length + max_tokens)
    answers: list[list[int]] = [[] for _ in range(count)]
    ended = torch.zeros(count, dtype=torch.bool, device=embeddings.device)
    for place in range(max_tokens):
        tokens = sample(logits, TEMPERATURE, 1.0, generator)
        tokens[0] = logits[0].argmax()
        ended |= tokens == end_id
        if ended.all():
            break
        for answer, token, over in zip(answers, tokens.tolist(), ended.tolist(), strict=True):
            if not over:
                answer.append(token)
        if place + 1 < max_tokens:
            logits = thinker.logits(thinker(thinker.embed(tokens[:, None]), cache=many)[:, -1])
    return answers


def agreed(answers: Sequence[Sequence[int]], cosines: Tensor) -> int:
    """Which of N answers has the most tokens in common with all, each weighed by the eye's cosines (N,)."""
    weights = (EYE * cosines).softmax(0).tolist()
    bags = [Counter(answer) for answer in answers]
    shared = {
        number: sum(w * _dice(bag, other) for w, other in zip(weights, bags, strict=True))
        for number, bag in enumerate(bags)
    }
    return max(shared, key=shared.__getitem__)


def loops(answer: Sequence[int], run: int) -> bool:
    """Whether a run of so many tokens is said twice; a run of 0 is none."""
    runs = [tuple(answer[i : i + run]) for i in range(len(answer) - run + 1)] if run else []
    return len(set(runs)) < len(runs)


def _dice(one: Counter[int], other: Counter[int]) -> float:
    return 2 * (one & other).total() / max(1, one.total() + other.total())
