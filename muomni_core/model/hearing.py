"""Sound of any length to words with their times: windows, encoder, joints, decoding, and what is not believed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from muomni_core.audio.activity import FRAMES, speech_frames
from muomni_core.audio.mel import log_mel, pad_to_hop
from muomni_core.audio.segments import FRAME, GRID, RATE, is_silent, windows
from muomni_core.errors import InputError
from muomni_core.model.joining import Stretch, joined
from muomni_core.model.word_times import SLOT, HeardWord, timed_words
from muomni_core.text.decoding import Decoding, beam_search, greedy
from muomni_core.text.ngram import LetterModel
from muomni_core.text.symbols import BLANK, N_SYMBOLS, decode_symbols
from muomni_core.text.tokenizer import Tokenizer
from muomni_core.text.written import MARKS

log = logging.getLogger(__name__)

LETTERS = "letters.npz"  # the letter model's file, beside the ear's weights
PHRASE_PAUSE = 0.6  # seconds between words that begin a phrase; a phrase is believed or not
LEAST_CONFIDENCE = 0.4  # mean posterior of a phrase's symbols, below which it was not said
DEFAULT = Decoding()
WHOLE = 100  # mel frames, a second: windows are heard in multiples of it
NOTHING = -30.0  # logarithm of the posterior of what was not listened for


@dataclass(frozen=True)
class Heard:
    """Words of a sound, and its length in seconds."""

    words: list[HeardWord]
    seconds: float

    @property
    def text(self) -> str:
        return " ".join(word.word for word in self.words)

    @property
    def confidence(self) -> float | None:
        """Mean confidence over the letters; None where nothing was said."""
        return confidence(self.words) if self.words else None


def confidence(words: list[HeardWord]) -> float:
    """Mean confidence of words over their letters; marks behind them don't count."""
    sizes = [max(1, len(word.word.rstrip("".join(MARKS)))) for word in words]
    return sum(size * word.confidence for size, word in zip(sizes, words, strict=True)) / sum(sizes)


