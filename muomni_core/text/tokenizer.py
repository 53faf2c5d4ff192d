"""The byte-level BPE tokenizer of the Thinker and of the text tower: 5000 entries, any Unicode comes back as it was.

Retrain it (weights made for another tokenizer are then refused by its fingerprint):

    python -m muomni_core.text.tokenizer --data DATA --out tokenizer.json

DATA holds `text/*-train.jsonl.xz`. Every source may give a bounded number of characters, so that everyday sentences,
dialogue and captions are not drowned by the long stories.
"""

from __future__ import annotations

import argparse
import codecs
import hashlib
import json
import lzma
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from muomni_core.errors import CheckpointError, DataError, InputError

SPECIALS = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|image|>", "<|audio|>")
VOCAB_SIZE = 5000
DEFAULT_PATH = Path(__file__).resolve().parent.parent / "weights" / "tiny" / "tokenizer.json"

# GPT-2's pattern, with one digit at a time: a number then costs its length, and digits share what is learned.
PIECES = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# Characters that a source may give; what people say and ask, and what pictures show, comes first.
DEFAULT_CHARACTERS = 1_500_000
SOURCE_CHARACTERS = {
    "tatoeba_english": 4_000_000,
    "common_voice_en": 2_500_000,
    "captions_coco_val2017": 2_500_000,
    "captions_flickr8k": 2_500_000,
    "snakes_sentences": 2_500_000,
    "dailydialog_plusplus": 3_000_000,
    "self_dialogue_corpus": 2_500_000,
    "sgd_dialogues": 2_000_000,
    "snakes_child_stories": 2_500_000,
    "opentriviaqa": 2_500_000,
}
# A share of the texts is shown once more in lower case: so writes the ear, and so the Talker is given its text.
LOWER_SHARE = 0.2

_SURROGATES = re.compile("[\ud800-\udfff]")


