"""Memory: blocks that keep nothing give the same gradients; batches are parted to fit."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from test_gradients import SETTINGS, build, gradient
from torch import Tensor, nn

from muomni_core.errors import MuOmniError
from muomni_core.training import run
from muomni_core.training.auto_batch import SHARE, fitted, needs, splits
from muomni_core.training.gradients import draw
from muomni_core.training.memory import Held, free_memory
from muomni_core.training.recipe import TrainConfig, load_recipe
from muomni_core.training.recompute import recompute_blocks
from muomni_core.training.state import read_about


class Kept(torch.autograd.graph.saved_tensors_hooks):
    """Counts the bytes that autograd keeps for the backward pass, a storage once, the model's own weights apart."""

    def __init__(self, model: nn.Module) -> None:
        self.total = 0
        self._seen = {p.untyped_storage().data_ptr() for p in model.parameters()}
        super().__init__(self._pack, lambda tensor: tensor)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.total += storage.nbytes()
        return tensor


@pytest.mark.parametrize("name", SETTINGS)
def test_blocks_that_forget_give_the_same_gradients(micro_weights: Path, name: str) -> None:
    dropout = {"model.dropout": "0.3"} if name in ("audio", "vision", "talker") else {}
    experts = {"model.n_experts": "4"} if name == "thinker" else {}
    # One small block has hardly anything to forget.
    deep = {"model.depth": "8"} if name in ("codec", "vocoder") else {}
    blocks_alone = {"data.reader_pictures": "0"} if name == "omni" else {}
    stage: Any = build(name, micro_weights, SETTINGS[name] | dropout | experts | deep | blocks_alone)
    parts = draw(stage, 0, 2, seed=1)
    before = copy.deepcopy(stage.model.state_dict())
    found = []
    for forgets in (False, True):
        stage.model.load_state_dict(before)
        if forgets:
            recompute_blocks(stage.model)
        kept = Kept(stage.model)
        with kept:
            found.append((*gradient(stage, parts), kept.total))
        for book in getattr(stage.model, "codebooks", ()):
            book._pending.clear()
    (one, value, much), (other, again, less) = found
    assert value == pytest.approx(again, rel=1e-6) and less < much
    assert float((one - other).norm() / one.norm()) < 1e-6
    assert stage.model.state_dict().keys() == before.keys()


def test_what_is_held_is_counted_while_it_is_held() -> None:
    size = 4 * 1000
    given, weight = torch.ones(1000), torch.ones(1000, requires_grad=True)
    with Held() as held:
        made = given * 2  # what was there before is not counted
        assert (held.now, held.peak) == (size, size)
        view = made.view(10, 100)
        made.add_(1)
        assert held.now == size
        del made
        assert held.now == size  # the view has it
        del view
        assert (held.now, held.peak) == (0, size)
        (weight.exp().exp()).sum().backward()
    assert held.now == size and 3 * size <= held.peak <= 5 * size  # the gradient is left


def test_a_steps_rows_are_parted_in_all_ways() -> None:
    ways = list(splits(TrainConfig(batch=6, accumulate=2)))
    assert [(w.batch, w.accumulate) for w in ways] == [(12, 1), (6, 2), (4, 3), (3, 4), (2, 6), (1, 12)]
    assert [w.accumulate for w in splits(TrainConfig(batch=6, accumulate=2), 2)] == [2, 4, 6, 12]
    sound = list(splits(TrainConfig(seconds=20.0)))
    assert [w.accumulate for w in sound] == [1, 2, 3, 4] and sound[-1].seconds == 5.0


@pytest.mark.parametrize("name", SETTINGS)
def test_the_smallest_micro_batch_of_every_stage_is_measured(micro_weights: Path, name: str) -> None:
    train = dataclasses.replace(load_recipe("smoke", name).train, precision="float32")
    *_, smallest = splits(train)
    size = {"seconds": str(smallest.seconds)} if smallest.seconds else {"batch": str(smallest.batch)}
    stage = build(name, micro_weights, SETTINGS[name] | size)
    fixed, kept = needs(stage, smallest)
    assert 8 * sum(p.numel() for p in stage.model.parameters()) < fixed and kept > 0


def test_the_largest_batch_that_fits_is_taken(micro_weights: Path) -> None:
    def make(train: TrainConfig) -> Any:
        return build("thinker", micro_weights, {"batch": str(train.batch), "accumulate": str(train.accumulate)})

    train = TrainConfig(batch=8, precision="float32")
    fixed, kept = needs(make(TrainConfig(batch=1)), TrainConfig(batch=1, precision="float32"))
    assert fitted(train, make, 10**12)[0].batch == 8
    chosen, needed = fitted(train, make, int((fixed + 4.5 * kept) / SHARE))
    assert (chosen.batch, chosen.accumulate) == (4, 2) and needed == pytest.approx(fixed + 4 * kept, rel=0.01)
    with pytest.raises(MuOmniError, match=r"even the smallest micro-batch needs about .* recompute=true"):
        fitted(train, make, fixed)


def test_free_memory_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = free_memory(gpu=False)
    assert whole > 10**7
    files = {
        "/proc/meminfo": "MemTotal: 4000 kB\nMemAvailable: 2000 kB\n",
        "/sys/fs/cgroup/memory.max": "1000000",
        "/sys/fs/cgroup/memory.current": "700000",
        "/sys/fs/cgroup/memory.stat": "anon 100\ninactive_file 400000\n",
    }
    monkeypatch.setattr(Path, "read_text", lambda path: files[path.as_posix()])
    assert free_memory(gpu=False) == 700_000
    files["/sys/fs/cgroup/memory.max"] = "max"
    assert free_memory(gpu=False) == 2_048_000


def test_a_run_keeps_the_batch_that_was_found(
    smoke_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"steps": "2", "precision": "float32", "data.val_rows": "2", "recompute": "true"}

    def go(free: int) -> dict[str, Any]:
        monkeypatch.setattr(run, "free_memory", lambda gpu: free)
        given: Any = {"recipe": "smoke", "overrides": settings, "out": tmp_path, "device": "cpu"}
        run.run_stage("thinker", auto_batch=True, **given)
        return read_about(tmp_path / "state" / "thinker.safetensors")["made_for"]["train"]

    torch.manual_seed(0)
    first = go(82_000_000)
    assert first["batch"] < 8 and first["batch"] * first["accumulate"] == 8
    settings["steps"] = "3"
    assert go(10**12)["batch"] == first["batch"]