class Listener:
    """Hears with a model's components, which `component(stage, name)` hands out.

    Args:
        letters: the letter model's file for beam search, or None.
    """

    def __init__(
        self,
        component: Callable[[str, str], Any],
        tokenizer: Tokenizer,
        device: torch.device,
        letters: Path | None = None,
    ):
        self._component, self._tokenizer, self._device, self.letters = component, tokenizer, device, letters

    def hear(self, blocks: Iterable[np.ndarray], decoding: Decoding = DEFAULT) -> Heard:
        """The words of blocks (N,) of one sound at 16 kHz. Memory does not grow with its length, but for the words."""
        n_samples = 0

        def counted() -> Iterator[np.ndarray]:
            nonlocal n_samples
            for block in blocks:
                n_samples += len(block)
                yield block

        words = [word for part in self.parts(counted(), decoding) for word in part]
        return Heard(words, n_samples / RATE)

    def parts(self, blocks: Iterable[np.ndarray], decoding: Decoding = DEFAULT) -> Iterator[list[HeardWord]]:
        """As `hear`, part by part of some 16 seconds, each as soon as it is understood."""
        return self._words(self._stretches(blocks), decoding)

    def _words(self, stretches: Iterable[Stretch], decoding: Decoding) -> Iterator[list[HeardWord]]:
        if decoding.beam > 1 and self.letter_model is None:
            log.warning("there is no %s among the weights: beam search goes by the ear alone", LETTERS)
        for stretch in joined(stretches):
            found = timed_words(stretch, self._decoded(stretch.logprobs, decoding))
            yield believed([word for word in found if _spoken_in(stretch, word)])

    def hear_with_frames(self, sound: np.ndarray, decoding: Decoding = DEFAULT) -> tuple[Heard, Tensor]:
        """The words of a sound (N,), and its frames (1, ceil(T/8), 192); one pass of the encoder up to 20 seconds."""
        frames = self.frames(sound)
        if len(list(windows([sound]))) > 1:
            return self.hear([sound], decoding), frames
        words = list(self._words([self.stretch(sound, frames=frames)], decoding)) if len(sound) else []
        return Heard([word for part in words for word in part], len(sound) / RATE), frames

    @torch.no_grad()
    def frames(self, sound: np.ndarray) -> Tensor:
        """Sound (N,) -> the encoder's frames (1, ceil(T/8), 192)."""
        mel = log_mel(pad_to_hop(torch.from_numpy(sound)))[None].to(self._device)
        return self._component("audio", "audio")(mel)[0]

    def _stretches(self, blocks: Iterable[np.ndarray]) -> Iterator[Stretch]:
        for window in windows(blocks):
            yield self.stretch(window.sound, window.start // FRAME)

    @torch.no_grad()
    def stretch(self, sound: np.ndarray, start: int = 0, frames: Tensor | None = None) -> Stretch:
        """What the ear makes of a sound (N,) that is short enough to be heard at once.

        Args:
            start: the number of its first slot.
            frames: the encoder's frames of this sound (1, ceil(T/8), 192), where they are known.
        """
        encoder = self._component("audio", "audio")
        mel = log_mel(pad_to_hop(torch.from_numpy(np.pad(sound, (0, -len(sound) % GRID)))))
        n_slots = len(mel) // 8 * encoder.config.n_slots
        slots = np.minimum(np.arange(n_slots) * 2 // FRAMES, max(0, -(-len(mel) // FRAMES) - 1))
        power = (2 * mel).exp().sum(1).numpy().reshape(n_slots, -1).mean(1)
        speech = np.zeros(n_slots, bool) if is_silent(sound) else speech_frames(mel.numpy())[slots]
        if speech.any():
            if frames is None:
                frames = self._encoded(mel[: -(-len(sound) // 160)])
            logprobs = encoder.ctc_logits(frames)[0].float().log_softmax(-1).cpu().numpy()[:n_slots]
        else:
            logprobs = np.full((n_slots, N_SYMBOLS), NOTHING, np.float32)
            logprobs[:, BLANK] = 0.0
        return Stretch(start, logprobs, speech, 10 * np.log10(power + 1e-10))

    def _encoded(self, mel: Tensor) -> Tensor:
        """Log mel (T, 128) -> the encoder's frames (1, ceil(T/8), 192), computed over whole seconds.

        oneDNN keeps what it prepares for each shape, and a long recording has windows of every length: 200 MB of them.
        """
        padded = nn.functional.pad(mel, (0, 0, 0, -len(mel) % WHOLE))[None].to(self._device)
        frames, _ = self._component("audio", "audio")(padded, torch.tensor([len(mel)], device=self._device))
        return frames[:, : -(-len(mel) // 8)]

    # -- decoding ----------------------------------------------------------------------------------------------

    @cached_property
    def letter_model(self) -> LetterModel | None:
        return None if self.letters is None else LetterModel.load(self.letters)

    def _decoded(self, logprobs: np.ndarray, decoding: Decoding) -> list[int]:
        if decoding.beam <= 1:
            return greedy(logprobs)
        found = beam_search(logprobs, decoding, self.letter_model)
        if decoding.rescore and len(found) > 1 and found[0][1]:
            own = self.thinker_scores([decode_symbols(symbols) for _, symbols in found])
            return max(zip(found, own, strict=True), key=lambda pair: pair[0][0] + decoding.rescore * pair[1])[0][1]
        return found[0][1]

    @torch.no_grad()
    def thinker_scores(self, texts: list[str]) -> list[float]:
        """Nats of each text as a whole turn of a user, by the Thinker's own language model."""
        thinker, tokenizer = self._component("omni", "thinker"), self._tokenizer
        rows = [torch.tensor([tokenizer.user_id, *ids, tokenizer.assistant_id]) for ids in tokenizer.encode_many(texts)]
        if max(map(len, rows)) > thinker.config.max_positions:
            raise InputError("a stretch of speech is too long for the Thinker; leave rescoring out")
        ids = pad_sequence(rows, batch_first=True, padding_value=-1).to(self._device)
        padding = ids < 0
        ids = ids.clamp_min(0)
        logits = thinker.logits(thinker(thinker.embed(ids[:, :-1]), padding=padding[:, :-1]))
        own = logits.float().log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
        return own.masked_fill(padding[:, 1:], 0.0).sum(1).tolist()


def _spoken_in(stretch: Stretch, word: HeardWord) -> bool:
    first = round(word.start / SLOT) - stretch.start
    return bool(stretch.speech[first : max(first + 1, round(word.end / SLOT) - stretch.start)].any())


def believed(words: list[HeardWord]) -> list[HeardWord]:
    """The words of those phrases that the ear is sure enough of: of noise and music it is not."""
    kept: list[HeardWord] = []
    phrase: list[HeardWord] = []
    for place, word in enumerate(words):
        phrase.append(word)
        if place + 1 == len(words) or words[place + 1].start - word.end > PHRASE_PAUSE:
            if confidence(phrase) >= LEAST_CONFIDENCE:
                kept += phrase
            phrase = []
    return kept
