"""`muomni export`: a model in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app

EXAMPLES = """
muomni export my-model
muomni export my-model --weights runs/mine --force
muomni export my-model && muomni ask --weights my-model "Hello"
"""


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", show_default=False, help="Where to; made if it is not there.")
    ],
    force: o.Force = False,
    json: o.Json = False,
    weights: o.Weights = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Put a whole model into one folder: config.json, tokenizer.json and a single model.safetensors.

    What `transcribe` needs beside it (letter model, punctuation) and the model card go with it. The folder serves as
    --weights DIR and for MuOmni.load("DIR"), with the same answers, and takes nothing from the package. Every part is
    checked on the way.
    """
    console.begin(verbose, quiet)
    console.prepare_torch(None)
    from muomni_core.tasks.export import check_folder, export

    check_folder(folder, force)
    sizes = export(console.load_model(weights, "cpu"), folder, force=force)
    if json:
        console.write_json({"folder": str(folder), "files": sizes})
        return
    for name, size in sizes.items():
        console.write_line(f"{size:>12,}  {folder / name}")
