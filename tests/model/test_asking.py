"""Asking on a real, if tiny, model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from muomni_core import MuOmni
from muomni_core.data.chat import IMAGE_SLOT
from muomni_core.data.smoke import VOICES, say
from muomni_core.errors import InputError
from muomni_core.model.asking import SHORTEST_ANSWER, _places
from muomni_core.model.attention import attention_weights
from muomni_core.model.fusion import generate


@pytest.fixture(scope="module")
def omni(micro_weights: Path) -> MuOmni:
    return MuOmni.load(micro_weights, device="cpu")


def sound(text: str = "good dog") -> np.ndarray:
    return say(text, VOICES[0], np.random.default_rng(3))


RED, BLUE = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")


def test_several_pictures_stand_one_after_another(omni: MuOmni) -> None:
    one, two = omni._asker.turn("Which?", RED), omni._asker.turn("Which?", [RED, BLUE])
    n_frames = 1 + omni.config.projector.picture_grid**2
    assert two.embeddings.shape[1] == one.embeddings.shape[1] + n_frames + 1
    first, second = two.picture_places
    torch.testing.assert_close(two.embeddings[:, first], one.embeddings[:, one.picture_places[0]])
    swapped = omni._asker.turn("Which?", [BLUE, RED])
    torch.testing.assert_close(swapped.embeddings[:, second], two.embeddings[:, first])
    assert omni.ask("Which?", image=[RED]) == omni.ask("Which?", image=RED)
    assert omni.ask(image=(RED, BLUE)) == omni.ask("What do you see?", image=[RED, BLUE])


def test_places_of_pictures() -> None:
    ids = [2, 4, IMAGE_SLOT, IMAGE_SLOT, 4, IMAGE_SLOT, 9]
    assert _places(ids, [2, 1]) == [slice(2, 4), slice(5, 6)]
    assert _places([2, 9], []) == []


def test_too_many_pictures_are_refused(omni: MuOmni) -> None:
    with pytest.raises(InputError, match="too long"):
        omni.ask("Which?", image=[RED] * 200)
    with pytest.raises(InputError, match="nothing is asked"):
        omni.ask(image=[])


def test_an_answer_ends_with_the_context(omni: MuOmni, monkeypatch: pytest.MonkeyPatch) -> None:
    question = "dog " * 900
    turn = omni._asker.turn(question)
    left = omni._asker.context - turn.embeddings.shape[1]
    assert SHORTEST_ANSWER <= left < 1024
    assert len(list(omni._asker.tokens(turn.embeddings, max_tokens=1024))) <= left


def test_a_spoken_question_goes_through_the_encoder_once(omni: MuOmni) -> None:
    calls: list[int] = []
    encoder = omni._component("audio", "audio")
    hook = encoder.register_forward_hook(lambda *_: calls.append(1))
    heard, frames = omni.listener.hear_with_frames(sound())
    assert len(calls) == 1
    calls.clear()
    omni.ask(audio=(sound(), 16_000))
    assert len(calls) == 1
    hook.remove()
    again = omni.listener.hear([sound()])
    assert heard.text == again.text != ""
    assert [w.confidence for w in heard.words] == pytest.approx([w.confidence for w in again.words], rel=1e-5)
    torch.testing.assert_close(frames, omni.listener.frames(sound()))


def test_the_thinker_is_given_plain_words(omni: MuOmni, caplog: pytest.LogCaptureFixture) -> None:
    """People read case and marks; what stands beside a question's frames is what the Thinker has learned from."""
    wave = (sound(), 16_000)
    plain, written = omni.listen(wave, plain=True), omni.listen(wave)
    assert omni.transcribe(wave, plain=True) == plain.text == plain.text.lower() != omni.transcribe(wave)
    assert written.text[0].isupper() and written.text[-1] in ".?!"
    assert [w[1:] for w in written.words] == [w[1:] for w in plain.words]
    with caplog.at_level(logging.INFO, logger="muomni_core"):
        omni.ask(audio=wave)
    assert f"heard: {plain.text}" in caplog.messages


