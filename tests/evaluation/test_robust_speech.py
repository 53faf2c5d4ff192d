"""The check of speech: that it passes what is good and names what is looped, cut, missing or wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from muomni_core.errors import InputError
from muomni_core.evaluation import robust_speech
from muomni_core.evaluation.robust_speech import Rate, check_all, fit_rate, problems_of, report, texts, times
from muomni_core.model.speaking import Said, Word
from muomni_core.text.pieces import pieces

RATE = Rate(0.3, 0.06)


class Voice:
    """Says each character in 60 ms, after 0.2 s of silence and before 0.1 s."""

    vocoders = ("neural", "griffin-lim")

    def __init__(self, slower: float = 1.0, held: str = "", dropped: str = "", loud_end: bool = False) -> None:
        self.slower, self.held, self.dropped, self.loud_end = slower, held, dropped, loud_end

    def speak_pieces(self, text: str, voice: str | None = None, vocoder: str | None = None) -> Iterator[Said]:
        begun = False
        for piece in pieces(text):
            if not piece.text:
                continue
            begun = True
            words = [
                Word(m[0], 0.2 + 0.06 * m.start(), 0.2 + 0.06 * m.end() + 9 * (m[0] == self.held))
                for m in re.finditer(r"[a-z'-]+", piece.text)
                if m[0] != self.dropped
            ]
            sound = np.full(int(16_000 * self.slower * (0.3 + 0.06 * len(piece.text))), 0.3, np.float32)
            if not self.loud_end:
                sound[-1600:] = 0
            yield Said(sound, words, 1.0)
        if not begun:
            raise InputError("nothing can be said")


def seconds(text: str) -> float:
    return sum(len(said.sound) for said in Voice().speak_pieces(text)) / 16_000


def test_there_are_200_texts_of_every_kind_always_the_same() -> None:
    some = texts()
    assert some == texts() and len(some) == 200
    assert {len(text) for _, text in some} >= {1, 600} and max(len(text) for _, text in some) == 600
    assert {kind for kind, _ in some} >= {"one letter", "digits", "punctuation", "capitals", "repeated", "long"}
    assert all(any(p.text for p in pieces(text)) == (kind != "punctuation") for kind, text in some)


def test_the_rate_is_found() -> None:
    assert fit_rate(seconds) == pytest.approx(RATE, abs=1e-3)


def test_a_good_voice_has_no_problems() -> None:
    results = list(check_all(Voice(), RATE, texts()[::7]))  # type: ignore[arg-type]
    assert results and not any(result.problems for result in results)
    assert all(result.ratio == pytest.approx(1, abs=0.05) for result in results)


@pytest.mark.parametrize(
    ("voice", "word"),
    [
        (Voice(slower=3), "3.00 of the predicted"),
        (Voice(slower=0.3), "0.30 of the predicted"),
        (Voice(held="cat"), "looped"),
        (Voice(dropped="cat"), "missing"),
        (Voice(loud_end=True), "loud at its end"),
    ],
)
def test_what_is_wrong_is_named(voice: Voice, word: str) -> None:
    text = "The cat runs. The dog sleeps."
    _, found = problems_of(text, list(voice.speak_pieces(text)), RATE)
    assert word in "; ".join(found)


def test_refusing_and_not_refusing_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(Voice):
        def speak_pieces(self, text: str, voice: str | None = None, vocoder: str | None = None) -> Iterator[Said]:
            raise InputError("no")

    some = [("punctuation", "?!"), ("one word", "cat")]
    assert [r.problems for r in check_all(Mute(), RATE, some)] == [[], ["refused, though it can be said"]]  # type: ignore[arg-type]


def test_times_are_taken_of_every_vocoder_and_shown() -> None:
    measured = times(Voice(), RATE, repeats=1)  # type: ignore[arg-type]
    assert set(measured) == {"neural", "griffin-lim"}
    assert all(9 < found["seconds"] < 11.5 and found["factor"] > 0 for found in measured.values())
    results = list(check_all(Voice(held="cat"), RATE, [("one word", "cat"), ("one word", "dog")]))  # type: ignore[arg-type]
    table = report(results, RATE, measured)
    assert "'cat'" in table and "'dog'" not in table and "griffin-lim: " in table


def test_the_exit_code_says_whether_all_is_well(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    import muomni_core

    class Loader:
        voice = Voice()

        @classmethod
        def load(cls, weights: object) -> Voice:
            return cls.voice

    monkeypatch.setattr(muomni_core, "MuOmni", Loader, raising=False)
    monkeypatch.setattr(robust_speech, "texts", lambda: [("one word", "cat")] * 10)
    assert robust_speech.main(["--count", "3"]) == 0
    Loader.voice = Voice(held="cat")
    assert robust_speech.main(["--count", "3", "--json"]) == 1
    assert capsys.readouterr().out.count("looped or held") >= 3
