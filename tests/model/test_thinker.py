"""The Thinker: the cache gives what a full pass gives, nothing is seen of the future, of padding or of other documents."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from muomni_core.config import MICRO, ProjectorConfig, ThinkerConfig
from muomni_core.errors import ShapeError
from muomni_core.model.thinker import Experts, Projector, Thinker, VisionProjector

CONFIG = ThinkerConfig(vocab_size=97, width=32, depth=3, n_heads=4, n_kv_heads=2, ffn_width=48, max_positions=64)


def make(config: ThinkerConfig = CONFIG) -> Thinker:
    torch.manual_seed(0)
    thinker = Thinker(config).eval()
    for parameter in thinker.parameters():
        if parameter.dim() >= 2:
            torch.nn.init.normal_(parameter, std=0.3)  # attention far from even: a wrong mask or angle shows
    return thinker.requires_grad_(False)


@pytest.fixture
def thinker() -> Thinker:
    return make()


def prompt(length: int, seed: int = 1, batch: int = 1) -> Tensor:
    """Embeddings (B, T, 32), as of a picture's frames or of text."""
    return torch.randn(batch, length, 32, generator=torch.Generator().manual_seed(seed))


def text(thinker: Thinker, length: int, seed: int = 2, batch: int = 1) -> Tensor:
    return thinker.embed(torch.randint(97, (batch, length), generator=torch.Generator().manual_seed(seed)))


def close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, atol=1e-5, rtol=1e-5)


# --- shapes


def test_shapes_are_the_specifications():
    thinker = Thinker(MICRO.thinker).eval()
    hidden = thinker(thinker.embed(torch.randint(5000, (2, 9))))
    assert hidden.shape == (2, 9, 256)
    assert thinker.logits(hidden).shape == (2, 9, 5000)


def test_the_head_is_the_embedding(thinker):
    hidden = torch.randn(3, 32)
    assert torch.equal(thinker.logits(hidden), hidden @ thinker.embedding.weight.T)
    assert [n for n, p in thinker.named_parameters() if 97 in p.shape] == ["embedding.weight"]


def test_queries_share_keys_in_groups(thinker):
    attention = thinker.blocks[0].attention
    assert attention.q.weight.shape == (32, 32) and attention.kv.weight.shape == (2 * 2 * 8, 32)
    cache = thinker.new_cache(3, room=10)
    assert cache.keys.shape == (3, 3, 2, 10, 8)
    # The same as attention with all heads, where each group's keys and values are written out for every head.
    full = Thinker(dataclasses.replace(CONFIG, n_kv_heads=4)).eval()
    state = thinker.state_dict()
    for name in [n for n in state if n.endswith("kv.weight")]:
        state[name] = state[name].view(2, 2, 8, 32).repeat_interleave(2, dim=1).reshape(64, 32)
    full.load_state_dict(state)
    x = prompt(7)
    assert close(thinker(x), full(x))


def test_a_wrong_width_and_too_many_positions_are_named(thinker):
    with pytest.raises(ShapeError, match=r"thinker: expected shape \(B, T, 32\), got \(1, 5, 33\)"):
        thinker(torch.zeros(1, 5, 33))
    assert thinker(prompt(64)).shape == (1, 64, 32)
    with pytest.raises(ShapeError, match="at most 64 positions, got 65"):
        thinker(prompt(65))
    cache = thinker.new_cache()
    thinker(prompt(60), cache=cache)
    with pytest.raises(ShapeError, match="at most 64 positions, got 65"):
        thinker(prompt(5), cache=cache)
    small = thinker.new_cache(room=4)
    with pytest.raises(ShapeError, match="at most 4 positions in this cache, got 5"):
        thinker(prompt(5), cache=small)


# --- causality


@pytest.mark.parametrize("n_experts", [0, 4])
def test_logits_follow_from_what_came_before_alone(n_experts):
    thinker = make(dataclasses.replace(CONFIG, n_experts=n_experts))
    x = prompt(12)
    before = thinker.logits(thinker(x))
    for t in (0, 5, 11):
        changed = x.clone()
        changed[:, t] = torch.randn(32)
        moved = (thinker.logits(thinker(changed)) - before).abs().amax(-1)[0]
        assert bool((moved[:t] < 1e-5).all())
        assert bool((moved[t:] > 1e-3).all())  # and every later one sees it


def test_order_matters(thinker):
    x = prompt(6)
    swapped = x[:, [1, 0, 2, 3, 4, 5]]
    assert not torch.allclose(thinker(x)[:, -1], thinker(swapped)[:, -1], atol=1e-3)


# --- the cache


