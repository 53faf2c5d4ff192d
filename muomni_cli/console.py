"""Everything between a command and the terminal: streams, one-line errors, stdin, and the one place that loads a model.

stdout carries results and nothing else; notes, progress and errors go to stderr. Exit codes: 0 done, 1 something could
not be done, 2 wrong flags, 130 Ctrl-C, 141 the reader of a pipe went away.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from muomni_core.errors import InputError, MuOmniError, give_up_stdout
from muomni_core.files import refuse_device

if TYPE_CHECKING:
    from muomni_core import MuOmni

# Typer carries its own copy of Click in new versions and imports Click in old ones; this is UsageError in both.
UsageError: Any = typer.BadParameter.__base__
ClickException: Any = UsageError.__base__

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
EXIT_HANGUP = 141
MAX_TEXT_BYTES = 4_000_000

_verbosity = 0  # -1 quiet, 0 normal, 1 and more: -v


def begin(verbose: int, quiet: bool) -> None:
    """Sets how much is said on stderr, for this run of a command."""
    global _verbosity
    _verbosity = -1 if quiet else verbose


def is_folder(output: str) -> bool:
    """Whether an output is meant as a folder of many: it is one, or it is named with a slash at its end."""
    return output.endswith(("/", os.sep)) or (output != "-" and os.path.isdir(output))


def is_quiet() -> bool:
    return _verbosity < 0


def is_verbose() -> bool:
    return _verbosity > 0


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads (or types) here; a closed stream is no terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def is_coloured(stream: TextIO | None) -> bool:
    """Whether colours and bold letters may be written here."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def escape(text: str, keep: str = "") -> str:
    r"""Text without control characters: each becomes its escape (`\n`, `\x1b`), except those in `keep`.

    Names and messages hold what others wrote; a terminal must not act on it.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def write(text: str) -> None:
    """Writes a piece of a result on stdout at once; on a terminal without control characters."""
    sys.stdout.write(escape(text, keep="\n\t\u200d") if is_terminal(sys.stdout) else text)
    sys.stdout.flush()


def write_line(text: str) -> None:
    """Writes a line of a result on stdout."""
    write(text + "\n")


def write_json(value: dict[str, Any]) -> None:
    """Writes an object as one line of JSON; what JSON has no number for (NaN, infinities) becomes null."""
    import json

    # A lone surrogate of a file name leaves through the stream's backslashreplace as \udcXX: JSON's escape as well.
    write_line(json.dumps(_plain(value), ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def say(message: str) -> None:
    """A note on stderr, unless --quiet."""
    if not is_quiet():
        complain(message)


def complain(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    with contextlib.suppress(OSError, ValueError):  # stderr may be closed or full; there is nowhere left to say so
        sys.stderr.write(f"muomni: {escape(message)}\n")
        sys.stderr.flush()


def prepare_streams() -> None:
    """UTF-8 whatever the locale, and a stdout that always exists."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # lives as long as the process
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def piped_stdin() -> bool:
    """Whether stdin is a pipe or a file rather than a person's keyboard."""
    return sys.stdin is not None and not is_terminal(sys.stdin)


def read_stdin() -> bytes:
    """All bytes of stdin, up to MAX_TEXT_BYTES. Raises InputError if there are more."""
    if sys.stdin is None:
        raise InputError("stdin is closed; give the text as an argument")
    data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise InputError(f"stdin holds more than {MAX_TEXT_BYTES:,} bytes of text; give it in parts")
    return data


def read_stdin_text() -> str:
    """All of stdin as text: UTF-8, or UTF-16 where a byte order mark says so; broken bytes become U+FFFD."""
    return decode_text(read_stdin())


def decode_text(data: bytes) -> str:
    """Bytes that a shell handed over, as text."""
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # what `>` of older PowerShell writes
    return data.decode("utf-16" if marked else "utf-8-sig", errors="replace")


