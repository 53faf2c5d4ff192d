"""`muomni train`: one stage of the training, or all of them, from a recipe."""

from __future__ import annotations

import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app
from muomni_core.errors import InputError, MuOmniError

EXAMPLES = """
muomni train --stage all --recipe smoke --out runs/smoke
muomni train --stage talker --data data --out runs/mine --set steps=20000
"""
CHECK = "Look, do not train"

# Those of options.StageName, and `all`.
TrainStage = StrEnum("TrainStage", {name: name for name in [*o.StageName, "all"]})  # type: ignore[misc]


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    stage: Annotated[
        TrainStage | None,
        typer.Option(
            "--stage",
            metavar="STAGE",
            rich_help_panel="What",
            help="codec, audio, vision, thinker, omni, talker, vocoder; all: one after the other, skipping what is done.",
        ),
    ] = None,
    recipe: o.Recipe = "tiny",
    data: o.Data = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", rich_help_panel="What", help="Change a value of the recipe; may be repeated."
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            metavar="DIR|shipped",
            rich_help_panel="What",
            help="Begin from these weights, or from those of the package. [default: from scratch]",
        ),
    ] = None,
    auto_batch: Annotated[
        bool,
        typer.Option(
            "--auto-batch", rich_help_panel="What", help="Part a step's rows into the largest batches that fit memory."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", rich_help_panel=CHECK, help="Check the data; say parameters, memory, steps and hours."
        ),
    ] = False,
    verify_resume: Annotated[
        bool,
        typer.Option(
            "--verify-resume", rich_help_panel=CHECK, help="Prove that a run killed at any moment loses nothing."
        ),
    ] = False,
    kills: Annotated[
        int, typer.Option("--kills", min=1, metavar="N", rich_help_panel=CHECK, help="Kills of --verify-resume.")
    ] = 3,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="DIR", rich_help_panel=CHECK, help="Draw loss.png of the run in DIR."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", rich_help_panel=o.OUTPUT, help="The run's folder; a run there resumes."),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", rich_help_panel=o.OUTPUT, help="Log for TensorBoard too, where it is installed."),
    ] = False,
    json: o.Json = False,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Train one stage, or all in this order: codec, audio, vision, thinker, omni, talker, vocoder.

    Stopped at any moment, the same command goes on where it was. Parents come from --out, then --weights, then the
    package. Several processes or GPUs: torchrun --nproc-per-node N -m muomni_cli train ...
    """
    console.begin(verbose, quiet)
    overrides = dict(_pair(setting) for setting in settings or [])
    if plot is not None:
        return _plot(plot)
    if stage is None:
        raise console.UsageError("missing option '--stage'")
    if init is not None and init != "shipped" and not Path(init).exists():
        raise InputError(f"--init {init}: no such folder; `shipped` takes the weights of the package")
    if stage.value == "all" and (dry_run or verify_resume):
        raise console.UsageError("--dry-run and --verify-resume look at one stage; name it with --stage")
    if (dry_run or verify_resume) and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise console.UsageError("--dry-run and --verify-resume take one process; leave torchrun out")
    console.check_weights(weights)
    console.prepare_torch(threads)
    from muomni_core.checkpoint import weights_folder

    if init is not None and init != "shipped":
        folder = weights_folder(init)
        init = init if Path(init) == folder else str(folder)  # as it was typed: a run is known by it
    given: dict[str, Any] = {
        "recipe": recipe,
        "data": data,
        "weights": None if weights is None else weights_folder(weights),
        "init": init,
        "overrides": overrides,
        "device": device.value,
    }
    if dry_run:
        return _dry_run(stage.value, given, out, json)
    if verify_resume:
        return _verify(stage.value, given, out, kills, json)
    given |= {"out": out, "command": shlex.join(["muomni", *sys.argv[1:]])}
    given |= {"tensorboard": tensorboard, "auto_batch": auto_batch}
    from muomni_core.training.ranks import SaidElsewhere, joined

    try:
        with joined(device.value) as ranks:
            if not ranks.is_first:
                console.begin(0, True)
            found = _train(stage.value, given | {"ranks": ranks})
    except SaidElsewhere:
        raise typer.Exit(console.EXIT_FAILED) from None
    except KeyboardInterrupt as stopped:
        raise typer.Exit(_say_stopped(stopped)) from None
    if not ranks.is_first:
        return
    if json and stage.value == "all":
        console.write_json({"stages": found})
    elif json:
        console.write_json({"stage": stage.value, "metrics": found[stage.value]})
    else:
        from muomni_cli.progress import metrics_line

        for name, metrics in found.items():
            console.write_line(f"{name}: {metrics_line(metrics)}")


def _train(stage: str, given: dict[str, Any]) -> dict[str, dict[str, float]]:
    if stage == "all":
        from muomni_core.training.order import run_all

        return run_all(say=console.say, report_for=_reporter, **given)
    from muomni_core.training.run import run_stage

    with _reporter(stage) as report:
        return {stage: run_stage(stage, report=report, **given)}


def _pair(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not key.strip() or not equals:
        raise console.UsageError(f"--set {setting!r}: write key=value")
    return key.strip(), value.strip()


def _reporter(stage: str) -> Any:
    from muomni_cli.progress import Reporter

    return Reporter(stage)


def _say_stopped(stopped: KeyboardInterrupt) -> int:
    """Says where a stopped run stands; returns the exit code, 128 and the signal's number."""
    step, steps = getattr(stopped, "step", None), getattr(stopped, "steps", None)
    where = "stopped" if step is None else f"stopped and saved at step {step} of {steps}"
    console.say(f"{where}; the same command goes on from the last checkpoint")
    return 128 + getattr(stopped, "signal", console.EXIT_INTERRUPTED - 128)