def _byte_of_character() -> dict[str, int]:
    """The byte that each character of the byte-level alphabet stands for (GPT-2's table)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(rest)}


class Tokenizer:
    """Text to ids and back. Special ids are only ever put in by the program: text that looks like one stays text."""

    def __init__(self, json_bytes: bytes) -> None:
        """From the bytes of a tokenizer.json. Raises CheckpointError where they are none of ours."""
        try:
            self._bpe = tokenizers.Tokenizer.from_str(json_bytes.decode("utf-8"))
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"not a tokenizer file: {' '.join(str(error).split())[:120]}") from error
        if tuple(self._bpe.id_to_token(i) for i in range(len(SPECIALS))) != SPECIALS:
            raise CheckpointError(f"tokenizer: ids 0 to {len(SPECIALS) - 1} must be {' '.join(SPECIALS)}")
        # Otherwise a user who writes "<|end|>" would end the turn. Not kept in the JSON, hence set at each loading.
        self._bpe.encode_special_tokens = True
        self._json = json_bytes
        self.vocab_size: int = self._bpe.get_vocab_size()
        self.fingerprint: str = hashlib.sha256(json_bytes).hexdigest()[:12]
        self.pad_id, self.end_id, self.user_id, self.assistant_id, self.image_id, self.audio_id = range(len(SPECIALS))
        table = _byte_of_character()
        self._bytes = [b""] * len(SPECIALS) + [
            bytes(table[c] for c in self._bpe.id_to_token(i) or "") for i in range(len(SPECIALS), self.vocab_size)
        ]

    @classmethod
    def load(cls, path: str | Path | None = None) -> Tokenizer:
        """The tokenizer in the file `path`; None takes the shipped one. Raises CheckpointError."""
        path = DEFAULT_PATH if path is None else Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"tokenizer {path} cannot be read: {error.strerror}") from error
        try:
            return cls(data)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Writes the JSON, byte for byte as it was loaded, so that the fingerprint stays."""
        Path(path).write_bytes(self._json)

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[bytes]]:
        return Tokenizer, (self._json,)

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; never a special one. Half surrogates, which are no text, become U+FFFD."""
        return self._encoding(text).ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids, and for each the (start, end) of its characters in `text`; a space belongs to the token it is in.

        Tokens that are parts of one character have the same offsets.
        """
        encoding = self._encoding(text)
        return encoding.ids, encoding.offsets

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, by as many threads as RAYON_NUM_THREADS allows."""
        clean = [_SURROGATES.sub("\ufffd", text) for text in texts]
        return [encoding.ids for encoding in self._bpe.encode_batch_fast(clean, add_special_tokens=False)]

    def _encoding(self, text: str) -> tokenizers.Encoding:
        return self._bpe.encode(_SURROGATES.sub("\ufffd", text), add_special_tokens=False)

    def token_bytes(self, token: int) -> bytes:
        """The bytes that an id stands for; none for a special one. Raises InputError for an id that is not there."""
        if not 0 <= token < self.vocab_size:
            raise InputError(f"token id {token} is outside the vocabulary of {self.vocab_size}")
        return self._bytes[token]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`: special ids are left out, bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self.token_bytes(int(token)) for token in ids).decode("utf-8", "replace")


class StreamDecoder:
    """Text of ids as they come. All that push() and at last finish() return, joined, is decode() of the ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """What is certain now: whole characters only, so it may be empty."""
        return self._decoder.decode(self._tokenizer.token_bytes(int(token)))

    def finish(self) -> str:
        """The rest: U+FFFD where the last character was cut, else nothing. The decoder may then be used anew."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


def align_characters(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """For every character of `text` the index (not the id) of the token that it belongs to; never decreasing.

    `offsets` are those of encode_with_offsets. Of several tokens that share a character it is the last, whose state
    has seen all of it. A character between tokens goes to the next one, at the end to the last.
    Raises ValueError where there is text and no token.
    """
    if text and not offsets:
        raise ValueError("align_characters: text without tokens")
    owner = [-1] * len(text)
    for index, (start, end) in enumerate(offsets):
        owner[start:end] = [index] * (end - start)
    following = len(offsets) - 1
    for position in range(len(text) - 1, -1, -1):
        following = owner[position] if owner[position] >= 0 else following
        owner[position] = following
    return owner


def train_tokenizer(texts: Iterable[str], vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """A tokenizer of exactly `vocab_size` entries. Raises DataError where the texts are too few for that."""
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=16,
        show_progress=False,
    )
    bpe.train_from_iterator((_SURROGATES.sub("\ufffd", text) for text in texts), trainer)
    if bpe.get_vocab_size() != vocab_size:
        raise DataError(f"too little text for {vocab_size} tokens: it gives {bpe.get_vocab_size()}; add text")
    return Tokenizer(bpe.to_str().encode("utf-8"))


def texts_of_row(row: dict) -> Iterator[str]:
    """Every text of a row, whatever its kind."""
    fields = ("text", "question", "answer", "context")
    yield from (str(row[key]) for key in fields if row.get(key))
    yield from (str(turn) for turn in row.get("turns") or ())


def to_its_bound(source: str, texts: Iterable[str], share: float = 1.0) -> Iterator[str]:
    """The first of a source's texts, up to the characters that it may have, times `share`."""
    left = share * SOURCE_CHARACTERS.get(source, DEFAULT_CHARACTERS)
    for text in texts:
        if left <= 0:
            return
        left -= len(text)
        yield text


def balanced_texts(data: str | Path, seed: int = 0) -> Iterator[str]:
    """Texts of all `text/*-train.jsonl.xz` below `data`, each source to its bound. Raises DataError without any."""
    files = sorted((Path(data) / "text").glob("*-train.jsonl.xz"))
    if not files:
        raise DataError(f"no text/*-train.jsonl.xz in {data}; point --data at the folder that holds text/")
    for file in files:
        source = file.name.removesuffix("-train.jsonl.xz")
        chance = random.Random(f"{seed} {source}")
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            texts = [text for line in lines for text in texts_of_row(json.loads(line))]
        # A context stands in many rows; once is enough.
        texts = list(dict.fromkeys(texts))
        chance.shuffle(texts)
        for text in to_its_bound(source, texts):
            yield text
            if chance.random() < LOWER_SHARE:
                yield text.lower()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m muomni_core.text.tokenizer", description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder that holds text/*-train.jsonl.xz")
    parser.add_argument("--out", required=True, type=Path, help="file to write, such as tokenizer.json")
    parser.add_argument("--vocab-size", type=int, default=VOCAB_SIZE)
    chosen = parser.parse_args(arguments)
    tokenizer = train_tokenizer(balanced_texts(chosen.data), chosen.vocab_size)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(chosen.out)
    print(f"{chosen.out}: {tokenizer.vocab_size} entries, fingerprint {tokenizer.fingerprint}")


if __name__ == "__main__":
    main()
