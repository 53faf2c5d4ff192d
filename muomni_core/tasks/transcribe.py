"""Sound files and folders of them to text, one or many."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from muomni_core.data.record import AUDIO_SUFFIXES
from muomni_core.errors import InputError, one_line
from muomni_core.files import is_root, open_input, printable, source_name

if TYPE_CHECKING:
    from muomni_core.audio.io import SoundSource
    from muomni_core.model.hearing import Heard
    from muomni_core.model.omni import MuOmni

# What libsndfile reads, by the names that people give it.
SOUND_SUFFIXES = AUDIO_SUFFIXES | frozenset("wave mp2 aifc snd caf w64 rf64 voc sf paf svx nist sph avr htk xi".split())
RAW_SUFFIXES = frozenset({"raw", "pcm", "s16", "s16le"})
_HEADS = {b"RIFF": "a WAV file", b"fLaC": "a FLAC file", b"OggS": "an OGG file", b"FORM": "an AIFF file"}


class Source(NamedTuple):
    """A sound to hear: `name` is its path or "-"; `place` is its path below a folder of results, without a suffix."""

    name: str
    place: str


def find_sounds(names: Iterable[str], *, raw: bool = False) -> list[Source]:
    """Files as they are named, and the sound files in the folders among them and below, names in order.

    Args:
        raw: look for files of raw samples in folders.
    Raises:
        InputError: a folder holds none, or cannot be read.
    """
    found: list[Source] = []
    for name in names:
        if name == "-":
            found.append(Source("-", "stdin"))
        elif os.path.isdir(name):
            found += _in_folder(Path(name), RAW_SUFFIXES if raw else SOUND_SUFFIXES)
        else:
            found.append(Source(name, Path(name).stem))
    return found


def _in_folder(folder: Path, suffixes: frozenset[str]) -> list[Source]:
    if is_root(folder):
        raise InputError(f"{folder} is all that is on this machine; name a folder of sounds")

    def stop(error: OSError) -> None:
        raise InputError(f"{printable(str(error.filename))}: {error.strerror}") from None

    paths = [
        Path(root) / name
        for root, folders, names in os.walk(folder, onerror=stop)
        if not folders.sort()  # in place: os.walk goes by it
        for name in sorted(names)
        if not name.startswith(".") and Path(name).suffix[1:].lower() in suffixes
    ]
    if not paths:
        raise InputError(f"{printable(str(folder))}: no sound files in this folder")
    return [Source(str(path), str(path.relative_to(folder).with_suffix(""))) for path in paths]


def result_files(sources: Iterable[Source], folder: Path, suffix: str) -> list[Path]:
    """The file in `folder` for the result of each source. Raises InputError where two would be the same."""
    made: dict[Path, str] = {}
    for source in sources:
        path = folder / f"{source.place}{suffix}"
        if path in made:
            one, other = printable(made[path]), printable(source.name)
            raise InputError(f"{one} and {other} would both be written to {printable(str(path))}; take them apart")
        made[path] = source.name
    return list(made)


@contextlib.contextmanager
def _opened(name: str, rate: int | None) -> Iterator[SoundSource]:
    """A sound for MuOmni.listen; at a given rate its file is raw samples, 16 bit, little-endian, mono."""
    from muomni_core.audio.wav import FileView, wav_header

    if rate is None:
        yield name
        return
    with open_input(name) as file:
        kind = _HEADS.get(file.read(4))
        if kind is not None:
            raise InputError(f"{source_name(name)} is {kind} and says its rate itself; leave --rate out")
        n_samples = file.seek(0, os.SEEK_END) // 2
        yield FileView(file, 0, 2 * n_samples, wav_header(None, rate))  # type: ignore[misc]


def transcribe_file(omni: MuOmni, name: str, *, rate: int | None = None, **options: Any) -> Heard:
    """What is heard in a file, "-" being stdin: a file with a header, or with `rate` raw 16 bit mono samples.

    `options` are those of MuOmni.listen. Raises MuOmniError.
    """
    with _opened(name, rate) as source:
        return omni.listen(source, **options)


def transcribe_files(
    omni: MuOmni, sources: Iterable[Source], *, rate: int | None = None, **options: Any
) -> Iterator[tuple[Source, Heard | None, str]]:
    """As transcribe_file, for many: the source, and what was heard or None and what went wrong (the rest goes on)."""
    for source in sources:
        try:
            yield source, transcribe_file(omni, source.name, rate=rate, **options), ""
        except Exception as error:  # said by name; the caller exits with 1
            yield source, None, one_line(error)
