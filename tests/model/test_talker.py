"""The Talker: it says the text it is given, as long as the durations say, and it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from muomni_core.config import MICRO
from muomni_core.errors import ShapeError
from muomni_core.model.talker import MAX_FRAMES_PER_CHARACTER, Talker, sample, talker_loss, whole_durations

CONFIG = dataclasses.replace(MICRO.talker, dropout=0.0)


def make(seed: int = 0, walk: int = 0) -> Talker:
    torch.manual_seed(seed)
    return Talker(dataclasses.replace(CONFIG, walk=walk, frame_depth=2 if walk else CONFIG.frame_depth)).eval()


@pytest.fixture
def talker() -> Talker:
    return make()


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def sentence(length: int, seed: int) -> tuple[Tensor, Tensor]:
    """Characters (C,) and states (C, 256)."""
    rng = torch.Generator().manual_seed(seed)
    characters = torch.randint(1, len(CONFIG.alphabet) + 1, (length,), generator=rng)
    return characters, torch.randn(length, 256, generator=rng)


class Batch:
    """Three sentences of different length with made-up durations and codes, padded."""

    def __init__(self) -> None:
        rng = torch.Generator().manual_seed(5)
        self.lengths = torch.tensor([9, 6, 4])
        self.characters = torch.zeros(3, 9, dtype=torch.long)
        self.states = torch.zeros(3, 9, 256)
        self.durations = torch.zeros(3, 9, dtype=torch.long)
        for row, n in enumerate(self.lengths.tolist()):
            self.characters[row, :n], self.states[row, :n] = sentence(n, 10 + row)
            self.durations[row, :n] = torch.randint(0, 4, (n,), generator=rng)
            self.durations[row, 0] += 1
        self.voices = torch.tensor([0, 1, 0])
        self.totals = self.durations.sum(1)
        self.codes = torch.randint(64, (3, int(self.totals.max()), 2), generator=rng)
        self.codes *= (torch.arange(self.codes.shape[1]) < self.totals[:, None])[..., None]

    def loss(self, talker: Talker, **changed: Tensor) -> dict[str, Tensor]:
        names = ("characters", "lengths", "states", "voices", "durations", "codes")
        return talker_loss(talker, **{name: changed.get(name, getattr(self, name)) for name in names})


@pytest.fixture(scope="module")
def trained() -> Talker:
    """A Talker that knows one batch by heart, and by its text: states that never change would tell it as well."""
    talker, batch = make().train(), Batch()
    optimiser = torch.optim.AdamW(talker.parameters(), lr=5e-3)
    for step in range(150):
        with torch.enable_grad():
            losses = batch.loss(talker, states=torch.randn(3, 9, 256) if step % 2 else batch.states)
            loss = losses["codes"] + losses["durations"]
            optimiser.zero_grad()
            loss.backward()
        optimiser.step()
        if float(loss.detach()) < 0.5:
            break
    return talker.eval()


def laid_out(talker: Talker, batch: Batch) -> tuple[Tensor, Tensor]:
    encoded, _ = talker.encode(batch.characters, batch.states, batch.voices, batch.lengths)
    return talker.frames(encoded, batch.durations, batch.voices)


# --- shapes


def test_shapes(talker):
    batch = Batch()
    encoded, log_durations = talker.encode(batch.characters, batch.states, batch.voices, batch.lengths)
    assert encoded.shape == (3, 9, CONFIG.width) and log_durations.shape == (3, 9)
    x, mask = talker.frames(encoded, batch.durations, batch.voices)
    n_frames = int(batch.totals.max())
    assert x.shape == (3, n_frames, CONFIG.width)
    assert mask[..., 0].sum(1).tolist() == batch.totals.tolist()
    logits = talker.code_logits(x, mask, batch.codes)
    assert [part.shape for part in logits] == [(3, n_frames, 64)] * 2


def test_what_does_not_fit_is_named(talker):
    characters, states = sentence(5, 1)
    with pytest.raises(ShapeError, match=r"talker: expected shape \(1, 5, 256\), got \(1, 4, 256\)"):
        talker.encode(characters[None], states[None, :4], torch.tensor([0]))
    with pytest.raises(ShapeError, match="at least 2 codebooks, got 1"):
        Talker(dataclasses.replace(CONFIG, n_codebooks=1))


def test_more_codebooks_are_a_config():
    torch.manual_seed(0)
    talker = Talker(dataclasses.replace(CONFIG, n_codebooks=4)).eval()
    codes, durations, _ = talker.speak(*sentence(5, 1), voice=0)
    assert codes.shape == (int(durations.sum()), 4)


# --- it sees the text


def test_other_text_or_other_states_other_logits(talker):
    batch = Batch()

    def base(characters: Tensor, states: Tensor) -> Tensor:
        encoded, _ = talker.encode(characters, states, batch.voices, batch.lengths)
        return talker.base_head(talker.norm(talker.frames(encoded, batch.durations, batch.voices)[0]))

    plain = base(batch.characters, batch.states)
    assert not torch.allclose(base(batch.characters.roll(1, 0), batch.states), plain, atol=1e-2)
    assert not torch.allclose(base(batch.characters, batch.states.roll(1, 0)), plain, atol=1e-2)
    assert torch.equal(base(batch.characters, batch.states), plain)


def test_other_text_other_codes(trained):
    batch = Batch()
    said = []
    for row in range(3):
        n = int(batch.lengths[row])
        said.append(trained.speak(batch.characters[row, :n], batch.states[row, :n], int(batch.voices[row]))[0])
    for row, codes in enumerate(said):  # what it learned by heart, with its own durations
        wanted = batch.codes[row, : int(batch.totals[row])]
        assert abs(len(codes) - len(wanted)) <= 1
        if len(codes) == len(wanted):
            assert float((codes == wanted).float().mean()) > 0.9
    shortest = min(map(len, said))
    assert not torch.equal(said[0][:shortest], said[1][:shortest])


def test_shuffled_text_has_a_higher_loss(trained):
    batch = Batch()
    right = batch.loss(trained)
    assert float(right["codes"]) / (2 * int(batch.totals.sum())) < 0.2  # nats a code; guessing costs 4.2
    shuffled = batch.characters.clone()
    for row, n in enumerate(batch.lengths.tolist()):
        shuffled[row, :n] = shuffled[row, torch.randperm(n, generator=torch.Generator().manual_seed(row))]
    assert float(batch.loss(trained, characters=shuffled)["codes"]) > 3 * float(right["codes"])


def test_a_frame_knows_its_character(talker):
    """Without blocks that mix, a frame's state changes with its own character alone."""
    talker.character_blocks, talker.frame_blocks = nn.ModuleList(), nn.ModuleList()
    characters, states = sentence(4, 1)
    durations = torch.tensor([[2, 0, 3, 1]])
    owners = [0, 0, 2, 2, 2, 3]
    voices = torch.tensor([0])

    def lay_out(text: Tensor) -> Tensor:
        return talker.frames(talker.encode(text[None], states[None], voices)[0], durations, voices)[0][0]

    plain = lay_out(characters)
    for place in range(4):
        other = characters.clone()
        other[place] = other[place] % len(CONFIG.alphabet) + 1
        changed = (lay_out(other) - plain).abs().amax(1) > 1e-4
        assert changed.tolist() == [owner == place for owner in owners]
    assert len(plain.unique(dim=0)) == 6  # frames of one character are told apart


