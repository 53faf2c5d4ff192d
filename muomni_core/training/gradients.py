"""Gradients of a step: k micro-batches give what one batch k times as large would give.

Losses are sums over items with the number of items beside them, so that batches of any shape add up. Where rows of
different micro-batches meet in the loss (a contrastive loss), a stage offers `embed` and `joint_loss`, and the
gradients are cached (GradCache, Gao 2021): all embeddings first, without a graph; the loss over all of them; then each
micro-batch once more, its share of the gradient pushed through.

Several processes have a part of the micro-batches each; their sums are added up, and embeddings are shown to all. Sums
are in double precision, in which their order does not matter: see ranks.GradientSums.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from muomni_core.training.ranks import ALONE, GradientSums, Ranks
from muomni_core.training.sharding import Sharded
from muomni_core.training.statistics import RunningStatistics


@dataclass
class Loss:
    """A micro-batch's loss as a sum over `weight` items, so that accumulation is exact for batches of any shape."""

    total: Tensor
    weight: float
    units: float  # what throughput counts: tokens, pictures, seconds of sound


class Stage(Protocol):
    """What the loop needs of a stage.

    A stage may also have
    - prepare(batches): called before a step's first loss with all its micro-batches, on the CPU (of several processes,
      with its own);
    - embed(batch) -> tuple of tensors, and joint_loss(embedded, batches) -> Loss, both lists a micro-batch each: used
      instead of `loss` where a step has several;
    - own_loss(embedded, batch) -> Loss or None: a term beside it that one micro-batch has by itself; what counts no
      items has the weight 0;
    - adapt(tensors, config): weights of another configuration, to begin from, as this one's;
    - slim(batch): the batch without what joint_loss does not need, to be sent to the other processes.
    """

    name: str
    unit: str
    score: str  # the metric that decides which weights are kept; lower is better, or "-name" for higher is better
    model: nn.Module

    def batch(self, index: int) -> Any: ...
    def loss(self, batch: Any) -> Loss: ...
    def after_step(self) -> None: ...
    def validate(self) -> dict[str, float]: ...


@dataclass
class Drawn:
    """A micro-batch and the random state behind it, which dropout goes on from."""

    batch: Any
    random: Tensor  # the CPU's
    seed: int = 0  # the GPU's: batches may be drawn in a process that has none


def to_device(batch: Any, device: torch.device) -> Any:
    """A batch, a tensor or a dataclass of tensors and other such, on the model's device."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if device.type == "cpu" or not dataclasses.is_dataclass(batch):
        return batch
    kind: Any = type(batch)
    values = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    return kind(**{k: to_device(v, device) for k, v in values.items()})


def _set_random_state(micro: Drawn, device: torch.device) -> None:
    torch.set_rng_state(micro.random)
    if device.type == "cuda":
        torch.cuda.manual_seed(micro.seed)


def first_number(step: int, accumulate: int, seed: int) -> int:
    """The number of a step's first micro-batch, from which follows what is random in the step as a whole."""
    return seed * 1_000_003 + step * accumulate


def micro_batches(stage: Stage, step: int, accumulate: int, seed: int, ranks: Ranks = ALONE) -> list[Drawn]:
    """This process's micro-batches of a step, on the CPU; everything random in them follows from seed and step."""
    drawn = []
    for place in ranks.share(accumulate):
        index = step * accumulate + place
        number = first_number(step, accumulate, seed) + place
        torch.manual_seed(number)
        batch = stage.batch(index)
        drawn.append(Drawn(batch, torch.get_rng_state(), number))
    return drawn


def prepare(stage: Stage, drawn: list[Drawn]) -> list[Drawn]:
    """What some stages do with a step's micro-batches before the first loss."""
    if hasattr(stage, "prepare"):
        stage.prepare([d.batch for d in drawn])
    return drawn


def draw(stage: Stage, step: int, accumulate: int, seed: int) -> list[Drawn]:
    """The micro-batches of a step, ready for `backward`."""
    return prepare(stage, micro_batches(stage, step, accumulate, seed))