def _plot(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"--plot {folder}: no such folder")
    from muomni_core.training.curve import plot_run
    from muomni_core.training.stages import STAGES

    for path in plot_run(folder, STAGES):
        console.write_line(str(path))


def _dry_run(stage: str, given: dict[str, Any], out: Path | None, json: bool) -> None:
    from muomni_core.training.dry_run import dry_run

    findings = dry_run(stage, out=out, say=console.say, **given)
    if json:
        console.write_json(findings.as_dict())
    else:
        for line in findings.lines():
            console.write_line(line)
    if findings.fatal:
        raise MuOmniError(f"{stage}: {findings.fatal}")


def _verify(stage: str, given: dict[str, Any], out: Path | None, kills: int, json: bool) -> None:
    from muomni_core.training.order import train_parents
    from muomni_core.training.verify import verify_resume

    folder = out or Path("runs") / (Path(given["recipe"]).stem + "-verify")
    short = given.pop("overrides")
    train_parents(stage, out=folder, say=console.say, report_for=_reporter, **given)
    # What the run leans on lies in `folder`; the two runs that are compared, below it.
    given["weights"] = folder if any(folder.glob("*.safetensors")) else given["weights"]
    where = folder / f"verify-{stage}"
    verdict = verify_resume(stage, folder=where, kills=kills, overrides=short, say=console.say, **given)
    if json:
        console.write_json(
            {
                "stage": stage,
                "steps": verdict.steps,
                "kills": len(verdict.kills),
                "tensors": verdict.n_tensors,
                "differences": verdict.differences,
            }
        )
    if verdict.differences:
        raise MuOmniError(
            f"{stage}: {len(verdict.differences)} differences after {len(verdict.kills)} kills, the first: "
            f"{verdict.differences[0]}; both runs are kept in {where}"
        )
    if not json:
        console.write_line(
            f"{stage}: {verdict.steps} steps with {len(verdict.kills)} kills equal {verdict.steps} unbroken ones, bit "
            f"for bit ({verdict.n_tensors} tensors: weights, optimiser, averages)"
        )