# --- residual given base (trap 5)


def test_logits_follow_from_earlier_codebooks_alone(talker):
    batch = Batch()
    x, mask = laid_out(talker, batch)
    base, rest = talker.code_logits(x, mask, batch.codes)
    other = batch.codes.clone()
    other[..., 1] = (other[..., 1] + 7) % 64
    assert all(torch.equal(a, b) for a, b in zip(talker.code_logits(x, mask, other), (base, rest), strict=True))
    other = batch.codes.clone()
    other[0, 2, 0] = (other[0, 2, 0] + 7) % 64
    base_then, rest_then = talker.code_logits(x, mask, other)
    assert torch.equal(base_then, base)
    assert not torch.allclose(rest_then[0, 2], rest[0, 2], atol=1e-3)
    assert torch.equal(rest_then[1:], rest[1:])


def test_speaking_takes_the_way_that_was_trained(talker):
    """Codes that are drawn from the likeliest alone are those of `code_logits`, each given what was said before it."""
    characters, states = sentence(8, 3)
    codes, durations, _ = talker.speak(characters, states, voice=1, temperature=1.0, top_p=0.0)
    voices = torch.tensor([1])
    encoded, _ = talker.encode(characters[None], states[None], voices)
    logits = talker.code_logits(*talker.frames(encoded, durations[None], voices), codes[None])
    assert torch.equal(torch.stack([part.argmax(-1) for part in logits], -1)[0], codes)


