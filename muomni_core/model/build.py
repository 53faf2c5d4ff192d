"""Which class and which config each component has, and components out of a stage's file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from muomni_core import config as configs
from muomni_core.checkpoint import COMPONENTS, Header, load_component, load_stage
from muomni_core.errors import CheckpointError, one_line
from muomni_core.model.audio import AudioEncoder
from muomni_core.model.codec import Codec
from muomni_core.model.talker import Talker
from muomni_core.model.thinker import Projector, Thinker, VisionProjector
from muomni_core.model.vision import VisionModel
from muomni_core.model.vocoder import NeuralVocoder

BUILDERS: dict[str, Any] = {
    "codec": Codec,
    "audio": AudioEncoder,
    "vision": VisionModel,
    "thinker": Thinker,
    "vision_projector": lambda c: VisionProjector(configs.VisionConfig.out_width, c),
    "audio_projector": lambda c: Projector(configs.AudioConfig.out_width, c, "audio_projector"),
    "talker": Talker,
    "vocoder": NeuralVocoder,
}
# By field name of OmniConfig, as headers have them.
CONFIGS: dict[str, type] = {
    "codec": configs.CodecConfig,
    "audio": configs.AudioConfig,
    "vision": configs.VisionConfig,
    "thinker": configs.ThinkerConfig,
    "projector": configs.ProjectorConfig,
    "talker": configs.TalkerConfig,
    "vocoder": configs.VocoderConfig,
}

# Fields of configs of which one must be a multiple of the other; no tensor's shape tells.
SHARED_BY = (("n_heads", "width"), ("text_heads", "text_width"), ("n_kv_heads", "n_heads"))


def load_components(path: Path, stage: str, *, tokenizer: str) -> tuple[Header, dict[str, nn.Module]]:
    """All components of a stage's file, built as its header says, frozen and in eval mode.

    Raises CheckpointError as load_stage and load_component do.
    """
    header, tensors = load_stage(path, stage, tokenizer=tokenizer)
    modules: dict[str, nn.Module] = {}
    for name, field in COMPONENTS[stage].items():
        if field not in header.config:
            raise CheckpointError(f"{path}: its header has no configuration of the {field}")
        module = _build(path, name, configs.from_dict(CONFIGS[field], header.config[field]), tensors)
        load_component(module, name, tensors, path)
        modules[name] = module.eval().requires_grad_(False)
    return header, modules


def _build(path: Path, name: str, config: Any, tensors: dict[str, Tensor]) -> nn.Module:
    try:
        for part, whole in SHARED_BY:
            if hasattr(config, part) and (not getattr(config, part) or getattr(config, whole) % getattr(config, part)):
                raise ValueError(f"{whole} {getattr(config, whole)} is no multiple of {part} {getattr(config, part)}")
        # A header may say anything; memory follows what is in the file.
        with _Bounded(4 * sum(tensor.numel() for tensor in tensors.values()) + 4_000_000):
            return BUILDERS[name](config)
    except CheckpointError:
        raise
    except Exception as error:  # sizes that do not go together, in whatever way the layers notice
        raise CheckpointError(f"{path}: no {name} can be built as its header says ({one_line(error)})") from None


class _Bounded(TorchFunctionMode):
    """While it is on, torch makes so many numbers, and no more."""

    MAKERS = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)
    EACH = 1_000  # that a tensor costs however small it is

    def __init__(self, n_numbers: int):
        super().__init__()
        self.left = n_numbers

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in self.MAKERS:
            sizes = args or (kwargs or {}).get("size", ())
            sizes = sizes[0] if sizes and isinstance(sizes[0], (tuple, list)) else sizes
            self.left -= math.prod(size for size in sizes if isinstance(size, int)) + self.EACH
            if self.left < 0:
                raise ValueError("it is larger than what the file holds")
        return function(*args, **(kwargs or {}))
