"""What a resume needs, in one safetensors file: float32 weights, averages, optimiser, step, best score.

Position in the data and random states need no storing: both follow from seed and step (see loop.py).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from muomni_core.checkpoint import write_atomically
from muomni_core.errors import CheckpointError, MuOmniError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A full disk, or a folder that takes no files, as one line; half-written files are removed to make room.

    Args:
        path: the file, or the folder whose files are written.
    Raises:
        MuOmniError: what was there before is whole, as everything is written under another name first.
    """
    try:
        yield
    except OSError as error:
        folder = path if path.is_dir() else path.parent
        with contextlib.suppress(OSError):
            for partial in folder.glob(f"{'*' if path.is_dir() else path.name}.partial"):
                partial.unlink()
        reason = error.strerror or error
        raise MuOmniError(
            f"{path} cannot be written ({reason}); what was saved before is whole, and the same command goes on from it"
        ) from error


def save_state(
    path: Path, model: nn.Module, average: dict[str, Tensor] | None, optimiser: torch.optim.Optimizer, about: dict
) -> None:
    """Writes everything under a temporary name and renames it."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in (average or {}).items()}
    names = {id(p): n for n, p in model.named_parameters()}
    for parameter, values in optimiser.state.items():
        tensors |= {f"optimiser.{k}.{names[id(parameter)]}": v for k, v in values.items()}
    plain = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    write_atomically(path, save(plain, metadata={"about": json.dumps(about)}))


def read_about(path: Path) -> dict[str, Any]:
    """What a state says of itself, without its tensors. Raises CheckpointError."""
    return _read(path, contents=False)[0]


def _read(path: Path, *, contents: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            return about, {name: file.get_tensor(name) for name in (file.keys() if contents else [])}
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: not a readable training state ({error}); remove it to start over") from None


def load_state(
    path: Path, model: nn.Module, average: dict[str, Tensor] | None, optimiser: torch.optim.Optimizer
) -> dict[str, Any]:
    """Puts a saved state back in place; returns what was said `about` it.

    Raises CheckpointError.
    """
    about, tensors = _read(path, contents=True)
    mine = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    try:
        model.load_state_dict(mine)
    except RuntimeError:
        raise CheckpointError(f"{path}: saved by another model config; give another --out to start anew") from None
    for name in average or {}:
        average[name].copy_(tensors[f"average.{name}"])
    for name, parameter in model.named_parameters():
        values = {
            k.split(".")[1]: v.to(parameter.device)  # the count of steps too: the fused optimiser wants it there
            for k, v in tensors.items()
            if k.startswith("optimiser.") and k.split(".", 2)[2] == name
        }
        if values:
            optimiser.state[parameter] = values
    return about
