"""The configuration of every component, as frozen dataclasses, and the presets `tiny` and `base`.

Interface widths (128, 192, 256, 5000) are the specification's. Inner widths and depths are free, chosen to fill
each component's parameter budget.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

from muomni_core.errors import CheckpointError

LARGEST, LONGEST = 1_000_000, 1_000  # of a number and a list in a configuration that comes out of a file
LATER = {"later": True}  # metadata of a field that headers of format 1 may lack: its default is what there was before


@dataclass(frozen=True)
class MelConfig:
    """The one mel of encoder, codec and vocoder: 100 frames a second of 128 log-magnitude bands."""

    sample_rate: int = 16_000
    n_fft: int = 1024
    win_length: int = 640
    hop_length: int = 160
    n_mels: int = 128
    f_min: float = 0.0
    f_max: float = 8000.0
    floor: float = 1e-5


@dataclass(frozen=True)
class VisionConfig:
    """ViT with a convolutional stem, and the text tower that it is trained against."""

    image_size: int = 224
    patch_size: int = 16
    stem_widths: tuple[int, ...] = (32, 64, 128)  # channels at 1/2, 1/4 and 1/8 of the picture's sides
    stem_blocks: int = 2  # residual blocks at each size
    width: int = 192
    depth: int = 4
    n_heads: int = 4
    dropout: float = 0.0  # augmentation does its work, at no cost
    out_width: int = 128
    text_width: int = 128
    text_depth: int = 2
    text_heads: int = 4
    text_context: int = 64
    vocab_size: int = 5000


@dataclass(frozen=True)
class AudioConfig:
    """AuT encoder: convolutions to 12.5 Hz, conformer blocks, CTC head in sub-frame slots."""

    n_mels: int = 128
    stem_widths: tuple[int, ...] = (32, 48, 64)
    width: int = 192
    depth: int = 8
    n_heads: int = 4
    ffn_multiple: int = 3
    kernel_size: int = 15
    dropout: float = 0.1
    out_width: int = 192
    n_slots: int = 4
    n_symbols: int = 98


@dataclass(frozen=True)
class ThinkerConfig:
    """Decoder-only language model: RMSNorm, RoPE, GQA, SwiGLU, tied embedding, optional experts."""

    vocab_size: int = 5000
    width: int = 256
    depth: int = 9
    n_heads: int = 4
    n_kv_heads: int = 2
    ffn_width: int = 704
    max_positions: int = 1024
    rope_base: float = 10_000.0
    n_experts: int = 0  # 0: a plain MLP in every block
    n_active_experts: int = 2
    balance_weight: float = 0.01


@dataclass(frozen=True)
class ProjectorConfig:
    """Two-layer MLP with norm, from an encoder's width to the Thinker's; and how much of a picture goes through it."""

    hidden: int = 384
    out_width: int = 256
    picture_size: int = 112  # pixels a side that the eye is given for a question; 224 gives all 196 patches
    picture_grid: int = 4  # CLS and grid x grid pooled patches are what the Thinker sees; 0: CLS alone
    picture_positions: bool = field(default=False, metadata=LATER)  # whether each of them has a learned place added
    picture_words: bool = field(default=False, metadata=LATER)  # whether a reader tells which words belong to it
    reader_dropout: float = field(default=0.0, metadata=LATER)  # in its training: there are few pictures


@dataclass(frozen=True)
class TalkerConfig:
    """Characters and Thinker states, laid out frame by frame, to codes: base, then residual given base."""

    alphabet: str = " abcdefghijklmnopqrstuvwxyz'.,?!-;:"  # id 0 is the padding, id 1 the alphabet's first
    voices: tuple[str, ...] = ("slt", "kathleen")
    thinker_width: int = 256
    width: int = 192
    char_depth: int = 3
    frame_depth: int = 5
    n_heads: int = 4
    kernel_size: int = 9
    ffn_multiple: int = 2
    dropout: float = 0.1
    n_codebooks: int = 2
    codebook_size: int = 1024
    walk: int = field(default=0, metadata=LATER)  # frames a step, each told what was said before; 0: all at once


@dataclass(frozen=True)
class CodecConfig:
    """RVQ codec over mel frames. `stride=1, depth=0` is the specification's frame-wise codec."""

    n_mels: int = 128
    width: int = 224
    depth: int = 3  # residual blocks on either side of the quantiser
    kernel_size: int = 5
    latent_width: int = 32
    stride: int = 2
    n_codebooks: int = 4  # a file keeps all of them (2 kbit/s); the Talker says the first of them
    codebook_size: int = 1024
    commitment: float = 0.25
    decay: float = 0.99


