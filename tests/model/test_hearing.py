"""Hearing with an ear that reads letters from tones: what it writes is known, so a joint that loses a word shows."""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from muomni_core.evaluation.conditions import not_speech
from muomni_core.model import hearing
from muomni_core.model.hearing import Heard, Listener, believed
from muomni_core.model.joining import Stretch, joined
from muomni_core.model.word_times import HeardWord, timed_words
from muomni_core.text.decoding import SPACE, Decoding, greedy
from muomni_core.text.ngram import ALPHABET
from muomni_core.text.symbols import BLANK, N_SYMBOLS, collapse, decode_symbols, encode_symbols

RATE = 16_000
TONES = {c: 300.0 * 1.12**place for place, c in enumerate(ALPHABET)}
BANDS: dict[str, int] = {}


def say(text: str, letter: float = 0.06, pause: float = 0.06) -> np.ndarray:
    """Each character as a tone, then as much silence; a space is a tone as well."""
    times = np.arange(int(letter * RATE)) / RATE
    fade = np.minimum(1, np.minimum(times, times[::-1]) / 0.01)
    gap = np.zeros(int(pause * RATE))
    parts = [part for c in text for part in (0.3 * fade * np.sin(2 * np.pi * TONES[c] * times), gap)]
    return np.concatenate([gap, *parts, np.zeros(1600)]).astype(np.float32)


