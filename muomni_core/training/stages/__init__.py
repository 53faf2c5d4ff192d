"""One small file a stage: model, batches, loss, metrics."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from muomni_core.errors import DataError

# In the order of a whole training.
STAGES = ("codec", "audio", "vision", "thinker", "omni", "talker", "vocoder")


def stage_class(name: str) -> Any:
    """The class `Stage` of muomni_core/training/stages/<name>.py. Raises DataError for a name that is none."""
    if name not in STAGES:
        raise DataError(f"no stage {name!r}; there are: {', '.join(STAGES)}")
    return import_module(f"muomni_core.training.stages.{name}").Stage
