"""The vocoder's stage: what a batch holds, whose rows are drawn, and a game that both sides learn from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from muomni_core.audio.mel import log_mel
from muomni_core.errors import DataError
from muomni_core.training.gradients import backward, draw
from muomni_core.training.recipe import load_recipe
from muomni_core.training.run import build_context
from muomni_core.training.stages import stage_class
from muomni_core.weights import SHIPPED

VOICES = ["speech/smoke_low-train-*.tar", "speech/smoke_high-train-*.tar"]


def build(weights: Path, **options: Any) -> Any:
    """The stage of recipes/smoke, with its codec."""
    overrides = {"batch": str(options.pop("batch", 4)), "accumulate": str(options.pop("accumulate", 1))}
    overrides |= {"data.codec_from": "0", "data.adversarial_from": "0", "data.crop": "16"}
    overrides |= {f"data.{name}": json.dumps(value) for name, value in options.items()}
    recipe = load_recipe("smoke", "vocoder", overrides)
    torch.manual_seed(0)
    stage = stage_class("vocoder")(build_context(recipe, None, [weights, SHIPPED], training=True))
    stage.model.train()
    return stage


def test_a_batch_is_sound_and_what_to_do_with_it(micro_weights: Path) -> None:
    stage = build(micro_weights, codec_share=0.75)
    (drawn,) = draw(stage, 0, 1, seed=1)
    assert drawn.batch.sound.shape == (4, 16 * 160)
    assert drawn.batch.coded.tolist() == [True, True, True, False]
    mel = torch.randn(4, 16, 128) - 5
    given = stage._through_codec(mel, drawn.batch.coded)
    assert torch.equal(given[3], mel[3]) and not torch.equal(given[0], mel[0])
    assert given[:3].equal(stage.codec.decode(stage.codec.encode(mel[:3]), 16))
    assert stage._through_codec(mel, torch.zeros(4, dtype=torch.bool)).equal(mel)


def test_codec_and_judges_come_in_when_they_are_told_to(micro_weights: Path) -> None:
    stage = build(micro_weights, codec_from=2, adversarial_from=3)
    batches = [draw(stage, step, 1, seed=1)[0].batch for step in range(4)]
    assert [bool(b.coded.any()) for b in batches] == [False, False, True, True]
    assert [b.adversarial for b in batches] == [False, False, False, True]


def test_shares_say_whose_rows_are_drawn(micro_weights: Path) -> None:
    stage = build(micro_weights, train=VOICES, shares=[0.0, 1.0])
    n_low = len(build(micro_weights, train=VOICES[:1]).clips)
    assert all(i >= n_low for index in range(10) for i in stage.sampler(index))
    for wrong in ([1.0], [0.5, 0.5, 0.5], [-1.0, 2.0]):
        with pytest.raises(DataError, match="shares should be one number of 0 or more for each pattern"):
            build(micro_weights, train=VOICES, shares=wrong)
    with pytest.raises(DataError, match="no two patterns should name the same clips"):
        build(micro_weights, train=[*VOICES, VOICES[0]], shares=[1.0, 1.0, 1.0])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_both_sides_learn_in_one_step(micro_weights: Path, accumulate: int) -> None:
    stage = build(micro_weights, batch=2, accumulate=accumulate)
    optimiser = torch.optim.AdamW(stage.model.parameters(), lr=2e-3)
    drawn = draw(stage, 0, accumulate, seed=1)
    before = {name: p.detach().clone() for name, p in stage.model.named_parameters()}

    def likeness() -> float:
        with torch.no_grad():
            (made,) = stage.embed(drawn[0].batch)
            return float(stage._likeness(made, drawn[0].batch.sound, log_mel(drawn[0].batch.sound)))

    first = likeness()
    for _ in range(40):
        optimiser.zero_grad()
        value, seconds = backward(stage, drawn)
        assert value > 0 and seconds == pytest.approx(2 * accumulate * 0.16)
        optimiser.step()
    assert all(not torch.equal(p.detach(), before[name]) for name, p in stage.model.named_parameters())
    assert likeness() < first  # of what it has learned by heart
    last = stage.validate()
    assert last.keys() == {"spectral", "mel_l1", "spectral_codec", "mel_l1_codec"}
    assert all(value > 0 for value in last.values())
