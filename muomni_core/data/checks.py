"""What is wrong with rows of data, found before a training and not in the middle of it: counts, with examples.

Unreadable sounds and pictures, texts and captions that are empty, clips too short for their text (CTC has no
alignment), the same row twice, and rows of val that train has as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from muomni_core.data.record import Row
from muomni_core.data.rows import Patterns, read_rows
from muomni_core.text.spoken import ctc_text
from muomni_core.text.symbols import encode_symbols, fits

EXAMPLES = 3


@dataclass
class Finding:
    """One kind of trouble."""

    name: str
    count: int = 0
    examples: list[str] = field(default_factory=list)
    fatal: bool = False  # training would refuse it

    def add(self, example: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(example)


class Checks:
    """Looks at rows one by one; `findings` are those that came up.

    Args:
        n_slots: of the ear; 0 where no clip needs an alignment.
    """

    def __init__(self, *, n_slots: int = 0):
        self.n_slots = n_slots
        self.n_rows: dict[str, int] = {}
        self._found: dict[str, Finding] = {}
        self._seen: dict[str, dict[bytes, str]] = {}

    @property
    def findings(self) -> list[Finding]:
        return list(self._found.values())

    def _note(self, name: str, example: str, fatal: bool = False) -> None:
        self._found.setdefault(name, Finding(name, fatal=fatal)).add(example)

    def look(self, split: str, rows: Iterable[Row]) -> None:
        """Goes through the rows of `train` or `val`; train first."""
        seen = self._seen.setdefault(split, {})
        for row in rows:
            self.n_rows[split] = self.n_rows.get(split, 0) + 1
            if row.audio is not None:
                self._look_at_sound(row)
            if row.image is not None:
                self._look_at_picture(row)
            if _says_nothing(row):
                self._note("empty text", row.key)
            if (mark := _mark(row)) is None:
                continue
            if mark in seen:
                self._note(f"twice in {split}", f"{row.key} is {seen[mark]}")
            seen.setdefault(mark, row.key)
            if split != "train" and mark in self._seen.get("train", {}):
                self._note(f"{split} in train", f"{row.key} is {self._seen['train'][mark]}")

    def _look_at_sound(self, row: Row) -> None:
        import soundfile

        try:
            about = soundfile.info(row.sound_source())
        except (soundfile.SoundFileError, OSError) as error:
            self._note("unreadable sound", f"{row.key}: {_first_line(error)}")
            return
        if not row.text or not row.text.strip():
            self._note("sound without text", row.key)
        elif self.n_slots:
            target = encode_symbols(ctc_text(row.text))
            frames = about.frames * 100 // max(1, about.samplerate)
            if not fits(target, frames, self.n_slots):
                said = f"{row.text[:60]!r} in {frames / 100:.2f} s"
                self._note("sound too short for its text", f"{row.key}: {said}", fatal=True)

    def _look_at_picture(self, row: Row) -> None:
        from PIL import Image

        try:
            with Image.open(row.image_source()) as image:
                image.verify()
        except Exception as error:  # Pillow's decoders raise nearly anything
            self._note("unreadable picture", f"{row.key}: {_first_line(error)}")
        if not (row.label or row.captions or row.question):
            self._note("picture without label or caption", row.key)


def check_rows(train: Patterns, val: Patterns, root: Path, *, n_slots: int = 0) -> Checks:
    """Both splits of a stage. Raises DataError for what cannot be read at all."""
    checks = Checks(n_slots=n_slots)
    checks.look("train", read_rows(train, root))
    checks.look("val", read_rows(val, root))
    return checks


def _says_nothing(row: Row) -> bool:
    """Whether a text that the row has holds nothing but spaces."""
    texts = [row.text, row.label, row.question, row.answer, *row.captions, *row.turns]
    return any(text is not None and not text.strip() for text in texts)


def _mark(row: Row) -> bytes | None:
    """What makes two rows the same: the sound's or picture's bytes with its question, or all words."""
    media = row.audio if row.audio is not None else row.image
    digest = hashlib.blake2b(digest_size=16)
    if media is not None:
        try:
            digest.update(media if isinstance(media, bytes) else media.read_bytes())
        except OSError:  # named as unreadable
            return None
        words: list[str] = [row.question or ""]
    else:
        words = [row.text or "", row.question or "", row.answer or "", row.context or "", *row.turns]
    if media is None and not any(words):
        return None
    digest.update("\0".join(" ".join(w.lower().split()) for w in words).encode("utf-8", "replace"))
    return digest.digest()


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    # Readers of bytes name the object that they were given, which says nothing to anybody.
    return text.split("<_io", 1)[0].strip(" :'") or type(error).__name__
