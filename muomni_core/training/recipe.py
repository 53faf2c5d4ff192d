"""Recipes: a folder with a TOML a stage. What a stage trains on, how long, how fast.

[model]              preset, and fields of the stage's component config that differ from it
[data]               patterns of train and val rows, relative to the data root; and the stage's own options
[train]              TrainConfig
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import muomni_core
from muomni_core import config as configs
from muomni_core.errors import DataError

DATA_VARIABLE = "MUOMNI_DATA"


@dataclass(frozen=True)
class TrainConfig:
    """How a stage is trained; the same fields for all of them."""

    steps: int = 1000
    minutes: float = 0.0  # of training, validation not counted: the schedule follows the clock, and ends with it
    batch: int = 16  # rows a micro-batch; for speech, see `seconds`
    seconds: float = 0.0  # seconds of sound a micro-batch, where clips differ in length
    accumulate: int = 1  # micro-batches a step
    lr: float = 1e-3
    min_lr: float = 0.05  # of lr, at the end of the cosine
    warmup: int = 50
    weight_decay: float = 0.01
    beta2: float = 0.98
    clip: float = 1.0
    ema: float = 0.0  # decay of the averaged weights that are shipped; 0: the last ones
    seed: int = 0
    validate_every: int = 500
    save_every: int = 200
    log_every: int = 10  # steps a line of metrics.jsonl
    precision: str = "auto"  # auto (bf16 where it is measured to be faster), bf16, float32
    compile: bool = False
    recompute: bool = False  # activation checkpointing: blocks keep nothing for the backward pass, and work twice
    workers: int = 0  # processes that draw batches ahead; 0: the one that trains does
    shard: bool = False  # of several processes (torchrun) each holds a part of the parameters alone (FSDP2)


@dataclass(frozen=True)
class Recipe:
    """One stage's recipe, resolved."""

    stage: str
    name: str
    model: configs.OmniConfig
    data: dict[str, Any] = field(default_factory=dict)
    train: TrainConfig = TrainConfig()
    makes_data: bool = False  # the recipe makes its own data, in seconds
    written: dict[str, Any] = field(default_factory=dict)  # [train] as the file has it, before --set


def recipes_folder() -> Path:
    """`recipes/` of the wheel, or of the checkout that the package is run from."""
    package = Path(muomni_core.__file__).parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def recipe_names(stages: Iterable[str]) -> list[str]:
    """The package's recipes of at least one of these stages."""
    stages = list(stages)
    folders = sorted(recipes_folder().iterdir())
    return [p.name for p in folders if any((p / f"{stage}.toml").is_file() for stage in stages)]


def data_root(data: Path | None) -> Path | None:
    """The folder that a recipe's paths start from: --data, else MUOMNI_DATA."""
    if data is not None:
        return data
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else None


def _find(recipe: str | Path, stage: str) -> Path:
    path = Path(recipe)
    for candidate in (path, path / f"{stage}.toml", recipes_folder() / path / f"{stage}.toml"):
        if candidate.is_file():
            return candidate
    known = ", ".join(recipe_names([stage]))
    raise DataError(f"no recipe {str(recipe)!r} for the stage {stage}; there are: {known}")


def _convert(value: str, like: Any, key: str) -> Any:
    """A --set value as the type of what it replaces."""
    try:
        parsed = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value  # a bare word
    if isinstance(like, float) and isinstance(parsed, int) and not isinstance(parsed, bool):
        return float(parsed)
    if like is not None and not isinstance(parsed, list if isinstance(like, tuple) else type(like)):
        raise DataError(f"--set {key}: expected {type(like).__name__}, got {value!r}")
    return parsed


def _replace(kind: Any, values: dict[str, Any], where: str) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    for key in values:
        if key not in known:
            raise DataError(f"{where}: no option {key!r}; there are: {', '.join(sorted(known))}")
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    for key, value in plain.items():
        like = getattr(kind, key)
        if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
            plain[key] = float(value)
        elif not isinstance(value, type(like)):
            raise DataError(f"{where}: {key} should be of type {type(like).__name__}, got {value!r}")
    return dataclasses.replace(kind, **plain)