def argument_text(text: str) -> str:
    """An argument as clean Unicode: bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(text).decode("utf-8", errors="replace") if not text.isascii() else text


def check_input(name: str) -> None:
    """Raises InputError unless `name` is "-", a file or a pipe: said before torch is loaded, not after."""
    if name == "-":
        return
    if not name:
        raise InputError("a file name is empty; name a file")
    path = Path(name)
    if not path.exists():
        raise InputError(f"{name}: no such file")
    if path.is_dir():
        raise InputError(f"{name} is a folder; give a file")
    refuse_device(path)
    if not os.access(path, os.R_OK):
        raise InputError(f"{name} cannot be read; check its permissions")


def check_output(target: str, force: bool) -> None:
    """Raises InputError if `target` cannot be written, or exists and is not forced, or is a person's terminal."""
    from muomni_core import files

    if target == "-" and is_terminal(sys.stdout):
        raise InputError("stdout is a terminal; name a file with -o, or pipe the bytes on")
    files.check_output(target, force)


def load_model(weights: Path | None, device: str = "auto", threads: int | None = None) -> MuOmni:
    """The model, loaded. The only place of the command line that does; torch is imported here."""
    check_weights(weights)
    with _imports():
        prepare_torch(threads)
        from muomni_core import MuOmni
    return MuOmni.load(weights, device=device)


@contextlib.contextmanager
def _imports() -> Iterator[None]:
    """Python does not look for garbage while torch is imported, nor later among what came with it: that is half a million
    objects which all stay, and to look at them takes a quarter of a second."""
    import gc

    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def check_weights(weights: Path | None) -> None:
    """Raises InputError for a folder that is not there: said before torch is loaded. The rest MuOmni.load says."""
    if weights is not None and not weights.is_dir() and not weights.is_file():
        raise InputError(f"--weights {weights}: no such folder")


def prepare_torch(threads: int | None) -> None:
    """What must be set before torch starts: threads, warnings of libraries (with -v only), messages of muomni_core."""
    import logging
    import warnings

    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    if not is_verbose():
        warnings.simplefilter("ignore")
    logger = logging.getLogger("muomni_core")
    logger.setLevel(logging.ERROR if is_quiet() else logging.INFO if is_verbose() else logging.WARNING)
    logger.handlers[:] = [_stderr_handler()]
    logger.propagate = False
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _stderr_handler() -> Any:  # logging is imported by commands that load a model, not for --help
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complain(record.getMessage())

    return Handler()


def run(command: Callable[[], Any]) -> int:
    """Calls `command` and returns an exit code; whatever goes wrong is at most one line on stderr."""
    begin(0, False)
    try:
        result = command()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except MuOmniError as error:
        complain(str(error))
    except ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # private in Typer; its message is the help page
            error.show()
        else:
            complain(usage_line(error))
        return error.exit_code
    except BrokenPipeError:
        return EXIT_HANGUP
    except OSError as error:
        complain(os_error_line(error))
    except Exception as error:
        said = f": {error}" if str(error) else ""
        complain(f"unexpected {type(error).__name__}{said}{'' if is_verbose() else ' (-v shows where)'}")
        if is_verbose():
            import traceback

            traceback.print_exc()
    finally:
        give_up_stdout()
    return EXIT_FAILED


def usage_line(error: Any) -> str:
    """A usage error as one line: what is wrong, what was meant perhaps, where help is."""
    possible = sorted(getattr(error, "possibilities", None) or [])
    message = error.message if possible else error.format_message()
    message = " ".join(message.split()).rstrip(".")
    message = message[:1].lower() + message[1:]
    if possible and "did you mean" not in message.lower():
        message += f"; did you mean {' or '.join(possible)}?"
    context = getattr(error, "ctx", None)
    return f"{message} (see '{context.command_path if context else 'muomni'} --help')"


def os_error_line(error: OSError) -> str:
    """`name: reason` of an operating system's error."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{os.fsdecode(error.filename)}: {reason}" if isinstance(error.filename, (str, bytes)) else reason
