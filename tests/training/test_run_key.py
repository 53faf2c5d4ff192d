"""A run may be made longer; by other settings, data or parents it is another one. States of version 0 go on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_loop import Toy, config, go, same_state, saved

from muomni_core.config import MICRO, to_dict
from muomni_core.errors import CheckpointError
from muomni_core.training.loop import Progress, RunState, make_optimiser
from muomni_core.training.recipe import TrainConfig
from muomni_core.training.run_key import EARLY_FIELDS, FREE, RunKey
from muomni_core.training.state import save_state


def key_of(settings: TrainConfig, **more: Any) -> RunKey:
    model = {"codec": to_dict(MICRO.codec)}
    return RunKey(**({"train": to_dict(settings), "data": {"crop": 64}, "model": model, "data_print": "d"} | more))


def early_key(train: TrainConfig, key: RunKey, model: dict[str, Any] | None = None) -> str:
    """As version 0 wrote it."""
    early = {name: value for name, value in to_dict(train).items() if name in EARLY_FIELDS}
    text = json.dumps([early, key.data, model or key.model, key.init, key.data_print, key.parents], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def test_a_run_is_made_longer(tmp_path: Path) -> None:
    short, long = config(steps=6), config(steps=9, save_every=3, validate_every=3)
    go(Toy(), tmp_path / "state", short, key=key_of(short))
    seen: list[Progress] = []
    go(Toy(), tmp_path / "state", long, key=key_of(long), report=seen.append)
    assert seen[0].note == "goes on from step 6 with steps 6 -> 9, validate_every 500 -> 3, save_every 2 -> 3"
    about = saved(tmp_path / "state")[1]
    assert about["step"] == 9 and "step 6: steps 6 -> 9" in about["notes"]
    assert about["made_for"]["train"]["steps"] == 9


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train": {"lr": 0.5}}, "lr was 0.01, is 0.5"),
        ({"data": {"crop": 32}}, "crop was 64, is 32"),
        ({"data": {"crop": 64, "more": 1}}, "more was null, is 1"),
        ({"model": {"codec": to_dict(MICRO.codec) | {"width": 48}}}, "codec.width was 32, is 48"),
        ({"parents": {"omni": "b"}}, 'parents was {}, is {"omni": "b"}'),
        ({"init": "shipped"}, '--init was null, is "shipped"'),
    ],
)
def test_another_run_is_refused_by_what_differs(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    settings = config()
    go(Toy(), tmp_path / "state", settings, key=key_of(settings), stop_after=2)
    before = (tmp_path / "state").read_bytes()
    if "train" in changed:
        changed = {"train": to_dict(settings) | changed["train"]}
    with pytest.raises(CheckpointError) as caught:
        go(Toy(), tmp_path / "state", settings, key=key_of(settings, **changed))
    assert said in str(caught.value) and "another --out" in str(caught.value) and "\n" not in str(caught.value)
    assert (tmp_path / "state").read_bytes() == before


def test_a_field_that_came_later_has_its_default(tmp_path: Path) -> None:
    key = key_of(config())
    older = key.parts()
    del older["train"]["clip"], older["model"]["codec"]["kernel_size"]
    assert key.differences(older) == []
    assert key_of(config(clip=0.5)).differences(older) == ["clip was 1.0, is 0.5"]


def test_every_field_that_was_in_the_first_key_is_known() -> None:
    assert set(EARLY_FIELDS) | set(FREE) == {*to_dict(TrainConfig())}


def test_a_state_of_version_0_goes_on(tmp_path: Path) -> None:
    """What that version wrote: a digest of everything, nothing more."""
    settings, longer = config(), config(steps=8)
    go(Toy(), tmp_path / "whole", settings, stop_after=None)
    go(Toy(), tmp_path / "state", settings, stop_after=4)
    tensors_from = Toy()
    from muomni_core.training.state import load_state

    optimiser = make_optimiser(tensors_from.model, settings)
    about = load_state(tmp_path / "state", tensors_from.model, None, optimiser)
    key = key_of(settings)
    early = {name: about[name] for name in ("bf16", "step", "best", "hours", "metrics", "validated")}
    early["run_key"] = early_key(settings, key)
    save_state(tmp_path / "state", tensors_from.model, None, optimiser, early)
    with pytest.raises(CheckpointError, match="another run"):
        go(Toy(), tmp_path / "state", settings, key=key, fits_early=lambda e: key.fits_early(e + "x", [], {}))
    go(Toy(), tmp_path / "state", settings, key=key, fits_early=lambda e: key.fits_early(e, [], {}))
    same_state(tmp_path / "whole", tmp_path / "state")
    assert saved(tmp_path / "state")[1]["made_for"] == key.parts()
    # And longer, where the weights beside it say how long it was to be.
    longer_key = key_of(longer)
    assert not longer_key.fits_early(early["run_key"], [], {})
    assert longer_key.fits_early(early["run_key"], [to_dict(settings)], {})


def test_configs_that_have_grown_since_version_0_fit() -> None:
    settings = config()
    key = key_of(settings)
    model = {"codec": {k: v for k, v in key.model["codec"].items() if k != "kernel_size"}}
    early = early_key(settings, key, model)
    assert not key.fits_early(early, [], {}) and key.fits_early(early, [], model)
    assert not key.fits_early(early, [], {"codec": model["codec"] | {"width": 48}})


def test_a_state_knows_nothing_that_it_cannot_load(tmp_path: Path) -> None:
    go(Toy(), tmp_path / "state", config(), stop_after=1)
    about = saved(tmp_path / "state")[1]
    assert RunState(**about).step == 1 and torch.isfinite(torch.tensor(about["hours"]))
