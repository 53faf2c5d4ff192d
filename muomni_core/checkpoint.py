"""Weights in and out: one safetensors file a stage, with a header that says what they are and whose child.

The header lies in the file's metadata under the key "muomni", as JSON. Loading is strict: a missing, additional or
misshaped tensor, damaged bytes, another mel, tokenizer or parent are refused by name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from muomni_core import config as configs
from muomni_core.errors import CheckpointError

FORMAT = 1

# stage -> the components that its file holds (attribute of the model -> config field)
COMPONENTS: dict[str, dict[str, str]] = {
    "codec": {"codec": "codec"},
    "audio": {"audio": "audio"},
    "vision": {"vision": "vision"},
    "thinker": {"thinker": "thinker"},
    "omni": {"thinker": "thinker", "vision_projector": "projector", "audio_projector": "projector"},
    "talker": {"talker": "talker"},
    "vocoder": {"vocoder": "vocoder"},
}
PARENTS: dict[str, tuple[str, ...]] = {
    "codec": (),
    "audio": (),
    "vision": (),
    "thinker": (),
    "omni": ("audio", "vision"),
    "talker": ("omni", "codec"),
    "vocoder": ("codec",),
}
TEXT_STAGES = ("vision", "thinker", "omni", "talker")  # those whose weights mean nothing with another tokenizer


@dataclass(frozen=True)
class Header:
    """What a weights file says of itself."""

    stage: str
    config: dict[str, Any]  # component config, by field name of OmniConfig
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)  # stage -> fingerprint
    data: str = ""  # fingerprint of the training data
    tokenizer: str = ""
    mel: dict[str, Any] = field(default_factory=lambda: configs.to_dict(configs.MelConfig()))
    legs: list[dict[str, Any]] = field(default_factory=list)  # every training that led here: recipe, steps, hours
    fingerprint: str = ""
    format: int = FORMAT


def find_file(folders: Iterable[Path], name: str) -> Path | None:
    """The first of the folders' files of that name; None where none has it."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def fingerprint(tensors: dict[str, Tensor]) -> str:
    """Twelve hex digits over names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:12]


def write_atomically(path: Path, blob: bytes) -> None:
    """Under a temporary name first: whoever reads `path` sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(blob)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def save_stage(path: Path, tensors: dict[str, Tensor], header: Header) -> Header:
    """Writes fp16 weights; returns the header as written, with the fingerprint of the tensors."""
    half = {k: v.detach().cpu().to(torch.float16).contiguous() for k, v in tensors.items()}
    header = Header(**{**asdict(header), "fingerprint": fingerprint(half)})
    write_atomically(path, save(half, metadata={"muomni": json.dumps(asdict(header))}))
    return header


def _open(path: Path, *, contents: bool) -> tuple[Header, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = file.keys() if contents else []
            tensors = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a readable weights file ({error})") from None
    try:
        header = Header(**json.loads(metadata["muomni"]))
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{path}: no muOmni header; these weights were not made by `muomni train`") from None
    if header.format != FORMAT:
        raise CheckpointError(f"{path}: format {header.format}, this muOmni reads format {FORMAT}")
    return header, tensors


def _check(path: Path, header: Header, stage: str, tokenizer: str) -> None:
    if header.stage != stage:
        raise CheckpointError(f"{path}: holds the stage {header.stage}, expected {stage}")
    if header.mel != configs.to_dict(configs.MelConfig()):
        raise CheckpointError(f"{path}: made for another mel ({header.mel})")
    if tokenizer and stage in TEXT_STAGES and header.tokenizer != tokenizer:
        raise CheckpointError(f"{path}: made for the tokenizer {header.tokenizer}, here is {tokenizer}")


def read_header(path: Path, stage: str, *, tokenizer: str = "") -> Header:
    """What a stage's file says of itself, checked as load_stage does, without reading the weights."""
    header, _ = _open(path, contents=False)
    _check(path, header, stage, tokenizer)
    return header


def load_stage(path: Path, stage: str, *, tokenizer: str = "") -> tuple[Header, dict[str, Tensor]]:
    """Reads and checks one stage's file; tensors come in float32.

    Args:
        tokenizer: fingerprint of the tokenizer in use, checked where the stage depends on it.
    Raises:
        CheckpointError: one line that names file and reason.
    """
    header, tensors = _open(path, contents=True)
    _check(path, header, stage, tokenizer)
    if fingerprint(tensors) != header.fingerprint:
        raise CheckpointError(f"{path}: damaged, its contents do not match the fingerprint {header.fingerprint}")
    strangers = sorted(name for name in tensors if name.split(".")[0] not in COMPONENTS[stage])
    if strangers:
        raise CheckpointError(f"{path}: unknown tensors {strangers[:3]} in the stage {stage}")
    return header, {name: tensor.float() for name, tensor in tensors.items()}


def check_parents(path: Path, header: Header, fingerprints: dict[str, str]) -> None:
    """Refuses a child whose parent is another one.

    Raises CheckpointError.
    """
    for parent, expected in header.parents.items():
        given = fingerprints.get(parent)
        if given is not None and given != expected:
            raise CheckpointError(
                f"{path}: the {header.stage} weights were trained on {parent} {expected}, here is {given}; "
                f"train them again on it: muomni train --stage {header.stage}"
            )


def component_tensors(modules: dict[str, nn.Module], drop: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """State of several components under their names; names that end in one of `drop` stay out."""
    return {
        f"{component}.{name}": tensor
        for component, module in modules.items()
        for name, tensor in module.state_dict().items()
        if not name.endswith(drop)
    }


def load_component(module: nn.Module, component: str, tensors: dict[str, Tensor], path: Path) -> None:
    """Strictly puts the tensors of `component` into `module`; what only training needs may be absent.

    Raises CheckpointError.
    """
    from muomni_core.model.codec import TRAINING_ONLY

    prefix = component + "."
    mine = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    wanted = {name: t for name, t in module.state_dict().items() if not name.endswith(TRAINING_ONLY)}
    missing, unknown = sorted(set(wanted) - set(mine)), sorted(set(mine) - set(module.state_dict()))
    if missing or unknown:
        raise CheckpointError(f"{path}: {component}: missing tensors {missing[:3]}, unknown tensors {unknown[:3]}")
    for name, tensor in mine.items():
        expected = tuple(module.state_dict()[name].shape)
        if tuple(tensor.shape) != expected:
            raise CheckpointError(f"{path}: {component}.{name}: expected shape {expected}, got {tuple(tensor.shape)}")
    with torch.no_grad():
        state = module.state_dict()
        for name, tensor in mine.items():
            state[name].copy_(tensor)
