"""`muomni eval`: how good the weights of one stage are."""

from __future__ import annotations

from typing import Annotated

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app

EXAMPLES = """
muomni eval --stage audio --data data
muomni eval --stage vision --weights runs/mine --json
"""


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    stage: o.Stage,
    recipe: o.Recipe = "tiny",
    data: o.Data = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", rich_help_panel="What", help="At most N rows.")
    ] = None,
    json: o.Json = False,
    weights: o.Weights = None,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Measure one stage: perplexity, word errors, retrieval, naming, codebooks in use, answers."""
    console.begin(verbose, quiet)
    console.prepare_torch(threads)
    from muomni_core.evaluation.run import evaluate_stage

    metrics = evaluate_stage(stage.value, recipe=recipe, data=data, weights=weights, limit=limit)
    if json:
        console.write_json({"stage": stage.value, "metrics": metrics})
        return
    width = max(map(len, metrics), default=0)
    for name, value in metrics.items():
        console.write_line(f"{name:<{width}}  {value:.4g}")
