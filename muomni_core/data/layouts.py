"""The layouts that users have on disk, told apart by what lies in the folder.

    LJSpeech       metadata.csv (id|text|normalised text) and wavs/id.wav
    LibriSpeech    .../84-121123.trans.txt beside 84-121123-0000.flac
    COCO captions  captions_*.json (in annotations/ or anywhere below) and the pictures' folders
    ImageFolder    [train/ val/ test/] one folder a class, with the pictures in it
    plain text     a .txt file, or a folder of them: a paragraph is a row, or a line where no line is empty

A file that a layout lists and that is not there is an error, never a row less.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from muomni_core.data.record import AUDIO_SUFFIXES, IMAGE_SUFFIXES, Row, key_prefix, name_and_split, safe_relative
from muomni_core.errors import DataError

SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
DOCUMENT_END = "<|endoftext|>"
MAX_LINE = 250_000_000  # characters; text8 is a line of 100 million


def read_folder(folder: Path, root: Path) -> Iterator[Row]:
    """The rows of a folder in one of the known layouts. Raises DataError where it is in none."""
    files = files_below(folder)
    if (folder / "metadata.csv").is_file():
        return read_ljspeech(folder, root)
    if any(file.name.endswith(".trans.txt") for file in files):
        return read_librispeech(folder, root, files)
    captions = [file for file in files if file.suffix == ".json" and file.name.startswith("captions")]
    if captions:
        return _chain(read_coco(file, root) for file in captions)
    if any(is_picture(file) and file.parent != folder for file in files):
        return read_image_folder(folder, root, files)
    if any(file.suffix == ".txt" for file in files):
        return _chain(read_text(file, root) for file in files if file.suffix == ".txt")
    raise DataError(
        f"{folder}: no layout that is known: .jsonl or .tar files, LJSpeech (metadata.csv), LibriSpeech (*.trans.txt),"
        " COCO (captions*.json), one folder of pictures a class, or .txt files"
    )


def read_file(path: Path, root: Path) -> Iterator[Row]:
    """The rows of a .txt file, a COCO captions .json, or the folder of a metadata.csv. Raises DataError for others."""
    if path.name == "metadata.csv":
        return read_ljspeech(path.parent, root)
    if path.name.endswith(".trans.txt"):
        return read_librispeech(path.parent, root, [path])
    if path.suffix == ".txt":
        return read_text(path, root)
    if path.suffix == ".json":
        return read_coco(path, root)
    raise DataError(f"{path}: expected .jsonl, .jsonl.xz, .tar, .txt, a COCO captions .json or a folder")


def files_below(folder: Path) -> list[Path]:
    """All files below, hidden ones left out, in order of their paths; links to further folders are not followed."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(found)


def is_picture(path: Path) -> bool:
    return path.suffix[1:].lower() in IMAGE_SUFFIXES


def _chain(parts: Iterable[Iterator[Row]]) -> Iterator[Row]:
    for part in parts:
        yield from part


