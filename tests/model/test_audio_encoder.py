"""The ear: 12.5 frames a second, slots that hold English, and no leak from what a clip is batched with."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from muomni_core.config import MICRO, TINY
from muomni_core.errors import ShapeError
from muomni_core.model.audio import AudioEncoder
from muomni_core.text.symbols import N_SYMBOLS, collapse, decode_symbols, encode_symbols, slots_needed


@pytest.fixture
def ear() -> AudioEncoder:
    torch.manual_seed(0)
    return AudioEncoder(MICRO.audio).eval()


def mels(batch: int, frames: int) -> torch.Tensor:
    return -5.5 + 2.5 * torch.randn(batch, frames, 128, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 100, 101])
def test_frames_come_at_an_eighth_of_the_rate(ear, frames):
    heard, lengths = ear(mels(2, frames))
    assert heard.shape == (2, -(-frames // 8), 192)
    assert lengths.tolist() == [-(-frames // 8)] * 2


def test_lengths_are_those_of_each_clip(ear):
    heard, lengths = ear(mels(4, 50), torch.tensor([50, 49, 8, 1]))
    assert lengths.tolist() == [7, 7, 1, 1]
    assert not heard[2, 1:].any() and not heard[3, 1:].any()


def test_each_frame_has_its_slots(ear):
    heard, _ = ear(mels(2, 20))
    logits = ear.ctc_logits(heard)
    assert logits.shape == (2, 4 * 3, 98)
    # Slots of a frame stand one behind the other, and follow from that frame alone.
    assert torch.allclose(ear.ctc_logits(heard[:, 1:2]), logits[:, 4:8], atol=1e-5)


@pytest.mark.parametrize("length", [1, 5, 8, 17, 24, 31])
def test_alone_or_batched_the_same(ear, length):
    mel = mels(3, 40)
    alone, _ = ear(mel[:1, :length])
    batched, lengths = ear(mel, torch.tensor([length, 40, 22]))
    n = int(lengths[0])
    assert n == alone.shape[1]
    assert torch.allclose(batched[0, :n], alone[0], atol=1e-5)


def test_what_lies_beyond_the_end_is_not_heard(ear):
    mel = mels(1, 40)
    other = mel.clone()
    other[:, 17:] = 50.0
    lengths = torch.tensor([17])
    assert torch.allclose(ear(mel, lengths)[0], ear(other, lengths)[0], atol=1e-5)
    other[:, 16] = 1.0
    assert not torch.allclose(ear(mel, lengths)[0], ear(other, lengths)[0], atol=1e-3)


def test_a_wrong_shape_is_named(ear):
    with pytest.raises(ShapeError, match=r"audio_encoder: expected shape \(B, T, 128\), got \(1, 8, 80\)"):
        ear(torch.zeros(1, 8, 80))
    with pytest.raises(ShapeError, match=r"audio_encoder: expected shape \(B, F, 192\)"):
        ear.ctc_logits(torch.zeros(1, 8, 191))


# --- CTC that can fit


def test_english_fits_in_the_slots_and_would_not_in_the_frames():
    text = "the committee agreed that all three balloons will still need a little yellow pepper soon"
    seconds = len(text) / 15
    needed = slots_needed(encode_symbols(text))
    assert needed > len(text)  # doubled letters need a blank between
    frames = -(-int(100 * seconds) // 8)
    assert TINY.audio.n_slots * frames >= 1.5 * needed
    assert frames < needed


@pytest.mark.parametrize("text", ["hello", "a", "aaa", "bookkeeper", "no"])
def test_slots_needed_is_what_ctc_needs(text):
    symbols = encode_symbols(text)
    needed = slots_needed(symbols)
    for slots in (needed - 1, needed):
        logits = torch.zeros(max(1, slots), 1, N_SYMBOLS).log_softmax(-1)
        loss = F.ctc_loss(logits, torch.tensor([symbols]), torch.tensor([slots]), torch.tensor([len(symbols)]))
        assert bool(torch.isfinite(loss)) == (slots >= needed)


def test_one_batch_is_learned_by_heart(ear):
    ear.train()
    texts = ["hello", "a cat", "oh no"]
    mel, lengths = mels(3, 32), torch.tensor([32, 25, 17])
    targets = [encode_symbols(t) for t in texts]
    flat, target_lengths = torch.tensor([s for t in targets for s in t]), torch.tensor([len(t) for t in targets])
    for module in ear.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    optimiser = torch.optim.AdamW(ear.parameters(), lr=3e-3)
    for _ in range(150):
        heard, n = ear(mel, lengths)
        logprobs = ear.ctc_logits(heard).log_softmax(-1).transpose(0, 1)
        loss = F.ctc_loss(logprobs, flat, 4 * n, target_lengths)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if float(loss.detach()) < 0.02:
            break
    ear.eval()
    heard, n = ear(mel, lengths)
    paths = ear.ctc_logits(heard).argmax(-1)
    assert [decode_symbols(collapse(p[: 4 * int(k)].tolist())) for p, k in zip(paths, n, strict=True)] == texts
