"""Text to sound: into files, down a pipe or through the loudspeaker, while it is being made; one text or many."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from muomni_core.audio.io import SAMPLE_RATE as RATE
from muomni_core.errors import InputError, one_line

if TYPE_CHECKING:
    from muomni_core.model.omni import MuOmni
    from muomni_core.model.speaking import Said, Word

_log = logging.getLogger(__name__)

MAX_PLOT_SECONDS = 120.0


@dataclass
class Record:
    """What was said: `words` of all of it, `sound` of its first MAX_PLOT_SECONDS; each only where it is wanted."""

    file: str | None
    voice: str
    vocoder: str
    seconds: float = 0.0
    words: list[Word] = field(default_factory=list)
    sound: list[np.ndarray] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The object that --json prints."""
        words = [{"word": w.word, "start": round(w.start, 3), "end": round(w.end, 3)} for w in self.words]
        return {
            "file": self.file,
            "seconds": round(self.seconds, 3),
            "voice": self.voice,
            "vocoder": self.vocoder,
            "words": words,
        }


def speak_to_file(
    omni: MuOmni,
    text: str | Iterable[str],
    target: str | None,
    *,
    force: bool = False,
    raw: bool = False,
    player: str | None = None,
    keep_words: bool = False,
    keep_sound: bool = False,
    **speech: Any,
) -> Record:
    """Speaks a text, or one that still arrives in parts, piece by piece into `target` and through `player`.

    Args:
        target: a WAV file, "-" for stdout, or None for none.
        raw: 16 bit samples without a header.
        player: a name of muomni_core.audio.play.PLAYERS.
        keep_words, keep_sound: whether the record holds them.
        speech: voice, vocoder, speed, temperature, top_p, seed of MuOmni.speak.
    Raises:
        InputError: nothing can be said, or the target exists and `force` is false; no file is left then.
    """
    from muomni_core.audio.play import playing
    from muomni_core.audio.wav import WavWriter
    from muomni_core.files import open_output

    if isinstance(text, str) and not text.strip():
        raise InputError("there is nothing to say; give some text")
    voice, vocoder = speech.get("voice"), speech.get("vocoder")
    record = Record(target, voice or next(iter(omni.voices), ""), vocoder or omni.vocoders[0])
    with contextlib.ExitStack() as stack:
        writers = []
        if target is not None:
            writers.append(WavWriter(stack.enter_context(open_output(target, force=force)), RATE, raw=raw))
        if player is not None:
            writers.append(WavWriter(stack.enter_context(playing(player)), RATE, raw=True))
        for said in omni.speak_pieces(text, **speech):
            for writer in writers:
                writer.write(said.sound)
            _keep(record, said, keep_words, keep_sound)
        for writer in writers:
            writer.finish()
    return record


def _keep(record: Record, said: Said, words: bool, sound: bool) -> None:
    before = record.seconds
    record.seconds += len(said.sound) / RATE
    if words:
        record.words += said.words
    if sound and before < MAX_PLOT_SECONDS:
        record.sound.append(said.sound[: round((MAX_PLOT_SECONDS - before) * RATE)])


def plot_record(record: Record, target: str, title: str = "", *, force: bool = False) -> None:
    """Draws a record that holds words and sound into a PNG ("-": stdout). Raises InputError if it cannot be written."""
    from muomni_core.audio.plot import plot_speech
    from muomni_core.files import open_output

    if record.seconds > MAX_PLOT_SECONDS:
        _log.warning("%s shows the first %g seconds of %.1f", target, MAX_PLOT_SECONDS, record.seconds)
    image = plot_speech(np.concatenate(record.sound), record.words, title)
    with open_output(target, force=force) as file:
        image.save(file, format="PNG")


def numbered(text: str, folder: Path) -> list[tuple[Path, str]]:
    """A WAV file in `folder` for each line of `text`, named by the line's number; empty lines are left out."""
    return [
        (folder / f"{number:04d}.wav", line.strip())
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


def speak_lines(
    omni: MuOmni, lines: Iterable[tuple[Path, str]], **speech: Any
) -> Iterator[tuple[Path, Record | None, str]]:
    """Speaks each line into its file, as speak_to_file.

    Yields the file, and the record or None and what went wrong (the rest goes on).
    """
    for target, line in lines:
        try:
            yield target, speak_to_file(omni, line, str(target), **speech), ""
        except Exception as error:  # said by name; the caller exits with 1
            yield target, None, one_line(error)


@contextlib.contextmanager
def ahead(parts: Iterable[str]) -> Iterator[Iterator[str]]:
    """The same parts, made in a thread of their own: an answer is thought of while its beginning is spoken.

    What is raised there is raised here. When the block ends before the parts do, no more of them are made.
    """
    line: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def make() -> None:
        try:
            for part in parts:
                line.put(part)
                if stop.is_set():
                    return
            line.put(None)
        except BaseException as error:
            line.put(error)

    def taken() -> Iterator[str]:
        while (part := line.get()) is not None:
            if isinstance(part, BaseException):
                raise part
            yield part

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stop.set()
        thread.join()
