"""The eye: tokens in their order, positions at any size, and the space it shares with the text tower."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from muomni_core.config import MICRO
from muomni_core.errors import ShapeError
from muomni_core.model.vision import GroupedBatchNorm, VisionModel, contrastive_loss, picture_tokens


@pytest.fixture
def model() -> VisionModel:
    torch.manual_seed(0)
    return VisionModel(MICRO.vision).eval()


def pictures(batch: int, size: int) -> torch.Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("size", "tokens"), [(224, 197), (112, 50), (16, 2)])
def test_cls_and_a_token_a_patch(model, size, tokens):
    assert model.encoder(pictures(1, size)).shape == (1, tokens, 128)


def test_patches_come_row_by_row_behind_cls(model):
    encoder = model.encoder
    encoder.blocks = nn.ModuleList()  # without attention and norms a patch says what stands in its place
    for n, layer in enumerate(encoder.stem):
        if isinstance(layer, GroupedBatchNorm):
            encoder.stem[n] = nn.Identity()
    for name, parameter in encoder.stem.named_parameters():  # a blur: what is nearest weighs most
        nn.init.constant_(parameter, 0.1 if name.endswith("weight") else 0.0)
    encoder.norm = nn.Identity()
    encoder.requires_grad_(False)
    blank = torch.zeros(1, 3, 64, 96)
    plain = encoder(blank)
    for row, column in [(0, 0), (0, 5), (1, 0), (2, 3), (3, 5)]:
        marked = blank.clone()
        marked[:, :, 16 * row : 16 * row + 4, 16 * column : 16 * column + 4] = 1.0  # where its receptive field centres
        change = (encoder(marked) - plain).norm(dim=-1)[0]
        assert float(change[0]) == 0.0  # CLS
        assert int(change.argmax()) == 1 + 6 * row + column


def test_positions_tell_places_apart_at_every_size(model):
    for size in (224, 112):
        tokens = model.encoder(torch.zeros(1, 3, size, size))[0, 1:]
        assert float(torch.cdist(tokens, tokens).detach().fill_diagonal_(9).min()) > 1e-4


def test_alone_or_batched_the_same(model):
    images = pictures(3, 64)
    together = model.encoder(images)
    assert torch.allclose(model.encoder(images[1:2])[0], together[1], atol=1e-5)


def test_what_does_not_fit_is_named(model):
    with pytest.raises(ShapeError, match=r"vision_encoder: expected shape \(B, 3, H, W\), got \(3, 64, 64\)"):
        model.encoder(torch.zeros(3, 64, 64))
    with pytest.raises(ShapeError, match="multiples of 16"):
        model.encoder(torch.zeros(1, 3, 64, 60))


# --- what the Thinker sees of a picture


def test_patches_are_pooled_in_their_order():
    tokens = torch.arange(1.0, 50.0).view(1, 49, 1).expand(1, 49, 128)
    tokens = torch.cat([torch.full((1, 1, 128), -7.0), tokens], 1)
    pooled = picture_tokens(tokens, 4)
    assert pooled.shape == (1, 17, 128)
    assert float(pooled[0, 0, 0]) == -7.0
    # 7 rows in 4 cells: columns 0-1, 1-3, 3-5, 5-6 of rows 0-1, and so on.
    cells = pooled[0, 1:, 0].view(4, 4)
    assert torch.equal(cells[0], torch.tensor([5.0, 6.5, 8.5, 10.0]))
    assert torch.equal(cells[:, 0], 5.0 + 7 * torch.tensor([0.0, 1.5, 3.5, 5.0]))
    assert torch.equal(picture_tokens(tokens, 7), tokens)


def test_only_square_pictures_are_pooled():
    with pytest.raises(ShapeError, match="1 \\+ a square number of tokens, got 7"):
        picture_tokens(torch.zeros(1, 7, 128), 4)


# --- one space


def test_embeddings_are_unit_vectors_of_one_width(model):
    image = model.image_embedding(model.pool(model.encoder(pictures(2, 64))))
    text = model.text_embedding(torch.randint(5000, (3, 7)), torch.tensor([7, 2, 1]))
    assert image.shape == (2, 128) and text.shape == (3, 128)
    for vectors in (image, text):
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(len(vectors)), atol=1e-5)


@torch.no_grad()
def test_a_picture_and_its_mirror_image_are_in_one_place(model):
    one = pictures(2, 32)
    vectors = model.embed_pixels(one)
    assert torch.allclose(vectors, model.embed_pixels(one.flip(-1)), atol=1e-5)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(2)) and not torch.allclose(vectors[0], vectors[1], atol=1e-3)


def test_padding_does_not_reach_the_text_embedding(model):
    ids = torch.randint(6, 5000, (2, 9))
    lengths = torch.tensor([4, 9])
    alone = model.text_embedding(ids[:1, :4], torch.tensor([4]))
    padded = model.text_embedding(ids, lengths)
    assert torch.allclose(padded[0], alone[0], atol=1e-5)
    ids[0, 4:] = 17
    assert torch.allclose(model.text_embedding(ids, lengths)[0], alone[0], atol=1e-5)
    ids[0, 3] = 18
    assert not torch.allclose(model.text_embedding(ids, lengths)[0], alone[0], atol=1e-3)


def test_the_order_of_words_matters(model):
    nn.init.normal_(model.text_tower.embedding.weight)
    ids, length = torch.randint(6, 5000, (1, 6)), torch.tensor([6])
    assert not torch.allclose(model.text_embedding(ids, length), model.text_embedding(ids.flip(1), length), atol=1e-3)


def test_an_empty_caption_gives_no_nan(model):
    text = model.text_embedding(torch.zeros(2, 3, dtype=torch.long), torch.tensor([0, 3]))
    assert bool(torch.isfinite(text).all())


def unit(n: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_the_loss_is_the_same_from_either_side():
    image, text, groups, scale = unit(6, 1), unit(6, 2), torch.tensor([0, 1, 1, 2, 3, 3]), torch.tensor(9.0)
    loss = contrastive_loss(image, text, scale, groups)
    assert torch.allclose(loss, contrastive_loss(text, image, scale, groups))
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert torch.allclose(loss, contrastive_loss(image[order], text[order], scale, groups[order]), atol=1e-5)


def test_pairs_draw_together_and_others_apart():
    image, scale, groups = unit(6, 1), torch.tensor(20.0), torch.arange(6)
    right = float(contrastive_loss(image, image, scale, groups))
    assert right < 0.1 < float(contrastive_loss(image, image.roll(1, 0), scale, groups))
    assert float(contrastive_loss(image, image, torch.tensor(0.0), groups)) == pytest.approx(math.log(6))


def test_rows_of_one_group_are_no_negatives():
    """Two pictures of one label: at rest where both lie on the label, and not pushed off it."""
    vectors = torch.eye(16)[[0, 0, 1]].requires_grad_()
    scale = torch.tensor(100.0)
    grouped = contrastive_loss(vectors, vectors.detach(), scale, torch.tensor([0, 0, 1]))
    assert float(grouped.detach()) == pytest.approx(2 / 3 * math.log(2), abs=1e-4)  # the best that two positives allow
    grouped.backward()
    assert float(vectors.grad.abs().max()) < 1e-3
    apart = torch.eye(16)[[0, 2, 1]]
    same_label = contrastive_loss(apart, apart, scale, torch.tensor([0, 0, 1]))
    assert float(same_label) > 10 * float(grouped.detach())


def test_one_batch_is_learned_by_heart(model):
    model.train()
    images, ids, lengths = pictures(6, 32), torch.randint(6, 5000, (6, 5)), torch.tensor([5, 4, 3, 5, 2, 5])
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(30):
        image = model.image_embedding(model.pool(model.encoder(images)))
        loss = contrastive_loss(image, model.text_embedding(ids, lengths), model.scale(), torch.arange(6))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()
    near = model.image_embedding(model.pool(model.encoder(images))) @ model.text_embedding(ids, lengths).T
    assert near.argmax(1).tolist() == list(range(6)) == near.argmax(0).tolist()
    assert float(model.scale().detach()) <= 100.0


def test_batch_norm_in_groups_is_the_same_whole_or_in_micro_batches():
    norm = GroupedBatchNorm(8).train()
    again = GroupedBatchNorm(8).train()
    images = torch.randn(3 * norm.group, 8, 4, 4, generator=torch.Generator().manual_seed(2))
    whole = norm(images)
    parts = torch.cat([again(images[: 2 * norm.group]), again(images[2 * norm.group :])])
    assert torch.allclose(whole, parts, atol=1e-6)
    for name, value in norm.state_dict().items():
        assert torch.allclose(value, again.state_dict()[name]), name


def test_the_encoder_begins_as_its_stem(model):
    images = pictures(2, 64)
    blocks, model.encoder.blocks = model.encoder.blocks, nn.ModuleList()
    without = model.encoder(images)
    model.encoder.blocks = blocks
    assert torch.allclose(model.encoder(images), without, atol=1e-6)


def test_a_grid_of_nothing_leaves_the_whole_picture_alone() -> None:
    tokens = torch.randn(2, 1 + 49, 8)
    torch.testing.assert_close(picture_tokens(tokens, 0), tokens[:, :1])
