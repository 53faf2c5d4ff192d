"""`muomni eval`: how good the weights of one stage are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app

EXAMPLES = """
muomni eval --stage audio --data data
muomni eval --stage audio --manifest mine/clips.jsonl
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
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest",
            metavar="FILE|DIR",
            rich_help_panel="What",
            help="Of --stage audio: recordings with their texts, in any layout that training reads.",
        ),
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option("--beam", metavar="N", min=1, max=100, rich_help_panel="What", help="As of muomni transcribe."),
    ] = None,
    rescore: Annotated[
        bool, typer.Option("--rescore", rich_help_panel="What", help="As of muomni transcribe.")
    ] = False,
    json: o.Json = False,
    weights: o.Weights = None,
    threads: o.Threads = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Measure one stage: perplexity, word errors, retrieval, naming, codebooks in use, answers.

    With --manifest the ear is measured on your own recordings: word and character errors by source, the worst rows, the
    commonest confusions.
    """
    console.begin(verbose, quiet)
    if manifest is None and (beam is not None or rescore):
        raise console.UsageError("--beam and --rescore are for --manifest")
    if manifest is not None and stage is not o.StageName.audio:
        raise console.UsageError("--manifest is for --stage audio")
    console.check_weights(weights)
    console.prepare_torch(threads)
    if manifest is not None:
        from muomni_core.evaluation.ear import Decoding, measure_manifest, report

        found = measure_manifest(manifest, weights, limit=limit, decoding=Decoding.of(beam, rescore))
        if json:
            console.write_json({"stage": stage.value, "manifest": str(manifest), "metrics": found})
        else:
            console.write_line(console.escape(report(found), keep="\n"))
        return
    from muomni_core.evaluation.run import evaluate_stage

    metrics = evaluate_stage(stage.value, recipe=recipe, data=data, weights=weights, limit=limit)
    if json:
        console.write_json({"stage": stage.value, "metrics": metrics})
        return
    width = max(map(len, metrics), default=0)
    for name, value in metrics.items():
        console.write_line(f"{name:<{width}}  {value:.4g}")
