"""The whole model as people use it: `MuOmni.load()`, then ask, transcribe, speak, embed."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from muomni_core import config as configs
from muomni_core.audio.io import SAMPLE_RATE, SoundSource, iter_sound
from muomni_core.audio.mel import log_mel, pad_to_hop
from muomni_core.audio.vocoder import scale_down
from muomni_core.checkpoint import Header, check_parents, find_file, is_export, read_header, weights_folder
from muomni_core.errors import CheckpointError, InputError, check_shape
from muomni_core.model.asking import CANDIDATES, Asker
from muomni_core.model.build import CONFIGS, load_components
from muomni_core.model.conversation import Conversation
from muomni_core.model.hearing import LETTERS, Heard, Listener
from muomni_core.model.punctuator import PUNCTUATION, Scribe
from muomni_core.model.speaking import Said, Speaker
from muomni_core.model.thinker import Thinker
from muomni_core.text.decoding import Decoding
from muomni_core.text.tokenizer import Tokenizer
from muomni_core.weights import SHIPPED

if TYPE_CHECKING:
    from muomni_core.model.asking import Pictures
    from muomni_core.vision.image import ImageSource

log = logging.getLogger(__name__)

SPARE_VOCODER = "the package's is made for another codec than this one; Griffin-Lim makes the waveform"
SPARE_STAGE = "the package's does not fit the weights given and is set aside"
STAGES = ("codec", "audio", "vision", "omni", "talker", "vocoder")


class MuOmni:
    """A loaded model. Weights of a stage are read when they are first needed; their headers are checked at once.

    `set_aside` are stages of the package that do not fit the folder's, with what is said when one is needed.
    """

    def __init__(
        self,
        files: dict[str, Path],
        headers: dict[str, Header],
        tokenizer: Tokenizer,
        device: torch.device,
        set_aside: dict[str, str],
    ):
        self._files, self._headers, self.device = files, headers, device
        self.tokenizer, self.set_aside = tokenizer, set_aside
        self.fingerprints = {stage: header.fingerprint for stage, header in headers.items()}

    @classmethod
    def load(cls, folder: str | Path | None = None, device: str = "auto") -> MuOmni:
        """The stages that are found in `folder`, the rest from the package; an export (folder or file) stands by itself.

        What the package has for other parents than the folder's is set aside: who has trained a codec can use it, and
        is told to train a Talker when he speaks.

        Args:
            device: auto (a GPU where there is one), cpu, cuda or mps.
        Raises:
            CheckpointError: weights that are missing, damaged or not made for each other, by name.
        """
        folders = search_path(folder)
        tokenizer = load_tokenizer(folders)
        found = {stage: find_file(folders, f"{stage}.safetensors") for stage in STAGES}
        files = {stage: path for stage, path in found.items() if path is not None}
        headers = {stage: read_header(path, stage, tokenizer=tokenizer.fingerprint) for stage, path in files.items()}
        set_aside = spare_stages(files, headers)
        for stage in set_aside:
            log.info("%s: %s", stage, SPARE_VOCODER if stage == "vocoder" else SPARE_STAGE)
            del files[stage], headers[stage]
        set_aside.pop("vocoder", None)  # there is another way
        prints = {stage: header.fingerprint for stage, header in headers.items()}
        for stage, header in headers.items():
            check_parents(files[stage], header, prints)
        return cls(files, headers, tokenizer, pick_device(device), set_aside)

    @property
    def files(self) -> dict[str, Path]:
        """stage -> the file that its weights are in."""
        return dict(self._files)

    @cached_property
    def config(self) -> configs.OmniConfig:
        """The configuration that the weights were made with; of components without weights, the preset tiny's."""
        changed = {}
        for header in self._headers.values():
            for name, values in header.config.items():
                changed[name] = configs.from_dict(CONFIGS[name], values)
        return dataclasses.replace(configs.TINY, **changed)

    @cached_property
    def _loaded(self) -> dict[str, dict[str, nn.Module]]:
        return {}

    def _component(self, stage: str, component: str) -> Any:
        """A component of a stage, its weights read at the first call."""
        if stage in self.set_aside:
            raise CheckpointError(self.set_aside[stage])
        if stage not in self._files:
            raise CheckpointError(f"no {stage}.safetensors: train it with muomni train --stage {stage}")
        if stage not in self._loaded:
            _, modules = load_components(self._files[stage], stage, tokenizer=self.tokenizer.fingerprint)
            self._loaded[stage] = {name: module.to(self.device) for name, module in modules.items()}
        return self._loaded[stage][component]

    @property
    def voices(self) -> list[str]:
        """Names of the Talker's voices, the default one first."""
        return list(self.config.talker.voices) if "talker" in self._headers else []

    # -- asking ------------------------------------------------------------------------------------------------

    def ask(
        self,
        question: str | None = None,
        image: Pictures | None = None,
        audio: SoundSource | None = None,
        **options: Any,
    ) -> str:
        """The answer to a question about pictures, a recording, or nothing but words.

        Without `question` a recording is the question, and a picture alone is asked "What do you see?".

        Args:
            image: a picture, or a list of several.
            options: as `ask_stream`.
        Raises:
            InputError: nothing is asked, or a file cannot be used.
        """
        return "".join(self.ask_stream(question, image, audio, **options)).strip()

    def ask_stream(
        self,
        question: str | None = None,
        image: Pictures | None = None,
        audio: SoundSource | None = None,
        *,
        max_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        no_repeat: int = 4,
        candidates: int = CANDIDATES,
        transcript: bool = True,
    ) -> Iterator[str]:
        """As `ask`, piece by piece while it is thought of.

        Args:
            max_tokens: bound of the answer; a warning is logged when it is hit.
            temperature: 0 takes the likeliest word each time; above, `seed` repeats an answer.
            top_p: words are chosen among the likeliest that together have this probability.
            no_repeat: no run of so many tokens is said twice; 0 allows all.
            candidates: answers to what is in a picture, of which one is chosen at temperature 0
                (`muomni_core.model.choosing`). With 1 such an answer too comes word by word.
            transcript: whether the ear's own transcript goes beside the frames of a recording.
        """
        options: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
        options |= {"no_repeat": no_repeat, "candidates": candidates}
        turn = self._asker.turn(question, image, audio, transcript=transcript)
        return self._asker.text(self._asker.tokens(turn.embeddings, seen=turn.seen, **options))

    def conversation(self) -> Conversation:
        """A new conversation: its `ask` and `ask_stream` take what this one's do, and remember."""
        return Conversation(self._asker)

    def attention(
        self,
        answer: str,
        question: str | None = None,
        image: Pictures | None = None,
        audio: SoundSource | None = None,
        *,
        transcript: bool = True,
    ) -> np.ndarray:
        """Where an answer looks: (pictures, grid, grid) float32, shares that sum to 1 over all cells.

        Raises InputError without a picture.
        """
        return self._asker.attention(self._asker.turn(question, image, audio, transcript=transcript), answer).numpy()

    @cached_property
    def _asker(self) -> Asker:
        return Asker(self._component, self.tokenizer, self.config, self.device, self.listener)

    @property
    def thinker(self) -> Thinker:
        """The language model itself."""
        return self._component("omni", "thinker")

    def picture_frames(self, image: ImageSource) -> Tensor:
        """What the Thinker is given of a picture, before the projector: (1, 1 + grid * grid, 128)."""
        return self._asker.picture_frames(image)

    def sound_frames(self, sound: np.ndarray) -> Tensor:
        """What the Thinker is given of a sound (N,), before the projector: (1, ceil(T/8), 192)."""
        return self.listener.frames(sound)

    # -- hearing -----------------------------------------------------------------------------------------------

    def transcribe(self, source: SoundSource, **options: Any) -> str:
        """What is said in a recording of any length, as people write it, numbers in words; "" if nobody speaks.

        Args:
            source: a path, "-", a file, or (array, rate) with float or int16 samples, (N,) or (N, channels).
            options: as `listen`.
        Raises:
            InputError: no sound can be read from it.
        """
        return self.listen(source, **options).text

    def listen(
        self, source: SoundSource, *, beam: int | None = None, rescore: bool = False, plain: bool = False
    ) -> Heard:
        """As `transcribe`, with the times of the words, how sure the ear is of each, and the sound's length.

        A word has the mark that stands behind it.

        Args:
            beam: texts that are kept while decoding; 1 takes the likeliest symbols; None is the default of `Decoding`.
            rescore: whether the Thinker chooses among a beam's texts.
            plain: words as the ear writes them: lower case, no marks.
        """
        heard = self.listener.hear(iter_sound(source), Decoding.of(beam, rescore))
        if plain or not heard.words or self._scribe is None:
            return heard
        return dataclasses.replace(heard, words=list(self._scribe.written(heard.words)))

    @cached_property
    def listener(self) -> Listener:
        """The ear and how it is used: what `transcribe` and `listen` stand on. It hears plain words."""
        return Listener(self._component, self.tokenizer, self.device, self.beside_the_ear.get(LETTERS))

    @cached_property
    def _scribe(self) -> Scribe | None:
        return Scribe.load(self.beside_the_ear.get(PUNCTUATION), self.tokenizer)

    @property
    def beside_the_ear(self) -> dict[str, Path]:
        """What `transcribe` uses beside the ear's weights, by file name, as far as it is there."""
        folders = [self._files["audio"].parent, SHIPPED] if "audio" in self._files else [SHIPPED]
        found = {name: find_file(folders, name) for name in (LETTERS, PUNCTUATION)}
        return {name: path for name, path in found.items() if path is not None}

    # -- speaking ----------------------------------------------------------------------------------------------

    def speak(
        self,
        text: str,
        voice: str | None = None,
        vocoder: str | None = None,
        *,
        speed: float = 1.0,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> tuple[np.ndarray, int]:
        """The text, said: float32 (N,) and the rate, 16000.

        Args:
            voice: one of `voices`; None is the first of them.
            vocoder: one of `vocoders`; None takes the neural one where there is one.
            speed: 0.7 to 1.5 of the voice's own pace sounds well; 0.5 to 2 is possible.
            temperature: 0 says a sentence always alike; above, `seed` repeats it.
        Raises:
            InputError: nothing in the text can be said, or there is no such voice.
        """
        options = {"speed": speed, "temperature": temperature, "top_p": top_p, "seed": seed}
        said = list(self.speak_pieces(text, voice, vocoder, **options))
        # One factor for all, the smallest: what was said before a loud piece is known here, unlike in a stream.
        return np.concatenate([p.sound * np.float32(said[-1].factor / p.factor) for p in said]), SAMPLE_RATE

    def speak_stream(
        self,
        text: str | Iterable[str],
        voice: str | None = None,
        vocoder: str | None = None,
        *,
        speed: float = 1.0,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[np.ndarray]:
        """As `speak`, a sentence at a time with the pause before it; the text may still be arriving, in parts."""
        options = {"speed": speed, "temperature": temperature, "top_p": top_p, "seed": seed}
        for said in self.speak_pieces(text, voice, vocoder, **options):
            yield said.sound

    def speak_pieces(
        self, text: str | Iterable[str], voice: str | None = None, vocoder: str | None = None, **options: Any
    ) -> Iterator[Said]:
        """As `speak_stream`, with the times of the words; `options` as there."""
        return self._speaker.say(text, voice, vocoder, **options)

    @property
    def vocoders(self) -> list[str]:
        """Names of what can make the waveform, the default one first."""
        return self._speaker.vocoders

    @cached_property
    def _speaker(self) -> Speaker:
        neural = "vocoder" in self._files
        return Speaker(self._component, self.tokenizer, self.config, self.device, neural=neural)

    # -- the codec by itself -----------------------------------------------------------------------------------

    @torch.no_grad()
    def encode_sound(self, sound: np.ndarray) -> np.ndarray:
        """Sound (N,) -> codes (F, Q) int64; the last partial hop is padded."""
        mel = log_mel(pad_to_hop(torch.from_numpy(sound)))[None].to(self.device)
        return self._component("codec", "codec").encode(mel)[0].cpu().numpy()

    @torch.no_grad()
    def decode_codes(self, codes: np.ndarray, n_samples: int, vocoder: str | None = None) -> np.ndarray:
        """Codes (F, Q) -> sound with exactly `n_samples` samples."""
        table = torch.as_tensor(codes, device=self.device).long()
        check_shape("codec", table, ("F", self.config.codec.n_codebooks))
        n_frames = -(-n_samples // self.config.mel.hop_length)
        mel = self._component("codec", "codec").decode(table[None], n_frames)
        wave = self._speaker.wave(mel, self._speaker.settle_vocoder(vocoder))
        return scale_down(wave)[0, :n_samples].cpu().numpy()

    # -- one space for pictures and words ----------------------------------------------------------------------

    @torch.no_grad()
    def embed(self, *, image: ImageSource | None = None, text: str | None = None) -> np.ndarray:
        """A picture or a text as a unit vector (D,) float32; near each other where they belong together.

        Raises InputError unless exactly one of them is given.
        """
        if (image is None) == (text is None):
            raise InputError("embed takes either an image or a text")
        model = self._component("vision", "vision")
        if image is not None:
            vector = model.embed_pixels(self._asker.pixels(image))
        else:
            if not (text or "").strip():
                raise InputError("the text is empty; give some words")
            vector = model.embed_texts([self.tokenizer.encode(text)])
        return vector[0].cpu().numpy()


def search_path(folder: str | Path | None) -> list[Path]:
    """Where a model's files are looked for, in order. Raises CheckpointError for a folder without weights."""
    if folder is None:
        return [SHIPPED]
    folder = weights_folder(folder)
    return [folder] if is_export(folder) else [folder, SHIPPED]


def load_tokenizer(folders: list[Path]) -> Tokenizer:
    """The first one in the folders. Raises CheckpointError where there is none, or it is damaged."""
    path = find_file(folders, "tokenizer.json")
    if path is None:
        raise CheckpointError(f"{folders[-1]}: tokenizer.json is missing")
    return Tokenizer.load(path)


def spare_stages(files: dict[str, Path], headers: dict[str, Header]) -> dict[str, str]:
    """The stages that are the package's, which nobody asked for, beside parents that they were not made for: why not."""
    given = {stage: header.fingerprint for stage, header in headers.items() if files[stage].parent != SHIPPED}
    found = {}
    for stage, header in headers.items():
        if files[stage].parent != SHIPPED:
            continue
        try:
            check_parents(files[stage], header, given)
        except CheckpointError as error:
            found[stage] = str(error)
    return found


def pick_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one. Raises InputError for a device that is not here."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if available["cuda"] else "mps" if available["mps"] else "cpu")
    if not available.get(name, False):
        raise InputError(f"device {name!r} is not here; there are: {', '.join(k for k, v in available.items() if v)}")
    return torch.device(name)