class ToneEar:
    """Writes the letter whose tone is the loudest in a slot; hears nothing in the first and last `deaf` slots."""

    config = SimpleNamespace(n_slots=4)

    def __init__(self, deaf: int = 8, sure: float = 0.98) -> None:
        from muomni_core.audio.mel import log_mel

        self.deaf, self.sure = deaf, sure
        self.shapes: set[int] = set()  # mel frames that it was given at once
        self.places = torch.tensor(
            [
                int(log_mel(torch.from_numpy(np.sin(2 * np.pi * f * np.arange(6400) / RATE))).mean(0).argmax())
                for f in TONES.values()
            ]
        )
        self.symbols = torch.tensor(encode_symbols(ALPHABET))

    def __call__(self, mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        self.shapes.add(mel.shape[1])
        heard = mel.masked_fill(torch.arange(mel.shape[1])[None, :, None] >= lengths, -11.5)
        frames = torch.nn.functional.pad(heard, (0, 0, 0, -mel.shape[1] % 8), value=-11.5)
        return frames.view(1, -1, 8 * 128), -(-lengths // 8)

    def ctc_logits(self, frames: Tensor) -> Tensor:
        slots = frames.view(1, -1, 2, 128).mean(2)[0][:, self.places]
        loud, which = slots.max(1)
        written = torch.where(loud > slots.max() - 2.5, self.symbols[which], BLANK)
        written[: self.deaf] = written[len(written) - self.deaf :] = BLANK
        chances = torch.full((len(written), N_SYMBOLS), (1 - self.sure) / (N_SYMBOLS - 1))
        chances[torch.arange(len(written)), written] = self.sure
        return chances.log()[None]


@pytest.fixture
def ear() -> ToneEar:
    return ToneEar()


@pytest.fixture
def listener(ear: ToneEar, monkeypatch: pytest.MonkeyPatch) -> Listener:
    """Tones are no speech: the detector takes all for it here, but in the tests of it."""
    monkeypatch.setattr(hearing, "speech_frames", lambda mel: np.ones(-(-len(mel) // 4), bool))
    parts: dict[str, Any] = {"audio": ear}
    return Listener(lambda stage, name: parts[name], SimpleNamespace(), torch.device("cpu"))  # type: ignore[arg-type]


def sentence(chance: random.Random, n_words: int) -> str:
    return " ".join("".join(chance.choices(ALPHABET[1:27], k=chance.randint(1, 9))) for _ in range(n_words))


def test_a_short_sound(listener: Listener) -> None:
    heard = listener.hear([np.pad(say("hello all"), 3200)])
    assert heard.text == "hello all"
    assert [w.word for w in heard.words] == ["hello", "all"]
    assert heard.confidence == pytest.approx(0.98, abs=0.01)
    assert listener.hear([]).text == "" and listener.hear([np.zeros(1, np.float32)]).text == ""


@pytest.mark.parametrize("seed", range(3))
def test_no_word_is_lost_or_repeated_at_a_joint(listener: Listener, ear: ToneEar, seed: int) -> None:
    """Clips of known text put together, with silence between them or none: 90 seconds, at least four joints."""
    chance = random.Random(seed)
    texts, parts = [], [np.zeros(4000, np.float32)]
    while sum(map(len, parts)) < 90 * RATE:
        texts.append(sentence(chance, chance.randint(3, 12)))
        gap = np.zeros(int(chance.choice([0, 0, 0.3, 2.0]) * RATE), np.float32)
        parts += [say(texts[-1] + " "), gap]
    whole = np.concatenate([*parts, np.zeros(4000, np.float32)])
    heard = listener.hear(np.array_split(whole, 17))
    assert heard.text == " ".join(texts)
    assert max(ear.shapes) <= 2400  # the ear never hears more than 24 seconds at once
    assert all(n % 100 == 0 for n in ear.shapes)  # and few shapes: torch keeps megabytes for each
    starts = [word.start for word in heard.words]
    assert starts == sorted(starts) and all(w.start < w.end for w in heard.words)
    assert heard.seconds == len(whole) / RATE


def test_words_have_the_times_at_which_they_were_said(listener: Listener) -> None:
    """Over a joint, too: a word every second."""
    chance = random.Random(0)
    texts = [sentence(chance, 1)[:5] for _ in range(40)]
    # The tone of the space lies in the pause, well behind the word.
    parts = [np.pad(say(c, 0.06, 0.05), (0, RATE))[:n] for text in texts for c, n in ((text, 12_000), (" ", 4_000))]
    heard = listener.hear([np.concatenate([np.zeros(8000, np.float32), *parts])])
    assert [w.word for w in heard.words] == texts
    for place, (word, text) in enumerate(zip(heard.words, texts, strict=True)):
        start = 0.5 + place + 0.05
        assert word.start == pytest.approx(start, abs=0.08)
        assert word.end == pytest.approx(start + len(text) * 0.06 + (len(text) - 1) * 0.05, abs=0.08)


def test_nothing_is_invented_where_nobody_speaks(ear: ToneEar) -> None:
    """With the real detector, and an ear that would write much."""
    parts: dict[str, Any] = {"audio": ear}
    own = Listener(lambda stage, name: parts[name], SimpleNamespace(), torch.device("cpu"))  # type: ignore[arg-type]
    assert {name: own.hear([sound]).text for name, sound in not_speech().items()} == dict.fromkeys(not_speech(0.1), "")


def test_what_the_ear_is_not_sure_of_was_not_said(listener: Listener, ear: ToneEar) -> None:
    ear.sure = 0.3
    assert listener.hear([np.pad(say("hello all"), 3200)]).text == ""
    words = [HeardWord("yes", 0.0, 0.5, 0.9), HeardWord("no", 0.6, 0.9, 0.3), HeardWord("kx", 3.0, 3.5, 0.2)]
    assert [w.word for w in believed(words)] == ["yes", "no"]  # a phrase is believed as a whole
    assert believed([]) == []


def test_the_beam_hears_the_same(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    sound = np.pad(say("hello all"), 3200)
    assert listener.hear([sound], Decoding(beam=4)).text == "hello all"
    assert "letters.npz" in caplog.text


def test_the_thinker_chooses_among_the_texts(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "thinker_scores", lambda texts: [50.0 * (text == "held") for text in texts])
    rows = np.full((9, N_SYMBOLS), -30.0, np.float32)
    rows[:, BLANK] = 0.0
    for slot, letter in ((1, "h"), (3, "e"), (5, "l"), (7, "d")):
        rows[slot, [*encode_symbols(letter), *encode_symbols("p")]] = np.log([0.2, 0.8])
        rows[slot, BLANK] = -30.0
    assert decode_symbols(listener._decoded(rows, Decoding(16))) == "pppp"
    assert decode_symbols(listener._decoded(rows, Decoding(16, rescore=1.0))) == "held"


def test_confidence_of_nothing() -> None:
    assert Heard([], 1.0).confidence is None and Heard([], 1.0).text == ""


# -- joints by themselves ------------------------------------------------------------------------------------------


def stretch(path: np.ndarray, start: int, stop: int, deaf: int, wild: random.Random) -> Stretch:
    """Posteriors of a part of a path, with letters that were never said, or none, at its inner edges."""
    own = path[start:stop].copy()
    for edge, outer in ((slice(0, deaf), start == 0), (slice(len(own) - deaf, None), stop == len(path))):
        if not outer:
            own[edge] = wild.choice([BLANK, *encode_symbols("z ")])
    logprobs = np.full((len(own), N_SYMBOLS), -9.0, np.float32)
    logprobs[np.arange(len(own)), own] = -0.01
    return Stretch(start, logprobs, np.ones(len(own), bool), np.zeros(len(own)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), overlap=st.integers(90, 140), deaf=st.integers(0, 10))
def test_joined_stretches_say_what_the_whole_says(seed: int, overlap: int, deaf: int) -> None:
    chance = random.Random(seed)
    path: list[int] = []
    for symbol in encode_symbols(sentence(chance, 60)):
        path += [symbol] * chance.randint(1, 2) + [BLANK] * chance.choice([1, 1, 2, 3])
        if symbol == SPACE and chance.random() < 0.1:
            path += [BLANK] * chance.randint(10, 100)
    whole = np.array(path)
    cuts = list(range(300, len(whole) - 150, chance.randint(250, 400)))
    edges = [0, *cuts, len(whole)]
    parts = [
        stretch(whole, max(0, a - overlap // 2), min(len(whole), b + overlap // 2), deaf, chance)
        for a, b in itertools.pairwise(edges)
    ]
    made = list(joined(parts))
    assert [one.end for one in made[:-1]] == [other.start for other in made[1:]]
    assert made[0].start == 0 and made[-1].end == len(whole)
    said = " ".join(decode_symbols(greedy(one.logprobs)) for one in made)
    assert said.split() == decode_symbols(collapse(path)).split()


def test_times_of_words_are_about_their_sound() -> None:
    path = np.zeros(100, int)
    for slot, letter in ((30, "h"), (34, "i"), (60, "y"), (64, "o"), (66, "u")):
        path[slot] = encode_symbols(letter)[0]
    path[45] = SPACE
    one = stretch(path, 0, 100, 0, random.Random(0))
    loudness = np.full(100, -80.0)
    loudness[26:41] = loudness[56:75] = -20.0
    words = timed_words(Stretch(50, one.logprobs, one.speech, loudness), encode_symbols("hi you"))
    assert [w.word for w in words] == ["hi", "you"]
    assert [w.start for w in words] == pytest.approx([1.52, 2.12], abs=0.041)
    assert [w.end for w in words] == pytest.approx([1.82, 2.5], abs=0.041)
    assert words[0].confidence == pytest.approx(0.99, abs=0.01)
    assert timed_words(one, []) == []