def test_a_long_sound_is_heard_as_ever(omni: MuOmni) -> None:
    long = np.concatenate([sound(), np.zeros(16_000, np.float32)] * 12)[: 25 * 16_000]
    heard, frames = omni.listener.hear_with_frames(long)
    assert heard == omni.listener.hear([long])
    assert frames.shape[1] == -(-len(long) // 160 // 8) or frames.shape[1] == -(-(len(long) // 160) // 8)


def test_without_transcript_nothing_is_written(omni: MuOmni, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = (sound(), 16_000)
    with_words = omni._asker.turn(audio=wave).embeddings.shape[1]

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the ear wrote a transcript")

    monkeypatch.setattr(omni.listener, "hear_with_frames", refuse)
    assert omni._asker.turn(audio=wave, transcript=False).embeddings.shape[1] < with_words
    assert isinstance(omni.ask(audio=wave, transcript=False), str)


# --- conversations


def test_a_conversation_is_what_one_reading_gives(omni: MuOmni) -> None:
    """With the cache, the third answer is what the whole conversation, read at once, leads to."""
    talk = omni.conversation()
    talk.ask("Hello", image=RED, max_tokens=6)
    talk.ask("And what is this?", image=BLUE, max_tokens=6)
    before = torch.cat([turn.embeddings for turn in talk._turns], dim=1)
    third = talk.ask("Who are you?", max_tokens=8)
    turn = omni._asker.turn("Who are you?")
    tokens = omni._asker.tokens(torch.cat([before, turn.embeddings], dim=1), max_tokens=8)
    assert third == omni.tokenizer.decode(tokens).strip()
    assert len(talk) == 3


def test_the_cache_reads_everything_once(omni: MuOmni) -> None:
    lengths: list[int] = []
    hook = omni.thinker.register_forward_hook(lambda module, args, out: lengths.append(args[0].shape[1]))
    talk = omni.conversation()
    for _ in range(4):
        talk.ask("Hello there, how are you?", max_tokens=4)
    hook.remove()
    assert sum(lengths) <= talk.n_tokens


def test_what_was_said_changes_what_comes(omni: MuOmni) -> None:
    talk = omni.conversation()
    first = talk.ask("Hello", max_tokens=8)
    assert first == omni.ask("Hello", max_tokens=8)
    talk.reset()
    assert len(talk) == 0 and talk.ask("Hello", max_tokens=8) == first


def test_the_oldest_turns_are_forgotten_and_that_is_said(
    omni: MuOmni, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("muomni_core"), "propagate", True)
    talk = omni.conversation()
    talk.ask("What is this?", image=RED, max_tokens=2)
    for _ in range(12):
        talk.ask("dog " * 120, max_tokens=4)
        assert talk.n_tokens <= omni._asker.context
    said = [record.getMessage() for record in caplog.records if "forgot" in record.getMessage()]
    assert said and "a picture" in said[0] and "1024 tokens" in said[0]
    assert "a picture" not in said[-1] and len(talk) < 13


def test_an_answer_that_is_left_is_remembered_as_far_as_it_went(omni: MuOmni) -> None:
    talk = omni.conversation()
    answer = talk.ask_stream("Hello", max_tokens=20)
    piece = next(answer)
    n_before = omni._asker.turn("Hello").embeddings.shape[1]
    answer.close()
    assert n_before < talk.n_tokens <= n_before + 3 + len(omni.tokenizer.encode(piece))
    assert isinstance(talk.ask("And?"), str)


def test_a_question_that_is_refused_leaves_no_trace(omni: MuOmni) -> None:
    talk = omni.conversation()
    with pytest.raises(InputError):
        talk.ask(" ")
    assert len(talk) == 0


# --- attention


def test_attention_is_that_of_the_forward_pass(omni: MuOmni) -> None:
    """Weights made again, applied to the values, give what the layer itself hands on."""
    thinker = omni.thinker
    embeddings = omni._asker.turn("What?", RED).embeddings
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    layer = thinker.blocks[0].attention
    hook = layer.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    weights = attention_weights(thinker, embeddings)
    hook.remove()
    x, out = seen[0]
    length = x.shape[1]
    v = layer.kv(x).view(length, 2, layer.n_kv_heads, layer.head_width)[:, 1].transpose(0, 1)
    mixed = weights[0] @ v.repeat_interleave(layer.n_heads // layer.n_kv_heads, dim=0)
    torch.testing.assert_close(layer.out(mixed.transpose(0, 1).reshape(1, length, -1)), out, atol=1e-5, rtol=1e-4)
    assert len(weights) == len(thinker.blocks)


def test_shares_of_attention(omni: MuOmni) -> None:
    grid = omni.config.projector.picture_grid
    shares = omni.attention("a red thing", "What?", [RED, BLUE])
    assert shares.shape == (2, grid, grid) and shares.sum() == pytest.approx(1.0, abs=1e-5)
    assert omni.attention("", "What?", RED).shape == (1, grid, grid)
    with pytest.raises(InputError, match="no picture"):
        omni.attention("yes", "What?")


# --- decoding


def test_runs_are_not_said_twice(omni: MuOmni) -> None:
    thinker = omni.thinker
    prompt = omni._asker.turn("Hello").embeddings

    def said(no_repeat: int) -> list[int]:
        return list(generate(thinker, prompt, -1, max_tokens=40, no_repeat=no_repeat))

    for n in (1, 2, 4):
        runs = [tuple(said(n)[i : i + n]) for i in range(40 - n + 1)]
        assert len(set(runs)) == len(runs)


def test_a_seed_repeats_an_answer(omni: MuOmni) -> None:
    options = {"temperature": 1.5, "max_tokens": 12}
    answers = [omni.ask("Hello", seed=seed, **options) for seed in (1, 1, 2, 3, 4)]
    assert answers[0] == answers[1] and len(set(answers)) > 1
