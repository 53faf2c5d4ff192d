"""`muomni recipes`: what the package trains by, and copies of it to change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from muomni_cli import console
from muomni_cli import options as o
from muomni_cli.help import HelpCommand, HelpGroup, new_app
from muomni_core.errors import InputError, MuOmniError

EXAMPLES = """
muomni recipes copy tiny my-recipe
muomni recipes validate my-recipe --data data
"""
LS_EXAMPLES = """
muomni recipes ls
muomni recipes ls --json
"""
SHOW_EXAMPLES = """
muomni recipes show tiny --stage audio
muomni recipes show smoke
"""
COPY_EXAMPLES = """
muomni recipes copy tiny my-recipe
muomni recipes copy tiny my-recipe --stage talker
"""
VALIDATE_EXAMPLES = """
muomni recipes validate my-recipe
muomni recipes validate my-recipe --data data
"""

app = new_app(
    cls=HelpGroup, no_args_is_help=True, help="List, show, copy and check the recipes of trainings.", epilog=EXAMPLES
)

Name = Annotated[
    str,
    typer.Argument(metavar="RECIPE", show_default=False, help="A name (tiny, base, smoke), a folder, or a TOML file."),
]
OneStage = Annotated[
    o.StageName | None, typer.Option("--stage", metavar="STAGE", rich_help_panel="What", help="This stage alone.")
]


def recipe_files(recipe: str) -> dict[str, Path]:
    """stage -> TOML file, in the order of a whole training. Raises InputError where there is none."""
    from muomni_core.training.recipe import recipes_folder

    path = Path(recipe)
    if path.is_file():
        if path.stem not in list(o.StageName):
            raise InputError(f"{path}: a recipe is called as its stage: {', '.join(o.StageName)}")
        return {path.stem: path}
    for folder in (path, recipes_folder() / path):
        found = {name: folder / f"{name}.toml" for name in o.StageName if (folder / f"{name}.toml").is_file()}
        if found:
            return {str(name): file for name, file in found.items()}
    raise InputError(f"no recipe {recipe!r}; there are: {', '.join(o.recipe_names())}")


def _chosen(recipe: str, stage: o.StageName | None) -> dict[str, Path]:
    files = recipe_files(recipe)
    if stage is None:
        return files
    if stage.value not in files:
        raise InputError(f"the recipe {recipe!r} has no stage {stage.value}; it has: {', '.join(files)}")
    return {stage.value: files[stage.value]}


@app.command("ls", cls=HelpCommand, epilog=LS_EXAMPLES)
def list_recipes(json: o.Json = False, verbose: o.Verbose = 0, quiet: o.Quiet = False) -> None:
    """List the package's recipes with their stages."""
    console.begin(verbose, quiet)
    found = {name: list(recipe_files(name)) for name in o.recipe_names()}
    if json:
        console.write_json(found)
        return
    for name, stages in found.items():
        console.write_line(f"{name:<10}{', '.join(stages)}")


@app.command("show", cls=HelpCommand, epilog=SHOW_EXAMPLES)
def show(recipe: Name, stage: OneStage = None, verbose: o.Verbose = 0, quiet: o.Quiet = False) -> None:
    """Print a recipe's files, or that of one stage."""
    console.begin(verbose, quiet)
    files = _chosen(recipe, stage)
    for name, path in files.items():
        if len(files) > 1:
            console.write_line(f"# ---- {name}.toml")
        console.write_line(console.decode_text(path.read_bytes()).rstrip("\n"))


@app.command("copy", cls=HelpCommand, epilog=COPY_EXAMPLES)
def copy(
    recipe: Name,
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="Where to; made if not there.")],
    stage: OneStage = None,
    force: o.Force = False,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Copy a recipe's files into a folder, to be changed there."""
    console.begin(verbose, quiet)
    files = _chosen(recipe, stage)
    there = [path.name for path in files.values() if (folder / path.name).exists()]
    if there and not force:
        raise InputError(f"{folder / there[0]} exists; use --force to overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    for path in files.values():
        (folder / path.name).write_bytes(path.read_bytes())
        console.write_line(str(folder / path.name))


@app.command("validate", cls=HelpCommand, epilog=VALIDATE_EXAMPLES)
def validate(
    recipe: Name,
    stage: OneStage = None,
    data: o.Data = None,
    verbose: o.Verbose = 0,
    quiet: o.Quiet = False,
) -> None:
    """Check that every key of a recipe is known and of its type, and with --data that its files are there."""
    console.begin(verbose, quiet)
    files = _chosen(recipe, stage)
    console.prepare_torch(None)
    from muomni_core.training.order import check_recipe

    wrong = 0
    for name, path in files.items():
        try:
            check_recipe(path, name, data)
        except MuOmniError as error:
            wrong += 1
            console.complain(str(error))
        else:
            console.write_line(f"{path}: fine")
    if wrong:
        raise typer.Exit(console.EXIT_FAILED)
