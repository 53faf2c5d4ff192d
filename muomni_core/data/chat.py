"""How text becomes tokens for the Thinker, the same in training and in use.

a document       text <|end|>
a conversation   <|user|> question <|assistant|> answer <|end|> <|user|> ...
with a picture   <|user|> <|image|> frames question <|assistant|> ...          (image, audio, text: in this order)
with a sound     <|user|> <|audio|> frames question <|assistant|> ...
"""

from __future__ import annotations

from collections.abc import Sequence

from muomni_core.data.record import Row
from muomni_core.text.tokenizer import Tokenizer

# Places of frames among token ids; the Thinker's input puts projected frames there (model/fusion.py).
IMAGE_SLOT, AUDIO_SLOT = -1, -2


def document_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return [*tokenizer.encode(text), tokenizer.end_id]


def turn_ids(
    tokenizer: Tokenizer, question: str, pictures: Sequence[int] = (), sounds: Sequence[int] = ()
) -> list[int]:
    """A user's turn up to where the answer begins; `pictures` and `sounds` say how many frames each of them has."""
    ids = [tokenizer.user_id]
    for n_frames in pictures:
        ids += [tokenizer.image_id, *[IMAGE_SLOT] * n_frames]
    for n_frames in sounds:
        ids += [tokenizer.audio_id, *[AUDIO_SLOT] * n_frames]
    return [*ids, *tokenizer.encode(question), tokenizer.assistant_id]


def chat_ids(tokenizer: Tokenizer, turns: Sequence[str]) -> list[int]:
    """User and assistant in turn; every answer ends with <|end|>, and so does a last question without one."""
    ids: list[int] = []
    for n, turn in enumerate(turns):
        ids.append(tokenizer.assistant_id if n % 2 else tokenizer.user_id)
        ids.extend(tokenizer.encode(turn))
        if n % 2 or n == len(turns) - 1:
            ids.append(tokenizer.end_id)
    return ids


def row_ids(tokenizer: Tokenizer, row: Row) -> list[int]:
    """Tokens of a text row of any kind; empty for a row without text."""
    if row.turns:
        return chat_ids(tokenizer, row.turns)
    if row.question is not None and row.answer is not None:
        question = f"{row.context}\n{row.question}" if row.context else row.question
        return chat_ids(tokenizer, [question, row.answer])
    return document_ids(tokenizer, row.text) if row.text else []
