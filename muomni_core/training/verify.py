"""Proof that a run can be killed at any moment: N steps unbroken against N steps with kills, compared bit for bit.

Each attempt is a process of its own that is ended by SIGKILL, which no program can prepare for: at a random moment in
its steps, or in the middle of writing a state, between that and its renaming, or in the middle of shipping weights.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from muomni_core.checkpoint import read_header
from muomni_core.errors import MuOmniError
from muomni_core.training.loop import Progress
from muomni_core.training.recipe import TrainConfig, load_recipe
from muomni_core.training.run import run_stage
from muomni_core.training.state import read_about

MOMENTS = ("step", "half-written state", "state before its renaming", "half-written weights")
STAGES_OF = "muomni_core.training.stages"
PATIENCE = 1800.0  # seconds without a step after which an attempt counts as stuck


@dataclass(frozen=True)
class Kill:
    """Where an attempt ends: at `moment`, when `step` is reached."""

    step: int
    moment: str


@dataclass
class Verdict:
    """What was compared, and what differed."""

    steps: int
    kills: list[Kill]
    n_tensors: int
    differences: list[str]


def verify_resume(
    stage: str,
    *,
    folder: Path,
    kills: int = 2,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> Verdict:
    """Trains twice below `folder`, once unbroken and once killed `kills` times, and compares what is left.

    Args:
        settings: as run_stage takes them.
        say: told what happens, a line each.
    Raises:
        MuOmniError: an attempt fails by itself.
    """
    # Short, with many checkpoints, and room for all kills; --set says otherwise.
    short = {"steps": str(max(24, 6 * kills)), "save_every": "2", "validate_every": "8", "log_every": "1"}
    settings["overrides"] = short | (settings.get("overrides") or {})
    config = load_recipe(settings.get("recipe", "tiny"), stage, settings["overrides"]).train
    if config.steps < 2:
        raise MuOmniError("--verify-resume needs 2 steps at least")
    whole, broken = folder / "unbroken", folder / "killed"
    for path in (whole, broken):
        shutil.rmtree(path, ignore_errors=True)
    say(f"{stage}: {config.steps} steps unbroken")
    _attempt(stage, settings | {"out": whole}, None, random.Random(seed))
    rng = random.Random(seed)
    state = broken / "state" / f"{stage}.safetensors"
    done: list[Kill] = []
    left = 0
    for number, planned in enumerate(plan_steps(config.steps, kills, rng)):
        kill = choose_kill(number, max(planned, left + 1), config, rng)
        reached, killed = _attempt(stage, settings | {"out": broken}, kill, rng)
        left = int(read_about(state)["step"]) if state.exists() else 0
        how = f"killed, {kill.moment}" if killed else "came to its end before it was killed"
        say(f"{stage}: {number + 1} of {kills}: {how}, after step {reached}; a state of step {left} is left")
        done += [kill] if killed else []
    say(f"{stage}: to the end")
    _attempt(stage, settings | {"out": broken}, None, rng)
    differences, n_tensors = compare_runs(whole, broken, stage)
    return Verdict(config.steps, done, n_tensors, differences)


def plan_steps(steps: int, kills: int, rng: random.Random) -> list[int]:
    """At which steps: spread by chance over the run, in order, so that each attempt goes further than those before."""
    return sorted(rng.randrange(1, max(2, steps - 4)) for _ in range(kills))


def choose_kill(number: int, step: int, config: TrainConfig, rng: random.Random) -> Kill:
    """How the attempt `number` ends, at `step` or soon behind it; kinds take turns, then come by chance."""
    moment = MOMENTS[number] if number < len(MOMENTS) else rng.choice(MOMENTS)
    later = range(step, config.steps + 1)
    saves = next((s for s in later if s % config.save_every == 0), config.steps)
    ships = next((s for s in later if s % config.validate_every == 0), config.steps)
    if moment == "half-written weights" and ships == config.steps:
        moment = "half-written state"  # the last validation need not be the best one
    return Kill({"step": min(step, config.steps), "half-written weights": ships}.get(moment, saves), moment)


def _attempt(stage: str, settings: dict[str, Any], kill: Kill | None, rng: random.Random) -> tuple[int, bool]:
    """One process -> the last step that it told of, and whether it was killed.

    Raises MuOmniError where it ends in another way than asked.
    """
    kinds = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in kinds else "spawn")
    with contextlib.suppress(AttributeError):
        context.set_forkserver_preload(["muomni_core.training.verify", f"{STAGES_OF}.{stage}", "torch._dynamo"])
    ours, theirs = context.Pipe(duplex=False)
    surroundings = (torch.get_num_threads(), dict(os.environ))
    process = context.Process(target=_child, args=(theirs, stage, settings, kill, rng.random(), surroundings))
    process.start()
    theirs.close()
    step = 0
    while True:
        if not ours.poll(PATIENCE):
            process.kill()
            raise MuOmniError(f"{stage}: no step for {PATIENCE / 60:.0f} minutes")
        try:
            said = ours.recv()
        except EOFError:
            break
        if isinstance(said, str):
            process.join()
            raise MuOmniError(said)
        step = said
    process.join()
    ours.close()
    wanted = 0 if kill is None else -getattr(signal, "SIGKILL", signal.SIGTERM)
    if process.exitcode not in (0, wanted):
        raise MuOmniError(f"{stage}: the attempt ended with exit code {process.exitcode}, expected {wanted}")
    return step, kill is not None and process.exitcode == wanted


def _child(
    pipe: Connection,
    stage: str,
    settings: dict[str, Any],
    kill: Kill | None,
    share: float,
    surroundings: tuple[int, dict[str, str]],
) -> None:
    threads, environment = surroundings
    torch.set_num_threads(threads)
    os.environ.update(environment)
    if kill is not None and kill.moment != "step":
        _die_in_writing(kill, share)
    begun: float | None = None

    def reached(seen: Progress) -> None:
        nonlocal begun
        pipe.send(seen.step)
        now = time.monotonic()
        spent, begun = now - (begun or now), now  # before the first step of an attempt lies its setting up
        if kill is not None and kill.moment == "step" and seen.step == kill.step:
            # Anywhere in the next two steps, or in what comes behind the last one.
            delay = share * spent * min(2, seen.steps - seen.step)
            threading.Timer(delay, _kill_myself).start()

    try:
        run_stage(stage, report=reached, **settings)
    except MuOmniError as error:
        pipe.send(str(error))
    pipe.close()


def _die_in_writing(kill: Kill, share: float) -> None:
    """Makes this process kill itself inside the writing of a checkpoint, the first at or after the kill's step."""
    from muomni_core import checkpoint
    from muomni_core.training import state

    def dying(path: Path, blob: bytes, whole: bool) -> None:
        partial = path.with_name(path.name + ".partial")
        with open(partial, "wb") as file:
            file.write(blob if whole else blob[: int(len(blob) * share)])
            file.flush()
            os.fsync(file.fileno())
        _kill_myself()

    write = checkpoint.write_atomically
    weights = kill.moment == "half-written weights"

    def write_or_die(path: Path, blob: bytes) -> None:
        if path.suffix == ".safetensors":
            step, is_state = _step_of(blob), path.parent.name == "state"
            # Weights are written where they are the best yet; were they not, the next state does as well.
            if step >= kill.step and (is_state != weights or step > kill.step):
                dying(path, blob, whole=kill.moment == "state before its renaming")
        write(path, blob)

    state.write_atomically = write_or_die
    checkpoint.write_atomically = write_or_die


