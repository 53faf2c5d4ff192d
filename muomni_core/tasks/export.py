"""A model in one folder that stands by itself: config.json, tokenizer.json and a single model.safetensors."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save

import muomni_core
from muomni_core.checkpoint import CARD, EXPORT, EXPORT_CONFIG, FORMAT, load_stage
from muomni_core.errors import CheckpointError, InputError
from muomni_core.files import printable

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni


def check_folder(target: Path, force: bool) -> None:
    """Raises InputError unless `target` can become an export: call it before any long work.

    It may be missing, empty or, with `force`, an export already; a folder with anything else in it is left alone.
    """
    shown = printable(str(target))
    try:
        if target.exists() and not target.is_dir():
            raise InputError(f"{shown} is a file; name a folder")
        names = set(os.listdir(target)) if target.exists() else set()
        parent = Path(os.path.abspath(target)).parent
        if not parent.is_dir():
            raise InputError(f"{shown}: there is no folder {printable(str(parent))}; make it first")
        if not os.access(target if target.exists() else parent, os.W_OK | os.X_OK):
            raise InputError(f"{shown} cannot be written: no permission")
    except (OSError, ValueError) as error:
        raise InputError(f"{shown} cannot be written: {getattr(error, 'strerror', None) or error}") from None
    if names and not (force and {EXPORT, EXPORT_CONFIG} <= names):
        raise InputError(
            f"{shown} exists; use --force to overwrite"
            if EXPORT in names
            else f"{shown} is not empty; name a new folder"
        )


def export(omni: MuOmni, target: str | Path, *, force: bool = False) -> dict[str, int]:
    """Writes all that `omni` was loaded from into the folder `target`: its files, and bytes of each.

    The weights are read and checked on the way, and keep their fingerprints: `MuOmni.load(target)` gives the same answers.
    The folder appears when it is whole. Raises InputError as check_folder does, CheckpointError for weights that are damaged
    or do not fit each other.
    """
    target = Path(target)
    check_folder(target, force)
    for why_not in omni.set_aside.values():
        raise CheckpointError(why_not)
    made = Path(tempfile.mkdtemp(prefix=".muomni-", dir=Path(os.path.abspath(target)).parent))
    try:
        _write(omni, made)
        os.chmod(made, 0o777 & ~_umask())
        sizes = {path.name: path.stat().st_size for path in sorted(made.iterdir())}
        if target.is_dir():
            for path in made.iterdir():
                os.replace(path, target / path.name)
        else:
            os.replace(made, target)
        return sizes
    except OSError as error:
        raise InputError(f"{printable(str(target))} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write(omni: MuOmni, folder: Path) -> None:
    tensors, headers = {}, {}
    for stage, path in omni.files.items():
        header, held = load_stage(path, stage, tokenizer=omni.tokenizer.fingerprint)
        # As they lie in the file, or their fingerprint would be another one.
        tensors.update({name: tensor.half() for name, tensor in held.items()})
        headers[stage] = asdict(header)
    if not tensors:
        raise CheckpointError("there are no weights to export")
    (folder / EXPORT).write_bytes(save(tensors, {"format": "pt"}))
    omni.tokenizer.save(folder / "tokenizer.json")
    about: dict[str, Any] = {
        "model_type": "muomni",
        "format": FORMAT,
        "muomni": muomni_core.__version__,
        "tokenizer": omni.tokenizer.fingerprint,
        "stages": headers,
    }
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    (folder / EXPORT_CONFIG).write_text(text, encoding="utf-8")
    for name, path in omni.beside_the_ear.items():
        shutil.copyfile(path, folder / name)
    cards = dict.fromkeys(path.parent / CARD for path in omni.files.values())
    texts = [card.read_text(encoding="utf-8", errors="replace").strip() for card in cards if card.is_file()]
    if texts:  # the terms of the weights go where the weights go
        (folder / CARD).write_text("\n\n---\n\n".join(texts) + "\n", encoding="utf-8")