@pytest.mark.parametrize("n_experts", [0, 4])
def test_the_cache_equals_the_full_pass_token_by_token(n_experts):
    thinker = make(dataclasses.replace(CONFIG, n_experts=n_experts))
    x = torch.cat([prompt(9), text(thinker, 8)], 1)  # a picture in front
    full = thinker(x)
    cache = thinker.new_cache(room=17)
    parts = [thinker(x[:, :12], cache=cache)]
    parts += [thinker(x[:, t : t + 1], cache=cache) for t in range(12, 17)]
    assert cache.length == 17
    assert close(torch.cat(parts, 1), full)


def test_the_cache_from_the_first_token_on(thinker):
    x, cache = prompt(10), thinker.new_cache()
    parts = [thinker(x[:, t : t + 1], cache=cache) for t in range(10)]
    assert close(torch.cat(parts, 1), thinker(x))


def test_the_cache_across_turns(thinker):
    """A picture and a question, an answer token by token, a second question as one piece, another answer."""
    x, cache, parts, at = prompt(30), thinker.new_cache(room=30), [], 0
    for size in (11, 1, 1, 1, 8, 1, 1, 6):
        parts.append(thinker(x[:, at : at + size], cache=cache))
        at += size
    assert close(torch.cat(parts, 1), thinker(x))


def test_the_cache_with_left_padding_across_turns(thinker):
    """Rows of different length, padded on the left in both turns: each row goes as it would alone."""
    turns = [(prompt(9, 1), prompt(5, 2), prompt(4, 3)), (prompt(6, 4), prompt(5, 5), prompt(7, 6))]
    alone = [thinker(torch.cat(row, 1)) for row in turns]
    cache = thinker.new_cache(2, room=21)
    rubbish = 5 * torch.randn(2, 21, 32)

    def padded(turn: int) -> tuple[Tensor, Tensor]:
        longest = max(row[turn].shape[1] for row in turns)
        x, padding = rubbish[:, :longest].clone(), torch.ones(2, longest, dtype=torch.bool)
        for n, row in enumerate(turns):
            x[n, longest - row[turn].shape[1] :] = row[turn]
            padding[n, longest - row[turn].shape[1] :] = False
        return x, padding

    heard: list[list[Tensor]] = [[], []]
    x, padding = padded(0)
    hidden = thinker(x, padding=padding, cache=cache)
    for n in range(2):
        heard[n].append(hidden[n, ~padding[n]])
    for t in range(5):  # the answer, token by token, without padding
        hidden = thinker(torch.cat([row[1][:, t : t + 1] for row in turns]), cache=cache)
        for n in range(2):
            heard[n].append(hidden[n])
    x, padding = padded(2)
    hidden = thinker(x, padding=padding, cache=cache)
    for n in range(2):
        heard[n].append(hidden[n, ~padding[n]])
    for n in range(2):
        assert close(torch.cat(heard[n]), alone[n][0])
    assert bool(torch.isfinite(hidden).all())


def test_a_cache_does_not_mix_with_another(thinker):
    a, b = thinker.new_cache(), thinker.new_cache()
    thinker(prompt(5, 1), cache=a)
    thinker(prompt(5, 2), cache=b)
    x = prompt(1, 3)
    full = thinker(torch.cat([prompt(5, 1), x], 1))[:, -1:]
    assert close(thinker(x, cache=a), full)


# --- padding and packing


@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_padded_rows_are_as_alone(thinker, side):
    x = prompt(6)
    left, right = {"left": (4, 0), "right": (0, 4), "both": (3, 2)}[side]
    row = torch.cat([5 * prompt(left, 8), x, 5 * prompt(right, 9)], 1)
    padding = torch.ones(2, row.shape[1], dtype=torch.bool)
    padding[0, left : left + 6] = False
    padding[1] = False
    hidden = thinker(torch.cat([row, prompt(row.shape[1], 3)]), padding=padding)
    assert close(hidden[0, left : left + 6], thinker(x)[0])
    assert close(hidden[1:], thinker(prompt(row.shape[1], 3)))
    assert bool(torch.isfinite(hidden).all())


def test_packed_documents_are_as_alone(thinker):
    pieces = [prompt(5, 1), prompt(1, 2), prompt(8, 3)]
    documents = torch.tensor([[4] * 5 + [9] + [2] * 8])
    packed = thinker(torch.cat(pieces, 1), documents=documents)
    assert close(packed, torch.cat([thinker(p) for p in pieces], 1))


def test_packed_documents_with_padding_behind(thinker):
    pieces = [prompt(5, 1), prompt(4, 2)]
    row = torch.cat([*pieces, 5 * prompt(3, 3)], 1)
    documents = torch.tensor([[0] * 5 + [1] * 4 + [2] * 3])
    padding = torch.tensor([[False] * 9 + [True] * 3])
    packed = thinker(row, documents=documents, padding=padding)
    assert close(packed[:, :9], torch.cat([thinker(p) for p in pieces], 1))