def _with_options(omni: configs.OmniConfig, stage: str, values: dict[str, Any], where: str) -> configs.OmniConfig:
    """The model with the options of a stage's component; stage omni has the projectors' beside the Thinker's."""
    if stage != "omni":
        return dataclasses.replace(omni, **{stage: _replace(getattr(omni, stage), values, where)})
    names = {f.name for f in dataclasses.fields(omni.projector)}
    projector = _replace(omni.projector, {k: v for k, v in values.items() if k in names}, where)
    thinker = _replace(omni.thinker, {k: v for k, v in values.items() if k not in names}, where)
    return dataclasses.replace(omni, thinker=thinker, projector=projector)


def shared_out(train: TrainConfig, n_processes: int, before: dict[str, Any] | None = None) -> TrainConfig:
    """The same rows a step in as many micro-batches as so many processes can share.

    Args:
        before: [train] of the state that the run goes on from; where its steps are as large, they stay parted so.
    Raises DataError where `batch` cannot be parted.
    """

    def rows(batch: float, seconds: float, accumulate: int) -> float:
        return (seconds or batch) * accumulate

    own = (train.batch, train.seconds, train.accumulate)
    if before is not None and {"batch", "seconds", "accumulate"} <= before.keys():
        theirs = (before["batch"], before["seconds"], before["accumulate"])
        if bool(theirs[1]) == bool(own[1]) and abs(rows(*theirs) - rows(*own)) < 1e-6 * rows(*own):
            return dataclasses.replace(train, batch=theirs[0], seconds=theirs[1], accumulate=theirs[2])
        return train  # refused by its key
    if train.accumulate % n_processes == 0:
        return train
    accumulate = train.accumulate * n_processes
    if train.seconds:
        return dataclasses.replace(train, seconds=train.seconds / n_processes, accumulate=accumulate)
    if train.batch % n_processes:
        raise DataError(
            f"{n_processes} processes cannot share {train.accumulate} micro-batches of {train.batch} rows; give "
            "--set batch and --set accumulate so that one of them is a multiple"
        )
    return dataclasses.replace(train, batch=train.batch // n_processes, accumulate=accumulate)


def load_recipe(recipe: str | Path, stage: str, overrides: dict[str, str] | None = None) -> Recipe:
    """Reads a recipe; `overrides` are `--set section.key=value`, or `key=value` for [train].

    Raises DataError with the name of what is wrong.
    """
    path = _find(recipe, stage)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a TOML file ({error})") from None
    unknown = sorted(set(table) - {"model", "data", "train"})
    if unknown:
        raise DataError(f"{path}: unknown section {unknown[0]!r}; there are: model, data, train")
    sections: dict[str, dict[str, Any]] = {name: dict(table.get(name, {})) for name in ("model", "data", "train")}
    defaults = TrainConfig()
    for key, value in (overrides or {}).items():
        section, _, option = key.rpartition(".")
        section = section or "train"
        if section not in sections:
            raise DataError(f"--set {key}: no section {section!r}; there are: model, data, train")
        like = getattr(defaults, option, None) if section == "train" else sections[section].get(option)
        # A whole number in a recipe may stand for a float: the component's or the stage's options know.
        sections[section][option] = _convert(value, None if section != "train" and type(like) is int else like, key)
    preset = sections["model"].pop("preset", "tiny")
    makes_data = bool(sections["data"].pop("make", False))
    if preset not in configs.PRESETS:
        raise DataError(f"{path}: no preset {preset!r}; there are: {', '.join(configs.PRESETS)}")
    omni = configs.PRESETS[preset]
    model = _with_options(omni, stage, sections["model"], f"{path}: [model]")
    train = _replace(defaults, sections["train"], f"{path}: [train]")
    for name in ("steps", "batch", "accumulate", "validate_every", "save_every", "log_every"):
        if getattr(train, name) < 1:
            raise DataError(f"{path}: [train]: {name} must be at least 1, got {getattr(train, name)}")
    written = _replace(defaults, dict(table.get("train", {})), f"{path}: [train]")
    return Recipe(
        stage=stage,
        name=f"{path.parent.name}/{path.stem}",
        model=model,
        data=sections["data"],
        train=train,
        makes_data=makes_data,
        written=dataclasses.asdict(written),
    )
