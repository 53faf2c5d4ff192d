"""Trains one stage by a recipe: finds data, parents and starting weights, runs the loop, ships the best weights."""

from __future__ import annotations

import dataclasses
import logging
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from muomni_core.checkpoint import (
    COMPONENTS,
    TEXT_STAGES,
    Header,
    component_tensors,
    find_file,
    load_component,
    load_stage,
    read_header,
    save_stage,
    write_atomically,
)
from muomni_core.config import to_dict
from muomni_core.data.rows import fingerprint
from muomni_core.errors import CheckpointError, DataError, MuOmniError
from muomni_core.model.codec import Codebook
from muomni_core.text.tokenizer import Tokenizer
from muomni_core.training.card import commit, write_card
from muomni_core.training.context import Context
from muomni_core.training.interrupt import Interrupts
from muomni_core.training.log import RunLog
from muomni_core.training.loop import Progress, RunState, train
from muomni_core.training.memory import free_memory
from muomni_core.training.ranks import ALONE, Ranks
from muomni_core.training.recipe import DATA_VARIABLE, Recipe, TrainConfig, data_root, load_recipe, shared_out
from muomni_core.training.recompute import recompute_blocks
from muomni_core.training.run_key import RunKey
from muomni_core.training.stages import STAGES, stage_class
from muomni_core.training.state import read_about
from muomni_core.weights import SHIPPED

__all__ = ["STAGES", "Progress", "build_context", "run_stage"]

logger = logging.getLogger(__name__)


def find_root(recipe: Recipe, data: Path | None) -> Path:
    """The data root; a recipe that makes its own data makes it now. Raises DataError where there is none."""
    root = data_root(data)
    if recipe.makes_data:
        from muomni_core.data.features import cache_folder
        from muomni_core.data.smoke import make_smoke

        # A folder that is only known from the environment holds a person's own data; nothing is made there.
        chosen = data is not None and str(data) != os.environ.get(DATA_VARIABLE)
        root = make_smoke(data if chosen and data is not None else cache_folder() / "smoke")
    if root is None:
        raise DataError(
            f"recipe {recipe.name} needs data: give --data DIR or set {DATA_VARIABLE} (recipes/data/ says how each set "
            "is had), or use --recipe smoke, which needs none"
        )
    if not root.is_dir():
        raise DataError(f"the data root {root} is missing; recipes/data/ says how it is had; --recipe smoke needs none")
    return root


def stage_folders(recipe: Recipe, out: Path | None, weights: Path | None) -> list[Path]:
    """Where a stage's parents are looked for, the run's own folder first: `out`, or runs/<recipe>."""
    out = out or Path("runs") / recipe.name.split("/")[0]
    return [folder for folder in (out, weights, SHIPPED) if folder is not None]


def pick_device(name: str, ranks: Ranks = ALONE) -> str:
    """`auto` is a GPU where there is one; of several processes on a machine, each has its own."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return f"cuda:{ranks.local}" if name == "cuda" and ranks.size > 1 else name


def machine(device: str) -> str:
    """What a run was trained on, for the header and the model card."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.get_num_threads()} threads, {device}"


def build_context(
    recipe: Recipe, data: Path | None, folders: list[Path], *, training: bool, device: str = "cpu", ranks: Ranks = ALONE
) -> Context:
    tokenizer = Tokenizer.load(find_file(folders, "tokenizer.json"))
    return Context(recipe, find_root(recipe, data), tokenizer, folders, training, torch.device(device), ranks)


def _init_file(init: str, stage_name: str) -> Path:
    folder = SHIPPED if init == "shipped" else Path(init)
    name = f"{stage_name}.safetensors"
    return find_file([folder], name) or folder / name


def _start_from(stage: Any, path: Path, tokenizer: Tokenizer) -> None:
    """Puts the weights of `--init` in place."""
    header, tensors = load_stage(path, stage.name, tokenizer=tokenizer.fingerprint)
    if hasattr(stage, "adapt"):
        tensors = stage.adapt(tensors, header.config)
    for component, module in stage.modules.items():
        load_component(module, component, tensors, path)
    for module in stage.model.modules():
        if isinstance(module, Codebook):  # or it would begin anew by k-means
            module.start_from_entries()


def _keep_tokenizer(out: Path, folders: list[Path]) -> None:
    """A tokenizer that came with --weights goes with what is trained on it, so that DIR is whole by itself."""
    found = find_file(folders, "tokenizer.json")
    if found is not None and found.parent not in (out, SHIPPED):
        write_atomically(out / "tokenizer.json", found.read_bytes())


