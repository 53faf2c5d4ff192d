"""Measures the weights of one stage on the val rows of a recipe, with what the stage's training validates by."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from muomni_core.checkpoint import check_parents, load_component, load_stage
from muomni_core.config import from_dict
from muomni_core.errors import DataError
from muomni_core.model.build import CONFIGS
from muomni_core.model.omni import search_path
from muomni_core.training.recipe import load_recipe
from muomni_core.training.run import build_context
from muomni_core.training.stages import stage_class

# The options of the stages that say how many val rows are looked at.
COUNTS = ("val_clips", "val_pictures", "val_rows", "val_questions")


def evaluate_stage(
    stage: str,
    *,
    recipe: str | Path = "tiny",
    data: Path | None = None,
    weights: Path | None = None,
    limit: int | None = None,
) -> dict[str, float]:
    """The stage's metrics: perplexity and bits a byte; CER and WER; retrieval and naming; log-mel L1 and codebooks in
    use; CER of what is spoken, as heard by our own ear; right answers by kind of question.

    Args:
        recipe: whose [data] names the val rows; the model is as the weights say.
        weights: where stages are looked for first; then in the package.
        limit: at most so many rows (of pictures and of text rows each).
    Raises:
        MuOmniError: data or weights that are missing or do not fit, by name.
    """
    module = stage_class(stage)
    loaded = load_recipe(recipe, stage)
    folders = search_path(weights)
    context = build_context(loaded, data, folders, training=False)
    path = context.find(stage)
    header, tensors = load_stage(path, stage, tokenizer=context.tokenizer.fingerprint)
    components = {name: from_dict(CONFIGS[name], values) for name, values in header.config.items()}
    context.recipe = dataclasses.replace(loaded, model=dataclasses.replace(loaded.model, **components))
    evaluated = module(context)
    check_parents(path, header, context.parents)
    for component, part in evaluated.modules.items():
        load_component(part, component, tensors, path)
    if limit is not None:
        for option in COUNTS:
            if hasattr(evaluated.options, option):
                setattr(evaluated.options, option, _count(evaluated, limit))
    evaluated.model.eval()
    torch.manual_seed(loaded.train.seed)
    return evaluated.validate()


def _count(stage: Any, limit: int) -> int:
    """What the option must be for at most `limit` rows: stages that take every (total // option)th row round up."""
    if stage.name in ("omni", "talker"):
        return limit
    if stage.name == "thinker":
        total = max(1, (len(stage.val.ids) - 1) // stage.options.context)
    else:
        total = len(stage.val)
    if not total:
        raise DataError(f"none of the val rows is of use to the stage {stage.name}: {', '.join(stage.options.val)}")
    return max(1, total // -(-total // limit))
