"""What a stage is built from: its recipe, the data root, and the parents that it leans on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from muomni_core.checkpoint import find_file
from muomni_core.errors import CheckpointError, DataError
from muomni_core.model.build import load_components
from muomni_core.text.tokenizer import Tokenizer
from muomni_core.training.ranks import ALONE, Ranks
from muomni_core.training.recipe import Recipe

T = TypeVar("T")


@dataclass
class Context:
    """Passed to a stage's constructor. `training` is False where only `validate` will be called."""

    recipe: Recipe
    root: Path
    tokenizer: Tokenizer
    folders: list[Path]  # where parents are looked for, in order: --out, --weights, the package
    training: bool = True
    # Where parents are put, and where losses and validation run.
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    ranks: Ranks = ALONE  # the processes that train together
    parents: dict[str, str] = field(default_factory=dict)  # fingerprints of what was taken
    legs_before: int = 0  # trainings behind the weights that `--init` gave

    @property
    def order_seed(self) -> int:
        """Seed of what comes when. A training that goes on from another doesn't begin with the same batches again.

        It did once: four legs of some hundred steps each read the same windows of text first, which the Thinker then
        knew by heart (1.1 nats a token there, 3.1 of the rest), and forgot English by it.
        """
        return self.recipe.train.seed + self.legs_before

    def options(self, kind: type[T]) -> T:
        """The recipe's [data] as the stage's own dataclass. Raises DataError for a missing, unknown or mistyped key."""
        known = {f.name: f for f in dataclasses.fields(kind)}
        where = f"recipe {self.recipe.name}: [data]"
        for key in self.recipe.data:
            if key not in known:
                raise DataError(f"{where}: no option {key!r}; there are: {', '.join(known)}")
        missing = [
            name
            for name, f in known.items()
            if name not in self.recipe.data
            and f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise DataError(f"{where}: {missing[0]!r} is missing")
        values = {}
        for key, value in self.recipe.data.items():
            wanted = str(known[key].type).partition("[")[0]
            if wanted == "float" and type(value) is int:
                value = float(value)
            if type(value).__name__ != wanted:
                raise DataError(f"{where}: {key} should be of type {known[key].type}, got {value!r}")
            values[key] = value
        return kind(**values)

    def find(self, stage: str) -> Path:
        """The file of a parent stage. Raises CheckpointError where no folder has it."""
        path = find_file(self.folders, f"{stage}.safetensors")
        if path is None:
            raise CheckpointError(f"no {stage}.safetensors: train it first, muomni train --stage {stage}")
        return path

    def parent(self, stage: str) -> dict[str, Any]:
        """A parent stage's components by name, frozen, in eval mode, on the device; its fingerprint is noted."""
        header, modules = load_components(self.find(stage), stage, tokenizer=self.tokenizer.fingerprint)
        self.parents[stage] = header.fingerprint
        return {name: module.to(self.device) for name, module in modules.items()}