def _lacks_codec(recipe: Recipe, folders: list[Path]) -> bool:
    """Must the Talker's codec be trained first? The package's own serves where the recipe's Talker speaks its codes."""
    path = find_file(folders, "codec.safetensors")
    if path is None or path.parent != SHIPPED:
        return path is None
    return read_header(path, "codec").config["codec"]["codebook_size"] != recipe.model.talker.codebook_size


def run_stage(
    stage_name: str,
    *,
    recipe: str | Path = "tiny",
    data: Path | None = None,
    weights: Path | None = None,
    init: str | None = None,
    overrides: dict[str, str] | None = None,
    out: Path | None = None,
    report: Callable[[Progress], None] | None = None,
    device: str = "auto",
    command: str = "",
    tensorboard: bool = False,
    ranks: Ranks = ALONE,
    auto_batch: bool = False,
) -> dict[str, float]:
    """Trains `stage_name` and leaves DIR/<stage>.safetensors, state/, logs/ and MODEL_CARD.md; resumes what is there.

    Args:
        init: a folder of weights to start from, or "shipped"; None: from scratch.
        overrides: `--set` values, "section.key" or a key of [train].
        out: default runs/<recipe>.
        command: what was typed, for the model card.
        tensorboard: writes its files too, where the package is installed.
        ranks: of several processes that train together (`ranks.joined`), each of which calls this; only the first
            writes, calls `report`, and has the metrics.
        auto_batch: parts a step's rows into the largest micro-batches that fit; a run that goes on keeps its own.
    Returns:
        the metrics of the last validation.
    Raises:
        MuOmniError: one line that says what to do.
        Stopped: by Ctrl-C or another signal; a step in progress was finished and saved.
    """
    loaded = ranks.together(lambda: load_recipe(recipe, stage_name, overrides))
    folders = stage_folders(loaded, out, weights)
    out = folders[0]
    if ranks.together(lambda: stage_name == "talker" and _lacks_codec(loaded, folders)):
        # Of the same folder, where the recipe is the talker's file.
        folder = Path(recipe).parent if Path(recipe).is_file() else recipe
        run_stage(
            "codec",
            recipe=folder,
            data=data,
            weights=weights,
            out=out,
            report=report,
            device=device,
            ranks=ranks,
            auto_batch=auto_batch,
        )
    ranks.alone(lambda: check_writable(out))
    with Interrupts(patient=ranks.size > 1):
        device = pick_device(device, ranks)
        state = out / "state" / f"{stage_name}.safetensors"
        if auto_batch and not ranks.together(state.exists):
            loaded = _fit_batch(loaded, data, folders, init, device, ranks)
        return _train(loaded, data, folders, init, out, report or (lambda _: None), device, command, tensorboard, ranks)


def check_writable(out: Path) -> None:
    """Makes the run's folders. Raises MuOmniError where they take no files, now and not after the first hundred steps."""
    probe = out / "state" / f".probe-{os.getpid()}"
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise MuOmniError(f"{out}: cannot be written ({error.strerror}); give another --out") from None


def _share_out(loaded: Recipe, out: Path, ranks: Ranks) -> Recipe:
    """The recipe with a micro-batch a process at least. Raises DataError where its batch cannot be parted so."""
    state = out / "state" / f"{loaded.stage}.safetensors"
    about = read_about(state) if state.exists() else {}
    train = shared_out(loaded.train, ranks.size, (about.get("made_for") or {}).get("train"))
    if ranks.is_first and (ranks.size > 1 or train != loaded.train):
        size = f"{train.seconds:g} s" if train.seconds else f"{train.batch} rows"
        busy = min(ranks.size, train.accumulate)
        idle = f"; {ranks.size - busy} have nothing to do, and would with a new --out" if busy < ranks.size else ""
        logger.warning(
            "%s: %d process%s; a step is %d micro-batches of %s%s",
            loaded.stage,
            ranks.size,
            "es" if ranks.size > 1 else "",
            train.accumulate,
            size,
            idle,
        )
    return dataclasses.replace(loaded, train=train)


