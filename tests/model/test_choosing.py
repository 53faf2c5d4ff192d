"""Which of several answers about a picture is given."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image

from muomni_core import MuOmni
from muomni_core.model.choosing import agreed, asks_what_is_seen, draw_answers, loops
from muomni_core.model.fusion import generate

RED = Image.new("RGB", (64, 64), "red")


@pytest.fixture(scope="module")
def omni(micro_weights: Path) -> MuOmni:
    return MuOmni.load(micro_weights, device="cpu")


def test_the_answer_that_has_most_in_common_with_the_others() -> None:
    alike, odd = [[1, 2, 3], [1, 2, 4], [1, 2, 5]], [9, 8, 7]
    assert agreed([odd, *alike], torch.zeros(4)) in (1, 2, 3)
    assert agreed([odd, *alike], torch.tensor([1.0, 0.0, 0.0, 0.0])) == 0  # the eye is sure
    assert agreed([[], [1]], torch.zeros(2)) == 1
    assert agreed([[]], torch.zeros(1)) == 0


def test_loops() -> None:
    assert loops([1, 2, 3, 1, 2, 3], 3)
    assert not loops([1, 2, 3, 1, 2, 4], 3)
    assert not loops([1, 1, 1, 1], 0)
    assert not loops([], 4)


def test_draws(omni: MuOmni) -> None:
    thinker, end = omni.thinker, omni.tokenizer.end_id
    prompt = omni._asker.turn("What do you see?", RED).embeddings

    def drawn(seed: int) -> list[list[int]]:
        cache = thinker.new_cache()
        answers = draw_answers(
            thinker, prompt, end, count=6, max_tokens=7, generator=torch.Generator().manual_seed(seed), cache=cache
        )
        assert cache.length == prompt.shape[1]
        return answers

    answers = drawn(1)
    assert answers == drawn(1) != drawn(2)
    assert answers[0] == list(generate(thinker, prompt, end, max_tokens=7, no_repeat=0))
    assert all(len(answer) <= 7 and end not in answer for answer in answers)
    assert len(Counter(map(tuple, answers))) > 1


def test_what_the_eye_may_judge(omni: MuOmni) -> None:
    assert asks_what_is_seen("what do you see") and asks_what_is_seen("Describe the scene.")
    assert not asks_what_is_seen("What colour is the circle?") and not asks_what_is_seen("")
    assert omni._asker.turn(image=RED).seen is not None
    assert omni._asker.turn("Is there a dog?", RED).seen is None
    assert omni._asker.turn(image=[RED, RED]).seen is None


def test_one_is_the_likeliest_and_others_are_one_of_the_drawn(omni: MuOmni) -> None:
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
