"""Components out of weights files: a header that lies is refused by name, in memory that follows the file."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from muomni_core import config as configs
from muomni_core.errors import CheckpointError
from muomni_core.model.build import load_components


def with_config(folder: Path, path: Path, stage: str, **changed: Any) -> Path:
    """A copy of a stage's file whose header says something else of its component."""
    shutil.copy(folder / f"{stage}.safetensors", path)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    about = json.loads(header["__metadata__"]["muomni"])
    about["config"][stage] |= changed
    header["__metadata__"]["muomni"] = json.dumps(about)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    return path


@pytest.mark.parametrize(
    ("stage", "changed"),
    [
        ("codec", {"width": 100_000}),
        ("codec", {"depth": 1_000_000}),
        ("codec", {"width": 10**12}),
        ("codec", {"width": -1}),
        ("codec", {"width": "32"}),
        ("codec", {"width": 32.0}),
        ("codec", {"width": True}),
        ("codec", {"width": 0}),
        ("codec", {"width": None}),
        ("codec", {"commitment": "much"}),
        ("codec", {"commitment": 1e999}),
        ("codec", {"depth": 2}),
        ("codec", {"unknown": 1}),
        ("audio", {"n_heads": 0}),
        ("audio", {"n_heads": 7}),
        ("audio", {"stem_widths": 8}),
        ("audio", {"stem_widths": [8] * 2_000}),
        ("audio", {"stem_widths": []}),
        ("audio", {"dropout": 7.0}),
        ("talker", {"voices": [1]}),
        ("talker", {"alphabet": 3}),
    ],
)
def test_a_header_that_lies_is_refused(
    untrained_weights: Path, tmp_path: Path, stage: str, changed: dict[str, Any]
) -> None:
    path = with_config(untrained_weights, tmp_path / f"{stage}.safetensors", stage, **changed)
    tracemalloc.start()
    with pytest.raises(CheckpointError) as caught:
        load_components(path, stage, tokenizer="")
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()
    assert "\n" not in str(caught.value)


def test_a_header_without_its_configuration(untrained_weights: Path, tmp_path: Path) -> None:
    path = with_config(untrained_weights, tmp_path / "codec.safetensors", "codec")
    path.write_bytes(path.read_bytes().replace(b'\\"config\\": {\\"codec\\": ', b'\\"config\\": {\\"audio\\": '))
    with pytest.raises(CheckpointError, match="no configuration of the codec"):
        load_components(path, "codec", tokenizer="")


@pytest.mark.parametrize("preset", configs.PRESETS.values(), ids=configs.PRESETS)
def test_every_preset_survives_json(preset: configs.OmniConfig) -> None:
    values = json.loads(json.dumps(configs.to_dict(preset)))
    assert configs.from_dict(configs.OmniConfig, values) == preset