@dataclass(frozen=True)
class VocoderConfig:
    """Neural vocoder with an iSTFT head (Vocos, Siuzdak 2023); Griffin-Lim has no parameters."""

    n_mels: int = 128
    width: int = 192
    depth: int = 7
    ffn_multiple: int = 3
    kernel_size: int = 7


@dataclass(frozen=True)
class OmniConfig:
    """All components of one model."""

    name: str = "tiny"
    mel: MelConfig = field(default_factory=MelConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    thinker: ThinkerConfig = field(default_factory=ThinkerConfig)
    projector: ProjectorConfig = field(default_factory=ProjectorConfig)
    talker: TalkerConfig = field(default_factory=TalkerConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    vocoder: VocoderConfig = field(default_factory=VocoderConfig)


TINY = OmniConfig(projector=ProjectorConfig(picture_positions=True, picture_words=True))

# Sizes that tests and `recipes/smoke` use: every mechanism, hardly any arithmetic. The eye's first convolution has 16
# channels, as PyTorch 2.11's gradient of one with 8 writes beyond its memory on processors with AVX-512.
MICRO = OmniConfig(
    name="micro",
    vision=VisionConfig(
        stem_widths=(16, 8, 16), stem_blocks=1, width=32, depth=1, n_heads=2, text_width=32, text_depth=1, text_heads=2
    ),
    audio=AudioConfig(stem_widths=(8, 8, 16), width=64, depth=1, n_heads=2, ffn_multiple=2),
    thinker=ThinkerConfig(depth=1, ffn_width=128),
    projector=ProjectorConfig(hidden=64, picture_positions=True, picture_words=True),
    talker=TalkerConfig(width=64, char_depth=1, frame_depth=1, n_heads=2, codebook_size=64),
    codec=CodecConfig(width=32, depth=1, latent_width=16, n_codebooks=2, codebook_size=64),
    vocoder=VocoderConfig(width=32, depth=1),
)

# The specification's budget; depths are set so that each component counts within 10% of it.
BASE = OmniConfig(
    name="base",
    vision=VisionConfig(width=288, depth=6, n_heads=6),
    audio=AudioConfig(width=288, depth=12, n_heads=6),
    thinker=ThinkerConfig(depth=12, ffn_width=640, n_experts=8),
    projector=ProjectorConfig(hidden=704, picture_positions=True),
    talker=TalkerConfig(width=448, char_depth=4, frame_depth=8, n_heads=8),
    codec=CodecConfig(width=288, depth=4),
    vocoder=VocoderConfig(width=384, depth=8),
)

PRESETS = {"tiny": TINY, "base": BASE, "micro": MICRO}


def to_dict(config: Any) -> dict[str, Any]:
    """A config as plain JSON types (tuples become lists)."""
    return {
        key: to_dict(value) if dataclasses.is_dataclass(value) else list(value) if isinstance(value, tuple) else value
        for key, value in ((f.name, getattr(config, f.name)) for f in dataclasses.fields(config))
    }


def from_dict(kind: type, values: dict[str, Any]) -> Any:
    """The inverse of to_dict; an unknown, missing or mistyped key is refused by name, but for fields that came LATER.

    Raises CheckpointError.
    """
    known = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(known))
    missing = sorted(name for name in known if name not in values and not known[name].metadata.get("later"))
    if unknown or missing:
        raise CheckpointError(f"{kind.__name__}: unknown keys {unknown}, missing keys {missing}")
    types = get_type_hints(kind)
    return kind(**{name: _converted(f"{kind.__name__}.{name}", types[name], v) for name, v in values.items()})


def _converted(name: str, wanted: Any, value: Any) -> Any:
    """A value out of JSON as the field's type. Raises CheckpointError."""
    if dataclasses.is_dataclass(wanted) and isinstance(value, dict):
        return from_dict(wanted, value)  # type: ignore[arg-type]
    if get_origin(wanted) is tuple and isinstance(value, list) and len(value) <= LONGEST:
        return tuple(_converted(name, get_args(wanted)[0], item) for item in value)
    if wanted is float and type(value) in (int, float) and abs(value) < float("inf"):
        return float(value)
    if wanted in (str, bool) and isinstance(value, wanted):
        return value
    if wanted is int and type(value) is int and 0 <= value <= LARGEST:
        return value
    raise CheckpointError(f"{name}: {value!r:.40} is not what it should be")