def test_without_drawing_the_means_are_given(talker):
    """Shares are those of the logits where the rest of a frame is told the mean of its base; of drawn codes they are 1."""
    characters, states = sentence(8, 3)
    said = talker.speak(characters, states, voice=0)
    assert said.shares.shape == (len(said.codes), 2, CONFIG.codebook_size)
    assert torch.allclose(said.shares.sum(-1), torch.ones(len(said.codes), 2), atol=1e-5)
    assert torch.equal(said.shares.argmax(-1), said.codes)
    voices = torch.tensor([0])
    encoded, _ = talker.encode(characters[None], states[None], voices)
    x, mask = talker.frames(encoded, said.durations[None], voices)
    shares = talker.base_head(talker.norm(x)).softmax(-1)
    assert torch.allclose(shares[0], said.shares[:, 0], atol=1e-6)
    told = shares @ talker.code_embeddings[0].weight
    rest = talker.rest_heads[0](talker.rest_norms[0](talker.rest_blocks[0](x + told, mask)))
    assert torch.allclose(rest.softmax(-1)[0], said.shares[:, 1], atol=1e-6)
    drawn = talker.speak(characters, states, voice=0, temperature=1.0, generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn.shares, torch.nn.functional.one_hot(drawn.codes, CONFIG.codebook_size).float())


# --- a walk: so many frames at once, each told what was said before (trap 5)

WALKS = (1, 3)


def teacher_forced(talker: Talker, batch: Batch, codes: Tensor) -> list[Tensor]:
    return talker.code_logits(*laid_out(talker, batch), codes)


@pytest.mark.parametrize("walk", WALKS)
def test_in_a_walk_logits_follow_from_codes_said_before(walk):
    talker, batch = make(walk=walk), Batch()
    base, rest = teacher_forced(talker, batch, batch.codes)
    n_frames = int(batch.totals[0])
    for place in range(n_frames):
        other = batch.codes.clone()
        other[0, place, 0] = (other[0, place, 0] + 7) % 64
        base_then, rest_then = teacher_forced(talker, batch, other)
        changed = (base_then[0] - base[0]).abs().amax(1) > 1e-5
        assert not changed[: place + walk].any()  # not its own, nor what is said at once with it
        assert changed[place + walk : min(n_frames, place + walk + CONFIG.kernel_size)].all()
        assert not torch.allclose(rest_then[0, place], rest[0, place], atol=1e-4)  # the residual still sees its base
        assert torch.equal(base_then[1:], base[1:])
    other = batch.codes.clone()
    other[..., 1] = (other[..., 1] + 7) % 64
    assert all(torch.equal(a, b) for a, b in zip(teacher_forced(talker, batch, other), (base, rest), strict=True))


@pytest.mark.parametrize("walk", [*WALKS, 1000])
@pytest.mark.parametrize("top_p", [0.0, 1.0])
def test_walking_draws_what_the_full_forward_says_of_its_own_codes(walk, top_p):
    talker = make(walk=walk)
    characters, states = sentence(12, 3)
    talker.duration_out.bias.fill_(1.5)
    rng, again, voices = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1), torch.tensor([1])
    codes, durations, shares = talker.speak(characters, states, 1, temperature=1.0, top_p=top_p, generator=rng)
    assert len(codes) == int(durations.sum()) > 2 * CONFIG.kernel_size
    assert torch.equal(shares, nn.functional.one_hot(codes, CONFIG.codebook_size).float())
    encoded, _ = talker.encode(characters[None], states[None], voices)
    base, rest = talker.code_logits(*talker.frames(encoded, durations[None], voices), codes[None])
    for said, logits in zip(codes[:, 0].split(walk), base[0].split(walk), strict=True):
        assert torch.equal(sample(logits, 1.0, top_p, again), said)
    assert torch.equal(sample(rest[0], 1.0, top_p, again), codes[:, 1])


