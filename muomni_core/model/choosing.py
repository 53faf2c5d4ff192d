"""The answer about a picture that agrees best with the other answers there might be, with the eye and with the reader.

The Thinker's likeliest next token, again and again, makes a likely text of few answers. Here a beam search finds its
likeliest answers, and others who know the picture weigh them with it (product of experts, Hinton 2002). Whether the answer
names one thing or is a sentence is the Thinker's alone to say. Of names the reader is the better judge, which has learned
which words belong to which pictures; of sentences the eye, which has learned which captions do (CLIP). Of names the one
that weighs most is given; of sentences the one that has most words in common with all of them, each so weighed (minimum
Bayes risk, Kumar & Byrne 2004): one odd sentence does not count.

On 288 val photographs (weights of 0.5, the picture without its mirror image), with the eye alone beside the Thinker: 55% of
Caltech-101 named, 46% of cats, dogs and other everyday things, a content word of 58% of flickr8k; with the reader too, for
names and sentences alike, 67, 50 and 50%; each for its own, 60, 52 and 61%.

This is for answers that say what is in a picture, which are the texts that the eye knows: of colours, sides and yes or no
it is no judge (of drawn scenes the weights of 0.3 answered 81.3% rightly without it, 79.5% with it, among 16 drawn
answers).
Of a spoken question without its words nobody knows which it is; there the Thinker's doubt tells: a caption is one of many,
a yes or a colour of few.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from muomni_core.data.example import plain
from muomni_core.data.phrasings import DESCRIBE, NAMING, SEE, SEE_ANSWER
from muomni_core.model.cache import KVCache
from muomni_core.model.thinker import Thinker

THINKER = 0.6  # weight of the logarithms of the Thinker's probabilities
EYE = 34.0  # weight of the eye's cosines beside them where the answer is a sentence
EYE_OF_NAMES = 10.0  # and where it names one thing
READER = 6.0  # weight of the logarithms of how likely the reader finds a name's words
NOTHING = -12.0  # such a logarithm of an answer that says nothing of a picture
NAMED = 0.7  # share of the Thinker's probability that names must have, or the answer is a sentence
SURE = math.log(0.25)  # where the question may be another one, an answer that is likelier is given as it is

_WHAT_IS_SEEN = frozenset(
    map(plain, (SEE, *DESCRIBE, *(question for _, questions in NAMING for question in questions)))
)


_NAMES = tuple(
    {form.split("{a}")[0] for form in (SEE_ANSWER, *(form for form, _ in NAMING))} | {"These are ", "There are "}
)


def asks_what_is_seen(question: str) -> bool:
    """Whether a question is one of those that are answered by what is in the picture, case and marks aside."""
    return plain(question) in _WHAT_IS_SEEN


class Seen(NamedTuple):
    """What is made of a picture, and whether its contents are asked for, as far as one knows.

    Attributes:
        vector: (128,) the eye's unit vector.
        words: (5000,) what the reader says of words, if there is one: the mean of its logarithmic probabilities for the
            picture and its mirror image.
    """

    vector: Tensor
    words: Tensor | None
    asked: bool


class Answer(NamedTuple):
    """Tokens without the end token, and the natural logarithm of their probability with it."""

    tokens: list[int]
    log_probability: float


@torch.no_grad()
def likeliest_answers(
    thinker: Thinker, embeddings: Tensor, end_id: int, *, count: int, max_tokens: int, cache: KVCache
) -> list[Answer]:
    """At most `count` answers to a prompt (1, T, 256), the likeliest that a beam of `count` finds, the likeliest first.

    Where none has ended within `max_tokens`, it is the likeliest that has not.

    Args:
        cache: what came before the prompt; it has taken in the prompt afterwards, and none of the answers.
    """
    logits = thinker.logits(thinker(embeddings, cache=cache)[:, -1]).expand(count, -1)
    many = cache.copied(count, cache.length + max_tokens)
    scores = torch.full((count,), -torch.inf, device=embeddings.device)
    scores[0] = 0.0  # all rows are alike at first, one is enough
    begun: list[list[int]] = [[] for _ in range(count)]
    ended: list[Answer] = []
    for place in range(max_tokens):
        totals = scores[:, None] + logits.float().log_softmax(-1)
        best, at = totals.flatten().topk(min(2 * count, totals.numel()))
        rows, tokens = at // totals.shape[1], at % totals.shape[1]
        over = (tokens == end_id) | best.isneginf()
        ended += [
            Answer(begun[row], score)
            for row, token, score in zip(rows.tolist(), tokens.tolist(), best.tolist(), strict=True)
            if token == end_id and score > -torch.inf
        ]
        ended = sorted(ended, key=lambda answer: -answer.log_probability)[:count]
        scores, rows, tokens = (x[~over][:count] for x in (best, rows, tokens))
        if not len(scores) or (len(ended) == count and ended[-1].log_probability >= scores[0]):
            break
        begun = [[*begun[row], token] for row, token in zip(rows.tolist(), tokens.tolist(), strict=True)]
        if place + 1 < max_tokens:
            many.take(rows)
            logits = thinker.logits(thinker(thinker.embed(tokens[:, None]), cache=many)[:, -1])
    return ended or [Answer(begun[0], float(scores[0]))]


def found_by_reader(tokens: Sequence[int], words: Tensor | None) -> float:
    """The natural logarithm of the mean probability of an answer's words' tokens; 0 where there is no reader."""
    if words is None:
        return 0.0
    return float(words[list(tokens)].logsumexp(0)) - math.log(len(tokens)) if tokens else NOTHING


def agreed(
    answers: Sequence[Answer], cosines: Tensor, read: Tensor, names: Sequence[bool], *, asked: bool = True
) -> int:
    """Which of N answers to give: the name that weighs most, or the sentence that has most in common with the others.

    What the Thinker's probabilities lack to 1 is shared out evenly: where there might be many answers, a few stand for
    all. Where what is seen may not be `asked` for, it is the first, the likeliest, if the Thinker is sure of it.

    Args:
        cosines: (N,) of each with the picture, by the eye.
        read: (N,) as `found_by_reader` has it.
        names: of each, whether it only names something.
    """
    if not asked and answers[0].log_probability > SURE:
        return 0
    found = torch.tensor([answer.log_probability for answer in answers]).exp()
    spread = (1 - found.sum()).clamp_min(1e-9) / len(answers)
    is_name, cosines = torch.tensor(names), cosines.cpu()
    one_thing = bool(is_name.all() or found[is_name].sum() >= NAMED)
    known = EYE_OF_NAMES * cosines + READER * read if one_thing else EYE * cosines
    own = is_name == one_thing
    weights = (THINKER * (found + spread).log() + known).masked_fill(~own, -torch.inf).softmax(0)
    if one_thing:  # names have nothing in common but their form
        return int(weights.argmax())
    bags = [Counter(answer.tokens) for answer in answers]
    shared = {
        number: sum(w * _dice(bag, other) for w, other in zip(weights.tolist(), bags, strict=True))
        for number, bag in enumerate(bags)
        if own[number]
    }
    return max(shared, key=shared.__getitem__)


def only_names(answer: str) -> bool:
    """Whether an answer has one of the forms in which a thing is named."""
    return answer.startswith(_NAMES)


def loops(answer: Sequence[int], run: int) -> bool:
    """Whether a run of so many tokens is said twice; a run of 0 is none."""
    runs = [tuple(answer[i : i + run]) for i in range(len(answer) - run + 1)] if run else []
    return len(set(runs)) < len(runs)


def _dice(one: Counter[int], other: Counter[int]) -> float:
    return 2 * (one & other).total() / max(1, one.total() + other.total())
