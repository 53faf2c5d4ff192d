"""The codec: shapes, padding, and that it is trained at all (straight-through, k-means start, dead codes revived)."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from muomni_core.config import MICRO, CodecConfig
from muomni_core.errors import ShapeError
from muomni_core.evaluation.metrics import codebook_usage
from muomni_core.model.codec import Codebook, Codec, codec_loss
from muomni_core.training.more_codebooks import grow

CONFIG = MICRO.codec


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def mels(batch: int, frames: int, seed: int = 1) -> Tensor:
    """Log mels with a structure to learn: three formants that wander, over time."""
    rng = torch.Generator().manual_seed(seed)
    time = torch.arange(frames)[None, :, None] / 10
    bands = torch.arange(128.0)
    mel = torch.full((batch, frames, 128), -9.0)
    for k in range(3):
        place, rate = 20 + 80 * torch.rand(batch, 1, 1, generator=rng), torch.rand(batch, 1, 1, generator=rng)
        mel += (3 - k) * 2 * torch.exp(-(((bands - place - 15 * torch.sin(rate * time)) / 8) ** 2))
    return mel


def codec(config: CodecConfig = CONFIG) -> Codec:
    model = Codec(config)
    for book in model.codebooks:  # entries as far apart as latents are, so that codes differ
        book.entries.normal_()
    return model.eval()


def train(model: Codec, steps: int, lr: float = 3e-3) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr)
    model.train()
    for step in range(steps):
        mel = mels(8, 32, seed=100 + step)
        mel_hat, _, commitment = model(mel)
        loss, _ = codec_loss(mel, mel_hat, commitment, model.config.commitment)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        model.update_codebooks()
    model.eval()


@torch.no_grad()
def error(model: Codec, mel: Tensor) -> float:
    return float((model.decode(model.encode(mel), mel.shape[1]) - mel).abs().mean())


# --- shapes


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("frames", [1, 2, 3, 7, 16, 33])
def test_codes_and_mel_have_their_lengths(stride, frames):
    model = codec(dataclasses.replace(CONFIG, stride=stride))
    mel = mels(2, frames)
    codes = model.encode(mel)
    assert codes.shape == (2, -(-frames // stride), 2) and codes.dtype == torch.int64
    assert int(codes.min()) >= 0 and int(codes.max()) < CONFIG.codebook_size
    assert model.decode(codes, frames).shape == mel.shape
    assert model.decode(codes).shape == (2, codes.shape[1] * stride, 128)
    mel_hat, trained_codes, commitment = model(mel)
    assert mel_hat.shape == mel.shape and torch.equal(trained_codes, codes) and commitment.shape == ()


def test_what_does_not_fit_is_named():
    model = codec()
    with pytest.raises(ShapeError, match=r"codec: expected shape \(B, T, 128\), got \(1, 8, 80\)"):
        model.encode(torch.zeros(1, 8, 80))
    with pytest.raises(ShapeError, match=r"codec: expected shape \(B, F, 2\), got \(1, 8, 3\)"):
        model.decode(torch.zeros(1, 8, 3, dtype=torch.long))
    with pytest.raises(ShapeError, match="4 frames of codes do not make 9 mel frames"):
        model.decode(torch.zeros(1, 4, 2, dtype=torch.long), 9)
    with pytest.raises(ShapeError, match="stride"):
        Codec(dataclasses.replace(CONFIG, stride=3))


@pytest.mark.parametrize("bad", [-1, CONFIG.codebook_size])
def test_codes_out_of_range_are_refused(bad):
    codes = torch.zeros(1, 4, 2, dtype=torch.long)
    codes[0, 2, 1] = bad
    with pytest.raises(ShapeError, match=r"codes must lie in 0\.\.63"):
        codec().decode(codes)


def test_each_further_book_mends_what_is_there():
    """The codes of the first books alone are decoded too, and worse; they are the same with fewer books."""
    torch.manual_seed(0)
    model = codec(dataclasses.replace(CONFIG, n_codebooks=4))
    train(model, 60)
    mel = mels(4, 32)
    codes = model.eval().encode(mel)
    with torch.no_grad():
        errors = [float((model.decode(codes[..., :n], 32) - mel).abs().mean()) for n in (1, 2, 4)]
    assert errors[0] > errors[1] > errors[2]
    with pytest.raises(ShapeError, match=r"codec: expected shape \(B, F, 4\), got \(1, 8, 5\)"):
        model.decode(torch.zeros(1, 8, 5, dtype=torch.long))


def test_a_codec_grows_by_books_and_changes_nothing_else():
    torch.manual_seed(0)
    model = codec()
    train(model, 40)
    mel = mels(8, 64)
    model.eval()
    grown = grow(model, 4, model._latent(mel, None).flatten(0, 1))
    codes = grown.encode(mel)
    assert codes.shape[2] == 4 and torch.equal(codes[..., :2], model.encode(mel))
    assert torch.equal(grown.decode(codes[..., :2]), model.decode(codes[..., :2]))
    with torch.no_grad():
        latent = grown._latent(mel, None)
        left = [float((latent - grown.embed(codes[..., :n])).square().mean()) for n in (2, 3, 4)]
    assert left[0] > left[1] > left[2]


# --- independence


@pytest.mark.parametrize("length", [1, 2, 5, 10, 19])
def test_alone_or_batched_the_same_codes(length):
    model = codec()
    mel = mels(3, 20)
    alone = model._latent(mel[:1, :length], None)
    batched = model._latent(mel, torch.tensor([length, 20, 13]))
    assert torch.allclose(batched[0, : alone.shape[1]], alone[0], atol=1e-5)
    codes = model.encode(mel, torch.tensor([length, 20, 13]))
    assert torch.equal(codes[0, : alone.shape[1]], model.encode(mel[:1, :length])[0])


def test_codes_decoded_in_pieces_with_context_are_the_whole():
    model = codec()
    codes = torch.randint(64, (1, 40, 2))
    whole = model.decode(codes)
    context = CONFIG.depth * (CONFIG.kernel_size // 2) + 1  # the blocks, and the refining one at twice the rate
    parts = []
    for start in range(0, 40, 16):
        first, last = max(0, start - context), min(40, start + 16 + context)
        piece = model.decode(codes[:, first:last])
        parts.append(piece[:, 2 * (start - first) : 2 * (start - first) + 2 * min(16, 40 - start)])
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


def test_the_mean_of_one_code_is_that_code():
    model = codec()
    codes = torch.randint(CONFIG.codebook_size, (2, 7, CONFIG.n_codebooks))
    shares = torch.nn.functional.one_hot(codes, CONFIG.codebook_size).float()
    assert torch.allclose(model.decode_mean(shares), model.decode(codes), atol=1e-5)
    with pytest.raises(ShapeError, match="codec"):
        model.decode_mean(shares[..., :5])


def test_the_specifications_codec_is_a_config():
    """Frame-wise, two codebooks of 128: a frame's codes and mel follow from that frame alone."""
    model = codec(CodecConfig(width=64, depth=0, stride=1, n_codebooks=2, codebook_size=128))
    mel = mels(1, 12)
    codes, other = model.encode(mel), mel.clone()
    other[:, 5] = torch.randn(128) * 3 - 5
    changed = (model.encode(other) != codes).any(2)[0]
    assert codes.shape == (1, 12, 2) and int(codes.max()) < 128
    assert changed.tolist() == [t == 5 for t in range(12)]
    differs = (model.decode(model.encode(other)) != model.decode(codes)).any(2)[0]
    assert differs.tolist() == [t == 5 for t in range(12)]
    before = error(model, mels(4, 32))
    train(model, 40)
    assert error(model, mels(4, 32)) < 0.7 * before


