"""Puts case and marks to the words that were heard: "hello how are you" -> "Hello, how are you?"."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from muomni_core.checkpoint import fingerprint, write_atomically
from muomni_core.errors import CheckpointError
from muomni_core.model.layers import TransformerBlock, length_mask, rotary_angles
from muomni_core.model.word_times import HeardWord
from muomni_core.text.tokenizer import VOCAB_SIZE, Tokenizer
from muomni_core.text.written import CAPITAL, CASES, END_SIGNS, ENDS, LOWER, MARKS, put
from muomni_core.weights import SHIPPED

log = logging.getLogger(__name__)

PUNCTUATION = "punctuation.safetensors"  # the file, beside the ear's weights
FORMAT = 1
STEP = 48  # words that are decided at once, and
CONTEXT = 24  # words before and behind them that are looked at
PAUSES = (0.05, 0.15, 0.3, 0.5, 0.8)  # seconds: bounds between the kinds of pause; kind 0 is an unknown one
CAUTION = 0.6  # nats: a sentence cut in two reads worse than two that run together
MAX_PIECES = 12  # of a word; no English one has more


@dataclass(frozen=True)
class PunctuatorConfig:
    vocab_size: int = VOCAB_SIZE
    width: int = 96
    n_layers: int = 3
    n_heads: int = 4
    hidden: int = 384


class Punctuator(nn.Module):
    """A text encoder over the pieces of words, of which each word's last one says its case and the mark behind it."""

    def __init__(self, config: PunctuatorConfig):
        super().__init__()
        self.config = config
        self.pieces = nn.Embedding(config.vocab_size, config.width)
        self.pauses = nn.Embedding(len(PAUSES) + 2, config.width, padding_idx=0)  # an unknown one adds nothing
        nn.init.normal_(self.pieces.weight, std=0.5)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.width, config.n_heads, config.hidden) for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.case = nn.Linear(config.width, len(CASES))
        self.mark = nn.Linear(config.width, len(MARKS))

    def forward(self, pieces: Tensor, lengths: Tensor, lasts: Tensor, pauses: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the case of words, (B, W, 3), if they do not begin a sentence, and of the marks behind them, (B, W, 5).

        Args:
            pieces: (B, T) ids of lower-case words, a space before each.
            lengths: (B,) pieces of each row.
            lasts: (B, W) where in T the last piece of each word is; behind a row's words any place.
            pauses: (B, W) the kind of pause behind each word; behind a row's words 0.
        """
        x = self.pieces(pieces)
        x = x.scatter_add(1, lasts[..., None].expand(-1, -1, x.shape[2]), self.pauses(pauses).to(x.dtype))
        places = torch.arange(pieces.shape[1], device=pieces.device)[None]
        angles = rotary_angles(places, self.config.width // self.config.n_heads)
        mask = length_mask(lengths, pieces.shape[1])[:, None, None]
        for block in self.blocks:
            x = block(x, mask, angles)
        words = self.norm(x).gather(1, lasts[..., None].expand(-1, -1, x.shape[2]))
        return self.case(words), self.mark(words)


def likeliest_marks(logits: Tensor) -> Tensor:
    """Logits (..., 5) -> the marks behind words that others follow (...)."""
    return (logits - CAUTION * torch.isin(torch.arange(len(MARKS)), torch.tensor(ENDS))).argmax(-1)


def likeliest_ends(logits: Tensor) -> Tensor:
    """Logits (..., 5) -> the marks behind last words (...)."""
    return torch.tensor(ENDS)[logits[..., list(ENDS)].argmax(-1)]


def kind_of_pause(seconds: float | None) -> int:
    """The place in the table of pauses; None where it is not known."""
    return 0 if seconds is None else 1 + int(np.searchsorted(PAUSES, seconds, side="right"))


def word_pieces(tokenizer: Tokenizer, words: Sequence[str]) -> list[list[int]]:
    """Ids of each word by itself, a space before it; at least one, at most MAX_PIECES."""
    found = tokenizer.encode_many([f" {word.lower()}" for word in words])
    return [ids[:MAX_PIECES] for ids in found]


class Scribe:
    """A punctuator in use: writes heard words as people write them."""

    def __init__(self, model: Punctuator, tokenizer: Tokenizer):
        self._model, self._tokenizer = model.eval(), tokenizer

    @classmethod
    def load(cls, path: Path | None, tokenizer: Tokenizer) -> Scribe | None:
        """None, and a warning, where there is no file, or only the package's, which is for another tokenizer.

        Raises CheckpointError as load_punctuator does.
        """
        if path is None:
            log.warning("there is no %s among the weights: transcripts have neither case nor marks", PUNCTUATION)
            return None
        about, tensors = _read(path)
        if path.parent == SHIPPED and about["tokenizer"] != tokenizer.fingerprint:
            log.warning("the package's %s is for another tokenizer: transcripts have neither case nor marks", path.name)
            return None
        return cls(_built(path, about, tensors, tokenizer.fingerprint), tokenizer)

    def written(self, words: Iterable[HeardWord]) -> Iterator[HeardWord]:
        """The words of a whole sound with case and marks, as soon as enough of what follows is known.

        The last one ends a sentence. What is written does not depend on how the words come; memory stays as it is.
        """
        held: list[HeardWord] = []  # those before it that are context, then those to be decided, then what follows
        n_before, begins = 0, True
        for word in words:
            held.append(word)
            if len(held) == n_before + STEP + CONTEXT + 1:  # one more: the last one's pause is then known
                ready = self._decided(held[:-1], n_before, STEP, begins, last=False)
                begins = ready[-1].word.endswith(END_SIGNS)
                yield from ready
                held = held[max(0, n_before + STEP - CONTEXT) :]
                n_before = min(CONTEXT, n_before + STEP)
        if len(held) > n_before:
            yield from self._decided(held, n_before, len(held) - n_before, begins, last=True)

    @torch.no_grad()
    def _decided(self, words: list[HeardWord], first: int, n: int, begins: bool, *, last: bool) -> list[HeardWord]:
        pieces = word_pieces(self._tokenizer, [word.word for word in words])
        lasts = np.cumsum([len(ids) for ids in pieces]) - 1
        gaps = [after.start - word.end for word, after in pairwise(words)]
        pauses = torch.tensor([[*map(kind_of_pause, gaps), 0]])
        flat = torch.tensor([[piece for ids in pieces for piece in ids]])
        case, mark = self._model(flat, torch.tensor([flat.shape[1]]), torch.from_numpy(lasts)[None], pauses)
        cases, marks = case[0].argmax(-1).tolist(), likeliest_marks(mark[0]).tolist()
        if last:
            marks[-1] = int(likeliest_ends(mark[0, -1]))
        made = []
        for place in range(first, first + n):
            own = CAPITAL if begins and cases[place] == LOWER else cases[place]
            made.append(words[place]._replace(word=put(words[place].word, own, marks[place])))
            begins = marks[place] in ENDS
        return made


def save_punctuator(path: Path, model: Punctuator, tokenizer: str) -> None:
    """Writes fp16 weights; `tokenizer` is the fingerprint of the one that they were trained with."""
    half = {name: tensor.detach().cpu().half().contiguous() for name, tensor in model.state_dict().items()}
    about = {"format": FORMAT, "config": asdict(model.config), "tokenizer": tokenizer, "fingerprint": fingerprint(half)}
    write_atomically(path, save(half, metadata={"muomni_punctuator": json.dumps(about)}))


def load_punctuator(path: Path, tokenizer: str) -> Punctuator:
    """Raises CheckpointError where the file is missing, damaged, of another format or made for another tokenizer."""
    about, tensors = _read(path)
    return _built(path, about, tensors, tokenizer)


def _built(path: Path, about: dict[str, Any], tensors: dict[str, Tensor], tokenizer: str) -> Punctuator:
    if about["tokenizer"] != tokenizer:
        raise CheckpointError(f"{path}: made for the tokenizer {about['tokenizer']}, here is {tokenizer}")
    if fingerprint(tensors) != about["fingerprint"]:
        raise CheckpointError(f"{path}: damaged, its contents do not match the fingerprint in its header")
    try:
        config = PunctuatorConfig(**about["config"])
        sizes = (*tensors["pieces.weight"].shape, len(tensors["blocks.0.mlp.up.weight"]))
        n_layers = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
        if (*sizes, n_layers) != (config.vocab_size, config.width, config.hidden, config.n_layers):
            raise ValueError  # before a large one is built
        if config.n_heads < 1 or config.width % (2 * config.n_heads):
            raise ValueError  # before it is used
        model = Punctuator(config)
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError):
        raise CheckpointError(f"{path}: its tensors are not those of its header") from None
    return model.eval()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["muomni_punctuator"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about["format"] != FORMAT:
            raise CheckpointError(f"{path}: format {about['format']!r}, this muOmni reads format {FORMAT}")
        if not isinstance(about["config"], dict) or not {"tokenizer", "fingerprint"} <= about.keys():
            raise TypeError
        return about, tensors
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable weights file ({error})") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise CheckpointError(f"{path}: not a punctuator's weights") from None
