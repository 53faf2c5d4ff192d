"""Stage A: the Thinker learns English from text alone: the next token, in packed rows with document masks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from muomni_core.data.features import StreamedTokens, TokenSet
from muomni_core.data.sampling import RowSampler
from muomni_core.data.windows import WindowSampler
from muomni_core.evaluation.metrics import bits_per_byte
from muomni_core.model.thinker import Thinker
from muomni_core.training.context import Context
from muomni_core.training.gradients import to_device
from muomni_core.training.loop import Loss
from muomni_core.training.token_loss import token_loss


@dataclass
class Options:
    """[data] of a thinker recipe."""

    train: list[str]
    val: list[str]
    context: int = 256  # tokens a row
    val_rows: int = 64
    window: int = 0  # shards of train a micro-batch whose features are kept at a time; 0: all of them, for good


@dataclass
class Batch:
    ids: Tensor  # (B, T)
    targets: Tensor  # (B, T), -100 where there is none
    documents: Tensor  # (B, T)


def make_batch(windows: list[tuple[np.ndarray, np.ndarray]]) -> Batch:
    """Windows of T + 1 tokens and their document numbers; the first token of a document is nobody's target."""
    ids = torch.from_numpy(np.stack([w[0] for w in windows]))
    documents = torch.from_numpy(np.stack([w[1] for w in windows]))
    targets = torch.where(documents[:, 1:] == documents[:, :-1], ids[:, 1:], -100)
    return Batch(ids[:, :-1], targets, documents[:, :-1])


def reading_loss(thinker: Thinker, batch: Batch) -> tuple[Tensor, float]:
    """Summed cross-entropy of the next tokens, and how many they are."""
    hidden = thinker(thinker.embed(batch.ids), documents=batch.documents)
    total = token_loss(hidden.flatten(0, 1), thinker.embedding.weight, batch.targets.flatten())
    return total, float((batch.targets >= 0).sum())


class Stage:
    name = "thinker"
    unit = "tokens"
    score = "bits_per_byte"
    drop = ()

    def __init__(self, context: Context):
        recipe = context.recipe
        self.options = context.options(Options)
        self.device = context.device
        self.model = Thinker(recipe.model.thinker)
        self.modules: dict[str, nn.Module] = {"thinker": self.model}
        self.val = TokenSet(self.options.val, context.root, context.tokenizer)
        if context.training:
            self._read(context)

    def _read(self, context: Context) -> None:
        options, train = self.options, context.recipe.train
        self.tokens: TokenSet | StreamedTokens
        self.sampler: RowSampler | WindowSampler
        if options.window:
            self.tokens = StreamedTokens(options.train, context.root, context.tokenizer, options.context)
            sampler = RowSampler(len(self.tokens), train.batch, context.order_seed)
            self.sampler = WindowSampler(sampler, self.tokens.stored, options.window, train.accumulate)
        else:
            self.tokens = TokenSet(options.train, context.root, context.tokenizer)
            self.sampler = RowSampler(self.tokens.n_rows(options.context), train.batch, context.order_seed)

    def batch(self, index: int) -> Batch:
        size = self.options.context
        return make_batch([self.tokens.row(int(i), size) for i in self.sampler(index)])

    def loss(self, batch: Batch) -> Loss:
        total, n_targets = reading_loss(self.model, batch)
        return Loss(total + n_targets * self.model.balance_loss(), n_targets, batch.ids.numel())

    def after_step(self) -> None:
        pass

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Perplexity a token and bits a byte of held-out text."""
        size, total, n_targets = self.options.context, 0.0, 0.0
        n_rows = self.val.n_rows(size)
        rows = range(0, n_rows, max(1, n_rows // self.options.val_rows))
        for first in range(0, len(rows), 8):
            batch = make_batch([self.val.row(i, size) for i in rows[first : first + 8]])
            loss = self.loss(to_device(batch, self.device))
            total, n_targets = total + float(loss.total), n_targets + loss.weight
        bytes_per_token = self.val.n_bytes / len(self.val.ids)
        nats = total / n_targets
        return {"perplexity": math.exp(nats), "bits_per_byte": bits_per_byte(nats, 1) / bytes_per_token}
