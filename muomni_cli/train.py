"""`muomni train`: one stage of the training, from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app

EXAMPLES = """
muomni train --stage codec --recipe smoke --out runs/smoke
muomni train --stage talker --data data --out runs/mine --set steps=20000
"""


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    stage: o.Stage,
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
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", rich_help_panel=o.OUTPUT, help="The run's folder; a run there resumes."),
    ] = None,
    json: o.Json = False,
    weights: o.Weights = None,
    device: o.Device = o.DeviceName.auto,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Train one stage: codec, audio, vision, thinker, omni, talker, in this order for a whole model.

    Stopped at any moment, the same command goes on where it was. Parents come from --out, then --weights, then the
    package.
    """
    console.begin(verbose, quiet)
    overrides = dict(_pair(setting) for setting in settings or [])
    if init is not None and init != "shipped" and not Path(init).is_dir():
        from muomni_core.errors import InputError

        raise InputError(f"--init {init}: no such folder; `shipped` takes the weights of the package")
    from muomni_cli.progress import Reporter, metrics_line

    console.prepare_torch(threads)
    from muomni_core.training.run import run_stage

    try:
        with Reporter(stage.value) as report:
            metrics = run_stage(
                stage.value,
                recipe=recipe,
                data=data,
                weights=weights,
                init=init,
                overrides=overrides,
                out=out,
                report=report,
                device=device.value,
            )
    except KeyboardInterrupt:
        console.say("stopped; the same command goes on from the last checkpoint")
        raise
    if json:
        console.write_json({"stage": stage.value, "metrics": metrics})
    else:
        console.write_line(f"{stage.value}: {metrics_line(metrics)}")


def _pair(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not key.strip() or not equals:
        raise console.UsageError(f"--set {setting!r}: write key=value")
    return key.strip(), value.strip()
