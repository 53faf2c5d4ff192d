"""The clips and the manifest that a judge from outside reads, spoken by a stand-in."""

from __future__ import annotations

import json
import lzma

import numpy as np
import pytest
import soundfile

from muomni_core.errors import DataError, InputError
from muomni_core.evaluation.say import judged_sentences, main, say

TEXTS = [
    "Too short, this.",
    "The cat sits on the mat.",
    "It is 5 o'clock in the morning.",
    "The cat  sits on the mat.",
    " ".join(["word"] * 17),
    "I don't know what to say.",
]


class Tone:
    """Speaks a tenth of a second for every character."""

    def __init__(self):
        self.asked = []

    def speak(self, text, voice=None, vocoder=None):
        self.asked.append((text, voice, vocoder))
        return np.full(len(text) * 1600, 0.1, dtype=np.float32), 16_000


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "text-val.jsonl.xz"
    with lzma.open(path, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps({"text": text}) + "\n" for text in TEXTS)
    return path


def test_sentences_that_suit_a_judge(manifest):
    assert list(judged_sentences(manifest)) == ["The cat sits on the mat.", "I don't know what to say."]


def test_missing_sentences(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl"):
        list(judged_sentences(tmp_path / "none.jsonl"))


def test_clips_and_manifest(tmp_path):
    tone, out = Tone(), tmp_path / "new" / "clips"
    report = say(tone, ["hello there", "good night"], out, voice="slt", vocoder="griffin-lim")
    rows = [json.loads(line) for line in (out / "clips.jsonl").read_text().splitlines()]
    assert rows == [{"audio": "0001.wav", "text": "hello there"}, {"audio": "0002.wav", "text": "good night"}]
    assert [soundfile.info(out / row["audio"]).frames for row in rows] == [17_600, 16_000]
    assert tone.asked == [("hello there", "slt", "griffin-lim"), ("good night", "slt", "griffin-lim")]
    assert report["clips"] == 2 and report["seconds"] == 2.1 and report["real_time_factor"] >= 0


def test_nothing_is_overwritten_or_begun(tmp_path):
    (tmp_path / "0002.wav").write_bytes(b"precious")
    tone = Tone()
    with pytest.raises(InputError, match="--force"):
        say(tone, ["one", "two"], tmp_path)
    assert tone.asked == [] and not (tmp_path / "0001.wav").exists()
    assert (tmp_path / "0002.wav").read_bytes() == b"precious"
    say(tone, ["one", "two"], tmp_path, force=True)
    assert (tmp_path / "0002.wav").read_bytes() != b"precious"


def test_main_says_what_is_missing(tmp_path, capsys):
    assert main(["--sentences", str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_main_says_when_no_sentence_is_left(manifest, tmp_path, capsys):
    assert main(["--sentences", str(manifest), "--out", str(tmp_path / "out"), "--skip", "2"]) == 1
    assert "no sentence" in capsys.readouterr().err
