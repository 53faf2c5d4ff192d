"""A whole model of the micro size, trained once in some tens of seconds, and the means to talk to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# Much shorter than recipes/smoke, yet long enough for the ear to hear and for every metric to improve.
SHORT: dict[str, dict[str, int]] = {
    "codec": {"steps": 90, "validate_every": 30, "save_every": 30},
    "audio": {"steps": 120, "validate_every": 40, "save_every": 40},
    "vision": {"steps": 48, "validate_every": 16, "save_every": 16, "batch": 16, "data.val_pictures": 30},
    "thinker": {"steps": 16, "validate_every": 8, "save_every": 8},
    "omni": {"steps": 80, "validate_every": 20, "save_every": 20, "data.val_pictures": 9, "data.val_questions": 6},
    "talker": {"steps": 60, "validate_every": 20, "save_every": 20, "data.val_clips": 8},
}


@dataclass
class MicroRun:
    """`folder` holds the weights of all stages; `metrics[stage]` every validation, in order; `settings` are overrides."""

    folder: Path
    settings: dict[str, dict[str, int]]
    metrics: dict[str, list[dict[str, float]]] = field(default_factory=dict)


@pytest.fixture(scope="session", autouse=True)
def no_settings() -> Iterator[None]:
    """No test reads the settings of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUOMNI_CONFIG", "")
        yield


@pytest.fixture(scope="session")
def smoke_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty cache for features and made data, in place until the session ends; one thread, as micro is small."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("MUOMNI_CACHE", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        for name in [name for name in os.environ if name in ("MUOMNI_DATA", "MUOMNI_WEIGHTS", "MUOMNI_DEVICE")]:
            patch.delenv(name)
        yield folder
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def micro_run(smoke_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> MicroRun:
    """The six stages of recipes/smoke, one after the other, much shortened."""
    from muomni_core.training.run import run_stage

    run = MicroRun(tmp_path_factory.mktemp("weights"), SHORT)
    for stage, settings in SHORT.items():
        seen = run.metrics.setdefault(stage, [])
        run_stage(
            stage,
            recipe="smoke",
            out=run.folder,
            overrides={key: str(value) for key, value in settings.items()},
            report=lambda progress, seen=seen: seen.append(progress.metrics) if progress.metrics else None,
            device="cpu",
        )
    return run


@pytest.fixture(scope="session")
def micro_weights(micro_run: MicroRun) -> Path:
    """Weights for `--weights`; not to be written to."""
    return micro_run.folder


@pytest.fixture(scope="session")
def untrained_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the micro size as they are before any training, in a moment; not to be written to."""
    import torch

    from muomni_core import config as configs
    from muomni_core.checkpoint import COMPONENTS, PARENTS, Header, component_tensors, save_stage
    from muomni_core.model.build import BUILDERS
    from muomni_core.model.codec import TRAINING_ONLY
    from muomni_core.text.tokenizer import Tokenizer

    folder = tmp_path_factory.mktemp("untrained")
    tokenizer, prints = Tokenizer.load().fingerprint, {}
    torch.manual_seed(0)
    for stage in ("codec", "audio", "vision", "omni", "talker"):
        fields = COMPONENTS[stage]
        modules = {name: BUILDERS[name](getattr(configs.MICRO, field)) for name, field in fields.items()}
        config = {field: configs.to_dict(getattr(configs.MICRO, field)) for field in fields.values()}
        parents = {parent: prints[parent] for parent in PARENTS[stage]}
        header = Header(stage, config, parents=parents, tokenizer=tokenizer)
        tensors = component_tensors(modules, drop=TRAINING_ONLY)
        prints[stage] = save_stage(folder / f"{stage}.safetensors", tensors, header).fingerprint
    return folder
