from __future__ import annotations

import io
import shutil
import stat
import sys
from pathlib import Path

import pytest
from PIL import Image

from muomni_core.errors import InputError
from muomni_core.vision.video import video_frames

SHADES = [Image.new("RGB", (32, 24), (20 * n, 0, 0)) for n in range(10)]


def animation(kind: str, frames: list[Image.Image] = SHADES) -> bytes:
    out = io.BytesIO()
    frames[0].save(out, format=kind, save_all=True, append_images=frames[1:], duration=50, lossless=True)
    return out.getvalue()


def reds(frames: list[Image.Image]) -> list[int]:
    assert all(frame.mode == "RGB" for frame in frames)
    return [frame.getpixel((5, 5))[0] for frame in frames]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_frames_are_spread_over_an_animation(kind: str) -> None:
    assert reds(video_frames(animation(kind), 4)) == [20, 60, 120, 160]
    assert reds(video_frames(animation(kind), 1)) == [100]


def test_of_few_frames_all_are_taken() -> None:
    assert reds(video_frames(animation("GIF", SHADES[:3]), 8)) == [0, 20, 40]
    assert reds(video_frames(animation("PNG", SHADES[4:5]), 8)) == [80]


def test_transparent_frames_stand_on_white() -> None:
    clear = [Image.new("RGBA", (8, 8), (0, 0, 0, 0)), Image.new("RGBA", (8, 8), (10, 0, 0, 255))]
    assert reds(video_frames(animation("PNG", clear), 2)) == [255, 10]


@pytest.mark.parametrize("n", [0, -1, 65])
def test_so_many_frames_are_refused(n: int) -> None:
    with pytest.raises(InputError, match="1 to 64"):
        video_frames(animation("GIF"), n)


def test_a_cut_animation_is_named(tmp_path: Path) -> None:
    path = tmp_path / "v.webp"
    path.write_bytes(animation("WEBP")[:-40])
    with pytest.raises(InputError, match=r"v\.webp"):
        video_frames(path)


def test_other_formats_need_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"x" * 100)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InputError, match=r"v\.mp4.*ffmpeg.*not installed"):
        video_frames(path)
    with pytest.raises(InputError, match="no such file"):
        video_frames(tmp_path / "none.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="a script as a program")
def test_ffmpeg_is_asked_for_the_middles_of_equal_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the program, which answers with what it is called with."""
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"""#!{sys.executable}
import sys
from PIL import Image
if "-ss" not in sys.argv:
    sys.exit("  Duration: 00:00:08.00, start: 0\\n  Stream #0:0: Video: h264")
second = float(sys.argv[sys.argv.index("-ss") + 1])
Image.new("RGB", (8, 8), (int(second * 10), 0, 0)).save(sys.stdout.buffer, format="PNG")
""")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))
    path = tmp_path / "v.mp4"
    path.write_bytes(b"x" * 100)
    assert reds(video_frames(path, 4)) == [10, 30, 50, 70]
    assert reds(video_frames(b"x" * 100, 2)) == [20, 60]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_real_video(tmp_path: Path) -> None:
    import subprocess

    path = tmp_path / "v.mp4"
    source = "testsrc=size=64x48:rate=10:duration=2"
    subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", source, str(path)], check=True)
    assert [frame.size for frame in video_frames(path, 3)] == [(64, 48)] * 3
