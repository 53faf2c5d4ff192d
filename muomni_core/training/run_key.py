"""What a training state was made for, so that it is not gone on with by another recipe, data or parents by mistake.

How long a run is and how often it looks up is no part of it: that may change from one call to the next.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from muomni_core.config import OmniConfig, to_dict
from muomni_core.training.recipe import TrainConfig

FREE = ("steps", "minutes", "validate_every", "save_every", "log_every", "compile", "workers", "shard", "recompute")

# The fields of [train] when the key was a digest of all of them; later ones are left out of such a key.
EARLY_FIELDS = (
    "steps", "batch", "seconds", "accumulate", "lr", "min_lr", "warmup", "weight_decay", "beta2", "clip", "ema", "seed",
    "validate_every", "save_every", "precision", "compile",
)  # fmt: skip


@dataclass(frozen=True)
class RunKey:
    """Everything that a run's course depends on, as plain JSON values."""

    train: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)  # the recipe's [data]
    model: dict[str, Any] = field(default_factory=dict)  # configs of the stage's components
    init: str | None = None
    data_print: str = ""
    parents: dict[str, str] = field(default_factory=dict)

    def parts(self) -> dict[str, Any]:
        """As it is stored in the state."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def digest(self) -> str:
        parts = self.parts()
        parts["train"] = {k: v for k, v in parts["train"].items() if k not in FREE}
        return _digest(json.dumps(parts, sort_keys=True))

    def early_digest(self, train: dict[str, Any], model: dict[str, Any]) -> str:
        """The key as version 0 had it: a digest of everything, steps included."""
        early = {k: v for k, v in (self.train | train).items() if k in EARLY_FIELDS}
        parts = [early, self.data, model, self.init, self.data_print, self.parents]
        return _digest(json.dumps(parts, sort_keys=True))

    def fits_early(self, key: str, legs: list[dict[str, Any]], model: dict[str, Any]) -> bool:
        """Whether a state of version 0 with this key is of the same run, its FREE fields apart.

        A digest cannot be looked into, so the values are tried that the shipped weights beside it name.

        Args:
            legs: [train] of each leg in the header of the shipped weights.
            model: their configs, which may lack fields that came later.
        """
        trains = [{}, *({k: leg[k] for k in FREE if k in leg} for leg in legs)]
        models = [self.model, *([model] if model and not _differences(model, self.model, _model_defaults()) else [])]
        return any(self.early_digest(t, m) == key for t in trains for m in models)

    def differences(self, parts: dict[str, Any]) -> list[str]:
        """What differs from a state's parts, as "lr was 0.001, is 0.002"; FREE fields never do."""
        mine = self.parts()
        found = []
        for name, defaults in (("train", to_dict(TrainConfig())), ("data", {}), ("model", _model_defaults())):
            found += _differences(parts.get(name) or {}, mine[name], defaults)
        for name in ("init", "data_print", "parents"):
            if parts.get(name) != mine[name]:
                found.append(f"{LABELS[name]} was {_short(parts.get(name))}, is {_short(mine[name])}")
        return found

    def changes(self, parts: dict[str, Any]) -> list[str]:
        """FREE fields that are no longer as the state's, as "steps 100 -> 200"."""
        before = parts.get("train") or {}
        return [
            f"{name} {before[name]} -> {self.train[name]}"
            for name in FREE
            if name in before and name in self.train and before[name] != self.train[name]
        ]


LABELS = {"init": "--init", "data_print": "the training data's fingerprint", "parents": "parents"}


def _model_defaults() -> dict[str, Any]:
    return to_dict(OmniConfig())


def _differences(old: dict[str, Any], new: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    """A field that one side lacks has its default there: it came, or went, with another version."""
    a, b, rest = _flat(old), _flat(new), _flat(defaults)
    names = [n for n in sorted(a.keys() | b.keys()) if n not in FREE]
    pairs = [(n, a.get(n, rest.get(n)), b.get(n, rest.get(n))) for n in names]
    return [f"{n} was {_short(x)}, is {_short(y)}" for n, x, y in pairs if x != y]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
