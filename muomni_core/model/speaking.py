"""Text of any length to sound: piece by piece, in constant memory, without a click where two pieces meet."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from muomni_core.audio.io import SAMPLE_RATE as RATE
from muomni_core.audio.vocoder import griffin_lim
from muomni_core.config import OmniConfig
from muomni_core.errors import CheckpointError, InputError
from muomni_core.text.layout import lay_out
from muomni_core.text.pieces import Piece, pieces
from muomni_core.text.tokenizer import Tokenizer

log = logging.getLogger(__name__)

SLOWEST, FASTEST = 0.5, 2.0
FADE = 80  # samples at each edge of a piece, 5 ms: what meets there is silence
QUIET_BLOCK = 160  # samples, 10 ms: the grid on which an edge is called quiet
QUIET = 0.01  # of a piece's loudest block: below that nothing is heard
LEAD = 4 * QUIET_BLOCK  # of the silence before a piece that follows another, this much stays: soft consonants need it
VOCODERS = ("neural", "griffin-lim")

_WORD = re.compile(r"'?[^\W_]+(?:['’-][^\W_]+)*")


class Word(NamedTuple):
    """A word as it was spoken, and when: seconds from the beginning of the utterance."""

    word: str
    start: float
    end: float


@dataclass(frozen=True)
class Said:
    """The next sound (N,) of an utterance, the pause before it included, and the words in it.

    `factor` is what its speech was multiplied by so that no peak is over 1: at most that of the piece before.
    """

    sound: np.ndarray
    words: list[Word]
    factor: float


class Speaker:
    """Says text with a model's components, which `component(stage, name)` hands out.

    Args:
        neural: whether there is a trained vocoder; it is then the default.
    """

    def __init__(
        self,
        component: Callable[[str, str], Any],
        tokenizer: Tokenizer,
        config: OmniConfig,
        device: torch.device,
        *,
        neural: bool,
    ):
        self._component, self._tokenizer, self._config, self._device = component, tokenizer, config, device
        self.vocoders = list(VOCODERS if neural else VOCODERS[1:])

    def say(
        self,
        text: str | Iterable[str],
        voice: str | None = None,
        vocoder: str | None = None,
        *,
        speed: float = 1.0,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[Said]:
        """Says a text, or one that arrives in parts, each piece as soon as its end is known.

        The same text is the same sound however it arrives. What is louder than 1 is scaled down by one factor a piece,
        which is never larger than that of the piece before: it changes in silence, at most a few times, and no peak is
        flattened. Raises InputError and CheckpointError as MuOmni.speak.
        """
        number = self._voice_number(voice)
        vocoder = self.settle_vocoder(vocoder)
        if not SLOWEST <= speed <= FASTEST:
            raise InputError(f"speed {speed:g} is out of range; {SLOWEST:g} to {FASTEST:g}")
        generator = torch.Generator(self._device).manual_seed(seed)
        dropped: set[str] = set()
        n_samples, tail, factor = 0, 0, 1.0
        for piece in pieces(text):
            _say_dropped(piece, dropped)
            if not piece.text:
                continue
            mel, marks = self._mel(piece.text, number, speed, temperature, top_p, generator)
            speech = self.wave(mel, vocoder)[0].cpu().numpy()
            factor = min(factor, 1 / max(1.0, float(np.abs(speech).max())))
            lead, next_tail = quiet_edges(speech)
            cut, pause = 0, 0
            if n_samples:  # the silence that the two pieces bring along is part of the pause
                cut = max(0, lead - LEAD)
                pause = max(0, round(piece.pause * RATE) - tail - (lead - cut))
            speech = _faded(speech[cut:]) * np.float32(factor)
            start = n_samples + pause - cut
            words = [Word(w, (start + max(a, cut)) / RATE, (start + max(b, cut)) / RATE) for w, a, b in marks]
            yield Said(np.concatenate([np.zeros(pause, np.float32), speech]), words, factor)
            n_samples, tail = n_samples + pause + len(speech), next_tail
        if not n_samples:
            raise InputError("nothing in the text can be said; give letters or numbers")

    def _voice_number(self, voice: str | None) -> int:
        voices = list(self._config.talker.voices)
        if voice is None:
            return 0
        if voice not in voices:
            raise InputError(f"no voice {voice!r}; there are: {', '.join(voices)}")
        return voices.index(voice)

    def settle_vocoder(self, vocoder: str | None) -> str:
        """The vocoder that is meant, None being the default; it is logged, so that nobody need guess.

        Raises InputError or CheckpointError if it is not here.
        """
        if vocoder not in (None, *VOCODERS):
            raise InputError(f"no vocoder {vocoder!r}; there are: {', '.join(self.vocoders)}")
        if vocoder is not None and vocoder not in self.vocoders:
            raise CheckpointError("there is no trained neural vocoder among the weights; use griffin-lim")
        vocoder = vocoder or self.vocoders[0]
        log.info("vocoder: %s", vocoder)
        return vocoder

    @torch.no_grad()
    def _mel(
        self, text: str, voice: int, speed: float, temperature: float, top_p: float, generator: torch.Generator
    ) -> tuple[Tensor, list[tuple[str, int, int]]]:
        """A normalised piece as log mel (1, T, 128), and its words with their first and last sample."""
        layout = lay_out(self._tokenizer, text, self._config.talker.alphabet)
        said = self._component("talker", "talker").speak(
            torch.tensor(layout.characters, device=self._device),
            self.thinker_states(layout.tokens)[layout.owners],
            voice,
            speed=speed,
            temperature=temperature,
            top_p=top_p,
            generator=generator,
        )
        ends = (said.durations.cumsum(0) * self._config.codec.stride * self._config.mel.hop_length).tolist()
        starts = [0, *ends]
        words = [(m[0], starts[m.start()], ends[m.end() - 1]) for m in _WORD.finditer(layout.text)]
        return self._component("codec", "codec").decode_mean(said.shares[None]), words

    @torch.no_grad()
    def thinker_states(self, tokens: list[int]) -> Tensor:
        """Hidden states of a piece that is read by itself: (T, 256)."""
        thinker = self._component("omni", "thinker")
        return thinker(thinker.embed(torch.tensor([tokens], device=self._device)))[0]

    @torch.no_grad()
    def wave(self, mel: Tensor, vocoder: str) -> Tensor:
        """Log mel (1, T, 128) -> (1, T * 160), as loud as it comes: peaks may be over 1."""
        if not mel.shape[1]:
            return mel.new_zeros(len(mel), 0)
        if vocoder == "neural":
            return self._component("vocoder", "vocoder")(mel)
        return griffin_lim(mel.exp(), domain="magnitude", scale=False)


def _say_dropped(piece: Piece, known: set[str]) -> None:
    """Logs what cannot be said, each character once an utterance."""
    new = "".join(c for c in piece.dropped if c not in known)
    known.update(new)
    if new:
        log.info("left out, as it cannot be said: %s", new)


def quiet_edges(sound: np.ndarray) -> tuple[int, int]:
    """How many samples of a sound (N,) are quiet at its beginning and at its end, in whole blocks of 10 ms."""
    n_blocks = len(sound) // QUIET_BLOCK
    energy = np.square(sound[: n_blocks * QUIET_BLOCK].reshape(n_blocks, QUIET_BLOCK)).mean(1)
    loud = np.flatnonzero(energy > QUIET**2 * energy.max(initial=0.0))
    if not len(loud):
        return 0, 0
    return int(loud[0]) * QUIET_BLOCK, (n_blocks - 1 - int(loud[-1])) * QUIET_BLOCK


def _faded(sound: np.ndarray) -> np.ndarray:
    """A piece that rises from zero and falls to zero."""
    length = min(FADE, len(sound) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, length, dtype=np.float32)) ** 2
    faded = sound.copy()
    faded[:length] *= ramp
    faded[len(faded) - length :] *= ramp[::-1]
    return faded
