"""Errors that a person can act on. Every message is one line that says what is wrong and what to do."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

P = ParamSpec("P")


class MuOmniError(Exception):
    """Base of all errors that muOmni raises on purpose; the CLI prints the message and exits with 1."""


class InputError(MuOmniError):
    """A file, sound, picture or text handed in by the user cannot be used."""


class DataError(MuOmniError):
    """Training or evaluation data is missing or does not fit what the stage needs."""


class CheckpointError(MuOmniError):
    """Weights are missing, damaged, or were made for another tokenizer, mel, config or parent."""


class ShapeError(MuOmniError, ValueError):
    """A tensor does not have its contract's shape."""


def one_line(error: Exception) -> str:
    """What an error says, on one line, with its kind if it is not one of ours."""
    if isinstance(error, MuOmniError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = f"unexpected {type(error).__name__}: {error}"
    return " ".join(text.split())


def give_up_stdout() -> None:
    """If stdout takes no more, sends the rest of its buffer nowhere, so that Python does not complain at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


def one_line_errors(main: Callable[P, int]) -> Callable[P, int]:
    """A module's `main` whose errors, as far as they are ours, are one line on stderr and the exit code 1.

    A reader of its output that went away (`... | head`) ends it without a word, as it ends other programs.
    """

    @functools.wraps(main)
    def told(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            code = main(*args, **kwargs)
            sys.stdout.flush()
            return code
        except MuOmniError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except BrokenPipeError:
            give_up_stdout()
            return 141  # 128 and SIGPIPE

    return told


def check_shape(component: str, tensor: Any, expected: Sequence[int | str]) -> None:
    """Raises ShapeError unless `tensor` has the `expected` shape; a string stands for a free axis.

    >>> check_shape("codec", mel, ("B", "T", 128))
    """
    given = tuple(tensor.shape)
    fits = len(given) == len(expected) and all(
        isinstance(e, str) or e == g for e, g in zip(expected, given, strict=True)
    )
    if not fits:
        wanted = ", ".join(str(e) for e in expected)
        raise ShapeError(f"{component}: expected shape ({wanted}), got {given}")
