"""Text to sound files, one or many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muomni_core.errors import InputError
from muomni_core.tasks.ask import one_line

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni


def speak_to_file(omni: MuOmni, text: str, target: str, *, force: bool = False, **speech: Any) -> None:
    """Speaks `text` into the WAV file `target` ("-": stdout); `speech` is passed to MuOmni.speak.

    Raises InputError if the text is empty or the target exists and `force` is false.
    """
    from muomni_core.audio.io import write_wav

    if not text.strip():
        raise InputError("there is nothing to say; give some text")
    sound, _ = omni.speak(text, **speech)
    write_wav(target, sound, force=force)


def numbered(text: str, folder: Path) -> list[tuple[Path, str]]:
    """A WAV file in `folder` for each line of `text`, named by the line's number; empty lines are left out."""
    return [
        (folder / f"{number:04d}.wav", line.strip())
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


def speak_lines(
    omni: MuOmni, lines: Iterable[tuple[Path, str]], *, force: bool = False, **speech: Any
) -> Iterator[tuple[Path, str | None]]:
    """Speaks each line into its file; yields the file and None, or what went wrong with it (the rest goes on)."""
    for target, line in lines:
        try:
            speak_to_file(omni, line, str(target), force=force, **speech)
            yield target, None
        except Exception as error:  # said by name; the caller exits with 1
            yield target, one_line(error)
