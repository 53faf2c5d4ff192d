"""Each stage learns one batch by heart, and refuses by name what it cannot learn from."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from muomni_core.audio.io import write_wav
from muomni_core.checkpoint import load_stage, save_stage
from muomni_core.data.chat import IMAGE_SLOT
from muomni_core.errors import CheckpointError, DataError
from muomni_core.evaluation.run import evaluate_stage
from muomni_core.training.card import write_card
from muomni_core.training.loop import train
from muomni_core.training.ranks import ALONE
from muomni_core.training.recipe import TrainConfig, load_recipe
from muomni_core.training.run import build_context, build_stage, run_stage
from muomni_core.training.stages import omni, stage_class
from muomni_core.weights import SHIPPED


def build(name: str, weights: Path | None = None, data: Path | None = None, **overrides: str) -> Any:
    """A stage of recipes/smoke as `train` builds it."""
    recipe = load_recipe("smoke", name, {key.replace("__", "."): value for key, value in overrides.items()})
    torch.manual_seed(0)
    folders = [folder for folder in (weights, SHIPPED) if folder is not None]
    return stage_class(name)(build_context(recipe, data, folders, training=True))


# --- one batch by heart: (settings, steps, the share of the first loss that may be left)

BY_HEART: dict[str, tuple[dict[str, str], int, float]] = {
    "codec": ({"batch": "2"}, 60, 0.5),
    "audio": ({"seconds": "4.0"}, 60, 0.3),
    "vision": ({"batch": "6"}, 30, 0.5),
    "thinker": ({"batch": "2"}, 30, 0.3),
    "omni": ({"batch": "4"}, 30, 0.3),
    "talker": ({"seconds": "4.0", "model__dropout": "0.0"}, 50, 0.4),
}


@pytest.mark.parametrize("name", BY_HEART)
def test_one_batch_is_learned_by_heart(micro_weights: Path, name: str) -> None:
    settings, steps, left = BY_HEART[name]
    stage = build(name, micro_weights, **settings)
    batch = stage.batch(0)
    optimiser = torch.optim.AdamW(stage.model.parameters(), lr=4e-3)
    stage.model.train()
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = stage.loss(batch)
        (loss.total / loss.weight).backward()
        optimiser.step()
        stage.after_step()
        losses.append(float(loss.total.detach()) / loss.weight)
    assert losses[-1] < left * losses[0], (losses[0], losses[-1])


# --- the eye


def test_with_views_the_encoder_stays_and_the_rest_learns_on(micro_weights: Path, tmp_path: Path) -> None:
    settings = {"data.views": "2", "data.n_scenes": "4", "data.unread": "0.1", "steps": "4", "batch": "8", "ema": "0"}

    def trained(out: Path) -> dict[str, torch.Tensor]:
        run_stage("vision", recipe="smoke", out=out, init=str(micro_weights), overrides=settings)
        return load_stage(out / "vision.safetensors", "vision")[1]

    before = load_stage(micro_weights / "vision.safetensors", "vision")[1]
    after = trained(tmp_path / "first")
    changed = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert {"text_tower", "text_out", "image_out"} <= changed and "encoder" not in changed
    again = trained(tmp_path / "second")  # its frames are kept already
    assert all(torch.equal(after[name], again[name]) for name in after)


def test_views_need_a_trained_encoder(smoke_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--init"):
        run_stage("vision", recipe="smoke", out=tmp_path, overrides={"data.views": "2", "steps": "4", "batch": "8"})


# --- the ear


def manifest(folder: Path, rows: list[tuple[str, float]]) -> str:
    """A manifest of noise clips with texts and seconds; returns its name."""
    rng = np.random.default_rng(0)
    lines = []
    for n, (text, seconds) in enumerate(rows):
        noise = (0.1 * rng.standard_normal(int(16_000 * seconds))).astype(np.float32)
        write_wav(folder / f"{n}.wav", noise, force=True)
        lines.append(json.dumps({"audio": f"{n}.wav", "text": text}))
    (folder / "rows-train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return "rows-train.jsonl"


def ear_of(folder: Path, name: str) -> Any:
    files = json.dumps([name])
    return build("audio", data=folder, data__make="false", data__train=files, data__val=files)


def test_rows_that_ctc_cannot_fit_are_refused_by_name(smoke_cache: Path, tmp_path: Path) -> None:
    # 0.4 s are 5 frames of 4 slots: 20 letters fit, but not with a blank between doubled ones.
    fits, doubled, long = "abcdefghijklmnopqrst", "aabbccddeeffgg", "this is much too much to say"
    with pytest.raises(DataError, match="2 clips are too short for their text") as caught:
        ear_of(tmp_path, manifest(tmp_path, [(fits, 0.4), (doubled, 0.4), (long, 0.4)]))
    assert doubled in str(caught.value) and long in str(caught.value) and "0.40 s" in str(caught.value)
    assert fits not in str(caught.value)
    assert ear_of(tmp_path, manifest(tmp_path, [(fits, 0.4), ("so it goes", 1.0)])).targets


def test_clear_sources_must_be_there(smoke_cache: Path) -> None:
    with pytest.raises(DataError, match="none of the clear sources"):
        build("audio", data__clear='["studio"]', data__clear_steps="10")
    stage = build("audio", data__clear='["smoke_low"]', data__clear_steps="2")
    assert {stage.clips.sources[i] for i in stage.clear_sampler(0)} == {"smoke_low"}


# --- the Thinker with eyes and ears


def test_only_answers_are_learned(micro_weights: Path) -> None:
    stage = build("omni", micro_weights)
    for index in range(3):
        batch = stage.batch(index)
        end, assistant = stage.tokenizer.end_id, stage.tokenizer.assistant_id
        for ids, targets in zip(batch.ids.tolist(), batch.targets.tolist(), strict=True):
            answers = [n for n, target in enumerate(targets) if target >= 0]
            # It begins where the assistant's turn does, says what comes next, and ends.
            assert ids[answers[0]] == assistant and targets[answers[-1]] == end
            assert all(targets[n] == ids[n + 1] for n in answers)
            assert sum(target == end for target in targets) == ids.count(assistant)
        assert int((batch.ids == IMAGE_SLOT).sum()) == len(batch.picture_frames)


def test_every_kind_of_example_is_in_the_mix(micro_weights: Path) -> None:
    stage = build("omni", micro_weights)
    items = stage.items
    assert any(i.picture is not None and i.picture < stage.n_pictures for i in items)
    assert any(i.picture is not None and i.picture >= stage.n_pictures for i in items)
    assert any(i.sound is not None for i in items) and any(i.turns for i in items)
    assert any(i.picture is None and i.sound is None for i in items)
    assert "What colour is the circle?" in {i.question for i in items}


def test_a_spoken_question_goes_with_pictures_words_or_nothing(
    micro_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = build("omni", micro_weights)
    said = ["What do you see?", "What is the capital of France?", "The rain stopped."]
    clips = SimpleNamespace(texts=said, frames=[100, 100, 100])
    monkeypatch.setattr(omni, "SpeechSet", lambda *_: clips)
    monkeypatch.setattr(omni, "SoundFrames", lambda *_: None)
    seen = [omni.Item("What do you see?", f"I see {n}.", picture=n) for n in range(20)]
    groups = {"picture": seen, "scene": [], "text": [omni.Item("what is the capital of france", "Paris.")]}
    items = stage._sound_items(SimpleNamespace(root=None), random.Random(0), groups)
    shown = [i for i in items if i.picture is not None]
    assert len(shown) == omni.PICTURES_A_CLIP and all(i.sound == 0 and i.answer == f"I see {i.picture}." for i in shown)
    assert {i.question for i in shown} == {"", "what do you see"}
    assert {(i.question, i.answer) for i in items if i.sound == 1} == {
        ("what is the capital of france", "Paris."),
        ("", "Paris."),
    }
    (heard,) = [i for i in items if i.sound == 2]
    assert heard.question in omni.HEAR_QUESTIONS and heard.answer == "the rain stopped"


def test_one_kind_of_question_alone(micro_weights: Path) -> None:
    alone = "{picture=1.0,scene=0.0,text=0.0,sound=0.0}"
    stage = build("omni", micro_weights, data__kinds='["see"]', data__shares=alone)
    asked = {stage.items[i].question for index in range(5) for i in stage.sampler(index)}
    assert asked == {"What do you see?", "what do you see"}


def test_pictures_of_some_sources_are_drawn_oftener(micro_weights: Path) -> None:
    stage = build("omni", micro_weights, data__shares="{picture=0.8,text=0.2}")
    group = [omni.Item("q", "a", picture=n) for n in (0, 1, 1, 2)]
    shares = stage._shares("picture", group, [1.0, 0.0, 3.0])
    np.testing.assert_allclose(shares, [0.2, 0.0, 0.0, 0.6])
    np.testing.assert_allclose(stage._shares("text", [omni.Item("q", "a")] * 4, []), [0.05] * 4)


def test_the_reader_learns_from_mixed_pictures(micro_weights: Path) -> None:
    stage = build("omni", micro_weights, data__reader_pictures="6")
    batch = stage.batch(0)
    assert batch.mixed.shape[0] == 6 and batch.mixed_words.shape == (6, stage.tokenizer.vocab_size)
    stage._reader_loss(stage.model.vision_projector.reader, batch).backward()
    learning = {name for name, p in stage.model.named_parameters() if p.grad is not None}
    assert learning == {
        f"vision_projector.reader.{n}" for n, _ in stage.model.vision_projector.reader.named_parameters()
    }
    without = dataclasses.replace(batch, mixed=None, mixed_words=None)
    assert stage.loss(batch).total > stage.loss(without).total
    assert build("omni", micro_weights, data__reader_pictures="0").batch(0).mixed is None


def test_the_reader_learns_alone(micro_weights: Path) -> None:
    stage = build("omni", micro_weights, data__reader_pictures="6", data__reader_alone="true")
    loss = stage.loss(stage.batch(0))
    assert loss.weight == 6
    loss.total.backward()
    assert all("reader" in name for name, p in stage.model.named_parameters() if p.grad is not None)
    with pytest.raises(DataError, match=r"data\.reader_alone needs"):
        build("omni", micro_weights, data__reader_pictures="0", data__reader_alone="true")


def test_the_scenes_do_not_depend_on_the_rest_of_the_mix(micro_weights: Path) -> None:
    # Their frames are kept by seed and number: other scenes under the same name would be the wrong pictures.
    about = []
    for n in ("1", "4"):
        stage = build("omni", micro_weights, data__per_picture=n)
        items = [i for i in stage.items if i.picture is not None and i.picture >= stage.n_pictures]
        about.append([(i.question, i.answer) for i in items])
    assert about[0] == about[1] and len(about[0]) > 50


def test_shares_without_an_example_are_refused(micro_weights: Path) -> None:
    with pytest.raises(DataError, match=r"none of data\.shares has an example"):
        build("omni", micro_weights, data__shares="{ tasting = 1.0 }")


def test_naming_falls_to_chance_without_the_picture(micro_weights: Path) -> None:
    # Nothing but the projected frames tells the Thinker what there is: without them the answer is always the same.
    stage = build("omni", micro_weights)
    stage.model.eval()
    with torch.no_grad():
        stage.model.vision_projector.out_norm.weight.zero_()
    frames = [torch.from_numpy(stage.val_frames[i, 0].astype(np.float32)) for i in range(6)]
    assert len({stage.answer("What do you see?", f) for f in frames}) == 1


def test_the_words_that_an_answer_adds_are_said_of_its_picture(micro_weights: Path) -> None:
    stage = build("omni", micro_weights)
    batch = stage.batch(0)
    assert len(batch.said) == int(batch.n_said.sum()) > 0
    assert len(batch.n_said) == len(batch.picture_frames) // (1 + stage.projector.picture_grid**2)


# --- the Talker


def test_another_codebook_size_is_refused(micro_weights: Path) -> None:
    with pytest.raises(DataError, match="the codec has 64 entries a codebook, the talker 32"):
        build("talker", micro_weights, model__codebook_size="32")


def test_more_codebooks_than_the_codec_has_are_refused(micro_weights: Path) -> None:
    with pytest.raises(DataError, match="the codec has 2 codebooks, the talker 3"):
        build("talker", micro_weights, model__n_codebooks="3")


def test_voices_that_are_not_there_are_refused(micro_weights: Path) -> None:
    with pytest.raises(DataError, match=r"no voice 'tom' \(data.voices\); model.voices are: low, high"):
        build("talker", micro_weights, data__voices='{ smoke_low = "tom" }')


def test_durations_fill_the_codes_and_voices_are_told_apart(micro_weights: Path) -> None:
    stage = build("talker", micro_weights)
    for index in range(3):
        batch = stage.batch(index)
        assert (batch.durations.sum(1) <= batch.codes.shape[1]).all()
        assert int(batch.durations.sum(1).max()) == batch.codes.shape[1]
        inside = torch.arange(batch.durations.shape[1])[None] < batch.lengths[:, None]
        assert not batch.durations[~inside].any() and batch.states.shape == (*batch.characters.shape, 256)
    assert {stage.set.voices[i] for i in stage.set.good} == {0, 1}


def test_an_ear_that_hears_nothing_is_named(micro_weights: Path) -> None:
    with pytest.raises(DataError, match="no clip aligns with its text; train the ear longer"):
        build("talker", micro_weights, data__min_score="0.5")


# --- whose child it is


def test_a_missing_parent_says_how_it_is_trained(smoke_cache: Path, tmp_path: Path) -> None:
    recipe = load_recipe("smoke", "omni")
    with pytest.raises(CheckpointError, match=r"no vision.safetensors: train it first, muomni train --stage vision"):
        stage_class("omni")(build_context(recipe, None, [tmp_path], training=True))


def test_init_goes_on_from_weights_and_says_so(micro_weights: Path, tmp_path: Path) -> None:
    # A step too small to matter: what comes out is what went in, codebooks too.
    run_stage(
        "codec",
        recipe="smoke",
        init=str(micro_weights),
        out=tmp_path,
        overrides={"steps": "1", "lr": "1e-9", "batch": "2", "model.decay": "0.999999"},
    )
    before, after = (evaluate_stage("codec", recipe="smoke", weights=w, limit=8) for w in (micro_weights, tmp_path))
    assert after["mel_l1"] == pytest.approx(before["mel_l1"], abs=0.02)
    from muomni_core.checkpoint import read_header

    header = read_header(tmp_path / "codec.safetensors", "codec")
    assert [leg["init"] for leg in header.legs] == ["scratch", str(micro_weights)]
    with pytest.raises(CheckpointError, match="no such weights file"):
        run_stage("codec", recipe="smoke", init=str(tmp_path / "none"), out=tmp_path / "new")


def test_the_card_tells_of_what_no_recipe_did(untrained_weights: Path, tmp_path: Path) -> None:
    header, tensors = load_stage(untrained_weights / "codec.safetensors", "codec")
    leg = {"more_codebooks": 4, "clips": 1500}
    save_stage(tmp_path / "codec.safetensors", tensors, dataclasses.replace(header, legs=[leg]))
    write_card(tmp_path)
    assert "- leg 1: more_codebooks 4, clips 1500\n" in (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_a_tokenizer_that_came_with_the_weights_goes_along(smoke_cache: Path, tmp_path: Path) -> None:
    given, out = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    (given / "tokenizer.json").write_bytes((SHIPPED / "tokenizer.json").read_bytes())
    overrides = {"steps": "1", "batch": "2", "validate_every": "9", "data.val_rows": "1"}
    run_stage("thinker", recipe="smoke", weights=given, out=out, overrides=overrides)
    assert (out / "tokenizer.json").read_bytes() == (given / "tokenizer.json").read_bytes()


def test_the_talker_trains_its_codec_first(micro_weights: Path, tmp_path: Path) -> None:
    import shutil

    from muomni_core.training.recipe import recipes_folder

    folder = tmp_path / "recipe"
    shutil.copytree(recipes_folder() / "smoke", folder)
    for stage in ("codec", "talker"):  # a recipe given as a file: the codec's lies beside it
        text = (folder / f"{stage}.toml").read_text()
        (folder / f"{stage}.toml").write_text(text.replace("steps = ", "steps = 2 # "))
    parents = tmp_path / "parents"
    parents.mkdir()
    for stage in ("audio", "vision", "omni"):
        shutil.copy(micro_weights / f"{stage}.safetensors", parents)
    metrics = run_stage("talker", recipe=folder / "talker.toml", weights=parents, out=tmp_path / "out")
    assert "cer" in metrics and (tmp_path / "out" / "codec.safetensors").is_file()


def test_a_leg_does_not_begin_with_the_batches_of_the_one_before(micro_weights: Path) -> None:
    recipe = load_recipe("smoke", "codec")
    first, again, second = (
        build_stage(recipe, None, [micro_weights, SHIPPED], init, "cpu", ALONE)
        for init in (None, None, str(micro_weights))
    )
    rows = [stage.sampler(0).tolist() for _, stage, _ in (first, again, second)]
    assert rows[0] == rows[1] != rows[2]
    assert first[0].order_seed == recipe.train.seed
    assert second[0].order_seed == recipe.train.seed + len(second[2])


def test_training_needs_a_finite_loss(smoke_cache: Path, tmp_path: Path) -> None:
    stage = build("thinker", batch="2")
    config = TrainConfig(steps=3, lr=1e9, warmup=0, precision="float32", clip=1e9)
    with pytest.raises(Exception, match="thinker: the loss is"):
        train(stage, config, tmp_path / "state", ship=lambda *_: None)


def test_what_people_say_first_stays_frequent(micro_weights: Path) -> None:
    stage = build("omni", micro_weights, data__n_text="600")
    questions = [i.question for i in stage.items if i.picture is None and i.sound is None]
    assert len(questions) > 1.02 * len(set(questions))
    asked = {q for _, q, _ in stage.val_texts}
    assert asked and not asked & set(questions)  # none of the val questions is learned
