"""Weights in and out: one safetensors file a stage, with a header that says what they are and whose child.

The header lies in the file's metadata under the key "muomni", as JSON. Loading is strict: a missing, additional or
misshaped tensor, damaged bytes, another mel, tokenizer or parent are refused by name.

A folder that `muomni export` made has all stages in one `model.safetensors`, and their headers in its `config.json`. It
reads like a folder of stages: where `audio.safetensors` is wanted, the ear of `model.safetensors` serves.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
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
EXPORT, EXPORT_CONFIG = "model.safetensors", "config.json"
CARD = "MODEL_CARD.md"  # beside weights: what they are, and their terms
MAX_CONFIG_BYTES = 10_000_000
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
    """The first of the folders' files of that name; None where none has it. An export stands for its stages' files."""
    found = (_with_exports(folder / name) for folder in folders)
    return next((path for path in found if path.is_file()), None)


def _with_exports(path: Path) -> Path:
    """`path`, or the export beside it that holds the stage which `path` is called after."""
    exported = path.with_name(EXPORT)
    if path.suffix != ".safetensors" or path.stem not in COMPONENTS or path.is_file() or not exported.is_file():
        return path
    return exported if path.stem in read_export(path.parent) else path


def weights_folder(path: str | Path) -> Path:
    """The folder of weights that `path` names: itself, or that of the single file of an export.

    Raises CheckpointError where there are no weights: nobody who names some wants the package's in their place.
    """
    path = Path(path)
    if path.name == EXPORT and path.is_file():
        return path.parent
    if path.is_file():
        raise CheckpointError(f"{path} is a file; give the folder that it is in")
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such folder of weights")
    names = ["tokenizer.json", EXPORT, *(f"{stage}.safetensors" for stage in COMPONENTS)]
    if not any((path / name).is_file() for name in names):
        raise CheckpointError(f"{path}: no weights in this folder, neither {EXPORT} nor <stage>.safetensors")
    return path


def is_export(folder: Path) -> bool:
    """Whether `muomni export` made this folder: it then holds all of a model."""
    return (folder / EXPORT).is_file()


def read_export(folder: Path) -> dict[str, Header]:
    """The headers of the stages of an export, by stage. Raises CheckpointError."""
    path = folder / EXPORT_CONFIG
    try:
        with open(path, "rb") as file:
            config = json.loads(file.read(MAX_CONFIG_BYTES))
        if config["format"] != FORMAT:
            raise CheckpointError(f"{path}: format {config['format']!r}, this muOmni reads format {FORMAT}")
        return {stage: _header(values) for stage, values in config["stages"].items()}
    except FileNotFoundError:
        raise CheckpointError(f"{folder / EXPORT} has no {EXPORT_CONFIG} beside it; export the weights again") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise CheckpointError(f"{path}: not the {EXPORT_CONFIG} of an export; export the weights again") from None


def _header(values: dict[str, Any]) -> Header:
    """A header out of JSON. Raises TypeError or ValueError where it is none."""
    header = Header(**values)
    for name in ("stage", "data", "tokenizer", "fingerprint"):
        if not isinstance(getattr(header, name), str):
            raise TypeError(name)
    for name in ("config", "metrics", "parents", "mel"):
        if not isinstance(getattr(header, name), dict):
            raise TypeError(name)
    known = {field.name for field in fields(configs.OmniConfig)}
    if not set(header.config) <= known or not all(isinstance(values, dict) for values in header.config.values()):
        raise TypeError("config")
    return header


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


def _open(path: Path, stage: str, *, contents: bool) -> tuple[Header, dict[str, Tensor]]:
    headers = read_export(path.parent) if path.name == EXPORT else None
    if headers is not None and stage not in headers:
        raise CheckpointError(f"{path}: holds no stage {stage}, only {', '.join(headers)}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata, names = file.metadata() or {}, list(file.keys())
            if headers is not None:
                _check_names(path, names, [component for held in headers for component in COMPONENTS.get(held, ())])
                names = [name for name in names if name.split(".")[0] in COMPONENTS[stage]]
            tensors = {name: file.get_tensor(name) for name in names} if contents else {}
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a readable weights file ({error})") from None
    header = headers[stage] if headers is not None else _stage_header(path, metadata)
    if header.format != FORMAT:
        raise CheckpointError(f"{path}: format {header.format}, this muOmni reads format {FORMAT}")
    return header, tensors


def _check_names(path: Path, names: Iterable[str], components: Iterable[str]) -> None:
    strangers = sorted(name for name in names if name.split(".")[0] not in components)
    if strangers:
        raise CheckpointError(f"{path}: unknown tensors {strangers[:3]}; it should hold {', '.join(components)}")


def _stage_header(path: Path, metadata: dict[str, str]) -> Header:
    try:
        return _header(json.loads(metadata["muomni"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise CheckpointError(f"{path}: no muOmni header; these weights were not made by `muomni train`") from None


def _check(path: Path, header: Header, stage: str, tokenizer: str) -> None:
    if header.stage != stage:
        raise CheckpointError(f"{path}: holds the stage {header.stage}, expected {stage}")
    if header.mel != configs.to_dict(configs.MelConfig()):
        raise CheckpointError(f"{path}: made for another mel ({header.mel})")
    if tokenizer and stage in TEXT_STAGES and header.tokenizer != tokenizer:
        raise CheckpointError(f"{path}: made for the tokenizer {header.tokenizer}, here is {tokenizer}")


def read_header(path: Path, stage: str, *, tokenizer: str = "") -> Header:
    """What a stage's file says of itself, checked as load_stage does, without reading the weights."""
    path = _with_exports(path)
    header, _ = _open(path, stage, contents=False)
    _check(path, header, stage, tokenizer)
    return header


def load_stage(path: Path, stage: str, *, tokenizer: str = "") -> tuple[Header, dict[str, Tensor]]:
    """Reads and checks one stage's file; tensors come in float32.

    Args:
        tokenizer: fingerprint of the tokenizer in use, checked where the stage depends on it.
    Raises:
        CheckpointError: one line that names file and reason.
    """
    path = _with_exports(path)
    header, tensors = _open(path, stage, contents=True)
    _check(path, header, stage, tokenizer)
    if fingerprint(tensors) != header.fingerprint:
        whose = f"of the stage {stage} in {EXPORT_CONFIG}" if path.name == EXPORT else "in its header"
        raise CheckpointError(
            f"{path}: damaged, its contents do not match the fingerprint {header.fingerprint} {whose}"
        )
    _check_names(path, tensors, COMPONENTS[stage])
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
        for name, tensor in _state(module).items()
        if not name.endswith(drop)
    }


def _state(module: nn.Module) -> dict[str, Tensor]:
    """As state_dict, but without its hooks: those of FSDP would part a model that was put together to be written."""
    lasting = {
        f"{prefix}.{name}".lstrip(".")
        for prefix, part in module.named_modules()
        for name in part._buffers.keys() - part._non_persistent_buffers_set
    }
    tensors = dict(module.named_parameters(remove_duplicate=False))
    return tensors | {n: b for n, b in module.named_buffers(remove_duplicate=False) if n in lasting}


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