def _lines(path: Path) -> Iterator[str]:
    """Lines without their ends, a byte order mark left out. Raises DataError for what is not UTF-8."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            while line := lines.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    raise DataError(f"{path}: a line of more than {MAX_LINE:,} characters")
                yield line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: convert it first") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _sound_beside(folder: Path, name: str, listed_in: str) -> Path:
    """folder/name.<any sound suffix>. Raises DataError where there is none."""
    relative = safe_relative(name, listed_in)
    given = folder / relative
    candidates = [given] if relative.suffix[1:].lower() in AUDIO_SUFFIXES else []
    candidates += [given.with_name(f"{given.name}.{suffix}") for suffix in ("wav", "flac", "ogg", "opus", "mp3")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DataError(f"{listed_in}: sound {name!r} is missing in {folder}")


def read_ljspeech(folder: Path, root: Path) -> Iterator[Row]:
    """LJSpeech: the normalised column is taken where there is one. Raises DataError for a sound that is missing."""
    source, split = name_and_split(folder.resolve().name if folder == root else folder.name)
    prefix = key_prefix(folder, root)
    wavs = folder / "wavs"
    if not wavs.is_dir():
        raise DataError(f"{folder}: the folder wavs/ is missing beside metadata.csv")
    for number, line in enumerate(_lines(folder / "metadata.csv"), 1):
        if not line.strip():
            continue
        where = f"{folder.name}/metadata.csv line {number}"
        name, *texts = (part.strip() for part in line.split("|"))
        spoken = [text for text in texts[:2] if text]
        if not spoken:
            raise DataError(f"{where}: expected id|text or id|text|normalised text")
        audio = _sound_beside(wavs, name, where)
        yield Row(f"{prefix}/{name}", source, split, audio=audio, text=spoken[-1], speaker=source)


def read_librispeech(folder: Path, root: Path, files: list[Path]) -> Iterator[Row]:
    """LibriSpeech: texts in lower case, speakers as `source/number`. Raises DataError for a sound that is missing."""
    source, split = name_and_split(folder.resolve().name if folder == root else folder.name)
    for transcript in files:
        if not transcript.name.endswith(".trans.txt"):
            continue
        prefix = key_prefix(transcript.parent, root)
        for number, line in enumerate(_lines(transcript), 1):
            name, _, text = line.strip().partition(" ")
            if not name:
                continue
            where = f"{transcript.name} line {number}"
            if not text:
                raise DataError(f"{where}: {name} has no text")
            audio = _sound_beside(transcript.parent, name, where)
            speaker = f"{source}/{name.partition('-')[0]}"
            yield Row(f"{prefix}/{name}", source, split, audio=audio, text=text.lower(), speaker=speaker)


def read_coco(path: Path, root: Path) -> Iterator[Row]:
    """COCO captions: a row a picture that has any, in the file's order.

    Pictures are looked for beside the file, one folder up, and there in folders named like the file (train2017 for
    captions_train2017.json) or `images`. Raises DataError for what is no such file, or a picture that is missing.
    """
    try:
        content = json.loads(path.read_bytes())
        captions: dict[int, list[str]] = {}
        for note in content["annotations"]:
            captions.setdefault(note["image_id"], []).append(" ".join(note["caption"].split()))
        pictures = [(p["id"], str(p["file_name"])) for p in content["images"] if p["id"] in captions]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: no COCO captions file: expected images (id, file_name) and annotations (image_id, caption)"
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    pool = path.stem.removeprefix("captions_")
    split = next((name for name in ("train", "val", "test") if pool.startswith(name)), None)
    home = path.parent.parent if path.parent != root else path.parent  # never above the data root
    source = home.resolve().name if path.parent.name == "annotations" or home == root else path.parent.name
    names = ("", pool, "images", f"images/{pool}")
    folders = list(dict.fromkeys(parent / name for parent in (path.parent, home) for name in names))
    prefix = key_prefix(path, root)
    for number, name in pictures:
        relative = safe_relative(name, path.name)
        image = next((f / relative for f in folders if (f / relative).is_file()), None)
        if image is None:
            raise DataError(f"{path.name}: picture {name!r} is missing; looked in {', '.join(map(str, folders))}")
        yield Row(f"{prefix}/{number}", source, split, image=image, captions=captions[number])


def read_image_folder(folder: Path, root: Path, files: list[Path]) -> Iterator[Row]:
    """ImageFolder: the class folder's name, underscores as spaces, is the label."""
    source, split = name_and_split(folder.resolve().name if folder == root else folder.name)
    prefix = key_prefix(folder, root)
    for file in files:
        if not is_picture(file):
            continue
        relative = file.relative_to(folder)
        parents = list(relative.parts[:-1])
        inner = SPLIT_NAMES.get(parents[0].lower()) if len(parents) > 1 else None
        if not parents:
            raise DataError(f"{file}: a picture outside the class folders")
        label = parents[1 if inner else 0].replace("_", " ")
        yield Row(f"{prefix}/{relative.as_posix()}", source, inner or split, image=file, label=label)


def read_text(path: Path, root: Path) -> Iterator[Row]:
    """Plain text: rows are paragraphs, their lines joined; a file without empty lines has a row a line."""
    source, split = name_and_split(path.name)
    prefix = key_prefix(path, root)
    in_paragraphs = any(_is_break(line) for line in _lines(path))
    for number, text in enumerate(_paragraphs(_lines(path), in_paragraphs), 1):
        yield Row(f"{prefix}/{number:06d}", source, split, text=text)


def _is_break(line: str) -> bool:
    return not line.strip() or line.strip() == DOCUMENT_END


def _paragraphs(lines: Iterable[str], in_paragraphs: bool) -> Iterator[str]:
    block: list[str] = []
    for line in lines:
        if not _is_break(line):
            block.append(line.strip())
        if block and (_is_break(line) or not in_paragraphs):
            yield " ".join(block)
            block = []
    if block:
        yield " ".join(block)
