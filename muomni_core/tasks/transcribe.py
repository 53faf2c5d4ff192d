"""Sound files to text, one or many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from muomni_core.tasks.ask import one_line

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni


def seconds_of(source: str) -> float:
    """Length of a sound file in seconds, counted from what can be decoded, never from its header."""
    from muomni_core.audio.io import iter_sound
    from muomni_core.config import MelConfig

    return sum(len(block) for block in iter_sound(source)) / MelConfig().sample_rate


def transcribe_file(omni: MuOmni, source: str, *, measure: bool = False) -> dict[str, Any]:
    """`{"file", "text"}`, with `measure` also `seconds` of sound; a source of "-" is a WAV on stdin.

    Raises MuOmniError.
    """
    if source == "-":  # comes only once: read it, then count and transcribe what was read
        from muomni_core.audio.io import read_sound
        from muomni_core.config import MelConfig

        rate = MelConfig().sample_rate
        sound = read_sound("-")
        text, seconds = omni.transcribe((sound, rate)), len(sound) / rate
    else:
        text, seconds = omni.transcribe(source), seconds_of(source) if measure else 0.0
    found = {"file": source, "text": text}
    return found | {"seconds": round(seconds, 3)} if measure else found


def transcribe_files(omni: MuOmni, sources: Iterable[str], *, measure: bool = False) -> Iterator[dict[str, Any]]:
    """As transcribe_file, for many; a file that fails gives `{"file", "error"}` and does not stop the rest."""
    for source in sources:
        try:
            yield transcribe_file(omni, source, measure=measure)
        except Exception as error:  # said by name; the caller exits with 1
            yield {"file": source, "error": one_line(error)}
