"""What a resume needs, in one safetensors file: float32 weights, averages, optimiser, step, best score.

Of a model that is parted among processes (sharding.py) that file says only where the parts are. Position in the data
and random states need no storing: both follow from seed and step (see loop.py).
"""

from __future__ import annotations

import contextlib
import json
import shutil
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
from muomni_core.training.ranks import Ranks
from muomni_core.training.sharding import like, load_shards, local, save_shards, shard_names


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


def _tensors(
    model: nn.Module, average: dict[str, Tensor] | None, optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in (average or {}).items()}
    names = {id(p): n for n, p in model.named_parameters()}
    for parameter, values in optimiser.state.items():
        tensors |= {f"optimiser.{k}.{names[id(parameter)]}": v for k, v in values.items()}
    return tensors


def save_state(
    path: Path,
    model: nn.Module,
    average: dict[str, Tensor] | None,
    optimiser: torch.optim.Optimizer,
    about: dict,
    sharers: Ranks | None = None,
    before: str = "",
) -> str:
    """Writes everything under a temporary name and renames it.

    Args:
        sharers: the processes that the model is parted among, all of which call this. What is in parts is written into
            a folder beside `path`, which names it: until that is written, the state before is the one that counts.
        before: the folder that `path` names so far.
    Returns:
        the folder that it names now, "" where there is none.
    """
    tensors, shards = _tensors(model, average, optimiser), path.with_suffix(".shards")
    if sharers is None:
        plain = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        write_atomically(path, save(plain, metadata={"about": json.dumps(about)}))
        shutil.rmtree(shards, ignore_errors=True)
        return ""
    name = save_shards(shards, before, tensors, sharers)
    text = json.dumps(about | {"shards": name})
    sharers.alone(lambda: write_atomically(path, save({}, metadata={"about": text})))
    if before:
        sharers.alone(lambda: shutil.rmtree(shards / before, ignore_errors=True))
    return name


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
    """Puts a saved state back in place, parted or whole as the model is; returns what was said `about` it.

    Raises CheckpointError.
    """
    about, tensors = _read(path, contents=True)
    own, parameters = model.state_dict(), dict(model.named_parameters())
    try:
        if about.get("shards"):
            tensors = _read_shards(path.with_suffix(".shards") / about["shards"], own, parameters, average)
        mine = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        model.load_state_dict({k: like(v, own[k]) if k in own else v for k, v in mine.items()})
    except (RuntimeError, KeyError, ValueError):
        raise CheckpointError(f"{path}: saved by another model config; give another --out to start anew") from None
    for name, tensor in (average or {}).items():
        local(tensor).copy_(local(like(tensors[f"average.{name}"], tensor)))
    for name, parameter in parameters.items():
        values = {
            # The count of steps too goes to the device: the fused optimiser wants it there.
            k.split(".")[1]: v.to(parameter.device) if v.dim() == 0 else like(v.to(parameter.device), parameter)
            for k, v in tensors.items()
            if k.startswith("optimiser.") and k.split(".", 2)[2] == name
        }
        if values:
            optimiser.state[parameter] = values
    return about


def _read_shards(
    folder: Path, own: dict[str, Tensor], parameters: dict[str, nn.Parameter], average: dict[str, Tensor] | None
) -> dict[str, Tensor]:
    """A state that was written in parts, parted as the model is now. Raises KeyError for what the model has not."""
    into: dict[str, Tensor] = {}
    for full in shard_names(folder):
        kind, _, name = full.partition(".")
        if kind == "optimiser":
            what, _, name = name.partition(".")
            parameter = parameters[name]
            into[full] = torch.zeros((), device=parameter.device) if what == "step" else torch.zeros_like(parameter)
        elif kind == "model" or average is not None:
            into[full] = torch.zeros_like(own[name])
    load_shards(folder, into)
    return into
