"""FSDP2: parameters, gradients and the optimiser's state parted among processes, for models that are too large for each.

Blocks are gathered one at a time, when they are needed; what lies outside of blocks, for the length of a forward and
backward pass. Checkpoints are written by all processes at once (torch.distributed.checkpoint, as safetensors), and can
be read by any number of them, or by one that shards nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from muomni_core.errors import MuOmniError
from muomni_core.training.ranks import Ranks
from muomni_core.training.recompute import blocks_of

T = TypeVar("T")


def local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor, which it shares its memory with; a plain tensor is itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


class _Root(nn.Module):
    """FSDP gathers what it needs at a module's `forward`, and stages call their models in ways of their own: so all
    that a stage does with its model goes through the `forward` of this one."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], T]) -> T:
        return work()

    def touch(self) -> Tensor:
        """Zero, with a gradient of zeros for all that lies outside of blocks: what one process has a gradient for, all
        must have, and not every batch has pictures, sounds or labels."""
        whole = [p for p in self.model.parameters() if p.requires_grad and p.dim() and not isinstance(p, DTensor)]
        return torch.stack([p.flatten()[0] for p in whole]).sum() * 0.0


class Sharded:
    """A model whose parameters are parted among all processes, from now on.

    Numbers without an axis (a contrastive loss's scale) stay whole everywhere.
    """

    def __init__(self, model: nn.Module, ranks: Ranks):
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, fully_shard

        device = next(model.parameters()).device
        mesh = init_device_mesh(device.type, (ranks.size,))
        scalars = {p for p in model.parameters() if p.dim() == 0}
        self.ranks, self.root = ranks, _Root(model)
        for block in blocks_of(model):
            fully_shard(block, mesh=mesh, ignored_params=scalars & set(block.parameters()))
        fully_shard(self.root, mesh=mesh, ignored_params=scalars)
        self.parts = [m for m in self.root.modules() if isinstance(m, FSDPModule)]
        with torch.no_grad():
            self.root(lambda: None)  # FSDP takes for the root what is called first
        self.root.reshard()

    def within(self, work: Callable[[], T]) -> T:
        """Does what calls the model forward. Tensors in what it returns are seen in lists and tuples alone."""
        return self.root(work)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All processes hold all parameters, and each may use the model for itself, without gradients."""
        for part in self.parts:
            part.unshard()
            part.set_reshard_after_forward(False, recurse=False)
        try:
            yield
        finally:
            for part in self.parts:
                part.set_reshard_after_forward(part is not self.root, recurse=False)
                part.reshard()

    def clip(self, limit: float) -> float:
        """As nn.utils.clip_grad_norm_."""
        gradients = [p.grad for p in self.root.parameters() if p.grad is not None]
        parted = sum(float(local(g).square().sum()) for g in gradients if isinstance(g, DTensor))
        whole = sum(float(g.square().sum()) for g in gradients if not isinstance(g, DTensor))
        (parted,) = self.ranks.total([parted])
        norm = (parted + whole) ** 0.5
        for gradient in gradients:
            local(gradient).mul_(min(1.0, limit / (norm + 1e-6)))
        return norm


def like(tensor: Tensor, model: Tensor) -> Tensor:
    """A whole tensor, parted as `model` is."""
    if not isinstance(model, DTensor):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    if isinstance(tensor, DTensor):
        return tensor
    return distribute_tensor(tensor.to(model.device), model.device_mesh, model.placements)


def save_shards(folder: Path, before: str, tensors: dict[str, Tensor], ranks: Ranks) -> str:
    """Writes a checkpoint into the one of two places in `folder` that `before` is not; returns its name.

    Called by all processes; what `before` names stays whole.
    """
    import torch.distributed.checkpoint as dcp

    name = "b" if before == "a" else "a"
    ranks.alone(lambda: shutil.rmtree(folder / name, ignore_errors=True))
    ranks.alone(lambda: (folder / name).mkdir(parents=True))
    plain = {k: v.detach() for k, v in tensors.items()}
    writer = dcp.HuggingFaceStorageWriter(str(folder / name), save_distributed=True)
    try:
        ranks.together(lambda: dcp.save(plain, storage_writer=writer))
    except dcp.api.CheckpointException as error:
        reason = next(iter(error.failures.values()))[0]
        raise ranks.agreed(
            MuOmniError(
                f"{folder / name} cannot be written ({reason}); what was saved before is whole, and the same command "
                "goes on from it"
            )
        ) from error
    return name


def shard_names(folder: Path) -> list[str]:
    """The tensors of a checkpoint."""
    import torch.distributed.checkpoint as dcp

    return list(dcp.HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata)


def load_shards(folder: Path, into: dict[str, Tensor]) -> None:
    """Fills tensors, whole or parted in whatever way, from a checkpoint."""
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp

    state: dict[str, Any] = dict(into)
    reader = dcp.HuggingFaceStorageReader(str(folder))
    parted = any(isinstance(t, DTensor) for t in into.values())
    try:
        with torch.no_grad():
            dcp.load(state, storage_reader=reader, no_dist=not (parted and dist.is_initialized()))
    except dcp.api.CheckpointException as error:
        raise ValueError(next(iter(error.failures.values()))[0]) from error
    for name, tensor in into.items():
        if state[name] is not tensor:
            local(tensor).copy_(local(state[name]))