def test_without_drawing_a_walk_is_told_the_means():
    """Of sharp logits the mean is the likeliest code; of others it is not, and that is what later frames are told."""
    characters, states = sentence(12, 3)
    for sharp in (False, True):
        talker = make(walk=1)
        talker.base_head.weight.mul_(1e4 if sharp else 1.0)
        likeliest = talker.speak(characters, states, 0, temperature=1.0, top_p=0.0).codes
        codes, durations, shares = talker.speak(characters, states, 0)
        assert torch.equal(shares.argmax(-1), codes)
        assert torch.equal(codes[:, 0], likeliest[:, 0]) or not sharp
        encoded, _ = talker.encode(characters[None], states[None], torch.tensor([0]))
        x, mask = talker.frames(encoded, durations[None], torch.tensor([0]))
        told = torch.cat([talker.said.weight[-1:], shares[:-1, 0] @ talker.said.weight[:-1]])
        talker.said = nn.Embedding.from_pretrained(torch.zeros_like(talker.said.weight))  # it is in x already
        base = talker.code_logits(x + told, mask, codes[None])[0]
        assert torch.allclose(base[0].softmax(-1), shares[:, 0], atol=1e-4)


def test_a_walk_alone_or_batched_the_same():
    talker, batch = make(walk=2), Batch()
    together = teacher_forced(talker, batch, batch.codes)
    for row in range(3):
        n, f, one = int(batch.lengths[row]), int(batch.totals[row]), slice(row, row + 1)
        alone, _ = talker.encode(batch.characters[one, :n], batch.states[one, :n], batch.voices[one])
        frames = talker.frames(alone, batch.durations[one, :n], batch.voices[one])
        for a, b in zip(talker.code_logits(*frames, batch.codes[one, :f]), together, strict=True):
            assert torch.allclose(a[0], b[row, :f], atol=1e-5)


def test_a_walk_keeps_no_more_of_what_was_than_its_blocks_reach():
    """What stands further back than all of them together changes nothing; no cache grows."""
    block = make(walk=1).frame_blocks[0]
    x = torch.randn(1, 40, CONFIG.width)
    kept = block.start(x)
    parts = []
    for part in x.split([1, 5, 30, 4], dim=1):
        said, kept = block.step(part, kept)
        parts.append(said)
        assert kept.shape == (1, CONFIG.kernel_size - 1, CONFIG.width)
    assert torch.allclose(torch.cat(parts, dim=1), block(x), atol=1e-6)


# --- durations


def test_durations_sum_to_the_frames(talker):
    for seed in range(5):
        codes, durations, _ = talker.speak(*sentence(3 + 4 * seed, seed), voice=0)
        assert len(codes) == int(durations.sum()) >= 1
        assert durations.shape == (3 + 4 * seed,)
        assert int(durations.min()) >= 0


def test_rounding_keeps_the_sum_true():
    exact = torch.full((101,), 1.4)
    durations = whole_durations((1 + exact).log(), 1.0)
    assert int(durations.sum()) == round(1.4 * 101)
    assert set(durations.tolist()) == {1, 2}


@pytest.mark.parametrize("speed", [0.5, 1.3, 2.0])
def test_speed_is_a_factor(talker, speed):
    characters, states = sentence(40, 1)
    talker.duration_out.bias.fill_(2.0)
    plain, *_ = talker.speak(characters, states, voice=0)
    fast, *_ = talker.speak(characters, states, voice=0, speed=speed)
    assert abs(len(fast) - len(plain) / speed) <= 1


