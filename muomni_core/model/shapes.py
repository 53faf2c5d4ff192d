"""`inspect-shapes`: a real forward pass through the whole chain, and what went in and out of each component."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from muomni_core.config import PRESETS
from muomni_core.errors import InputError
from muomni_core.model.audio import AudioEncoder
from muomni_core.model.codec import Codec
from muomni_core.model.layers import count_parameters
from muomni_core.model.talker import Talker
from muomni_core.model.thinker import Projector, Thinker, VisionProjector
from muomni_core.model.vision import VisionModel, picture_tokens
from muomni_core.model.vocoder import NeuralVocoder

SECONDS = 4
QUESTION_TOKENS = 16


def inspect_shapes(preset: str = "tiny") -> dict[str, Any]:
    """Shapes and parameters of a preset: {"preset", "total", "components": [{"component", "input", "output", ...}]}.

    `base` goes through on the meta device: shapes without memory or arithmetic. Raises InputError for an unknown preset.
    """
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; there are: {', '.join(PRESETS)}")
    config = PRESETS[preset]
    meta = preset == "base"
    with torch.device("meta" if meta else "cpu"), torch.no_grad():
        rows: list[dict[str, Any]] = []

        def note(name: str, given: Tensor, out: Tensor, module: nn.Module | None) -> None:
            rows.append(
                {
                    "component": name,
                    "input": list(given.shape),
                    "output": list(out.shape),
                    "parameters": count_parameters(module) if module is not None else 0,
                }
            )

        vision = VisionModel(config.vision).eval()
        image = torch.zeros(1, 3, config.vision.image_size, config.vision.image_size)
        patches = vision.encoder(image)
        note("vision_encoder", image, patches, vision)

        audio = AudioEncoder(config.audio).eval()
        mel = torch.zeros(1, SECONDS * config.mel.sample_rate // config.mel.hop_length, config.mel.n_mels)
        frames, _ = audio(mel)
        note("audio_encoder", mel, frames, audio)

        vision_projector = VisionProjector(config.vision.out_width, config.projector)
        audio_projector = Projector(config.audio.out_width, config.projector, "audio_projector")
        pooled = picture_tokens(patches, config.projector.picture_grid)
        seen, heard = vision_projector(pooled), audio_projector(frames)
        reader, vision_projector.reader = vision_projector.reader, None
        note("vision_projector", pooled, seen, vision_projector)
        note("audio_projector", frames, heard, audio_projector)

        thinker = Thinker(config.thinker).eval()
        if reader is not None:  # beside the projector in the file, apart from it in the count
            note("picture_reader", pooled, reader(pooled, thinker.embedding.weight), reader)
        text = thinker.embed(torch.zeros(1, QUESTION_TOKENS, dtype=torch.long))
        fused = torch.cat([seen, heard, text], dim=1)
        # On the meta device a mixture of experts cannot choose: which expert a token takes is a matter of numbers.
        logits = thinker.logits(fused if meta and config.thinker.n_experts else thinker(fused))
        note("thinker", fused, logits, thinker)
        rows[-1]["active_parameters"] = thinker.active_parameters()

        talker = Talker(config.talker).eval()
        codec = Codec(config.codec).eval()
        n_frames = codec.n_frames(mel.shape[1])
        states = torch.zeros(1, QUESTION_TOKENS, config.talker.thinker_width)
        if meta:
            codes = torch.zeros(1, n_frames, config.talker.n_codebooks, dtype=torch.long)
            kept = torch.zeros(1, n_frames, config.codec.n_codebooks, dtype=torch.long)
            mel_hat = torch.zeros_like(mel)
        else:
            voices = torch.zeros(1, dtype=torch.long)
            encoded, _ = talker.encode(torch.ones(1, QUESTION_TOKENS, dtype=torch.long), states, voices)
            durations = torch.full((1, QUESTION_TOKENS), n_frames // QUESTION_TOKENS)
            durations[0, -1] += n_frames - int(durations.sum())
            x, mask = talker.frames(encoded, durations, voices)
            given = torch.zeros(1, n_frames, config.talker.n_codebooks, dtype=torch.long)
            codes = torch.stack([part.argmax(-1) for part in talker.code_logits(x, mask, given)], dim=-1)
            kept = codec.encode(mel)
            mel_hat = codec.decode(kept, mel.shape[1])
        note("talker", states, codes, talker)
        note("codec", mel, kept, codec)
        vocoder = NeuralVocoder(config.vocoder).eval()
        # The meta device has no inverse Fourier transform.
        sound = torch.zeros(1, mel_hat.shape[1] * config.mel.hop_length) if meta else vocoder(mel_hat)
        note("vocoder", mel_hat, sound, vocoder)
    return {"preset": preset, "total": sum(row["parameters"] for row in rows), "components": rows}
