"""Pictures, sounds and text in one sequence: projected frames take the places that were kept for them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from muomni_core.data.chat import AUDIO_SLOT, IMAGE_SLOT
from muomni_core.errors import ShapeError
from muomni_core.model.cache import KVCache
from muomni_core.model.thinker import Thinker


def fuse(
    thinker: Thinker,
    vision_projector: nn.Module,
    audio_projector: nn.Module,
    ids: Tensor,
    picture_frames: Tensor | None = None,
    sound_frames: Tensor | None = None,
) -> Tensor:
    """Token ids (B, T) with slots -> embeddings (B, T, 256).

    Args:
        picture_frames: (N, 128), the frames of all pictures in the order of their slots, row after row.
        sound_frames: (N, 192), likewise.
    Raises:
        ShapeError: as many frames as slots there must be.
    """
    embeddings = thinker.embed(ids.clamp_min(0))
    for slot, frames, projector, name in (
        (IMAGE_SLOT, picture_frames, vision_projector, "vision_projector"),
        (AUDIO_SLOT, sound_frames, audio_projector, "audio_projector"),
    ):
        places = ids == slot
        n_slots, n_frames = int(places.sum()), 0 if frames is None else len(frames)
        if n_slots != n_frames:
            raise ShapeError(f"{name}: expected {n_slots} frames, got {n_frames}")
        if frames is not None and n_frames:
            projected = projector(frames).to(embeddings.dtype)
            embeddings = embeddings.masked_scatter(places[..., None], projected)
    return embeddings


@torch.no_grad()
def generate(
    thinker: Thinker,
    embeddings: Tensor,
    end_id: int,
    *,
    max_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    no_repeat: int = 4,
    cache: KVCache | None = None,
) -> Iterator[int]:
    """Yields token ids after a prompt (1, T, 256) until the end token, which is not yielded, or `max_tokens`.

    Args:
        no_repeat: no run of so many tokens is said twice; 0 turns that off.
        cache: what came before the prompt. It has taken in the prompt afterwards, and the tokens but perhaps the last.
    """
    from muomni_core.model.talker import sample

    if cache is None:
        cache = thinker.new_cache(1, embeddings.shape[1] + max_tokens)
    said: list[int] = []
    for _ in range(max_tokens):
        logits = thinker.logits(thinker(embeddings, cache=cache)[:, -1])[0]
        if no_repeat and len(said) >= no_repeat:
            before = said[len(said) - no_repeat + 1 :]
            for i in range(len(said) - no_repeat + 1):
                if said[i : i + no_repeat - 1] == before:
                    logits[said[i + no_repeat - 1]] = -torch.inf
        token = int(sample(logits, temperature, top_p, generator))
        if token == end_id:
            return
        said.append(token)
        yield token
        embeddings = thinker.embed(torch.tensor([[token]], device=embeddings.device))
