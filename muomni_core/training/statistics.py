"""Running statistics of batch norms in several processes, as one process would have them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from muomni_core.training.ranks import Ranks


class RunningStatistics:
    """Brings the running means and variances of a model together that each process moves by its own micro-batches.

    n updates turn a running value r into keep * r + add with keep = (1 - momentum) ** n, so that what each process did
    can be done again one after the other, in the order that a single process would have taken.
    """

    def __init__(self, model: nn.Module, ranks: Ranks):
        self.ranks = ranks
        modules = model.modules() if ranks.size > 1 else ()
        self.norms = [m for m in modules if isinstance(m, nn.BatchNorm2d) and m.track_running_stats]
        self._remember()

    def _remember(self) -> None:
        self.counts = [int(norm.num_batches_tracked) for norm in self.norms]
        self.before = self._values()

    def _values(self) -> Tensor:
        return torch.cat([t.flatten() for n in self.norms for t in (n.running_mean, n.running_var)] or [torch.zeros(0)])

    @torch.no_grad()
    def merge(self) -> None:
        """Called by all processes, after each has seen its micro-batches."""
        if not self.norms:
            return
        added = [int(norm.num_batches_tracked) - count for norm, count in zip(self.norms, self.counts, strict=True)]
        keep = torch.cat(
            [
                self.before.new_full((2 * norm.num_features,), (1 - (norm.momentum or 0.0)) ** n)
                for norm, n in zip(self.norms, added, strict=True)
            ]
        )
        merged = self.before
        for kept, add in self.ranks.gather([(keep, self._values() - keep * self.before)], merged.device):
            merged = kept * merged + add
        pieces = iter(merged.split([norm.num_features for norm in self.norms for _ in range(2)]))
        counts = self.ranks.total(added)
        for norm, count, n in zip(self.norms, self.counts, counts, strict=True):
            norm.running_mean.copy_(next(pieces))
            norm.running_var.copy_(next(pieces))
            norm.num_batches_tracked.fill_(count + int(n))
        self._remember()
