"""What a stage is built from: its recipe, the data root, and the parents that it leans on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from muomni_core.checkpoint import load_component, load_stage
from muomni_core.config import from_dict
from muomni_core.errors import CheckpointError, DataError
from muomni_core.text.tokenizer import Tokenizer
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
    parents: dict[str, str] = field(default_factory=dict)  # fingerprints of what was taken

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
        for folder in self.folders:
            if (folder / f"{stage}.safetensors").is_file():
                return folder / f"{stage}.safetensors"
        raise CheckpointError(f"no {stage}.safetensors: train it first, muomni train --stage {stage}")

    def parent(self, stage: str, component: str, build: Any, config_kind: type) -> Any:
        """A parent's component, loaded, frozen and in eval mode; its fingerprint is noted."""
        path = self.find(stage)
        header, tensors = load_stage(path, stage, tokenizer=self.tokenizer.fingerprint)
        self.parents[stage] = header.fingerprint
        return self.component(path, header.config, tensors, component, build, config_kind)

    @staticmethod
    def component(path: Path, config: dict[str, Any], tensors: Any, name: str, build: Any, kind: type) -> nn.Module:
        from muomni_core.checkpoint import COMPONENTS

        config_field = next(c[name] for c in COMPONENTS.values() if name in c)
        module = build(from_dict(kind, config[config_field]))
        load_component(module, name, tensors, path)
        return module.eval().requires_grad_(False)
