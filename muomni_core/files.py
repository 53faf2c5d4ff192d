"""Files in and out: inputs of any kind as seekable binary files, outputs that are whole or not there at all."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from muomni_core.errors import InputError

_TEMPORARY = ".muomni-"  # not made from the output's own name, which may be as long as a name can be
_SPOOL_BYTES = 64 * 1024 * 1024  # what comes from a pipe stays in memory up to here, then goes to a temporary file
MAX_PIPED_BYTES = 1 << 32  # as much as a WAV file can say that it holds; a pipe may go on for ever


def source_name(source: Any) -> str:
    """What an error message calls an input: its path, `standard input`, or what kind of object it is."""
    if source == "-":
        return "standard input"
    if isinstance(source, str | os.PathLike):
        return printable(os.fspath(source)) or "an empty file name"
    name = getattr(source, "name", None)
    return printable(name) if isinstance(name, str) else "the given data"


def printable(text: str) -> str:
    """`text` on one line: line ends, NUL and what cannot be shown escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]


def refuse_device(path: str | Path) -> None:
    """Raises InputError for a device such as /dev/zero, whose end nobody knows. Pipes and what is not there may pass."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # opening it says what is wrong
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise InputError(f"{source_name(path)} is a device; give a file, or pipe what it holds into -")


def is_root(folder: str | Path) -> bool:
    """Whether a folder is the root of all files: nobody means everything that is on a machine."""
    real = os.path.realpath(folder)
    return os.path.dirname(real) == real


@contextlib.contextmanager
def open_input(source: str | Path | BinaryIO | bytes) -> Iterator[BinaryIO]:
    """A seekable binary file at its beginning, of a path, `-` (standard input), bytes or a binary file.

    What cannot seek (a pipe) is spooled as its bytes arrive. A file that the caller handed in stays open.
    Raises InputError if it is missing, a folder, a device, empty or unreadable, or a pipe without end; nothing raised by
    the caller's own block.
    """
    name = source_name(source)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(_opened(source))
            if not file.seekable():
                file = _spooled(file, name, stack)
            empty = file.seek(0, os.SEEK_END) == 0
            file.seek(0)
        except FileNotFoundError:
            raise InputError(f"{name}: no such file; check the path") from None
        except IsADirectoryError:
            raise InputError(f"{name} is a folder; give a file in it") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{name} cannot be read: {_reason(error)}") from None
        if empty:
            raise InputError(f"{name} is empty; give a file with content")
        yield file


def _opened(source: str | Path | BinaryIO | bytes) -> contextlib.AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if source == "-":
        if sys.stdin is None:
            raise InputError("standard input is closed; give a file")
        return contextlib.nullcontext(sys.stdin.buffer)
    if isinstance(source, str | os.PathLike):
        refuse_device(source)
        return open(source, "rb")
    if not hasattr(source, "read"):
        raise InputError(f"cannot read from a {type(source).__name__}; give a path or a binary file")
    return contextlib.nullcontext(source)


def _spooled(file: BinaryIO, name: str, stack: contextlib.ExitStack) -> BinaryIO:
    spool: Any = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL_BYTES))
    while block := file.read(1 << 16):
        spool.write(block)
        if spool.tell() > MAX_PIPED_BYTES:
            raise InputError(f"{name} holds more than {MAX_PIPED_BYTES:,} bytes; give it in parts")
    return spool


def _is_special(path: str) -> bool:
    """True for devices, pipes and the like, which are written as they are: there is nothing to keep whole."""
    if path in ("/dev/stdout", "/dev/stderr") or path.startswith("/dev/fd/"):
        return True
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def check_output(path: str | Path, force: bool = False) -> None:
    """Raises InputError if `path` could not be written: call it before any long work.

    `-` (standard output), devices and pipes are always fine; an existing file is so only with `force`.
    """
    name = os.fspath(path)
    shown, folder_shown = printable(name), printable(os.path.dirname(name)) or "."
    if name == "-":
        return
    if not name:
        raise InputError("the output has an empty file name; give a path, or - for standard output")
    try:
        if _is_special(name):
            return
        if os.path.isdir(name) or name.endswith("/"):
            raise InputError(f"{shown} is a folder; give the name of a file in it")
        if os.path.exists(name) and not force:
            raise InputError(f"{shown} exists; use --force to overwrite")
        folder = os.path.dirname(os.path.realpath(name))
        if not os.path.isdir(folder):
            raise InputError(f"{shown} cannot be written: there is no folder {folder_shown}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{shown} cannot be written: no permission in folder {folder_shown}")
        with contextlib.suppress(FileNotFoundError):
            os.stat(name)  # a name too long for the file system shows only here
    except (OSError, ValueError) as error:
        raise InputError(f"{shown} cannot be written: {_reason(error)}") from None


@contextlib.contextmanager
def open_output(path: str | Path, *, force: bool = False, mode: str = "wb") -> Iterator[IO[Any]]:
    """A file to write, which appears under its name only when the block ends well.

    `mode` is "wb" or "w" (UTF-8). `-` is standard output. Written under a temporary name in the same folder and
    renamed, so that a failure or an interrupt leaves what was there before. A link's target is replaced, not the link.
    Raises InputError as check_output does, and when writing fails (a full disk). A reader that went away raises
    BrokenPipeError, as everywhere in Python.
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"mode is 'wb' or 'w', not {mode!r}")
    check_output(path, force)
    name = os.fspath(path)
    shown = printable(name)
    encoding = None if mode == "wb" else "utf-8"
    try:
        if name == "-":
            if sys.stdout is None:
                raise InputError("standard output is closed; give a file to write to")
            sys.stdout.flush()
            file = sys.stdout.buffer if mode == "wb" else sys.stdout
            yield file
            file.flush()
        elif _is_special(name):
            with open(name, mode, encoding=encoding) as file:
                yield file
        else:
            yield from _replacing(name, force, mode, encoding)
    except BrokenPipeError:
        raise
    except OSError as error:
        about = str(error.filename)
        if error.filename is not None and about != name and _TEMPORARY not in about:
            raise  # from the caller's block, of another file
        raise InputError(f"{shown} cannot be written: {_reason(error)}") from None


def _replacing(name: str, force: bool, mode: str, encoding: str | None) -> Iterator[IO[Any]]:
    real = os.path.realpath(name)
    temporary = os.path.join(os.path.dirname(real), f"{_TEMPORARY}{secrets.token_hex(6)}.part")
    try:
        with open(temporary, mode.replace("w", "x"), encoding=encoding) as file:
            yield file
        if os.path.exists(real):
            if not force:  # it came while we worked
                raise InputError(f"{printable(name)} exists; use --force to overwrite")
            shutil.copymode(real, temporary)
        os.replace(temporary, real)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