# --- learning


def test_gradient_reaches_the_encoder_through_the_quantiser():
    model = codec()
    model(mels(2, 16))[0].square().mean().backward()  # of the reconstruction alone
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0), name


def test_training_beats_the_untrained_self_and_uses_its_codes():
    model, held_out = Codec(dataclasses.replace(CONFIG, decay=0.9)), mels(8, 64, seed=7)  # revives within these steps
    untrained = error(model.eval(), held_out)
    train(model, 80)
    assert error(model, held_out) < 0.4 * untrained
    usage = codebook_usage(model.encode(held_out).reshape(-1, 2).numpy(), CONFIG.codebook_size)
    assert len(usage) == 2 and min(usage) > 0.25
    rough = model.encode(held_out)
    rough[..., 1] = torch.randint(64, rough.shape[:2])
    assert float((model.decode(rough) - held_out).abs().mean().detach()) > error(
        model, held_out
    )  # the second code counts


def test_the_first_batch_starts_the_codebook_by_k_means():
    centres = torch.randn(8, 4) * 10
    points = (centres[:, None] + 0.1 * torch.randn(8, 50, 4)).reshape(-1, 4)
    book = Codebook(16, 4, 0.99).train()
    assert not book.started
    _, entries = book(points)
    assert book.started
    # Far nearer than entries that were drawn without looking.
    assert float((entries - points).square().mean()) < 0.05 * float(points.square().mean())


def test_fewer_points_than_entries_start_a_codebook_too():
    book = Codebook(16, 4, 0.99).train()
    book(torch.randn(3, 4))
    book.update()
    assert bool(torch.isfinite(book.entries).all())


def test_dead_codes_are_revived_where_the_data_is():
    book = Codebook(8, 4, 0.5).train()
    book(torch.randn(100, 4))
    book.update()
    book.entries[3] = 1e3
    book.ema_sums[3] = 1e3 * book.ema_counts[3]
    for _ in range(12):
        book(torch.randn(100, 4))
        book.update()
    assert float(book.entries.abs().max()) < 6
    codes, _ = book(torch.randn(500, 4))
    assert len(codes.unique()) == 8


def test_entries_move_toward_what_they_quantise():
    book = Codebook(2, 1, 0.5).train()
    book.started.fill_(True)
    book.entries.copy_(torch.tensor([[-1.0], [1.0]]))
    book.ema_counts.fill_(2.0)
    book.ema_sums.copy_(2 * book.entries)
    book(torch.tensor([[-2.0], [-2.0], [0.5], [0.7]]))
    book.update()
    assert torch.allclose(book.entries, torch.tensor([[-1.5], [0.8]]))


def test_accumulated_batches_count_as_one():
    data = torch.randn(64, 4)
    books = []
    for parts in (1, 4):
        torch.manual_seed(3)
        book = Codebook(8, 4, 0.9).train()
        book(data)  # the same start
        book.update()
        for part in (data + 0.3).chunk(parts):
            book(part)
        book.update()
        books.append(book)
    assert torch.allclose(books[0].entries, books[1].entries, atol=1e-5)
    assert torch.allclose(books[0].ema_counts, books[1].ema_counts, atol=1e-5)


def test_evaluation_gathers_nothing():
    model = codec()
    before = [book.entries.clone() for book in model.codebooks]
    model(mels(2, 16))
    model.encode(mels(2, 16))
    model.update_codebooks()
    for book, entries in zip(model.codebooks, before, strict=True):
        assert torch.equal(book.entries, entries) and not book.started
