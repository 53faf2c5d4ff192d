"""Frames of a video, spread over its length: animations by Pillow, everything else by an ffmpeg that is installed."""

from __future__ import annotations

import contextlib
import io
import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from muomni_core.errors import InputError
from muomni_core.files import open_input, source_name
from muomni_core.vision.image import load_image

VideoSource = str | Path | BinaryIO | bytes

MAX_FRAMES = 64
MAX_SIDE = 1024  # pixels: a frame from ffmpeg is brought down to this
SECONDS = 60  # that ffmpeg may take for one frame
_ANIMATIONS = ("GIF", "WEBP", "PNG")
_DURATION = re.compile(r"Duration: (\d+):(\d+):(\d+(?:\.\d+)?)")


def video_frames(source: VideoSource, n: int = 4) -> list[Image.Image]:
    """`n` pictures of a video, from the middles of `n` equal parts; all of them where it has no more.

    GIF, WebP and PNG, animated or not, need nothing; other formats need the program ffmpeg.
    Raises InputError, which names the source, for what cannot be read, or without ffmpeg.
    """
    if not 1 <= n <= MAX_FRAMES:
        raise InputError(f"{n} frames cannot be taken of a video; ask for 1 to {MAX_FRAMES}")
    name = source_name(source)
    with open_input(source) as file:
        animation = _animation(file)
        if animation is not None:
            return _of_animation(animation, n, name)
        file.seek(0)
        with _as_path(source, file) as path:
            return _by_ffmpeg(path, n, name)


# --- animations


def _animation(file: BinaryIO) -> Image.Image | None:
    """The file as Pillow opens it, or None where it is no format that holds animations."""
    with contextlib.suppress(Exception):  # any bytes may come here, and PIL's readers raise many kinds
        Image.init()
        return Image.open(file, formats=[f for f in _ANIMATIONS if f in Image.OPEN])
    return None


def _of_animation(animation: Image.Image, n: int, name: str) -> list[Image.Image]:
    try:
        n_frames = getattr(animation, "n_frames", 1)
        wanted = _spread(n_frames, n)
        pictures = []
        for number in range(n_frames):  # in order: a frame is often only what changed since the one before
            animation.seek(number)
            if number in wanted:
                # As a file of its own, so that size, transparency and odd modes are treated as with any picture.
                animation.load()
                pictures.append(load_image(animation.copy()))
        return pictures
    except InputError:
        raise
    except Exception:
        raise InputError(f"{name} is damaged or cut off: its frames cannot be decoded") from None


def _spread(n_frames: int, n: int) -> list[int]:
    """Numbers of `n` frames from the middles of equal parts; of fewer frames all."""
    if n_frames <= n:
        return list(range(n_frames))
    return [int((i + 0.5) * n_frames / n) for i in range(n)]


# --- everything else


@contextlib.contextmanager
def _as_path(source: VideoSource, file: BinaryIO) -> Iterator[str]:
    """A path for a program that seeks in it."""
    if isinstance(source, (str, Path)) and source != "-":
        yield str(Path(source).absolute())
        return
    with tempfile.NamedTemporaryFile(suffix=".video") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)
        copy.flush()
        yield copy.name


def _by_ffmpeg(path: str, n: int, name: str) -> list[Image.Image]:
    if shutil.which("ffmpeg") is None:
        raise InputError(
            f"{name} is no GIF, WebP or PNG; other videos need the program ffmpeg, which is not installed here"
        )
    said = _run(["-i", path], name).stderr.decode("utf-8", "replace")
    found = _DURATION.search(said)
    if "Video:" not in said:
        raise InputError(f"{name} is not a video that ffmpeg can read")
    seconds = 0.0
    if found:
        hours, minutes, rest = found.groups()
        seconds = int(hours) * 3600 + int(minutes) * 60 + float(rest)
    times = [(i + 0.5) * seconds / n for i in range(n)] if seconds else [0.0]
    pictures = [picture for time in times if (picture := _frame_at(path, time, name)) is not None]
    if not pictures:
        raise InputError(f"{name} is damaged or empty: ffmpeg decodes no frame of it")
    return pictures


def _frame_at(path: str, seconds: float, name: str) -> Image.Image | None:
    """The frame shown at a time; None where there is none (a length that is only said)."""
    smaller = f"scale='min({MAX_SIDE},iw)':'min({MAX_SIDE},ih)':force_original_aspect_ratio=decrease"
    made = ["-frames:v", "1", "-vf", smaller, "-f", "image2pipe", "-c:v", "png", "-"]
    done = _run(["-v", "error", "-ss", f"{math.floor(seconds * 1000) / 1000:.3f}", "-i", path, *made], name)
    return load_image(io.BytesIO(done.stdout)) if done.stdout else None


def _run(arguments: list[str], name: str) -> subprocess.CompletedProcess[bytes]:
    # A container may name other files or addresses (a playlist, a concat script): files alone are read.
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-protocol_whitelist", "file,pipe", *arguments]
    try:
        return subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"{name}: ffmpeg did not finish within {SECONDS} seconds") from None
    except OSError as error:
        raise InputError(f"ffmpeg cannot be run: {error.strerror or error}") from None