def _step_of(blob: bytes) -> int:
    """The step that a safetensors file's header names."""
    size = int.from_bytes(blob[:8], "little")
    about = json.loads(blob[8 : 8 + size])["__metadata__"]
    return int(json.loads(next(iter(about.values())))["step"])


def _kill_myself() -> None:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    time.sleep(60)  # nothing more may happen here until it takes effect


def compare_runs(one: Path, other: Path, stage: str) -> tuple[list[str], int]:
    """What differs between two runs of a stage, and how many tensors were compared; hours and dates may differ.

    Weights, averages and optimiser of the state, what it says of itself, and the shipped weights.
    """
    differences = []
    n_tensors = 0
    for name in (f"state/{stage}.safetensors", f"{stage}.safetensors"):
        with safe_open(one / name, framework="pt") as left, safe_open(other / name, framework="pt") as right:
            names = sorted(set(left.keys()) | set(right.keys()))
            for tensor in names:
                if tensor not in left.keys() or tensor not in right.keys():  # noqa: SIM118
                    differences.append(f"{name}: {tensor} is in one of them only")
                elif not _same(left.get_tensor(tensor), right.get_tensor(tensor)):
                    differences.append(f"{name}: {tensor}")
            n_tensors += len(names)
    abouts = [read_about(run / "state" / f"{stage}.safetensors") for run in (one, other)]
    for field in sorted(set(abouts[0]) | set(abouts[1])):
        if field != "hours" and abouts[0].get(field) != abouts[1].get(field):
            differences.append(f"state: {field} is {abouts[0].get(field)} and {abouts[1].get(field)}")
    headers = [read_header(run / f"{stage}.safetensors", stage) for run in (one, other)]
    for field in ("step", "metrics", "fingerprint"):
        if getattr(headers[0], field) != getattr(headers[1], field):
            differences.append(f"weights: {field} differs")
    return differences, n_tensors


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Bit for bit: a NaN equals itself, 0 is not -0."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return torch.equal(a.contiguous().reshape(-1).view(torch.uint8), b.contiguous().reshape(-1).view(torch.uint8))
