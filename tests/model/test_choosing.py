"""Which of several answers about a picture is given."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from muomni_core import MuOmni
from muomni_core.model.choosing import (
    NOTHING,
    Answer,
    agreed,
    asks_what_is_seen,
    found_by_reader,
    likeliest_answers,
    loops,
    only_names,
)
from muomni_core.model.fusion import generate

RED = Image.new("RGB", (64, 64), "red")


@pytest.fixture(scope="module")
def omni(micro_weights: Path) -> MuOmni:
    return MuOmni.load(micro_weights, device="cpu")


def test_the_answer_that_has_most_in_common_with_the_others() -> None:
    alike, odd = [Answer([1, 2, last], -4.0) for last in (3, 4, 5)], Answer([9, 8, 7], -4.0)
    none, first, sentences = torch.zeros(4), torch.tensor([1.0, 0.0, 0.0, 0.0]), [False] * 4
    assert agreed([odd, *alike], none, none, sentences) in (1, 2, 3)
    assert agreed([odd, *alike], first, none, sentences) == 0  # the eye is sure
    assert agreed([odd, *alike], none, 10 * first, sentences) in (1, 2, 3)  # the reader knows names
    assert agreed([odd, *alike], none, 10 * first, [True] * 4) == 0
    unlikely = [answer._replace(log_probability=-40.0) for answer in alike]
    assert agreed([odd._replace(log_probability=-0.1), *unlikely], none, none, sentences) == 0
    assert agreed([odd, *alike], none, none, sentences, asked=False) in (1, 2, 3)
    sure = odd._replace(log_probability=-1.0)
    assert agreed([sure, *alike], none, none, sentences, asked=False) == 0  # the Thinker is sure
    assert agreed([Answer([], -1.0), Answer([1], -1.0)], none[:2], none[:2], [False] * 2) == 1
    assert agreed([Answer([], -1.0)], none[:1], none[:1], [False]) == 0


@pytest.mark.parametrize(("likely", "chosen"), [(0.8, {0}), (0.6, {1, 2, 3})])
def test_the_thinker_says_whether_a_thing_is_named(likely: float, chosen: set[int]) -> None:
    name = Answer([9, 8], math.log(likely))
    sentences = [Answer([1, 2, last], math.log(0.01)) for last in (3, 4, 5)]
    for sure in (torch.tensor([5.0, 0, 0, 0]), torch.tensor([0, 5.0, 5.0, 5.0])):
        assert agreed([name, *sentences], sure, sure, [True, False, False, False]) in chosen


def test_what_only_names() -> None:
    assert only_names("I see a cat.") and only_names("These are scissors.") and only_names("This is a dog.")
    assert not only_names("A cat sits on a chair.") and not only_names("")


def test_how_likely_the_reader_finds_words() -> None:
    words = torch.tensor([0.5, 0.25, 0.25]).log()
    assert found_by_reader([0], words) == pytest.approx(math.log(0.5))
    assert found_by_reader([0, 1], words) == pytest.approx(math.log(0.375))
    assert found_by_reader([], words) == NOTHING and found_by_reader([0], None) == 0


def test_loops() -> None:
    assert loops([1, 2, 3, 1, 2, 3], 3)
    assert not loops([1, 2, 3, 1, 2, 4], 3)
    assert not loops([1, 1, 1, 1], 0)
    assert not loops([], 4)


def test_the_likeliest_answers(omni: MuOmni) -> None:
    thinker, end = omni.thinker, omni.tokenizer.end_id
    prompt = omni._asker.turn("What do you see?", RED).embeddings

    def found(count: int, max_tokens: int = 12) -> list[Answer]:
        cache = thinker.new_cache()
        answers = likeliest_answers(thinker, prompt, end, count=count, max_tokens=max_tokens, cache=cache)
        assert cache.length == prompt.shape[1]
        return answers

    answers = found(6)
    assert 1 < len(answers) <= 6 and len({tuple(answer.tokens) for answer in answers}) == len(answers)
    assert [a.log_probability for a in answers] == sorted((a.log_probability for a in answers), reverse=True)
    for tokens, log_probability in answers:
        assert len(tokens) <= 12 and end not in tokens
        with torch.no_grad():
            said = thinker.embed(torch.tensor([tokens], dtype=torch.long))
            logits = thinker.logits(thinker(torch.cat([prompt, said], dim=1)))[0, prompt.shape[1] - 1 :]
        wanted = logits.log_softmax(-1).gather(1, torch.tensor([*tokens, end])[:, None]).sum()
        assert log_probability == pytest.approx(float(wanted), abs=1e-3)
    assert found(1)[0].tokens == list(generate(thinker, prompt, end, max_tokens=12, no_repeat=0))
    assert len(found(4, max_tokens=1)[0].tokens) <= 1


def test_what_the_eye_may_judge(omni: MuOmni) -> None:
    assert asks_what_is_seen("what do you see") and asks_what_is_seen("Describe the scene.")
    assert not asks_what_is_seen("What colour is the circle?") and not asks_what_is_seen("")
    seen, sound = omni._asker.turn(image=RED).seen, (np.zeros(8000, np.float32), 16000)
    assert seen is not None and seen.asked
    unknown = omni._asker.turn(None, RED, sound, transcript=False).seen
    assert unknown is not None and not unknown.asked
    assert omni._asker.turn("Is there a dog?", RED).seen is None
    assert omni._asker.turn(image=[RED, RED]).seen is None


def test_one_candidate_is_the_likeliest_word_by_word(omni: MuOmni) -> None:
    plain = "".join(omni.ask_stream(image=RED, candidates=1, max_tokens=6))
    prompt = omni._asker.turn(image=RED).embeddings
    said = generate(omni.thinker, prompt, omni.tokenizer.end_id, max_tokens=6)
    assert plain.strip() == omni.tokenizer.decode(said).strip()
    assert omni.ask(image=RED, max_tokens=6) == omni.ask(image=RED, max_tokens=6)
    assert omni.ask("Hello?", candidates=1, max_tokens=6) == omni.ask("Hello?", candidates=9, max_tokens=6)


def test_a_conversation_goes_on_from_what_was_chosen(omni: MuOmni) -> None:
    talk = omni.conversation()
    talk.ask(image=RED, max_tokens=6)
    kept = talk._cache
    assert kept is not None
    whole = torch.cat([turn.embeddings for turn in talk._turns], dim=1)
    fresh = omni.thinker.new_cache()
    with torch.no_grad():
        omni.thinker(whole[:, : kept.length], cache=fresh)
    torch.testing.assert_close(kept.keys[..., : kept.length, :], fresh.keys[..., : kept.length, :])
    assert whole.shape[1] - kept.length <= 2  # the last token said and the end are still to be read
