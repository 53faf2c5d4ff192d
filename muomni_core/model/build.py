"""Which class and which config each component has, and components out of a stage's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from muomni_core import config as configs
from muomni_core.checkpoint import COMPONENTS, Header, load_component, load_stage
from muomni_core.model.audio import AudioEncoder
from muomni_core.model.codec import Codec
from muomni_core.model.talker import Talker
from muomni_core.model.thinker import Projector, Thinker
from muomni_core.model.vision import VisionModel
from muomni_core.model.vocoder import NeuralVocoder

BUILDERS: dict[str, Any] = {
    "codec": Codec,
    "audio": AudioEncoder,
    "vision": VisionModel,
    "thinker": Thinker,
    "vision_projector": lambda c: Projector(configs.VisionConfig.out_width, c, "vision_projector"),
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


def load_components(path: Path, stage: str, *, tokenizer: str) -> tuple[Header, dict[str, nn.Module]]:
    """All components of a stage's file, built as its header says, frozen and in eval mode.

    Raises CheckpointError as load_stage and load_component do.
    """
    header, tensors = load_stage(path, stage, tokenizer=tokenizer)
    modules: dict[str, nn.Module] = {}
    for name, field in COMPONENTS[stage].items():
        module = BUILDERS[name](configs.from_dict(CONFIGS[field], header.config[field]))
        load_component(module, name, tensors, path)
        modules[name] = module.eval().requires_grad_(False)
    return header, modules