# --- experts


def experts(n: int = 4, active: int = 2) -> Experts:
    torch.manual_seed(0)
    return Experts(dataclasses.replace(CONFIG, n_experts=n, n_active_experts=active))


def test_each_token_goes_to_its_best_experts():
    layer, x = experts(), torch.randn(2, 5, 32)
    out = layer(x)
    assert out.shape == x.shape
    probabilities = layer.router(x).softmax(-1)
    for b in range(2):
        for t in range(5):
            best = probabilities[b, t].argsort(descending=True)[:2]
            share = probabilities[b, t, best] / probabilities[b, t, best].sum()
            wanted = sum(s * layer.experts[int(e)](x[b, t]) for s, e in zip(share, best, strict=True))
            assert close(out[b, t], wanted)


def test_the_balance_loss_is_least_where_all_experts_work():
    layer = experts(active=1)
    x = torch.eye(32)[:4].repeat(8, 1)[None]
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[torch.arange(4), torch.arange(4)] = 20.0  # token k to expert k
        layer(x)
        even = float(layer.balance)
        layer.router.weight.zero_()
        layer.router.weight[0, :4] = 20.0  # all to the first
        layer(x)
    assert even == pytest.approx(1.0, abs=1e-3)
    assert float(layer.balance) == pytest.approx(4.0, abs=1e-3)


def test_the_balance_loss_trains_the_router():
    thinker = make(dataclasses.replace(CONFIG, n_experts=4)).requires_grad_(True)
    thinker(prompt(9))
    loss = thinker.balance_loss()
    assert 0.01 <= float(loss.detach()) <= 0.04 + 1e-6
    loss.backward()
    assert all(float(b.mlp.router.weight.grad.abs().sum()) > 0 for b in thinker.blocks)
    assert float(make().balance_loss()) == 0.0


def test_active_parameters_are_those_that_a_token_passes():
    plain = make()
    assert plain.active_parameters() == sum(p.numel() for p in plain.parameters())
    mixed = make(dataclasses.replace(CONFIG, n_experts=4, n_active_experts=2))
    one_expert = 3 * 32 * 48
    router = 4 * 32
    assert mixed.active_parameters() == plain.active_parameters() + 3 * (one_expert + router)


# --- learning, and projectors


@pytest.mark.parametrize("n_experts", [0, 4])
def test_one_batch_is_learned_by_heart(n_experts):
    torch.manual_seed(0)
    thinker = Thinker(dataclasses.replace(CONFIG, n_experts=n_experts))
    ids = torch.randint(97, (3, 12))
    optimiser = torch.optim.AdamW(thinker.parameters(), lr=1e-2)
    for _ in range(60):
        logits = thinker.logits(thinker(thinker.embed(ids[:, :-1])))
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()) + thinker.balance_loss()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    logits = thinker.logits(thinker(thinker.embed(ids[:, :-1])))
    assert bool((logits.argmax(-1) == ids[:, 1:])[:, 1:].all())  # the token next, not the one after it


def test_projectors_bring_frames_into_the_thinkers_space():
    torch.manual_seed(0)
    for width, name in ((128, "vision_projector"), (192, "audio_projector")):
        projector = Projector(width, ProjectorConfig(hidden=64), name)
        out = projector(torch.randn(2, 5, width) * 30)
        assert out.shape == (2, 5, 256)
        assert float(out.detach().square().mean().sqrt()) == pytest.approx(0.05, rel=0.05)  # as small as words are
        with pytest.raises(ShapeError, match=rf"{name}: expected shape \(\.\.\., {width}\), got \(2, 5, 7\)"):
            projector(torch.zeros(2, 5, 7))


def test_frames_of_pictures_may_have_places():
    torch.manual_seed(0)
    plain = VisionProjector(128, ProjectorConfig(hidden=64, picture_grid=2))
    placed = VisionProjector(128, ProjectorConfig(hidden=64, picture_grid=2, picture_positions=True))
    placed.load_state_dict({"positions": placed.positions} | plain.state_dict())
    frames = torch.randn(1, 128).expand(2 * 5, 128)  # of two pictures, as `fuse` hands them on; every cell looks alike
    cls, *cells = placed(frames)[:5]
    torch.testing.assert_close(cls, plain(frames)[0])  # which has no place
    assert len({tuple(cell.tolist()) for cell in cells}) == 4
    torch.testing.assert_close(placed(frames)[5:], placed(frames)[:5])
    torch.testing.assert_close(placed(frames.view(2, 5, 128)).flatten(0, 1), placed(frames))
