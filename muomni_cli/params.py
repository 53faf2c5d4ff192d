"""A short cut for the values of options, because Typer 0.29 converts each through Pydantic.

Importing Pydantic takes longer than all other work of a command, usage errors included. The kinds of values that this
command line has (text, paths, names of a choice, numbers within bounds) are converted here; any other kind goes through
Typer as ever, and so does everything in versions of Typer without `type_descriptor`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from muomni_cli import settings
from muomni_cli.console import UsageError
from muomni_core.errors import InputError

_SLOW = object()


def quicken(params: list[Any]) -> None:
    """Puts the short cut before each parameter's own `process_value`, once."""
    for param in params:
        if hasattr(param, "type_descriptor") and "process_value" not in vars(param):
            param.process_value = _quick(param, param.process_value)


def _quick(param: Any, slow: Any) -> Any:
    def process_value(ctx: Any, value: Any) -> Any:
        source = getattr(ctx.get_parameter_source(param.name), "name", "")
        try:
            quick = _convert(param, value, ctx)
        except UsageError as error:
            said = error.message.removeprefix("--")
            if source == "DEFAULT_MAP":
                raise InputError(f"{settings.config_file()}: {said}") from None
            if source == "ENVIRONMENT":
                error.message = f"the environment's {param.envvar}{error.message.removeprefix(_name(param))}"
            raise
        if quick is _SLOW:
            return slow(ctx, value)
        return quick if param.callback is None else param.callback(ctx, param, quick)

    return process_value


def _convert(param: Any, value: Any, ctx: Any) -> Any:
    """The value that the command gets, or _SLOW where Typer should decide. Raises UsageError."""
    kind = param.type_descriptor.annotation
    if param.required and value in (None, (), []):
        raise UsageError(f"missing {_name(param)}{_choices(kind)}", ctx=ctx)
    if param.nargs != 1 or param.multiple:
        return list(value or ()) if kind == list[str] else _SLOW
    if value is None or (isinstance(kind, type) and isinstance(value, kind)):
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(kind, type) and issubclass(kind, StrEnum) and isinstance(value, str):
        return _choose(param, kind, value, ctx)
    if kind in (int, float) and isinstance(value, str):
        return _number(param, kind, value, ctx)
    return _SLOW


def _name(param: Any) -> str:
    return param.opts[-1] if param.param_type_name == "option" else param.metavar or param.name


def _choices(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "; choose from " + ", ".join(member.value for member in kind)
    return ""


def _number(param: Any, kind: type, value: str, ctx: Any) -> int | float:
    bounds = param.type_descriptor.parameter_info
    low, high = bounds.min, bounds.max
    try:
        number = kind(value)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise UsageError(f"{_name(param)}: {value!r} is not {wanted}", ctx=ctx) from None
    if (low is None or number >= low) and (high is None or number <= high):
        return number
    span = f"at least {low}" if high is None else f"at most {high}" if low is None else f"from {low} to {high}"
    raise UsageError(f"{_name(param)}: {value} is not {span}", ctx=ctx)


def _choose(param: Any, kind: type[StrEnum], value: str, ctx: Any) -> StrEnum:
    names = [member.value for member in kind]
    if value in names:
        return kind(value)
    from difflib import get_close_matches

    near = get_close_matches(value, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else _choices(kind)
    raise UsageError(f"{_name(param)}: no {value!r}{hint}", ctx=ctx)
