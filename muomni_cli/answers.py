"""How an answer comes out: as text while it is thought of, and as speech."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from muomni_cli import console

if TYPE_CHECKING:
    from muomni_core import MuOmni


def shown(answer: Iterator[str], sound_on_stdout: bool = False) -> Iterator[str]:
    """The pieces of an answer, shown as they come on a terminal, else on one line at the end.

    The text makes way on stdout for a WAV.
    """
    live = console.is_terminal(sys.stdout) and not sound_on_stdout
    pieces = []
    try:
        for piece in answer:
            pieces.append(piece)
            if live:
                console.write(piece)
            yield piece
    finally:
        if live and pieces:
            console.write_line("")
    whole = "".join(pieces).strip()
    if sound_on_stdout:
        if not console.is_quiet():
            sys.stderr.write(console.escape(whole, keep="\n\t") + "\n")
    elif not live:
        console.write_line(whole)


def spoken(omni: MuOmni, pieces: Iterator[str], target: str | None, **speech: Any) -> str:
    """Speaks an answer while it is still coming, as speak_to_file does; returns its text."""
    from muomni_core.tasks.speak import ahead, speak_to_file

    kept: list[str] = []

    def keeping(parts: Iterator[str]) -> Iterator[str]:
        for part in parts:
            kept.append(part)
            yield part

    with ahead(keeping(pieces)) as parts:
        speak_to_file(omni, parts, target, **speech)
    return "".join(kept).strip()
