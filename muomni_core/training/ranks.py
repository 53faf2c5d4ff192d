"""Several processes that train one model together (torchrun): who they are, and how they stay the same.

Each takes its share of a step's micro-batches; gradients are sums, and their sum over all processes is what one process
would have. Small things are said over gloo on the CPU, so that nobody waits for a GPU; tensors go where they lie.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from muomni_core.errors import InputError, MuOmniError

T = TypeVar("T")

BUCKET = 25_000_000  # bytes that are summed at once: fewer, longer messages
PATIENCE = timedelta(days=1)  # the others wait while the first one validates


class SaidElsewhere(MuOmniError):
    """An error that the first process has said already."""


@contextmanager
def _talking() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise MuOmniError(
            f"another process of this training is gone ({reason}); the same command goes on from the last checkpoint"
        ) from None


@dataclass(frozen=True)
class Ranks:
    """One process among `size`; `local` counts on its machine. Every process has to call what is called by one."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, n: int) -> range:
        """Which of a step's n micro-batches are this process's: neighbours, so that all in order of rank are in order.

        The first process always has one; others may have none where there are more processes than micro-batches.
        """
        return range(-(-n * self.rank // self.size), -(-n * (self.rank + 1) // self.size))

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes."""
        if self.size == 1:
            return list(values)
        numbers = torch.tensor(values, dtype=torch.float64)
        with _talking():
            dist.all_reduce(numbers)
        return numbers.tolist()

    def together(self, work: Callable[[], T]) -> T:
        """Everybody does it; what goes wrong for one goes wrong for all, with the words of the first that it struck.

        Raises what `work` raised here, else SaidElsewhere, or on the first process MuOmniError.
        """
        if self.size == 1:
            return work()
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as raised:  # also a signal: the others must not wait for a process that is leaving
            error = raised
        (failed,) = self.total([float(error is not None)])
        if not failed:
            return result
        said = "" if error is None else str(error) if isinstance(error, MuOmniError) else repr(error)
        messages = [m for m in self._gather_json(said) if m]
        if error is not None and not isinstance(error, MuOmniError):
            raise error
        raise self.agreed(MuOmniError(messages[0]) if error is None or not self.is_first else error)

    def agreed(self, error: MuOmniError) -> MuOmniError:
        """An error that all processes raise: the first one says it."""
        return error if self.is_first else SaidElsewhere(str(error))

    def alone(self, work: Callable[[], Any]) -> None:
        """The first process does it while the others wait."""
        self.together(lambda: work() if self.is_first else None)

    def in_turn(self, work: Callable[[], T]) -> T:
        """The first process of each machine before the others, which find what it has computed in the cache."""
        if self.size == 1:
            return work()
        first = self.together(lambda: work() if self.local == 0 else None)
        others = self.together(lambda: work() if self.local else None)
        return others if self.local else first  # type: ignore[return-value]

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Everybody's tensors become the first process's, in place."""
        if self.size == 1:
            return
        with torch.no_grad():
            for bucket in _buckets(tensors):
                flat = torch.cat([t.detach().flatten() for t in bucket])
                flat = flat.to(torch.uint8) if flat.dtype == torch.bool else flat  # which not every backend takes
                with _talking():
                    dist.broadcast(flat, 0)
                for tensor, piece in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
                    tensor.copy_(piece.view(tensor.shape))

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Everybody's tensors become the sums over all processes, in place."""
        for bucket in _buckets(tensors):
            flat = torch.cat([t.flatten() for t in bucket])
            with _talking():
                dist.all_reduce(flat)
            for tensor, piece in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
                tensor.copy_(piece.view(tensor.shape))

    def gather(self, items: list[Any], device: torch.device) -> list[Any]:
        """The items of all processes in their order: tuples or dataclasses of tensors and plain values.

        Shapes may differ, and so may the number of items. Tensors travel on `device` and come out there.
        """
        if self.size == 1:
            return items
        fields = [_fields(item) for item in items]
        tensors = [v.to(device) for values in fields for v in values if isinstance(v, Tensor)]
        about = [[_describe(v) for v in values] for values in fields]
        blob = torch.cat([torch.zeros(0, dtype=torch.uint8, device=device), *map(_to_bytes, tensors)])
        abouts = self._gather_json([len(blob), about])
        blobs = self._gather_bytes(blob, [size for size, _ in abouts])
        # What kind they are is seen from one's own; who has none gets tuples.
        kind: Any = type(items[0]) if items else tuple
        found = [values for (_, rows), b in zip(abouts, blobs, strict=True) for values in _parse(rows, b)]
        return [kind(*values) if dataclasses.is_dataclass(kind) else tuple(values) for values in found]

    def _gather_json(self, value: Any) -> list[Any]:
        blob = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        sizes = self.total([len(blob) if rank == self.rank else 0.0 for rank in range(self.size)])
        return [json.loads(bytes(b.tolist())) for b in self._gather_bytes(blob, [int(size) for size in sizes])]

    def _gather_bytes(self, blob: Tensor, sizes: list[int]) -> list[Tensor]:
        padded = blob.new_zeros(max(sizes))
        padded[: len(blob)] = blob
        parts = [torch.empty_like(padded) for _ in sizes]
        with _talking():
            dist.all_gather(parts, padded)
        return [part[:size] for part, size in zip(parts, sizes, strict=True)]


ALONE = Ranks()


class GradientSums:
    """The gradients of a step, added up in double precision, a backward pass and then a process after the other.

    Single precision's 24 bits add up exactly in its 53, so the order is no matter and several processes have the
    gradient of one to the bit. Rounding alone is not harmless: Adam makes a full step of what is nearly zero, and
    convolutions between batch norms double a difference every other step (vision: 1e-7 is 7e-3 after 50).

    Parted parameters (FSDP) are left out: theirs are summed already.
    """

    def __init__(self, model: nn.Module):
        self.parameters = [p for p in model.parameters() if p.requires_grad and not isinstance(p, DTensor)]
        self.sums: dict[nn.Parameter, Tensor] = {}

    @torch.no_grad()
    def add(self) -> None:
        """Takes what a backward pass has left in the parameters."""
        for parameter in self.parameters:
            if parameter.grad is None:
                continue
            if parameter in self.sums:
                self.sums[parameter].add_(parameter.grad)
            else:
                exact = torch.float32 if parameter.device.type == "mps" else torch.float64  # which a Mac's GPU lacks
                self.sums[parameter] = parameter.grad.to(exact, memory_format=torch.contiguous_format)
            parameter.grad = None

    @torch.no_grad()
    def settle(self, ranks: Ranks, values: Sequence[float]) -> list[float]:
        """Gradients become their sums over all processes; so do `values`, which are returned.

        A parameter without a gradient anywhere keeps none, and the optimiser leaves it alone.
        """
        totals = list(values)
        if ranks.size > 1:
            self.add()
            totals = ranks.total([*values, *(float(p in self.sums) for p in self.parameters)])
            used = [p for p, n in zip(self.parameters, totals[len(values) :], strict=True) if n]
            ranks.add_up(self.sums.setdefault(p, torch.zeros_like(p, dtype=torch.float64)) for p in used)
        while self.sums:  # one leaves before the next comes
            parameter, total = self.sums.popitem()
            parameter.grad = total.to(parameter.dtype)
        return totals[: len(values)]


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, about BUCKET bytes each."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (bucket[0].dtype != tensor.dtype or size >= BUCKET):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel() * tensor.element_size()
    if bucket:
        yield bucket


def _fields(item: Any) -> list[Any]:
    if dataclasses.is_dataclass(item):
        return [getattr(item, f.name) for f in dataclasses.fields(item)]
    return list(item)


def _describe(value: Any) -> Any:
    """A tensor's type and shape; a plain value is itself."""
    if not isinstance(value, Tensor):
        return value
    return {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape)}


def _to_bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().flatten().view(torch.uint8)


def _parse(rows: list[list[Any]], blob: Tensor) -> Iterator[list[Any]]:
    at = 0
    for row in rows:
        values = []
        for value in row:
            if isinstance(value, dict):
                dtype, shape = getattr(torch, value["dtype"]), value["shape"]
                size = torch.Size(shape).numel() * dtype.itemsize
                value = blob[at : at + size].clone().view(dtype).view(shape)  # a clone begins where any type may
                at += size
            values.append(value)
        yield values


def launched() -> bool:
    """Whether torchrun, or what sets the same variables, began this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and {"RANK", "MASTER_ADDR"} <= os.environ.keys()


@contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """The processes that torchrun began, met; ALONE where there is but one.

    Args:
        device: auto, cpu or cuda; on GPUs each process takes the one of its number on its machine.
    Raises InputError where there are fewer GPUs than processes.
    """
    if not launched():
        yield ALONE
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if on_gpu:
        if local >= torch.cuda.device_count():
            raise InputError(f"process {local} of this machine has no GPU of its own; give fewer --nproc-per-node")
        torch.cuda.set_device(local)
    with _talking():
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), local)
    finally:
        dist.destroy_process_group()
