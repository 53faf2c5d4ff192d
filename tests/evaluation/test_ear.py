"""How the ear is measured: rates by source, the worst rows, confusions; with an ear that mishears on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from muomni_core.audio.io import write_wav
from muomni_core.data.record import Row
from muomni_core.errors import DataError
from muomni_core.evaluation import ear
from muomni_core.evaluation.ear import (
    Result,
    confusions,
    manifest_rows,
    measure,
    readable,
    report,
    substitutions,
    summary,
)
from muomni_core.evaluation.word_times import compare
from muomni_core.model.hearing import Heard
from muomni_core.model.word_times import HeardWord
from muomni_core.text.decoding import Decoding


class WrongEar:
    """Takes its text from the sound's length: 0.1 s a number; says cat for three, nothing for five."""

    def hear(self, blocks: Any, decoding: Decoding) -> Heard:
        n_samples = sum(map(len, blocks))
        word = {1: "one", 2: "two", 3: "cat", 4: "four"}.get(round(n_samples / 1600), "")
        return Heard([HeardWord(word, 0.0, 0.1, 0.5)] if word else [], n_samples / 16_000)


def clips(folder: Path) -> Path:
    """Three sources, in three layouts of a manifest's row, one of them without a file."""
    rows = []
    for place, text in enumerate(["one", "2", "Three!", "four", "five"], start=1):
        write_wav(folder / f"{place}.wav", np.full(1600 * place, 0.1, np.float32))
        rows.append({"audio": f"{place}.wav", "text": text})
    rows += [{"audio": "1.wav"}, {"text": "no sound"}]
    manifest = folder / "mine-val.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def test_a_manifest_is_measured(tmp_path: Path) -> None:
    results = list(measure(WrongEar(), readable(manifest_rows(clips(tmp_path)))))  # type: ignore[arg-type]
    assert [(r.said, r.heard) for r in results] == [
        ("one", "one"),
        ("two", "two"),
        ("three", "cat"),
        ("four", "four"),
        ("five", ""),
    ]
    found = summary(results)
    assert found["wer"] == found["sources"]["mine"]["wer"] == pytest.approx(2 / 5)
    assert found["clips"] == 5 and found["empty"] == 1 and found["seconds"] == pytest.approx(1.5)
    assert [row["said"] for row in found["worst"]] == ["three", "five"]
    assert found["confusions"] == [{"said": "three", "heard": "cat", "count": 1}]
    assert json.loads(json.dumps(found)) == found
    text = report(found)
    assert "40.0" in text and "three -> cat" in text and "heard as empty: 1" in text


def test_limits_and_rows_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = clips(tmp_path)
    assert len(list(readable(manifest_rows(manifest), 2))) == 2
    (tmp_path / "2.wav").write_bytes(b"no sound")
    assert len(list(readable(manifest_rows(manifest)))) == 4
    assert "left out" in capsys.readouterr().err
    with pytest.raises(DataError, match="no such"):
        manifest_rows(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="nothing to measure"):
        summary([])


def test_conditions_are_heard(tmp_path: Path) -> None:
    rows = [(Row("a", "some"), "three", np.full(4800, 0.1, np.float32))]
    assert [r.heard for r in measure(WrongEar(), rows, condition="slow")] == ["four"]  # type: ignore[arg-type]
    assert [r.heard for r in measure(WrongEar(), rows, condition="noise")] == ["cat"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "heard", "pairs"),
    [
        ("a b c", "a b c", []),
        ("the cat sat", "the kat sat", [("cat", "kat")]),
        ("the cat sat", "cat sat", []),
        ("he saw the cat", "he the kat now", [("cat", "kat")]),
        ("four cats", "for cats", [("four", "for")]),
        ("", "a b", []),
        ("a b", "", []),
    ],
)
def test_substitutions(said: str, heard: str, pairs: list[tuple[str, str]]) -> None:
    assert list(substitutions(said.split(), heard.split())) == pairs


def test_the_commonest_come_first() -> None:
    def result(said: str, heard: str) -> Result:
        return Result("k", "s", said, heard, 1.0, 0.1, None)

    found = confusions([result("a cat", "a hat"), result("cat two", "hat too"), result("dog", "dog")])
    assert found == [(("cat", "hat"), 2), (("two", "too"), 1)]


def test_the_table_and_wrong_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rates = {"wer": 0.123, "cer": 0.05, "clips": 7, "seconds": 9.0, "empty": 0}
    found = {"clean": rates | {"sources": {"a": rates}}, "noise": rates | {"wer": 0.5, "sources": {"a": rates}}}
    assert ear.table(found).splitlines()[-1] == "| all | 7 | 12.3 | 50.0 |"
    with pytest.raises(SystemExit):
        ear.main(["--data", str(tmp_path), "--conditions", "odd"])
    assert "odd" in capsys.readouterr().err
    assert ear.main(["--data", str(tmp_path)]) == 1 and "missing" in capsys.readouterr().err


def test_times_are_compared_of_words_heard_right() -> None:
    known = [("one", 0.0, 0.5), ("two", 0.5, 1.0), ("three", 1.0, 1.5)]
    heard = [("one", 0.1, 0.5), ("too", 0.5, 1.0), ("three", 1.0, 1.4)]
    assert compare(known, heard).round(3).tolist() == [[0.1, 0.0], [0.0, -0.1]]
    assert compare(known, []).shape == (0, 2)
