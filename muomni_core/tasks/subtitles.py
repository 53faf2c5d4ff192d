"""What was heard as text, JSON or subtitles: a writer for each format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from muomni_core.text.written import END_SIGNS

if TYPE_CHECKING:
    from muomni_core.model.hearing import Heard
    from muomni_core.model.word_times import HeardWord

LINE = 42  # characters, and
LONGEST = 7.0  # seconds, that can be read with comfort
SHORTEST = 1.0  # seconds that a line stays, where the next one leaves it the time
PAUSE = 0.7  # seconds between two words that begin a new line


class Cue(NamedTuple):
    """A line of a subtitle, and when it is seen (seconds)."""

    start: float
    end: float
    text: str


def cues(words: Sequence[HeardWord]) -> list[Cue]:
    """Words in lines of at most LINE characters and LONGEST seconds, broken at pauses, and where a sentence ends.

    A single word that is longer than that is a line of its own, which leaves after LONGEST seconds.
    """
    lines: list[list[HeardWord]] = []
    for word in words:
        line = lines[-1] if lines else None
        length = sum(len(w.word) + 1 for w in line or ())
        if (
            line is None
            or length + len(word.word) > LINE
            or word.end - line[0].start > LONGEST
            or word.start - line[-1].end > PAUSE
            or (line[-1].word.endswith(END_SIGNS) and length > LINE // 2)
        ):
            lines.append([word])
        else:
            line.append(word)
    made = []
    for place, line in enumerate(lines):
        start = line[0].start
        following = lines[place + 1][0].start if place + 1 < len(lines) else float("inf")
        end = max(line[-1].end, min(start + SHORTEST, following))
        made.append(Cue(start, min(end, start + LONGEST, max(following, start)), " ".join(w.word for w in line)))
    return made


def as_json(name: str, heard: Heard) -> dict[str, Any]:
    """The object that `--format json` prints of a file."""
    confidence = heard.confidence
    return {
        "file": name,
        "text": heard.text,
        "seconds": round(heard.seconds, 3),
        "confidence": None if confidence is None else round(confidence, 3),
        "words": [
            {"word": w.word, "start": round(w.start, 3), "end": round(w.end, 3), "confidence": round(w.confidence, 3)}
            for w in heard.words
        ],
    }


class Writer:
    """Base of the writers. `suffix` is of the files it writes; `one_file` says that each file must stand alone."""

    suffix: ClassVar[str]
    one_file: ClassVar[bool] = False

    def render(self, name: str, heard: Heard) -> str:
        """All that is written of a file `name`, with its last line end."""
        raise NotImplementedError


class TextWriter(Writer):
    """The transcript on one line."""

    suffix = ".txt"

    def render(self, name: str, heard: Heard) -> str:
        return heard.text + "\n"


class JsonWriter(Writer):
    """An object on one line: file, text, seconds, confidence, words."""

    suffix = ".json"

    def render(self, name: str, heard: Heard) -> str:
        return json.dumps(as_json(name, heard), ensure_ascii=False) + "\n"


class SubtitleWriter(Writer):
    """Lines with times."""

    one_file = True
    mark: ClassVar[str]  # between whole seconds and thousandths

    def blocks(self, heard: Heard) -> Iterator[str]:
        for number, cue in enumerate(cues(heard.words), start=1):
            yield self.block(number, f"{clock(cue.start, self.mark)} --> {clock(cue.end, self.mark)}", cue.text)

    def block(self, number: int, times: str, text: str) -> str:
        raise NotImplementedError


class SrtWriter(SubtitleWriter):
    """SubRip."""

    suffix = ".srt"
    mark = ","

    def render(self, name: str, heard: Heard) -> str:
        return "\n".join(self.blocks(heard))

    def block(self, number: int, times: str, text: str) -> str:
        return f"{number}\n{times}\n{text.replace('-->', '->')}\n"


class VttWriter(SubtitleWriter):
    """WebVTT."""

    suffix = ".vtt"
    mark = "."

    def render(self, name: str, heard: Heard) -> str:
        return "\n".join(["WEBVTT\n", *self.blocks(heard)])

    def block(self, number: int, times: str, text: str) -> str:
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"{times}\n{escaped}\n"


class TsvWriter(Writer):
    """A table: start and end in milliseconds, text."""

    suffix = ".tsv"
    one_file = True

    def render(self, name: str, heard: Heard) -> str:
        rows = [f"{1000 * c.start:.0f}\t{1000 * c.end:.0f}\t{' '.join(c.text.split())}\n" for c in cues(heard.words)]
        return "".join(["start\tend\ttext\n", *rows])


def clock(seconds: float, mark: str) -> str:
    """hh:mm:ss and thousandths behind `mark`."""
    thousandths = round(1000 * seconds)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


WRITERS: dict[str, Writer] = {
    "text": TextWriter(),
    "json": JsonWriter(),
    "srt": SrtWriter(),
    "vtt": VttWriter(),
    "tsv": TsvWriter(),
}
