"""Presets and their budgets, and configs as JSON and back."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from muomni_core.config import (
    BASE,
    PRESETS,
    TINY,
    CodecConfig,
    MelConfig,
    OmniConfig,
    TalkerConfig,
    VisionConfig,
    from_dict,
    to_dict,
)
from muomni_core.errors import CheckpointError
from muomni_core.model.audio import AudioEncoder
from muomni_core.model.codec import Codec
from muomni_core.model.layers import count_parameters
from muomni_core.model.talker import Talker
from muomni_core.model.thinker import Projector, Thinker
from muomni_core.model.vision import VisionModel
from muomni_core.model.vocoder import NeuralVocoder


def millions(config: OmniConfig) -> dict[str, float]:
    """Parameters of each component, built without memory."""
    with torch.device("meta"):
        modules = {
            "vision": VisionModel(config.vision),
            "audio": AudioEncoder(config.audio),
            "thinker": Thinker(config.thinker),
            "talker": Talker(config.talker),
            "codec": Codec(config.codec),
            "vision_projector": Projector(config.vision.out_width, config.projector),
            "audio_projector": Projector(config.audio.out_width, config.projector),
        }
        return {name: count_parameters(module) / 1e6 for name, module in modules.items()}


def test_base_fills_the_specifications_budget():
    budget = {"vision": 10, "audio": 20, "thinker": 50, "talker": 30, "codec": 5}
    budget |= {"vision_projector": 0.3, "audio_projector": 0.3}
    counted = millions(BASE)
    assert counted.keys() == budget.keys()
    for name, wanted in budget.items():
        assert counted[name] == pytest.approx(wanted, rel=0.10), name
    assert sum(counted.values()) == pytest.approx(120, rel=0.10)


def test_the_active_part_of_bases_experts_is_smaller():
    with torch.device("meta"):
        thinker = Thinker(BASE.thinker)
    assert thinker.config.n_experts > thinker.config.n_active_experts >= 1
    assert thinker.active_parameters() < 0.5 * count_parameters(thinker)


def test_tiny_stays_below_its_bound():
    with torch.device("meta"):
        vocoder = count_parameters(NeuralVocoder(TINY.vocoder)) / 1e6
    assert sum(millions(TINY).values()) + vocoder <= 29


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_together(name):
    config = PRESETS[name]
    assert config.name == name
    assert config.mel == MelConfig()  # one mel
    assert config.mel.n_mels == config.audio.n_mels == config.codec.n_mels == config.vocoder.n_mels == 128
    assert (config.vision.out_width, config.audio.out_width, config.audio.n_symbols) == (128, 192, 98)
    assert config.thinker.width == config.projector.out_width == config.talker.thinker_width == 256
    assert config.thinker.vocab_size == config.vision.vocab_size == 5000
    assert config.thinker.max_positions >= 1024
    assert 2 <= config.talker.n_codebooks <= config.codec.n_codebooks
    assert config.talker.codebook_size == config.codec.codebook_size
    assert config.audio.n_slots * 12.5 >= 50


@pytest.mark.parametrize("config", [*PRESETS.values(), VisionConfig(), CodecConfig(stride=1, depth=0)])
def test_configs_come_back_from_json(config):
    plain = json.loads(json.dumps(to_dict(config)))
    assert from_dict(type(config), plain) == config
    assert isinstance(hash(from_dict(type(config), plain)), int)  # tuples are tuples again, so that caches take it


def test_unknown_and_missing_keys_are_named():
    plain = to_dict(CodecConfig())
    with pytest.raises(CheckpointError, match=r"CodecConfig: unknown keys \['colour'\], missing keys \[\]"):
        from_dict(CodecConfig, plain | {"colour": 1})
    del plain["stride"]
    with pytest.raises(CheckpointError, match=r"CodecConfig: unknown keys \[\], missing keys \['stride'\]"):
        from_dict(CodecConfig, plain)
    nested = to_dict(TINY)
    nested["mel"]["hopp"] = nested["mel"].pop("hop_length")
    with pytest.raises(CheckpointError, match=r"MelConfig: unknown keys \['hopp'\], missing keys \['hop_length'\]"):
        from_dict(OmniConfig, nested)


def test_a_field_that_came_later_may_be_missing():
    """Weights of version 0.3 and before say nothing of a walk: theirs do not."""
    plain = to_dict(TINY.talker)
    del plain["walk"]
    assert from_dict(TalkerConfig, plain) == TINY.talker and TINY.talker.walk == 0


def test_configs_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TINY.codec.stride = 4  # type: ignore[misc]
