"""Questions about pictures, sounds and text, answered by the Thinker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from muomni_core.audio.io import SoundSource, read_sound
from muomni_core.config import OmniConfig
from muomni_core.data.chat import IMAGE_SLOT, turn_ids
from muomni_core.data.phrasings import SEE as PICTURE_QUESTION
from muomni_core.data.picture_words import word_tokens
from muomni_core.errors import InputError
from muomni_core.model.attention import answer_attention
from muomni_core.model.cache import KVCache
from muomni_core.model.choosing import (
    Seen,
    agreed,
    asks_what_is_seen,
    found_by_reader,
    likeliest_answers,
    loops,
    only_names,
)
from muomni_core.model.fusion import fuse, generate
from muomni_core.model.hearing import Listener
from muomni_core.model.vision import picture_tokens
from muomni_core.text.tokenizer import StreamDecoder, Tokenizer

if TYPE_CHECKING:
    from muomni_core.vision.image import ImageSource

    Pictures = ImageSource | Sequence[ImageSource]

log = logging.getLogger(__name__)

MAX_QUESTION_SECONDS = 30
SHORTEST_ANSWER = 32  # tokens that a question must leave room for
CANDIDATES = 32  # answers about a picture of which one is chosen


@dataclass(frozen=True)
class Turn:
    """What a user says at once, ready for the Thinker.

    Attributes:
        embeddings: (1, T, 256).
        picture_places: for each picture the positions of its frames in T.
        seen: what the eye makes of the one picture whose contents are asked for, or may be; else None.
        heard: whether a sound is in it.
    """

    embeddings: Tensor
    picture_places: list[slice]
    seen: Seen | None = None
    heard: bool = False


class Asker:
    """Asks with a model's components, which `component(stage, name)` hands out."""

    def __init__(
        self,
        component: Callable[[str, str], Any],
        tokenizer: Tokenizer,
        config: OmniConfig,
        device: torch.device,
        listener: Listener,
    ):
        self._component, self.tokenizer, self.config = component, tokenizer, config
        self._device, self._listener = device, listener

    @property
    def context(self) -> int:
        """Positions that a conversation may have."""
        return self.config.thinker.max_positions

    @property
    def thinker(self) -> Any:
        return self._component("omni", "thinker")

    @property
    def _eye(self) -> Any:
        return self._component("vision", "vision")

    # -- what is asked -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def turn(
        self,
        question: str | None = None,
        image: Pictures | None = None,
        audio: SoundSource | None = None,
        *,
        transcript: bool = True,
    ) -> Turn:
        """Pictures, sound and text in this order.

        Args:
            question: None where the recording is the question; pictures alone are asked "What do you see?".
            transcript: whether the ear's own transcript of a question stands beside the frames of its recording.
        Raises:
            InputError: nothing is asked, a file cannot be used, or it is all too long for the Thinker.
        """
        images = [] if image is None else list(image) if isinstance(image, (list, tuple)) else [image]
        if question is not None and not question.strip():
            raise InputError("the question is empty; ask something")
        if question is None and not images and audio is None:
            raise InputError("nothing is asked: give a question, an image or a recording")
        pixels = [self.pixels(one) for one in images]
        looks = [self._eye.encoder(one) for one in pixels]
        pictures = [self._frames(tokens)[0] for tokens in looks]
        sounds = []
        if audio is not None:
            wave = read_sound(audio, max_seconds=MAX_QUESTION_SECONDS)
            if question is None and transcript:
                heard, frames = self._listener.hear_with_frames(wave)
                question = heard.text
                log.info("heard: %s", question or "nothing")
            else:
                frames = self._listener.frames(wave)
            sounds.append(frames[0])
        if question is None:
            question = PICTURE_QUESTION if audio is None else ""
        ids = turn_ids(self.tokenizer, question.strip(), [len(p) for p in pictures], [len(s) for s in sounds])
        if len(ids) > self.context - SHORTEST_ANSWER:
            raise InputError(
                f"the question is too long: {len(ids)} tokens with its answer still to come, "
                f"at most {self.context - SHORTEST_ANSWER}"
            )
        embeddings = fuse(
            self.thinker,
            self._component("omni", "vision_projector"),
            self._component("omni", "audio_projector"),
            torch.tensor([ids], device=self._device),
            torch.cat(pictures) if pictures else None,
            torch.cat(sounds) if sounds else None,
        )
        seen = None
        asked = asks_what_is_seen(question)
        if len(looks) == 1 and (asked or not question):
            seen = self._seen(pixels[0], looks[0], asked)
        return Turn(embeddings, _places(ids, [len(p) for p in pictures]), seen, bool(sounds))

    @torch.no_grad()
    def picture_frames(self, image: ImageSource) -> Tensor:
        """What the Thinker is given of a picture, before the projector: (1, 1 + grid * grid, 128)."""
        return self._frames(self._eye.encoder(self.pixels(image)))

    def pixels(self, image: ImageSource) -> Tensor:
        """A picture as the eye is given it, (1, 3, S, S)."""
        from muomni_core.vision.image import image_tensor

        return image_tensor(image, self.config.projector.picture_size)[None].to(self._device)

    def _frames(self, tokens: Tensor) -> Tensor:
        return picture_tokens(tokens, self.config.projector.picture_grid)

    def _seen(self, pixels: Tensor, look: Tensor, asked: bool) -> Seen:
        """What eye and reader make of a picture (1, 3, S, S) together with its mirror image: the same is true of both.

        The reader alone names 62.0% of 242 val photographs of everyday things so, and 64.0% of Caltech-101; of the
        picture as it is 59.1 and 61.2%.
        """
        mirrored = self._eye.encoder(pixels.flip(-1))
        reader, words = self._component("omni", "vision_projector").reader, None
        if reader is not None:
            both = self._frames(torch.cat([look, mirrored]))
            words = reader(both, self.thinker.embedding.weight).log_softmax(-1).mean(0).cpu()
        return Seen(self._eye.embed_both(look, mirrored)[0], words, asked)

    # -- what is answered --------------------------------------------------------------------------------------

    def tokens(
        self,
        embeddings: Tensor,
        *,
        max_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        no_repeat: int = 4,
        candidates: int = CANDIDATES,
        seen: Seen | None = None,
        cache: KVCache | None = None,
    ) -> Iterator[int]:
        """Token ids of the answer to a prompt (1, T, 256); a warning is logged where a bound ends it.

        Args:
            temperature: 0 takes the likeliest each time; above, `seed` repeats an answer.
            top_p: chosen among the likeliest that together have this probability.
            no_repeat: no run of so many tokens is said twice; 0 allows all.
            candidates: likeliest answers of which the one that agrees with the others and the eye is chosen, at temperature
                0 and where there is something `seen`; 1 takes the likeliest.
            seen: as in a Turn.
            cache: what came before the prompt.
        """
        past = cache.length if cache is not None else 0
        room = self.context - past - embeddings.shape[1]
        n_tokens, bound = 0, min(max_tokens, room)
        if candidates > 1 and temperature <= 0 and seen is not None:
            answer = self._chosen(embeddings, seen, candidates, bound, no_repeat, cache)
        else:
            answer = generate(
                self.thinker,
                embeddings,
                self.tokenizer.end_id,
                max_tokens=bound,
                temperature=temperature,
                top_p=top_p,
                generator=torch.Generator(self._device).manual_seed(seed),
                no_repeat=no_repeat,
                cache=cache,
            )
        for token in answer:
            n_tokens += 1
            yield token
        if n_tokens == bound:
            why = "--max-tokens" if bound == max_tokens else f"the context of {self.context} is full"
            log.warning("the answer was cut off after %d tokens (%s)", bound, why)

    @torch.no_grad()
    def _chosen(
        self, embeddings: Tensor, seen: Seen, candidates: int, max_tokens: int, no_repeat: int, cache: KVCache | None
    ) -> Iterator[int]:
        """As `generate`, the answer of several that agrees best with the others, the eye and the reader."""
        thinker, end_id = self.thinker, self.tokenizer.end_id
        kept = thinker.new_cache(1, embeddings.shape[1]) if cache is None else cache
        answers = likeliest_answers(thinker, embeddings, end_id, count=candidates, max_tokens=max_tokens, cache=kept)
        answers = [answer for answer in answers if not loops(answer.tokens, no_repeat)] or answers[:1]
        cosines = self._eye.embed_texts([answer.tokens for answer in answers]) @ seen.vector
        texts = [self.tokenizer.decode(answer.tokens).strip() for answer in answers]
        read = torch.tensor([found_by_reader(word_tokens(self.tokenizer, "", text), seen.words) for text in texts])
        chosen = answers[agreed(answers, cosines, read, [only_names(text) for text in texts], asked=seen.asked)].tokens
        if cache is not None and len(chosen) > 1:
            thinker(thinker.embed(torch.tensor([chosen[:-1]], device=self._device)), cache=cache)
        yield from chosen

    def text(self, tokens: Iterator[int]) -> Iterator[str]:
        """The answer's text as its tokens come, in whole characters."""
        decoder = StreamDecoder(self.tokenizer)
        for token in tokens:
            if piece := decoder.push(token):
                yield piece
        yield decoder.finish()

    def attention(self, turn: Turn, answer: str) -> Tensor:
        """Where the answer looked: shares (pictures, grid, grid), which sum to 1 over all cells.

        Attention of the positions that predict the answer's tokens, mean over them and over all heads and layers.
        Raises InputError where the Thinker is given no cells of a picture.
        """
        if not turn.picture_places:
            raise InputError("there is no picture to explain the answer with; give --image")
        said = torch.tensor([self.tokenizer.encode(answer)], dtype=torch.long, device=self._device)
        embeddings = torch.cat([turn.embeddings, self.thinker.embed(said)], dim=1)[:, : self.context]
        return answer_attention(self.thinker, embeddings, turn.embeddings.shape[1] - 1, turn.picture_places)


def _places(ids: list[int], lengths: list[int]) -> list[slice]:
    """The positions of each picture's frames; pictures stand first in a turn, a mark before each."""
    found, start = [], ids.index(IMAGE_SLOT) if lengths else 0
    for length in lengths:
        found.append(slice(start, start + length))
        start += length + 1
    return found
