"""Writes docs/commands/: a page for each command, made of what the command line itself says. A test compares them.

python docs/pages.py
"""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from muomni_cli.app import Dispatcher
from muomni_cli.help import DEFAULT_GROUP
from muomni_cli.settings import SETTINGS, variable

BAR = "\\|"
FOLDER = Path(__file__).parent / "commands"
NOTE = "<!-- Made by docs/pages.py; edit the command, not this page. -->\n"

INDEX = """{note}
# Commands of muOmni

Every command takes `--help`, `-q` and `-v`. Results go to stdout and all else to stderr; `-` is stdin or stdout. A file
that exists is overwritten only with `--force`. `muomni --install-completion` teaches your shell to complete commands,
options, files of the right kind, voices, stages and recipes.

| command | |
|---|---|
{commands}

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | something could not be done: one line on stderr says what, and what to do |
| 2 | a wrong flag or argument |
| 130 | stopped with Ctrl-C |
| 141 | the reader of a pipe went away |

## Settings

An option on the command line comes first, then the environment, then `config.toml` in your config folder
(`~/.config/muomni/` on Linux, `~/Library/Application Support/muomni/` on macOS, `%APPDATA%\\muomni\\` on Windows;
`MUOMNI_CONFIG` names another file). `muomni doctor` says what is set and where.

```toml
device = "cpu"
threads = 2
weights = "~/models/mine"     # relative to the TOML
```

| setting | environment |
|---|---|
{settings}

`NO_COLOR` turns colours and bold letters off.

## Sessions for programs

`ask`, `speak` and `transcribe` take `--batch -`: a JSON object a line on stdin, and a JSON object a line on stdout as soon
as it is known, with the same `id`, the model loaded once. A row that fails gives `{{"id": ..., "error": ...}}`; the exit
code at the end is then 1.

```sh
muomni ask --batch - <<< '{{"id": 7, "question": "Hello, how are you?"}}'
muomni speak --batch - <<< '{{"id": 8, "text": "Good morning.", "out": "morning.wav"}}'
muomni transcribe --batch - <<< '{{"id": 9, "audio": "morning.wav"}}'
```
"""


def pages() -> dict[str, str]:
    """File name -> text, of all pages."""
    names = Dispatcher.lazy
    commands = "\n".join(f"| [{name}]({name}.md) | {line} |" for name, line in names.items())
    settings = "\n".join(f"| `{name}` | `{variable(name)}` |" for name in SETTINGS)
    index = INDEX.format(note=NOTE, commands=commands, settings=settings)
    return {"README.md": index} | {f"{name}.md": page(name) for name in names}


def page(name: str) -> str:
    """The page of a command, and of the commands in it."""
    app = importlib.import_module(f"{Dispatcher.package}.{name.replace('-', '_')}").app
    infos = app.registered_commands
    if len(infos) == 1:
        return NOTE + "\n".join(_command(f"muomni {name}", infos[0], "#"))
    lines = [f"\n# muomni {name}\n", app.info.help, *_examples(app.info.epilog)]
    for info in infos:
        lines += _command(f"muomni {name} {info.name or info.callback.__name__}", info, "##")
    return NOTE + "\n".join(lines)


def _command(title: str, info: Any, mark: str) -> Iterator[str]:
    arguments, groups = _parameters(info.callback)
    usage = " ".join([title, "[OPTIONS]", *(usage for usage, _ in arguments)])
    yield f"\n{mark} {title}\n"
    yield inspect.getdoc(info.callback) or ""
    yield f"\n```\n{usage}\n```\n"
    if arguments:
        yield "| argument | |\n|---|---|"
        yield from (f"| `{usage.strip('[].')}` | {_cell(info.help)} |" for usage, info in arguments)
        yield ""
    for group, rows in groups.items():
        yield f"| {group} | | default |\n|---|---|---|"
        yield from rows
        yield ""
    yield from _examples(info.epilog)


def _parameters(function: Any) -> tuple[list[tuple[str, Any]], dict[str, list[str]]]:
    """Arguments as (usage, info), and the rows of options by group, General last."""
    hints = typing.get_type_hints(function, include_extras=True)
    arguments: list[tuple[str, Any]] = []
    groups: dict[str, list[str]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kind, info = typing.get_args(hints[name])[:2]
        if type(info).__name__ == "ArgumentInfo":
            usage = info.metavar or name.upper()
            usage = usage if parameter.default is inspect.Parameter.empty else f"[{usage}]"
            arguments.append((usage + ("..." if "list" in str(kind) else ""), info))
            continue
        # In an Annotated, what Typer calls the default is the first of the names.
        names = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
        flags = ", ".join(f"`{flag}`" for flag in sorted(names, key=len))
        metavar = f" `{info.metavar}`".replace("|", BAR) if info.metavar else ""
        help = info.help or ""
        if info.envvar:
            help += f" Environment: `{info.envvar}`."
        default = _default(parameter.default, info)
        row = f"| {flags}{metavar.replace('|', BAR)} | {_cell(help)} | {_cell(default)} |"
        groups.setdefault(info.rich_help_panel or DEFAULT_GROUP, []).append(row)
    general = groups.pop(DEFAULT_GROUP, [])
    return arguments, groups | ({DEFAULT_GROUP: general} if general else {})


def _default(value: Any, info: Any) -> str:
    if value is inspect.Parameter.empty:
        return "must be given"
    shown = "" if value is None or value is False or (value == 0 and not info.metavar) else str(value)
    shown = str(value.value) if isinstance(value, Enum) else "on" if value is True else shown
    low, high = info.min, info.max
    bounds = f"{low} to {high}" if None not in (low, high) else f"at least {low}" if low is not None else ""
    return ", ".join(part for part in (shown, bounds) if part)


def _cell(text: str | None) -> str:
    return " ".join((text or "").replace("|", BAR).split())


def _examples(epilog: str | None) -> list[str]:
    return ["\n```sh", inspect.cleandoc(epilog), "```"] if epilog else []


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
