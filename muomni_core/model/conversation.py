"""A conversation that remembers: earlier questions with their pictures and sounds, and the answers."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from muomni_core.audio.io import SoundSource
from muomni_core.model.asking import SHORTEST_ANSWER, Asker, Turn
from muomni_core.model.cache import KVCache

if TYPE_CHECKING:
    from muomni_core.model.asking import Pictures

log = logging.getLogger(__name__)

LONGEST_RESERVED = 128  # tokens kept free for an answer: one that may be longer is not worth forgetting more for


class Conversation:
    """Turns of a user and the answers to them, as far back as the Thinker's context reaches.

    What the Thinker has read it does not read again; only when the oldest turns are forgotten, the rest is read anew.
    """

    def __init__(self, asker: Asker):
        self._asker = asker
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._turns: list[Turn] = []  # with their answers
        self._cache: KVCache | None = None

    def __len__(self) -> int:
        """Questions that are remembered."""
        return len(self._turns)

    @property
    def n_tokens(self) -> int:
        """Positions of the context that are taken."""
        return sum(turn.embeddings.shape[1] for turn in self._turns)

    def ask(
        self,
        question: str | None = None,
        image: Pictures | None = None,
        audio: SoundSource | None = None,
        **options: Any,
    ) -> str:
        """As `MuOmni.ask`, with all that was said before."""
        return "".join(self.ask_stream(question, image, audio, **options)).strip()

    def ask_stream(
        self,
        question: str | None = None,
        image: Pictures | None = None,
        audio: SoundSource | None = None,
        *,
        transcript: bool = True,
        max_tokens: int = 64,
        **options: Any,
    ) -> Generator[str, None, None]:
        """As `ask`, piece by piece. An answer that is not taken to its end is remembered as far as it went."""
        turn = self._asker.turn(question, image, audio, transcript=transcript)
        self._make_room(turn.embeddings.shape[1] + min(LONGEST_RESERVED, max(SHORTEST_ANSWER, max_tokens)))
        return self._answered(turn, max_tokens, options)

    def _answered(self, turn: Turn, max_tokens: int, options: dict[str, Any]) -> Generator[str, None, None]:
        cache = self._cache = self._cache or self._asker.thinker.new_cache()
        self._turns.append(turn)
        said: list[int] = []

        def tokens() -> Iterator[int]:
            unread = torch.cat([t.embeddings for t in self._turns], dim=1)[:, cache.length :]
            for token in self._asker.tokens(unread, max_tokens=max_tokens, seen=turn.seen, cache=cache, **options):
                said.append(token)
                yield token

        try:
            yield from self._asker.text(tokens())
        finally:
            self._turns[-1] = self._with_answer(turn, said)

    @torch.no_grad()
    def _with_answer(self, turn: Turn, said: list[int]) -> Turn:
        ids = torch.tensor([[*said, self._asker.tokenizer.end_id]], device=turn.embeddings.device)
        whole: Tensor = torch.cat([turn.embeddings, self._asker.thinker.embed(ids)], dim=1)
        return dataclasses.replace(turn, embeddings=whole)

    def _make_room(self, wanted: int) -> None:
        """Forgets the oldest turns until `wanted` positions are free, or nothing is left to forget."""
        forgotten: list[Turn] = []
        while self._turns and self.n_tokens + wanted > self._asker.context:
            forgotten.append(self._turns.pop(0))
        if not forgotten:
            return
        self._cache = None
        lost = [
            *(["a picture"] if any(turn.picture_places for turn in forgotten) else []),
            *(["a recording"] if any(turn.heard for turn in forgotten) else []),
        ]
        log.warning(
            "the conversation no longer fits into %d tokens: forgot its first %s%s",
            self._asker.context,
            "question" if len(forgotten) == 1 else f"{len(forgotten)} questions",
            f" with {' and '.join(lost)}" if lost else "",
        )
