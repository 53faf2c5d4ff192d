"""Gradients of a step: k micro-batches give what one batch k times as large would give.

Losses are sums over items with the number of items beside them, so that batches of any shape add up. Where rows of
different micro-batches meet in the loss (a contrastive loss), a stage offers `embed` and `joint_losses`, and the
gradients are cached (GradCache, Gao 2021): all embeddings first, without a graph; the loss over all of them; then each
micro-batch once more, its share of the gradient pushed through.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn


@dataclass
class Loss:
    """A micro-batch's loss as a sum over `weight` items, so that accumulation is exact for batches of any shape."""

    total: Tensor
    weight: float
    units: float  # what throughput counts: tokens, pictures, seconds of sound


class Stage(Protocol):
    """What the loop needs of a stage.

    A stage may also have
    - prepare(batches): called before a step's first loss with all its micro-batches, on the CPU;
    - embed(batch) -> tuple of tensors, and joint_losses(embedded, batches) -> iterator of Loss, both lists a
      micro-batch each: used instead of `loss` where a step has several. Whatever is yielded is a term of the sum and
      is pushed back before the next is asked for; a term that counts no items has the weight 0.
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
    """A batch, a tensor or a dataclass of tensors, on the model's device."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if device.type == "cpu" or not dataclasses.is_dataclass(batch):
        return batch
    kind: Any = type(batch)
    values = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    return kind(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in values.items()})


def _set_random_state(micro: Drawn, device: torch.device) -> None:
    torch.set_rng_state(micro.random)
    if device.type == "cuda":
        torch.cuda.manual_seed(micro.seed)


def micro_batches(stage: Stage, step: int, accumulate: int, seed: int) -> list[Drawn]:
    """The micro-batches of a step, on the CPU; everything random in them follows from seed and step."""
    drawn = []
    for index in range(step * accumulate, (step + 1) * accumulate):
        number = seed * 1_000_003 + index
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
    stage: Stage, drawn: list[Drawn], *, bf16: bool = False, loss: Callable[[Any], Loss] | None = None
) -> tuple[float, float]:
    """Leaves the gradient of the mean loss in the parameters; returns that loss, and the units that went in.

    Args:
        loss: in place of `stage.loss`, the same compiled.
    """
    device = next(stage.model.parameters()).device
    joint = len(drawn) > 1 and hasattr(stage, "joint_losses")
    parts = _jointly(stage, drawn, device, bf16) if joint else _one_by_one(loss or stage.loss, drawn, device, bf16)
    total = weight = units = 0.0
    for part in parts:
        total, weight, units = total + float(part.total.detach()), weight + part.weight, units + part.units
    for parameter in stage.model.parameters():
        if parameter.grad is not None:
            parameter.grad.div_(weight)
    return total / weight, units


def _one_by_one(loss: Callable[[Any], Loss], drawn: list[Drawn], device: torch.device, bf16: bool) -> Iterator[Loss]:
    for micro in drawn:
        batch = to_device(micro.batch, device)
        _set_random_state(micro, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            part = loss(batch)
        part.total.backward()
        yield part


def _jointly(stage: Any, drawn: list[Drawn], device: torch.device, bf16: bool) -> Iterator[Loss]:
    def embed(micro: Drawn) -> tuple[Tensor, ...]:
        batch = to_device(micro.batch, device)
        _set_random_state(micro, device)  # the same dropout both times
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return stage.embed(batch)

    with torch.no_grad():
        embedded = [tuple(t.detach() for t in embed(micro)) for micro in drawn]
    for tensors in embedded:
        for tensor in tensors:
            tensor.requires_grad_(True)
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        losses = stage.joint_losses(embedded, [to_device(micro.batch, device) for micro in drawn])
        for part in losses:
            with torch.autocast(device.type, enabled=False):
                part.total.backward()
            yield part
    for micro, tensors in zip(drawn, embedded, strict=True):
        pairs = [(out, t.grad) for out, t in zip(embed(micro), tensors, strict=True) if t.grad is not None]
        if pairs:
            torch.autograd.backward([out for out, _ in pairs], [gradient for _, gradient in pairs])
