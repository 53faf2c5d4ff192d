"""Files and folders that are heard: which ones, raw samples, one that fails among others."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from muomni_core.audio.io import read_sound
from muomni_core.errors import InputError
from muomni_core.model.hearing import Heard
from muomni_core.model.word_times import HeardWord
from muomni_core.tasks.transcribe import Source, find_sounds, result_files, transcribe_file, transcribe_files


class Counter:
    """Hears how many samples there are."""

    def listen(self, source: Any, **options: Any) -> Heard:
        sound = read_sound(source)
        self.options, self.sound = options, sound
        return Heard([HeardWord(str(len(sound)), 0.0, 1.0, 1.0)], len(sound) / 16_000)


def sound(n_samples: int = 800) -> np.ndarray:
    return np.sin(np.arange(n_samples) / 9).astype(np.float32) * 0.5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("talks/b.ogg", "talks/a.wav", "talks/deep/c.FLAC", "talks/notes.txt", "talks/.d.wav", "e.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no sound")
        else:
            soundfile.write(path, sound(), 16_000, format=path.suffix[1:].upper())
    return tmp_path


def test_folders_are_searched(folder: Path) -> None:
    found = find_sounds([str(folder / "e.wav"), str(folder / "talks"), "-"])
    assert [Path(source.name).name for source in found] == ["e.wav", "a.wav", "b.ogg", "c.FLAC", "-"]
    assert [source.place for source in found] == ["e", "a", "b", str(Path("deep/c")), "stdin"]
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="no sound files"):
        find_sounds([str(folder / "empty")])
    with pytest.raises(InputError, match="no sound files"):
        find_sounds([str(folder / "talks")], raw=True)


def test_results_do_not_overwrite_each_other(folder: Path) -> None:
    found = find_sounds([str(folder / "talks")])
    out = Path("out")
    assert result_files(found, out, ".srt") == [out / "a.srt", out / "b.srt", out / "deep/c.srt"]
    with pytest.raises(InputError, match=r"a\.wav and .*a\.ogg"):
        result_files([Source("a.wav", "a"), Source("x/a.ogg", "a")], out, ".srt")


@pytest.mark.parametrize("extra", [b"", b"\1"])
def test_raw_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: bytes) -> None:
    data = (sound(4000) * 32767).astype("<i2").tobytes() + extra
    path = tmp_path / "x.raw"
    path.write_bytes(data)
    counter: Any = Counter()
    assert transcribe_file(counter, str(path), rate=8_000, beam=3).text == "8000"
    assert counter.options == {"beam": 3}
    assert transcribe_file(counter, str(path), rate=16_000).seconds == 0.25
    assert np.abs(counter.sound - sound(4000)).max() < 1e-3
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert transcribe_file(counter, "-", rate=16_000).text == "4000"


def test_a_file_with_a_header_is_not_raw(folder: Path) -> None:
    for name in ("e.wav", "talks/b.ogg", "talks/deep/c.FLAC"):
        with pytest.raises(InputError, match="--rate"):
            transcribe_file(Counter(), str(folder / name), rate=16_000)  # type: ignore[arg-type]


def test_one_that_fails_does_not_stop_the_rest(folder: Path) -> None:
    bad = folder / "bad.wav"
    bad.write_bytes(b"RIFF no sound")
    sources = find_sounds([str(folder / "e.wav"), str(bad), str(folder / "none.wav"), str(folder / "talks")])
    found = list(transcribe_files(Counter(), sources))  # type: ignore[arg-type]
    assert [heard is not None for _, heard, _ in found] == [True, False, False, True, True, True]
    assert "bad.wav" in found[1][2] and "none.wav" in found[2][2] and "\n" not in found[1][2] + found[2][2]
