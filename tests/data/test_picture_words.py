"""The words that are known of pictures, and pictures mixed two and two."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from muomni_core.data.picture_mix import PictureFacts
from muomni_core.data.picture_words import PictureWords, mixed, word_tokens
from muomni_core.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load()
CAT = {"label": "cat", "source": "pets"}
DOGS = {"captions": ["Two dogs run on the beach.", "A pair of dogs at the beach."], "source": "captions"}


def said(question: str, answer: str) -> str:
    return TOKENIZER.decode(word_tokens(TOKENIZER, question, answer)).strip()


def test_the_words_that_an_answer_adds() -> None:
    assert said("What do you see?", "I see a red bicycle.") == "red bicycle"
    assert said("Is there a cat?", "Yes, there is a cat.") == ""
    assert said("Is there a dog?", "No, there is a red boat.") == "red boat"
    assert said("", "") == ""


def test_shares_of_label_and_captions() -> None:
    words = PictureWords([PictureFacts(row) for row in (CAT, DOGS, {"source": "bare"})], TOKENIZER)
    assert words.known.tolist() == [True, True, False]
    cat, dogs = words([0, 1])
    assert cat.sum() == 1 and cat[TOKENIZER.encode("A cat")[-1]] == 1
    torch.testing.assert_close(dogs.sum(), torch.tensor(1.0))
    beach, run = (dogs[TOKENIZER.encode(f"the {word}")[-1]] for word in ("beach", "run"))
    assert beach == 2 * run > 0  # both captions say it, one says the other


@given(st.integers(1, 8), st.integers(0, 1000))
def test_each_picture_keeps_the_larger_part(n: int, seed: int) -> None:
    torch.manual_seed(seed)
    frames, words = torch.randn(n, 3, 4), torch.eye(8)[:n]
    mixture, wanted = mixed(frames, words)
    torch.testing.assert_close(wanted.sum(1), torch.ones(n))
    own = (wanted * words).sum(1)
    assert (own >= 0.5 - 1e-6).all()
    expected = own[:, None, None] * frames + (1 - own)[:, None, None] * frames.roll(1, 0)
    if n > 1:
        torch.testing.assert_close(mixture, expected)