@pytest.mark.parametrize(("bias", "a_character"), [(-50.0, 0), (50.0, 1), (1e30, 1)])
def test_it_always_ends(talker, bias, a_character):
    """Whatever the durations say: at least a frame, at most three seconds a character."""
    talker.duration_out.bias.fill_(bias)
    codes, durations, _ = talker.speak(*sentence(3, 1), voice=0)
    assert len(codes) == max(1, 3 * a_character * MAX_FRAMES_PER_CHARACTER)
    assert int(durations.max()) <= MAX_FRAMES_PER_CHARACTER
    assert int(codes.min()) >= 0 and int(codes.max()) < 64


def test_one_character_is_spoken(talker):
    codes, *_ = talker.speak(*sentence(1, 1), voice=0)
    assert len(codes) >= 1


# --- independence


def test_alone_or_batched_the_same(talker):
    batch = Batch()
    encoded, log_durations = talker.encode(batch.characters, batch.states, batch.voices, batch.lengths)
    x, mask = talker.frames(encoded, batch.durations, batch.voices)
    together = talker.code_logits(x, mask, batch.codes)
    losses = {"codes": 0.0, "durations": 0.0}
    for row in range(3):
        n, f, one = int(batch.lengths[row]), int(batch.totals[row]), slice(row, row + 1)
        alone, alone_durations = talker.encode(batch.characters[one, :n], batch.states[one, :n], batch.voices[one])
        assert torch.allclose(alone_durations[0], log_durations[row, :n], atol=1e-5)
        frames = talker.frames(alone, batch.durations[one, :n], batch.voices[one])
        for a, b in zip(talker.code_logits(*frames, batch.codes[one, :f]), together, strict=True):
            assert torch.allclose(a[0], b[row, :f], atol=1e-5)
        for name, value in talker_loss(
            talker,
            batch.characters[one, :n],
            batch.lengths[one],
            batch.states[one, :n],
            batch.voices[one],
            batch.durations[one, :n],
            batch.codes[one, :f],
        ).items():
            losses[name] += float(value)
    for name, value in batch.loss(talker).items():
        assert float(value) == pytest.approx(losses[name], rel=1e-4)


def test_voices_differ(talker):
    characters, states = sentence(12, 1)
    one, *_ = talker.speak(characters, states, voice=0)
    other, *_ = talker.speak(characters, states, voice=1)
    n = min(len(one), len(other))
    assert not torch.equal(one[:n], other[:n])


# --- sampling


def test_sampling_follows_from_its_generator(talker):
    characters, states = sentence(20, 1)
    said = [
        talker.speak(characters, states, 0, temperature=1.0, generator=torch.Generator().manual_seed(seed))[0]
        for seed in (1, 1, 2)
    ]
    assert torch.equal(said[0], said[1])
    assert not torch.equal(said[0], said[2])
    plain = talker.speak(characters, states, 0)[0]
    torch.manual_seed(99)
    assert torch.equal(talker.speak(characters, states, 0)[0], plain)


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    logits = torch.tensor([0.5, 0.1, 0.25, 0.15]).log().expand(2000, 4)
    rng = torch.Generator().manual_seed(0)
    assert set(sample(logits, 1.0, 1.0, rng).tolist()) == {0, 1, 2, 3}
    assert set(sample(logits, 1.0, 0.8, rng).tolist()) == {0, 2, 3}
    assert set(sample(logits, 1.0, 0.7, rng).tolist()) == {0, 2}
    for top_p in (0.4, 0.0):
        assert set(sample(logits, 1.0, top_p, rng).tolist()) == {0}
    assert set(sample(logits, 0.0, 1.0, rng).tolist()) == {0}


def test_temperature_evens_out():
    logits = torch.tensor([0.7, 0.2, 0.1]).log().expand(4000, 3)
    rng = torch.Generator().manual_seed(0)
    share = [float((sample(logits, t, 1.0, rng) == 0).float().mean()) for t in (0.5, 1.0, 3.0)]
    assert share[0] > share[1] + 0.1 > share[2] + 0.2
    assert share[1] == pytest.approx(0.7, abs=0.04)
    assert sample(logits.view(40, 100, 3), 1.0, 1.0, rng).shape == (40, 100)
