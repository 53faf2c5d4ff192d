"""Brings data that lies anywhere, in any layout that is known, into the small shards that the recipes read.

    python -m muomni_core.data.pack SOURCE --data DATA --name librispeech [--val 0.05] [--size 128]

SOURCE is a folder or file as `read_rows` takes it. Sounds become Opus at 16 kHz mono, pictures WebP with a shorter
side of `--size`, texts lines of a .jsonl.xz. Rows whose source names no split are divided here: by speaker where
there are more than twenty, else row by row, always the same way.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from muomni_core.data.record import LIST_FIELDS, TEXT_FIELDS, Row
from muomni_core.data.rows import read_rows
from muomni_core.data.shards import write_manifest, write_shard
from muomni_core.errors import DataError, InputError, MuOmniError

SHARD_ROWS = 2000
SAMPLE_RATE = 16_000
MANY_SPEAKERS = 20


def pack(source: Path, data: Path, name: str, *, val: float = 0.05, size: int = 128) -> dict[str, int]:
    """Packs what is at `source` under `data`; returns the number of rows by written file.

    Raises DataError where a file to be written exists, or a row has neither sound, picture nor text.
    """
    if not name or "/" in name or name.startswith((".", "made_")):
        raise DataError(f"--name {name!r}: give a plain name such as librispeech")
    rows = list(read_rows(source, source.parent))
    if not rows:
        raise DataError(f"{source} holds no rows")
    first = rows[0]
    kind = "speech" if first.audio is not None else "images" if first.image is not None else "text"
    speakers = {row.speaker for row in rows if row.speaker}
    written: dict[str, int] = {}
    parts: dict[str, list[Row]] = {}
    for row in rows:
        group = row.speaker if row.speaker and len(speakers) > MANY_SPEAKERS else row.key
        parts.setdefault(row.split or ("val" if _draw(group) < val else "train"), []).append(row)
    for split in sorted(parts):
        taken = sorted(data.glob(f"{kind}/{name}-{split}*"))
        if taken:
            raise DataError(f"{taken[0]} exists; delete the {split} files of {name} to pack them again")
    for split, mine in sorted(parts.items()):
        if kind == "text":
            path = data / kind / f"{name}-{split}.jsonl.xz"
            written[path.name] = write_manifest(path, (_fields(row) for row in mine))
            continue
        numbered = _numbered(mine, kind, size)
        for number in range(-(-len(mine) // SHARD_ROWS)):
            path = data / kind / f"{name}-{split}-{number:03d}.tar"
            written[path.name] = write_shard(path, islice(numbered, SHARD_ROWS))
    return written


def _draw(group: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()[:6]) / 2**48


def _fields(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in (*TEXT_FIELDS, *LIST_FIELDS) if name in row}


def _numbered(rows: Iterable[Row], kind: str, size: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    for number, row in enumerate(rows):
        fields = _fields(row)
        try:
            if kind == "speech":
                suffix, blob, fields["seconds"] = "ogg", *_opus(row)
            else:
                suffix, blob = "webp", _webp(row, size)
        except InputError as error:
            raise DataError(f"{row.key}: {error}") from error
        yield f"{number:06d}", {suffix: blob, "json": json.dumps(fields, ensure_ascii=False).encode()}


def _opus(row: Row) -> tuple[bytes, float]:
    import soundfile

    from muomni_core.audio.io import read_sound

    sound = read_sound(row.sound_source())
    blob = io.BytesIO()
    with soundfile.SoundFile(blob, "w", SAMPLE_RATE, 1, format="OGG", subtype="OPUS") as file:
        for start in range(0, len(sound), 10 * SAMPLE_RATE):  # a long sound in one piece can crash the encoder
            file.write(sound[start : start + 10 * SAMPLE_RATE])
    return blob.getvalue(), round(len(sound) / SAMPLE_RATE, 3)


def _webp(row: Row, size: int) -> bytes:
    from PIL import Image

    from muomni_core.vision.image import load_image

    image = load_image(row.image_source())
    scale = size / min(image.size)
    if scale < 1:
        image = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)
    blob = io.BytesIO()
    image.save(blob, "WEBP", quality=85)
    return blob.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a folder or file in a layout that is known")
    parser.add_argument("--data", type=Path, required=True, help="the data root to write to")
    parser.add_argument("--name", required=True, help="what the set is called: librispeech")
    parser.add_argument("--val", type=float, default=0.05, help="share of rows kept for validation")
    parser.add_argument("--size", type=int, default=128, help="shorter side of pictures, at most")
    args = parser.parse_args()
    try:
        for file, count in pack(args.source, args.data, args.name, val=args.val, size=args.size).items():
            print(f"{file}\t{count}")
    except (MuOmniError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
