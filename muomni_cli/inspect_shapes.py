"""`muomni inspect-shapes`: what goes into each component, what comes out, and how large it is."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, new_app

EXAMPLES = """
muomni inspect-shapes
muomni inspect-shapes --preset base --json
"""
COLUMNS = ("component", "input", "output", "parameters")


class PresetName(StrEnum):
    tiny = "tiny"
    base = "base"


app = new_app()


@app.command(cls=HelpCommand, epilog=EXAMPLES)
def command(
    preset: Annotated[
        PresetName, typer.Option("--preset", metavar="tiny|base", rich_help_panel="What", help="Which model.")
    ] = PresetName.tiny,
    json: o.Json = False,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Run the whole chain once and show each component's shapes and parameters.

    A Markdown table where stdout is no terminal. `base` is built without its memory.
    """
    console.begin(verbose, quiet)
    console.prepare_torch(None)
    from muomni_core.model.shapes import inspect_shapes

    shapes = inspect_shapes(preset.value)
    if json:
        console.write_json(shapes)
    elif console.is_terminal(sys.stdout):
        _show(shapes)
    else:
        console.write(markdown(shapes))


def rows(shapes: dict[str, Any]) -> list[list[str]]:
    """The cells of the table, the total last."""
    cells = [
        [part["component"], _shape(part["input"]), _shape(part["output"]), f"{part['parameters']:,}"]
        for part in shapes["components"]
    ]
    return [*cells, ["total", "", "", f"{shapes['total']:,}"]]


def _shape(shape: Any) -> str:
    return shape if isinstance(shape, str) else "(" + ", ".join(str(size) for size in shape) + ")"


def markdown(shapes: dict[str, Any]) -> str:
    """The table as the README has it."""
    cells = rows(shapes)
    widths = [max(len(row[i]) for row in [list(COLUMNS), *cells]) for i in range(len(COLUMNS))]
    rule = ["-" * width for width in widths[:-1]] + ["-" * (widths[-1] - 1) + ":"]
    lines = [
        "| "
        + " | ".join(c.ljust(w) for c, w in zip(row[:-1], widths[:-1], strict=True))
        + f" | {row[-1]:>{widths[-1]}} |"
        for row in [list(COLUMNS), rule, *cells]
    ]
    return "\n".join(lines) + "\n"


def _show(shapes: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"muOmni {shapes['preset']}")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column == "parameters" else "left", no_wrap=column != "input")
    cells = rows(shapes)
    for row in cells[:-1]:
        table.add_row(*row)
    table.add_section()
    table.add_row(*cells[-1], style="bold")
    Console(highlight=False, markup=False).print(table)
