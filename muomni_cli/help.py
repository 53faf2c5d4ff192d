"""Help pages in plain text (importing Rich would double their time): options grouped, examples last."""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from muomni_cli import console, settings
from muomni_cli.params import quicken

DEFAULT_GROUP = "General"


def new_app(**given: Any) -> typer.Typer:
    """A Typer with plain help pages, for the one command or the group that a file defines."""
    return typer.Typer(
        **{"add_completion": False} | given,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _heading(name: str) -> str:
    return typer.style(name, bold=True) if console.is_coloured(sys.stdout) else name


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    """Arguments, then one section for each `rich_help_panel`, in the order of their first option; General last."""
    groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
    general: list[tuple[str, str]] = []
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is None:
            continue
        if param.param_type_name == "argument":
            groups["Arguments"].append((record[0].split(" <")[0], record[1]))  # without the Python type
        else:
            panel = getattr(param, "rich_help_panel", None) or DEFAULT_GROUP
            (general if panel == DEFAULT_GROUP else groups.setdefault(panel, [])).append(record)
    for name, records in (*groups.items(), (DEFAULT_GROUP, general)):
        if records:
            with formatter.section(_heading(name)):
                formatter.write_dl(records, col_max=26)


def _write_examples(epilog: str | None, formatter: Any) -> None:
    if epilog:
        with formatter.section(_heading("Examples")):
            for line in inspect.cleandoc(epilog).splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class HelpCommand(TyperCommand):
    """A command whose epilog is its examples, one a line, and whose options a person's settings give values to."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        quicken(self.get_params(ctx))
        if ctx.resilient_parsing:  # a shell asks what could come next
            from muomni_cli import completion

            completion.attach(ctx, self.params)
        elif not set(args) & set(ctx.help_option_names):
            ctx.default_map = settings.defaults_of(self.params)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_examples(self.epilog, formatter)


class HelpGroup(TyperGroup):
    """A group of commands: commands first, then its options and examples."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        quicken(self.get_params(ctx))  # not earlier: Typer adds the options of help and completion later
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_examples(self.epilog, formatter)


class MainGroup(HelpGroup):
    """The group `muomni` itself: every error of every command becomes one line and an exit code here.

    Commands are imported when they are asked for: `muomni --help` needs none, and a command no other.
    """

    lazy: ClassVar[dict[str, str]] = {}  # name -> the line of its help
    package = "muomni_cli"

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands: dict[str, Any] = dict.fromkeys(self.lazy)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self.lazy and self.commands[cmd_name] is None:
            module = importlib.import_module(f"{self.package}.{cmd_name.replace('-', '_')}")
            self.commands[cmd_name] = get_command(module.app)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section(_heading("Commands")):
            formatter.write_dl(list(self.lazy.items()))

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        console.prepare_streams()
        extra["prog_name"] = "muomni"  # also for `python -m muomni_cli`; completion finds its variable by it
        extra["standalone_mode"] = False  # errors come here instead of being shown by Typer
        code = console.run(lambda: super(MainGroup, self).main(*args, **extra))
        if standalone_mode:
            sys.exit(code)
        return code

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # before Typer turns it into exit code 1
            raise typer.Exit(console.EXIT_HANGUP) from None
