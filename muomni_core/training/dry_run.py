"""`train --dry-run`: what a training would take and what is wrong with its data, without leaving anything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from muomni_core.data.checks import Checks, check_rows
from muomni_core.training.context import Context
from muomni_core.training.gradients import Stage, backward, draw
from muomni_core.training.loop import average_state, make_optimiser, use_bf16
from muomni_core.training.memory import Held, peak_memory
from muomni_core.training.order import stage_options
from muomni_core.training.ranks import ALONE
from muomni_core.training.recipe import Recipe, TrainConfig, load_recipe
from muomni_core.training.run import build_stage, find_root, pick_device, stage_folders

MEASURED_STEPS = 3


@dataclass
class Memory:
    """Bytes that a training holds, by what holds them."""

    weights: int
    gradients: int  # and their sums over micro-batches, in double precision
    optimiser: int
    averages: int
    activations: int  # the most that a step's passes hold beside the gradients, kept or in the making
    peak: int  # of the process or the GPU, measured
    before: int  # the peak before the first step: the program, data and weights

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimiser + self.averages + self.activations


@dataclass
class DryRun:
    """All that was found out."""

    stage: str
    recipe: str
    parameters: int
    trained: int
    steps: int
    memory: Memory | None = None
    seconds_per_step: float = 0.0
    per_second: float = 0.0
    unit: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)
    fatal: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        lines = [f"stage       {self.stage}, recipe {self.recipe}"]
        lines.append("rows        " + ", ".join(f"{count:,} {split}" for split, count in self.rows.items()))
        for found in self.findings:
            lines.append(f"  {found['count']:,} x {found['name']}: {'; '.join(found['examples'])}")
        if not self.findings:
            lines.append("  nothing wrong was found")
        if self.memory is None:
            return lines
        m = self.memory
        hours = self.steps * self.seconds_per_step / 3600
        parts = ("weights", "gradients", "optimiser", "averages", "activations")
        return [
            *lines,
            f"parameters  {self.parameters:,}, of which {self.trained:,} are trained",
            f"memory      {_size(m.total)}: " + ", ".join(f"{name} {_size(getattr(m, name))}" for name in parts),
            f"  measured: {_size(m.peak)} at the peak; {_size(m.before)} before the first step",
            f"steps       {self.steps:,} of {self.seconds_per_step:.3g} s ({self.per_second:,.1f} {self.unit}/s)",
            f"time        {hours:.2g} hours, validation not counted",
        ]


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def dry_run(
    stage_name: str,
    *,
    recipe: str | Path = "tiny",
    data: Path | None = None,
    weights: Path | None = None,
    init: str | None = None,
    overrides: dict[str, str] | None = None,
    out: Path | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> DryRun:
    """Checks all rows, then builds the stage and takes a few steps; only features stay, in the cache.

    Raises MuOmniError for what training would refuse at once.
    """
    loaded = load_recipe(recipe, stage_name, overrides)
    folders = stage_folders(loaded, out, weights)
    root = find_root(loaded, data)
    say("looking at the rows")
    checks = _check(loaded, root)
    found = DryRun(stage_name, loaded.name, 0, 0, loaded.train.steps, rows=checks.n_rows)
    found.findings = [asdict(finding) for finding in checks.findings]
    if fatal := [f for f in checks.findings if f.fatal]:
        found.fatal = f"{sum(f.count for f in fatal)} rows must be left out or mended: {fatal[0].name}"
        return found
    say("taking a few steps")
    _, stage, _ = build_stage(loaded, data, folders, init, pick_device(device), ALONE)
    measure(stage, loaded.train, found)
    return found


def _check(recipe: Recipe, root: Path) -> Checks:
    options = stage_options(Context(recipe, root, None, []))
    n_slots = recipe.model.audio.n_slots if recipe.stage == "audio" else 0
    return check_rows(options.train, options.val, root, n_slots=n_slots)


def measure(stage: Stage, config: TrainConfig, found: DryRun) -> None:
    """Fills in parameters, memory and time, from steps that change the stage's model."""
    model = stage.model
    device = next(model.parameters()).device
    bf16 = use_bf16(config.precision, device)
    optimiser = make_optimiser(model, config)
    average = average_state(model) if config.ema else {}
    model.train()
    before = peak_memory(gpu=device.type == "cuda")
    held = Held()
    times, units = [], 0.0
    for step in range(MEASURED_STEPS + 1):
        begun = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        drawn = draw(stage, step, config.accumulate, config.seed)
        with contextlib.nullcontext() if step else held:
            _, done = backward(stage, drawn, bf16=bf16)
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimiser.step()
        stage.after_step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if step:  # the first one warms up, and counts
            times.append(time.perf_counter() - begun)
            units += done
    found.parameters = sum(p.numel() for p in model.parameters())
    found.trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    gradients = _bytes(p.grad for p in model.parameters() if p.grad is not None) * (3 if config.accumulate > 1 else 1)
    found.memory = Memory(
        weights=_bytes(model.state_dict().values()),
        gradients=gradients,
        optimiser=_bytes(v for values in optimiser.state.values() for v in values.values()),
        averages=_bytes(average.values()),
        activations=max(0, held.peak - gradients),
        peak=peak_memory(gpu=device.type == "cuda"),
        before=before,
    )
    found.seconds_per_step = sum(times) / len(times)
    found.per_second, found.unit = units / sum(times), stage.unit


def _bytes(tensors: Any) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
