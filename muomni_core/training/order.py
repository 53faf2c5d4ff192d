"""A whole model, a stage after the other: what is done, what a stage needs first."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from muomni_core.checkpoint import find_file, read_header, write_atomically
from muomni_core.data.rows import expand, fingerprint
from muomni_core.errors import CheckpointError, DataError
from muomni_core.training.context import Context
from muomni_core.training.recipe import load_recipe, shared_out
from muomni_core.training.run import find_root, fits_early, run_key, run_stage, stage_folders
from muomni_core.training.stages import STAGES, stage_class
from muomni_core.training.state import read_about

# What must be trained before, the Thinker that omni begins from and the ear that measures durations among it.
NEEDS: dict[str, tuple[str, ...]] = {
    "omni": ("audio", "vision", "thinker"),
    "talker": ("codec", "audio", "omni"),
    "vocoder": ("codec",),
}


def stage_options(context: Context) -> Any:
    """The recipe's [data] as the options of its stage. Raises DataError for what does not fit."""
    return context.options(sys.modules[stage_class(context.recipe.stage).__module__].Options)


def run_all(
    *,
    recipe: str | Path = "tiny",
    out: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    report_for: Callable[[str], Any] = lambda _: None,
    **settings: Any,
) -> dict[str, dict[str, float]]:
    """Trains all stages in order into `out`, skipping those that are done; returns each one's metrics.

    Args:
        say: told what is skipped.
        report_for: gives the context manager that takes a stage's Progress.
        settings: as run_stage takes them.
    """
    if Path(recipe).is_file():
        raise DataError(f"{recipe} is the recipe of one stage; a whole training needs a folder with one of each")
    found = {}
    for stage in STAGES:
        load_recipe(recipe, stage, settings.get("overrides"))  # before the first hour, not after it
    for stage in STAGES:
        folder = stage_folders(load_recipe(recipe, stage), out, None)[0]
        if is_done(stage, recipe=recipe, out=folder, **settings):
            found[stage] = read_header(folder / f"{stage}.safetensors", stage).metrics
            say(f"{stage} is done; {folder / stage}.safetensors stays")
            continue
        with report_for(stage) as report:
            found[stage] = run_stage(stage, recipe=recipe, out=folder, report=report, **settings)
    return found


def is_done(
    stage: str,
    *,
    recipe: str | Path,
    out: Path,
    data: Path | None = None,
    weights: Path | None = None,
    init: str | None = None,
    overrides: dict[str, str] | None = None,
    **_: Any,
) -> bool:
    """Whether `out` has the stage, trained to the end of this recipe, on this data and these parents."""
    shipped, state = out / f"{stage}.safetensors", out / "state" / f"{stage}.safetensors"
    if not (shipped.is_file() and state.is_file()):
        return False
    try:
        about, header = read_about(state), read_header(shipped, stage)
    except CheckpointError:
        return False
    loaded = load_recipe(recipe, stage, overrides)
    if about["validated"] < about["step"] or about["step"] < loaded.train.steps:
        return False
    folders = stage_folders(loaded, out, weights)
    parents = {}
    for parent in header.parents:
        path = find_file(folders, f"{parent}.safetensors")
        parents[parent] = read_header(path, parent).fingerprint if path else ""
    made_for = about.get("made_for")
    if made_for:
        loaded = dataclasses.replace(loaded, train=shared_out(loaded.train, 1, made_for["train"]))
    root = find_root(loaded, data)
    options = stage_options(Context(loaded, root, None, folders))
    key = run_key(loaded, init, fingerprint(options.train, root), parents)
    if made_for:
        return not key.differences(made_for)
    return fits_early(key, about["run_key"], loaded, out)


def train_parents(
    stage: str,
    *,
    recipe: str | Path,
    out: Path,
    weights: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    report_for: Callable[[str], Any],
    **settings: Any,
) -> None:
    """Puts what the stage needs into `out`: from `weights` where it is there, else trained by the same recipe."""
    wanted: set[str] = set()
    waiting = [stage]
    while waiting:
        child = waiting.pop()
        needs = set(NEEDS.get(child, ()))
        if child == "omni":
            begin = load_recipe(recipe, "omni").data.get("begin", "thinker")
            needs = (needs - {"thinker"}) | ({begin} - {"", "omni"})
        waiting += needs - wanted
        wanted |= needs
    for parent in STAGES:
        name = f"{parent}.safetensors"
        if parent not in wanted or (out / name).is_file():
            continue
        if weights is not None and (weights / name).is_file():
            write_atomically(out / name, (weights / name).read_bytes())
        else:
            say(f"{stage} needs {parent}, which is trained first, into {out}")
            with report_for(parent) as report:
                run_stage(parent, recipe=recipe, out=out, weights=weights, report=report, **settings)


def check_recipe(recipe: str | Path, stage: str, data: Path | None = None) -> None:
    """Raises DataError for what is wrong in a stage's recipe; with `data`, also for files that are not there."""
    loaded = load_recipe(recipe, stage)
    options = stage_options(Context(loaded, Path(), None, []))
    if data is not None and not loaded.makes_data:
        expand([*options.train, *options.val], data)
