"""Talker: characters and Thinker states, laid out frame by frame, to codec codes: base, then residual given base.

A duration a character says how many frames it takes (learned from alignments by our own ear), their sum says the
total length: speech ends by itself and skips or repeats nothing. All frames are spoken at once (FastSpeech, Ren
2019; EfficientSpeech, Atienza 2023). With `walk`, so many at a time, and each is told the base codes before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni_core.config import TalkerConfig
from muomni_core.errors import ShapeError, check_shape
from muomni_core.model.layers import CausalConvBlock, ConvBlock, TransformerBlock, length_mask, rotary_angles

MAX_FRAMES_PER_CHARACTER = 150  # 3 s at 50 Hz: a bound on what a duration can say

Say = Callable[[Tensor], tuple[Tensor, Tensor]]  # logits (..., V) -> codes (...), how likely each is (..., V)


class Spoken(NamedTuple):
    """One sentence as the Talker says it."""

    codes: Tensor  # (F, Q), the likeliest ones or those drawn
    durations: Tensor  # (C,) frames of each character
    shares: Tensor  # (F, Q, codebook_size), how likely each code is; of drawn codes 1


class CharacterBlock(nn.Module):
    """Convolution for what stands near, attention for the sentence."""

    def __init__(self, config: TalkerConfig):
        super().__init__()
        self.conv = ConvBlock(config.width, 5, config.dropout)
        self.transformer = TransformerBlock(
            config.width, config.n_heads, config.ffn_multiple * config.width, config.dropout
        )

    def forward(self, x: Tensor, mask: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        return self.transformer(self.conv(x, mask), mask[:, None, None, :, 0].bool(), angles)


class Talker(nn.Module):
    """characters (B, C), Thinker states (B, C, 256), voices (B,) -> codes (B, F, Q)."""

    def __init__(self, config: TalkerConfig):
        super().__init__()
        if config.n_codebooks < 2:
            raise ShapeError(f"talker: expected at least 2 codebooks, got {config.n_codebooks}")
        self.config = config
        width = config.width
        self.characters = nn.Embedding(len(config.alphabet) + 1, width, padding_idx=0)
        self.voices = nn.Embedding(len(config.voices), width)
        self.thinker_in = nn.Sequential(nn.LayerNorm(config.thinker_width), nn.Linear(config.thinker_width, width))
        self.character_blocks = nn.ModuleList(CharacterBlock(config) for _ in range(config.char_depth))
        self.duration_block = ConvBlock(width, 3, config.dropout)
        self.duration_out = nn.Linear(width, 1)
        self.place_in = nn.Linear(4, width)
        frame_block = CausalConvBlock if config.walk else ConvBlock
        self.frame_blocks = nn.ModuleList(
            frame_block(width, config.kernel_size, config.dropout) for _ in range(config.frame_depth)
        )
        if config.walk:
            self.said = nn.Embedding(config.codebook_size + 1, width)  # the last one: nothing yet
        self.norm = nn.LayerNorm(width)
        self.base_head = nn.Linear(width, config.codebook_size)
        n_rest = config.n_codebooks - 1
        self.code_embeddings = nn.ModuleList(nn.Embedding(config.codebook_size, width) for _ in range(n_rest))
        self.rest_blocks = nn.ModuleList(ConvBlock(width, 3, config.dropout) for _ in range(n_rest))
        self.rest_norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(n_rest))
        self.rest_heads = nn.ModuleList(nn.Linear(width, config.codebook_size) for _ in range(n_rest))

    def encode(
        self, characters: Tensor, states: Tensor, voices: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """characters (B, C) ids, states (B, C, 256), voices (B,) -> encoded (B, C, width), log durations (B, C)."""
        check_shape("talker", characters, ("B", "C"))
        check_shape("talker", states, (*characters.shape, self.config.thinker_width))
        batch, n_characters = characters.shape
        if lengths is None:
            lengths = torch.full((batch,), n_characters, device=characters.device)
        mask = length_mask(lengths, n_characters)[..., None].to(states.dtype)
        x = self.characters(characters) + self.thinker_in(states) + self.voices(voices)[:, None]
        positions = torch.arange(n_characters, device=x.device)[None]
        angles = rotary_angles(positions, self.config.width // self.config.n_heads)
        for block in self.character_blocks:
            x = block(x, mask, angles)
        log_durations = self.duration_out(self.duration_block(x, mask))[..., 0]
        return x, log_durations

    def frames(self, encoded: Tensor, durations: Tensor, voices: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded characters (B, C, width), whole durations (B, C) -> frame states (B, F, width), mask (B, F, 1).

        F is the largest sum of durations. Each frame knows its character, how far into it it is and how long that is.
        In a walk these are before the frame blocks, which want to be told what was said.
        """
        totals = durations.sum(1)
        n_frames = int(totals.max())
        ends = durations.cumsum(1)
        place = torch.arange(n_frames, device=encoded.device)
        owner = (place[None, :, None] >= ends[:, None, :]).sum(2).clamp(max=encoded.shape[1] - 1)  # (B, F)
        x = encoded.gather(1, owner[..., None].expand(-1, -1, encoded.shape[2]))
        length = durations.gather(1, owner).to(x.dtype)
        into = place[None] - (ends - durations).gather(1, owner)
        share = (into.to(x.dtype) + 0.5) / length.clamp_min(1)
        features = torch.stack([share, 1 - share, (1 + length).log(), (1.0 + into).log()], dim=-1)
        mask = length_mask(totals, n_frames)[..., None].to(x.dtype)
        x = x + self.place_in(features) + self.voices(voices)[:, None]
        if not self.config.walk:
            for block in self.frame_blocks:
                x = block(x, mask)
        return x, mask

    def code_logits(self, x: Tensor, mask: Tensor, codes: Tensor) -> list[Tensor]:
        """Frame states (B, F, width) and codes (B, F, Q) -> Q logits (B, F, codebook_size).

        Logits of codebook q see the codes of those before it, of no later one: `codes[..., q]` itself does not matter.
        In a walk each frame also sees the base codes of those `walk` and more before it.
        """
        if self.config.walk:
            nothing = torch.full_like(codes[:, : self.config.walk, 0], self.config.codebook_size)
            x = x + self.said(torch.cat([nothing, codes[..., 0]], dim=1)[:, : x.shape[1]])
            for block in self.frame_blocks:
                x = block(x, mask)
        logits = [self.base_head(self.norm(x))]
        for q in range(1, self.config.n_codebooks):
            x, rest = self._rest(x, mask, self.code_embeddings[q - 1](codes[..., q - 1]), q - 1)
            logits.append(rest)
        return logits

    def _walk(self, x: Tensor, say: Say) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Frame states (1, F, width) as `frames` leaves them -> those that base_head takes, and what `say` says of all.

        The same as `code_logits` of these codes (or of means of what they may be), but a block keeps kernel_size - 1
        frames of what was.
        """
        entries, before = self.said.weight[:-1], self.said.weight[-1].expand(1, self.config.walk, -1)
        kept = [block.start(x) for block in self.frame_blocks]
        told, said = [], []
        for part in x.split(self.config.walk, dim=1):
            part = part + before[:, : part.shape[1]]
            for n, block in enumerate(self.frame_blocks):
                part, kept[n] = block.step(part, kept[n])
            told.append(part)
            said.append(say(self.base_head(self.norm(part))))
            before = said[-1][1] @ entries
        codes, shares = zip(*said, strict=True)
        return torch.cat(told, dim=1), (torch.cat(codes, dim=1), torch.cat(shares, dim=1))

    def _rest(self, x: Tensor, mask: Tensor, before: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Frame states and logits of residual codebook n, given the embedding (B, F, width) of the code before it."""
        x = self.rest_blocks[n](x + before, mask)
        return x, self.rest_heads[n](self.rest_norms[n](x))

    @torch.no_grad()
    def speak(
        self,
        characters: Tensor,
        states: Tensor,
        voice: int,
        *,
        speed: float = 1.0,
        temperature: float = 0.0,
        top_p: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Spoken:
        """One sentence: characters (C,), states (C, 256) -> what is said in F frames.

        Args:
            speed: 2 is twice as fast; only durations change, not pitch.
            temperature: over 0, the codes are drawn. At 0 nothing is: the rest of a frame is told the mean of what its
                base may be, and the codec is to be given the mean of all entries (`Spoken.shares`). Frames are spoken
                all at once, and the likeliest code of one need not go with that of the next; means do. The judge hears
                6.9% of the words wrong then, against 10.4% with the likeliest codes (180 sentences, 2026-11-27).
                So are later frames of a walk: our ear hears 15% of the characters wrong, against 17% if they are told
                the likeliest codes, and 19% if the codec is given these as well (24 sentences, 300 steps).
        """
        voices = torch.tensor([voice], device=characters.device)
        encoded, log_durations = self.encode(characters[None], states[None], voices)
        durations = whole_durations(log_durations[0], speed)
        x, mask = self.frames(encoded, durations[None], voices)

        def say(logits: Tensor) -> tuple[Tensor, Tensor]:
            codes = sample(logits, temperature, top_p, generator)
            shares = F.one_hot(codes, logits.shape[-1]).to(logits.dtype) if temperature > 0 else logits.softmax(-1)
            return codes, shares

        x, base = self._walk(x, say) if self.config.walk else (x, say(self.base_head(self.norm(x))))
        said = [base]
        for n, embedding in enumerate(self.code_embeddings):
            x, logits = self._rest(x, mask, said[-1][1] @ embedding.weight, n)
            said.append(say(logits))
        codes, shares = zip(*said, strict=True)
        return Spoken(torch.stack(codes, dim=-1)[0], durations, torch.stack(shares, dim=2)[0])


def whole_durations(log_durations: Tensor, speed: float) -> Tensor:
    """Predicted log(1 + frames) of each character (C,) -> whole frames (C,), rounded so that sums stay true."""
    exact = (log_durations.exp() - 1).clamp(0, MAX_FRAMES_PER_CHARACTER) / speed
    ends = exact.cumsum(0).round().long()
    durations = torch.diff(ends, prepend=ends.new_zeros(1))
    if int(durations.sum()) == 0:
        durations[-1] = 1  # something is always said
    return durations


def sample(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator | None) -> Tensor:
    """(..., V) -> (...): argmax at temperature 0, else from the smallest set of at least `top_p` probability."""
    if temperature <= 0:
        return logits.argmax(-1)
    probabilities = (logits.float() / temperature).softmax(-1)
    ordered, order = probabilities.sort(dim=-1, descending=True)
    kept = ordered.cumsum(-1) - ordered < top_p
    kept[..., 0] = True  # a `top_p` of 0 leaves the likeliest
    ordered = torch.where(kept, ordered, 0.0)
    picked = torch.multinomial(ordered.reshape(-1, ordered.shape[-1]), 1, generator=generator)
    return order.reshape(-1, order.shape[-1]).gather(1, picked).view(logits.shape[:-1])


def talker_loss(
    model: Talker,
    characters: Tensor,
    lengths: Tensor,
    states: Tensor,
    voices: Tensor,
    durations: Tensor,
    codes: Tensor,
) -> dict[str, Tensor]:
    """Summed losses: `codes` over all frames and codebooks, `durations` over all characters.

    durations (B, C) sum to the frames that each row of codes (B, F, Q) has; padding is zero in both.
    """
    encoded, log_durations = model.encode(characters, states, voices, lengths)
    inside = length_mask(lengths, characters.shape[1])
    wanted = (1 + durations.to(log_durations.dtype)).log()
    duration_loss = F.smooth_l1_loss(log_durations[inside], wanted[inside], reduction="sum", beta=0.3)
    x, mask = model.frames(encoded, durations, voices)
    spoken = mask[..., 0].bool()
    code_loss = torch.zeros_like(duration_loss)
    for q, logits in enumerate(model.code_logits(x, mask, codes)):
        code_loss = code_loss + F.cross_entropy(logits[spoken].float(), codes[..., q][spoken], reduction="sum")
    return {"codes": code_loss, "durations": duration_loss}
