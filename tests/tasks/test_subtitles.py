"""Subtitles: lines that can be read, in formats that players read; the writers give what was heard and no more."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muomni_core.model.hearing import Heard
from muomni_core.model.word_times import HeardWord
from muomni_core.tasks.subtitles import LINE, LONGEST, PAUSE, WRITERS, clock, cues


def heard(text: str, each: float = 0.3, start: float = 0.0, pauses: dict[int, float] | None = None) -> Heard:
    words, at = [], start
    for place, word in enumerate(text.split()):
        at += (pauses or {}).get(place, 0.0)
        words.append(HeardWord(word, at, at + each, 0.9))
        at += each
    return Heard(words, at + 1.0)


@given(
    st.lists(st.tuples(st.integers(1, 60), st.floats(0.02, 9.0), st.floats(0.0, 3.0)), max_size=60),
)
def test_lines_can_be_read(some: list[tuple[int, float, float]]) -> None:
    words, at = [], 0.0
    for length, seconds, pause in some:
        words.append(HeardWord("x" * length, at + pause, at + pause + seconds, 0.5))
        at += pause + seconds
    made = cues(words)
    assert " ".join(cue.text for cue in made).split() == [w.word for w in words]
    for place, cue in enumerate(made):
        assert len(cue.text) <= LINE or " " not in cue.text
        assert 0 < cue.end - cue.start <= LONGEST + 1e-6
        assert place + 1 == len(made) or cue.end <= made[place + 1].start + 1e-6


def test_lines_break_at_pauses() -> None:
    made = cues(heard("one two three four", pauses={2: PAUSE + 0.1}).words)
    assert [cue.text for cue in made] == ["one two", "three four"]
    assert made[0].end == pytest.approx(1.0)  # it stays a second, as there is time
    assert made[1].start == pytest.approx(0.6 + PAUSE + 0.1)


def test_lines_break_where_a_sentence_ends() -> None:
    made = cues(heard("Yes. We went to the market today. Did you see it?").words)
    assert [cue.text for cue in made] == ["Yes. We went to the market today.", "Did you see it?"]


def test_srt() -> None:
    assert WRITERS["srt"].render("a.wav", heard("one two three", start=3599.5, pauses={2: 2.0})) == (
        "1\n00:59:59,500 --> 01:00:00,500\none two\n\n2\n01:00:02,100 --> 01:00:03,100\nthree\n"
    )


def test_vtt() -> None:
    assert WRITERS["vtt"].render("a.wav", heard("a<b & c")) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na&lt;b &amp; c\n"
    )


def test_tsv() -> None:
    assert WRITERS["tsv"].render("a.wav", heard("one two")) == "start\tend\ttext\n0\t1000\tone two\n"


def test_json_has_words_with_times_and_confidence() -> None:
    line = WRITERS["json"].render("ä.wav", heard("one two"))
    assert line.endswith("}\n") and line.count("\n") == 1 and "ä" in line
    found = json.loads(line)
    assert found == {
        "file": "ä.wav",
        "text": "one two",
        "seconds": 1.6,
        "confidence": 0.9,
        "words": [
            {"word": "one", "start": 0.0, "end": 0.3, "confidence": 0.9},
            {"word": "two", "start": 0.3, "end": 0.6, "confidence": 0.9},
        ],
    }


def test_nothing_was_said() -> None:
    nothing = Heard([], 2.0)
    assert {name: writer.render("a.wav", nothing) for name, writer in WRITERS.items()} == {
        "text": "\n",
        "json": '{"file": "a.wav", "text": "", "seconds": 2.0, "confidence": null, "words": []}\n',
        "srt": "",
        "vtt": "WEBVTT\n",
        "tsv": "start\tend\ttext\n",
    }


@given(st.floats(0, 400_000))
def test_clock(seconds: float) -> None:
    match = re.fullmatch(r"(\d{2,}):([0-5]\d):([0-5]\d),(\d{3})", clock(seconds, ","))
    assert match
    hours, minutes, whole, rest = map(int, match.groups())
    assert 3600 * hours + 60 * minutes + whole + rest / 1000 == pytest.approx(seconds, abs=6e-4)