def backward(
    stage: Stage,
    drawn: list[Drawn],
    *,
    bf16: bool = False,
    loss: Callable[[Any], Loss] | None = None,
    ranks: Ranks = ALONE,
    sharded: Sharded | None = None,
) -> tuple[float, float]:
    """Leaves the gradient of the mean loss in the parameters; returns that loss, and the units that went in.

    Args:
        loss: in place of `stage.loss`, the same compiled.
        ranks: of several processes, each with its part of the micro-batches; all come to the same.
        sharded: the stage's model, where its parameters are parted among them.
    """
    device = next(stage.model.parameters()).device
    n_all, number = ranks.total([len(drawn), drawn[0].seed if ranks.is_first else 0])
    statistics = RunningStatistics(stage.model, ranks)
    passes = _Passes(stage, device, bf16, sharded)
    if n_all > 1 and hasattr(stage, "joint_loss"):
        parts = _jointly(passes, drawn, ranks, statistics, int(n_all), int(number))
    else:
        parts = (passes.push(micro, loss or stage.loss) for micro in drawn)
    total = weight = units = 0.0
    sums = GradientSums(stage.model)
    for part in parts:
        total, weight, units = total + float(part.total), weight + part.weight, units + part.units
        if n_all > 1:
            sums.add()
    statistics.merge()
    total, weight, units = sums.settle(ranks, (total, weight, units))
    for parameter in stage.model.parameters():
        if parameter.grad is not None:
            # FSDP, which has summed those of its own, has divided them by the number of processes.
            parameter.grad.div_(weight / ranks.size if isinstance(parameter, DTensor) else weight)
    return total / weight, units


class _Passes:
    """Forward and backward passes of a stage's model."""

    def __init__(self, stage: Any, device: torch.device, bf16: bool, sharded: Sharded | None):
        self.stage, self.device, self.bf16, self.sharded = stage, device, bf16, sharded

    def forward(self, work: Callable[[], Any]) -> Any:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.sharded.within(work) if self.sharded is not None else work()

    def push(self, micro: Drawn | None, loss: Callable[[Any], Loss | None], share: float = 1.0) -> Loss:
        """The loss of a micro-batch, or one that belongs to none, forward and backward; a `share` of it."""
        batch = None if micro is None else to_device(micro.batch, self.device)
        if micro is not None:
            _set_random_state(micro, self.device)

        def work() -> tuple[Tensor, Loss]:
            part = loss(batch) or Loss(torch.zeros((), device=self.device), 0.0, 0.0)
            total = part.total * share if share != 1.0 else part.total
            if self.sharded is not None:
                total = total + self.sharded.root.touch()
            return total, Loss(total.detach(), part.weight * share, part.units * share)

        total, part = self.forward(work)
        if total.requires_grad:
            total.backward()
        return part

    def embed(self, micro: Drawn) -> tuple[Tensor, ...]:
        batch = to_device(micro.batch, self.device)
        _set_random_state(micro, self.device)  # the same dropout both times
        return self.forward(lambda: self.stage.embed(batch))


def _jointly(
    passes: _Passes, drawn: list[Drawn], ranks: Ranks, statistics: RunningStatistics, n_all: int, number: int
) -> Iterator[Loss]:
    stage, device = passes.stage, passes.device
    with torch.no_grad():
        own = [tuple(t.detach() for t in passes.embed(micro)) for micro in drawn]
    statistics.merge()
    embedded = ranks.gather(own, device)
    slim = stage.slim if ranks.size > 1 and hasattr(stage, "slim") else lambda batch: batch
    batches = ranks.gather([slim(micro.batch) for micro in drawn], torch.device("cpu"))
    if not drawn:  # more processes than micro-batches
        return
    place = ranks.share(n_all).start
    embedded[place : place + len(own)] = own
    for tensors in own:
        for tensor in tensors:
            tensor.requires_grad_(True)
    # Every process has the whole of this loss, and takes an equal share of it; the gradients of its own embeddings,
    # which no other process has, are then too small by as much.
    n_busy = min(n_all, ranks.size)
    torch.manual_seed(number)
    on_device = [to_device(batch, device) for batch in batches]
    yield passes.push(None, lambda _: stage.joint_loss(embedded, on_device), 1 / n_busy)
    for tensors in own:
        for tensor in tensors:
            if tensor.grad is not None:
                tensor.grad.mul_(n_busy)
    if hasattr(stage, "own_loss"):
        for micro, tensors in zip(drawn, own, strict=True):
            yield passes.push(micro, functools.partial(stage.own_loss, tensors))
    for micro, tensors in zip(drawn, own, strict=True):
        pairs = [(out, t.grad) for out, t in zip(passes.embed(micro), tensors, strict=True) if t.grad is not None]
        if pairs:
            torch.autograd.backward([out for out, _ in pairs], [gradient for _, gradient in pairs])
            yield Loss(torch.zeros(()), 0.0, 0.0)  # counted above