def _fit_batch(
    loaded: Recipe, data: Path | None, folders: list[Path], init: str | None, device: str, ranks: Ranks
) -> Recipe:
    """The recipe with the micro-batches that fit the first process's memory. Raises MuOmniError where none do."""
    from muomni_core.training.auto_batch import fitted, splits

    def build(train: TrainConfig) -> Any:
        return build_stage(dataclasses.replace(loaded, train=train), data, folders, init, device, ALONE)[1]

    chosen = [0.0]

    def choose() -> None:
        free = free_memory(gpu=device.startswith("cuda"))
        train, needed = fitted(loaded.train, build, free, ranks.size)
        size = f"{train.seconds:g} s" if train.seconds else f"{train.batch} rows"
        text = "%s: %d micro-batches of %s, about %.1f of %.1f GB that are free"
        logger.warning(text, loaded.stage, train.accumulate, size, needed / 1e9, free / 1e9)
        chosen[0] = train.accumulate

    ranks.alone(choose)
    (accumulate,) = ranks.total(chosen)
    train = next(t for t in splits(loaded.train, ranks.size) if t.accumulate == accumulate)
    return dataclasses.replace(loaded, train=train)


def build_stage(
    loaded: Recipe, data: Path | None, folders: list[Path], init: str | None, device: str, ranks: Ranks
) -> tuple[Context, Any, list[dict]]:
    """Context and stage, as training begins, and the legs behind its weights."""
    torch.manual_seed(loaded.train.seed)
    context = build_context(loaded, data, folders, training=True, device=device, ranks=ranks)
    path = _init_file(init, loaded.stage) if init else None
    legs = read_header(path, loaded.stage).legs if path else []
    context.legs_before = len(legs)
    stage = stage_class(loaded.stage)(context)
    stage.model.to(device)
    if loaded.train.recompute:
        recompute_blocks(stage.model)
    if path:
        _start_from(stage, path, context.tokenizer)
    return context, stage, legs


def _train(
    loaded: Recipe,
    data: Path | None,
    folders: list[Path],
    init: str | None,
    out: Path,
    report: Callable[[Progress], None],
    device: str,
    command: str,
    tensorboard: bool,
    ranks: Ranks,
) -> dict[str, float]:
    stage_name = loaded.stage
    loaded = ranks.together(lambda: _share_out(loaded, out, ranks))
    if device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")  # what stays float32 beside bf16 need not be exact to the last bit
    context, stage, legs = ranks.in_turn(lambda: build_stage(loaded, data, folders, init, device, ranks))
    ranks.alone(lambda: _keep_tokenizer(out, folders))
    data_print = fingerprint(stage.options.train, context.root)
    key = run_key(loaded, init, data_print, context.parents)

    def ship(at: RunState) -> None:
        leg = {
            "recipe": loaded.name,
            "init": init or "scratch",
            "steps": at.step,
            "hours": round(at.hours, 3),
            "machine": machine(device),
            "train": dataclasses.asdict(loaded.train),
            "command": command,
            "commit": made_at,
            "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "notes": at.notes,
        }
        header = Header(
            stage=stage_name,
            config=key.model,
            step=at.step,
            metrics={k: round(float(v), 5) for k, v in at.metrics.items()},
            parents=dict(context.parents),
            data=data_print,
            tokenizer=context.tokenizer.fingerprint if stage_name in TEXT_STAGES else "",
            legs=[*legs, leg],
        )
        save_stage(out / f"{stage_name}.safetensors", component_tensors(stage.modules, drop=stage.drop), header)
        write_card(out)

    made_at = commit()
    if not ranks.is_first:
        tensorboard = False  # the first process writes all there is
    with RunLog(out, stage_name, loaded.train.log_every, stage.score, tensorboard=tensorboard) as log:

        def tell(seen: Progress) -> None:
            log(seen)
            report(seen)

        return train(
            stage,
            loaded.train,
            out / "state" / f"{stage_name}.safetensors",
            ship=ship,
            report=tell,
            begin=log.begin,
            key=key,
            fits_early=lambda early: fits_early(key, early, loaded, out),
            ranks=ranks,
            order_seed=context.order_seed,
        )


def run_key(recipe: Recipe, init: str | None, data_print: str, parents: dict[str, str]) -> RunKey:
    """What a state of this run is made for."""
    fields = COMPONENTS[recipe.stage].values()
    model = {name: to_dict(getattr(recipe.model, name)) for name in fields}
    return RunKey(to_dict(recipe.train), recipe.data, model, init, data_print, dict(parents))


def fits_early(key: RunKey, early: str, recipe: Recipe, out: Path) -> bool:
    """Whether a state of version 0 with the key `early` is of this run; what lies beside it helps to tell."""
    try:
        header = read_header(out / f"{recipe.stage}.safetensors", recipe.stage)
    except CheckpointError:  # killed before the first validation
        return key.fits_early(early, [recipe.written], {})
    return key.fits_early(early, [recipe.written, *(leg["train"] for leg in header.legs)], header.config)
