"""FSDP2 over two processes comes to what one process has; its checkpoints are read by any number of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import in_processes
from safetensors import safe_open
from test_gradients import SETTINGS, build
from test_loop import config, saved
from test_ranks import Toy, close_states, go
from torch.distributed.tensor import DTensor

from muomni_core.checkpoint import component_tensors
from muomni_core.errors import CheckpointError
from muomni_core.training.loop import train
from muomni_core.training.ranks import ALONE, Ranks
from muomni_core.training.recipe import TrainConfig

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


@pytest.fixture
def meet(tmp_path: Path) -> Path:
    folder = tmp_path / "meet"
    folder.mkdir()
    return folder


def test_a_run_goes_on_parted_or_whole(tmp_path: Path, meet: Path) -> None:
    settings = config(steps=12, accumulate=2, ema=0.9, validate_every=3)
    parted = config(steps=12, accumulate=2, ema=0.9, validate_every=3, shard=True)
    go(Toy(), tmp_path / "state" / "one", settings)
    path = tmp_path / "state" / "many"
    shards = path.with_suffix(".shards")
    in_processes(lambda ranks: go(Toy(), path, parted, ranks, stop_after=3), meet)
    in_processes(lambda ranks: go(Toy(), path, parted, ranks, stop_after=5), meet)  # parts to parts
    assert len(list(shards.iterdir())) == 1  # older ones are removed
    go(Toy(), path, parted, stop_after=6)  # parts to whole
    assert not shards.exists() and saved(path)[1]["step"] == 6
    in_processes(lambda ranks: go(Toy(), path, parted, ranks, stop_after=8), meet)  # whole to parts
    in_processes(lambda ranks: go(Toy(), path, settings, ranks, stop_after=9), meet)  # parts to several that have all
    go(Toy(), path, settings)
    close_states(tmp_path / "state" / "one", path)


def test_the_parts_of_another_model_are_refused(tmp_path: Path, meet: Path) -> None:
    parted = config(accumulate=2, shard=True)
    in_processes(lambda ranks: go(Toy(), tmp_path / "state", parted, ranks, stop_after=2), meet)
    other = Toy()
    other.model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5), torch.nn.Linear(3, 1))
    with pytest.raises(CheckpointError, match="saved by another model config"):
        go(other, tmp_path / "state", parted)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_stage_is_trained_in_parts(micro_weights: Path, tmp_path: Path, meet: Path, name: str) -> None:
    own = {
        "vocoder": {"codec_from": "1", "adversarial_from": "2"},
        "omni": {"data.val_pictures": "4", "data.val_questions": "3"},
    }
    settings = {"accumulate": "2", "ema": "0.9", "steps": "4", "precision": "float32"}
    stage: Any = build(name, micro_weights, SETTINGS[name] | own.get(name, {}) | settings)
    validate, judged = stage.validate, []

    def validate_and_tell() -> dict[str, float]:
        judged.append(validate())
        return judged[-1]

    def run(out: Path, ranks: Ranks = ALONE, shard: bool = False) -> dict[str, Any]:
        stage.ranks, stage.validate = ranks, validate_and_tell
        recipe = TrainConfig(steps=4, warmup=2, accumulate=2, ema=0.9, precision="float32", seed=1, shard=shard)
        sums: dict[str, float] = {}

        def ship(_: Any) -> None:
            tensors = component_tensors(stage.modules, drop=stage.drop)
            assert not any(isinstance(t, DTensor) for t in tensors.values())
            sums.update({k: float(t.detach().double().abs().sum()) for k, t in tensors.items()})

        train(stage, recipe, out, ship=ship, ranks=ranks)
        n_local = sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in stage.model.parameters())
        return {
            "sums": sums,
            "judged": judged,
            "n_local": n_local,
            "n": sum(p.numel() for p in stage.model.parameters()),
        }

    first, second = in_processes(lambda ranks: run(tmp_path / "parts", ranks, True), meet)
    assert second["judged"] == [] and second["sums"] == {}
    assert max(first["n_local"], second["n_local"]) < 0.6 * first["n"]
    alone = run(tmp_path / "one")
    assert first["sums"] == pytest.approx(alone["sums"], rel=1e-3, abs=1e-3)
    score = stage.score.lstrip("-")
    assert first["judged"][0][score] == pytest.approx(alone["judged"][0][score], rel=1e-3, abs=1e-3)
    with safe_open(tmp_path / "parts", framework="pt") as file:
        assert list(file.keys()) == []
