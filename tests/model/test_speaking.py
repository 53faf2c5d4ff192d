"""Text to sound piece by piece: joins without clicks, pauses, words in their places, one falling factor."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from muomni_core.audio.vocoder import griffin_lim, scale_down
from muomni_core.config import MICRO
from muomni_core.errors import CheckpointError, InputError
from muomni_core.model.codec import Codec
from muomni_core.model.speaking import Said, Speaker, quiet_edges
from muomni_core.model.talker import Talker
from muomni_core.model.thinker import Thinker
from muomni_core.text.pieces import PARAGRAPH_PAUSE, SENTENCE_PAUSE
from muomni_core.text.tokenizer import Tokenizer

RATE = 16_000
TEXT = "Hello there. How are you?\n\nFine."


class Hum:
    """A vocoder that hums at full height from the first sample to the last; silence is what the tests add."""

    def __init__(self, *peaks: float, quiet: int = 0) -> None:
        self.peaks, self.quiet = itertools.cycle(peaks or (0.5,)), quiet

    def __call__(self, mel: Tensor) -> Tensor:
        sound = (next(self.peaks) * torch.cos(torch.arange(mel.shape[1] * 160, dtype=torch.float64) * 0.1)).float()
        if self.quiet:
            sound[: self.quiet] = sound[-self.quiet :] = 0
        return sound[None]


@pytest.fixture(scope="module")
def components() -> dict[str, Any]:
    torch.manual_seed(0)
    config = MICRO
    talker = Talker(config.talker).eval()
    torch.nn.init.constant_(talker.duration_out.bias, 1.8)  # some five frames a character
    return {"talker": talker, "codec": Codec(config.codec).eval(), "thinker": Thinker(config.thinker).eval()}


def speaker(components: dict[str, Any], vocoder: Any = None, neural: bool = True) -> Speaker:
    parts = components | {"vocoder": vocoder or Hum()}
    return Speaker(lambda stage, name: parts[name], Tokenizer.load(), MICRO, torch.device("cpu"), neural=neural)


def joined(said: list[Said]) -> np.ndarray:
    return np.concatenate([piece.sound for piece in said])


def test_where_pieces_meet_nothing_jumps(components: dict[str, Any]) -> None:
    said = list(speaker(components).say(TEXT + " And " + "more words " * 30))
    sound = joined(said)
    inside = np.abs(np.diff(said[0].sound[200:-200])).max()
    assert len(said) > 4 and inside > 0.04
    assert np.abs(np.diff(np.concatenate([[0], sound, [0]]))).max() <= inside + 1e-6


@pytest.mark.parametrize("quiet", [0, 320, 4800])
def test_pauses_are_as_long_as_the_mark_wants(components: dict[str, Any], quiet: int) -> None:
    """Whatever silence the voice itself leaves at its edges."""
    sound = joined(list(speaker(components, Hum(quiet=quiet)).say(TEXT, speed=0.6)))
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    gaps = np.diff(loud)[np.diff(loud) > 1000] / RATE
    least = quiet / RATE + 0.04  # a voice's own silence at its end is not cut
    assert gaps == pytest.approx([max(SENTENCE_PAUSE, least), max(PARAGRAPH_PAUSE, least)], abs=0.02)


def test_the_same_text_is_the_same_sound_however_it_arrives(components: dict[str, Any]) -> None:
    model = speaker(components)
    whole, parts = (joined(list(model.say(t, temperature=1.0, seed=5))) for t in (TEXT, iter(TEXT)))
    assert np.array_equal(whole, parts)


def test_the_first_sound_comes_before_the_rest_of_the_text(components: dict[str, Any]) -> None:
    taken = []

    def arriving() -> Any:
        for part in ("One. ", "Two. ", "Three. "):
            taken.append(part)
            yield part

    said = speaker(components).say(arriving())
    next(said)
    assert taken == ["One. "]


def test_words_are_where_the_durations_say(components: dict[str, Any]) -> None:
    said = list(speaker(components, Hum(quiet=1600)).say("It's $5. Well-known, isn't it?"))
    words = [word for piece in said for word in piece.words]
    assert [w.word for w in words] == ["it's", "five", "dollars", "well-known", "isn't", "it"]
    assert all(a.start <= a.end <= b.start for a, b in itertools.pairwise(words))
    assert words[0].start > 0 and words[-1].end <= len(joined(said)) / RATE
    second = len(said[0].sound) / RATE
    assert words[2].end <= second < words[3].start
    frame = MICRO.codec.stride * 0.01
    assert words[0].start / frame == pytest.approx(round(words[0].start / frame))


@pytest.mark.parametrize("speed", [0.5, 0.7, 1.5, 2.0])
def test_speed_scales_the_times(components: dict[str, Any], speed: float) -> None:
    plain, other = (list(speaker(components).say("a longer sentence of some words", speed=s)) for s in (1.0, speed))
    assert len(joined(plain)) / len(joined(other)) == pytest.approx(speed, rel=0.05)
    for a, b in zip(plain[0].words, other[0].words, strict=True):
        assert a.start / speed == pytest.approx(b.start, abs=0.03)


def test_a_seed_repeats_bit_for_bit(components: dict[str, Any]) -> None:
    model = speaker(components, neural=False)
    first, again, other = (joined(list(model.say("hello. you.", temperature=1.0, seed=s))) for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert len(first) != len(other) or not np.array_equal(first, other)
    likeliest, too = (joined(list(model.say("hello. you.", temperature=1.0, top_p=0.0, seed=s))) for s in (8, 9))
    assert np.array_equal(likeliest, too)


def test_the_factor_only_falls_and_only_between_pieces(components: dict[str, Any]) -> None:
    said = list(speaker(components, Hum(0.5, 2.0, 1.0, 4.0, 0.5)).say("one. two. three. four. five."))
    assert [piece.factor for piece in said] == pytest.approx([1, 0.5, 0.5, 0.25, 0.25])
    peaks = [np.abs(piece.sound).max() for piece in said]
    assert peaks == pytest.approx([0.5, 1, 0.5, 1, 0.125], rel=0.01)


def test_griffin_lim_is_given_back_unscaled() -> None:
    torch.manual_seed(1)
    mel = torch.randn(1, 40, 128) - 1
    wave = speaker({}, neural=False).wave(mel, "griffin-lim")
    assert wave.abs().max() > 1
    assert torch.allclose(scale_down(wave), griffin_lim(mel), atol=1e-4)


def test_the_vocoder_is_the_one_that_is_meant(components: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="muomni_core")
    assert speaker(components).vocoders == ["neural", "griffin-lim"]
    assert speaker(components, neural=False).vocoders == ["griffin-lim"]
    list(speaker(components).say("a. b. \N{SNOWMAN} c. \N{SNOWMAN}"))
    assert caplog.messages == ["vocoder: neural", "left out, as it cannot be said: \N{SNOWMAN}"]
    caplog.clear()
    list(speaker(components).say("a", vocoder="griffin-lim"))
    assert caplog.messages == ["vocoder: griffin-lim"]
    with pytest.raises(CheckpointError, match="no trained neural vocoder"):
        next(speaker(components, neural=False).say("a", vocoder="neural"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"text": "?! ..."}, "nothing in the text"),
        ({"text": iter([])}, "nothing in the text"),
        ({"text": "a", "voice": "nobody"}, "no voice 'nobody'"),
        ({"text": "a", "vocoder": "organ"}, "no vocoder 'organ'"),
        ({"text": "a", "speed": 3.0}, "speed 3"),
        ({"text": "a", "speed": float("nan")}, "speed nan"),
    ],
)
def test_what_cannot_be_said(components: dict[str, Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(speaker(components).say(**options))


def test_quiet_edges_are_whole_blocks() -> None:
    sound = np.concatenate([np.full(500, 1e-4), np.ones(1000), np.full(330, -1e-4)]).astype(np.float32)
    assert quiet_edges(sound) == (480, 160)  # 1830 samples are 11 blocks, the last of them quiet
    assert quiet_edges(np.zeros(0, np.float32)) == quiet_edges(np.zeros(1000, np.float32)) == (0, 0)
