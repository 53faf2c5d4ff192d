"""recipes/smoke, shortened: every stage improves on the untrained model, and what comes out is a whole model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from muomni_cli.app import app
from muomni_core import MuOmni
from muomni_core.audio.io import write_wav
from muomni_core.checkpoint import PARENTS, read_export, read_header
from muomni_core.data.smoke import VOICES, say
from muomni_core.errors import CheckpointError, DataError
from muomni_core.evaluation.metrics import char_error
from muomni_core.evaluation.run import evaluate_stage
from muomni_core.training.recipe import load_recipe
from muomni_core.training.run import build_context, run_stage
from muomni_core.training.stages import STAGES as ALL_STAGES
from muomni_core.training.stages import stage_class
from muomni_core.vision.image import load_image
from muomni_core.weights import SHIPPED

STAGES = ("codec", "audio", "vision", "thinker", "omni", "talker")
# What each stage is judged by, and whether more of it is better.
JUDGED = {
    "codec": ("mel_l1", False),
    "audio": ("cer", False),
    "vision": ("score", True),
    "thinker": ("bits_per_byte", False),
    "omni": ("answer_nats", False),
    "talker": ("code_nats", False),
}


def muomni(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


@pytest.fixture(scope="module")
def omni(micro_weights: Path) -> MuOmni:
    return MuOmni.load(micro_weights, device="cpu")


def untrained(stage: str, weights: Path, settings: dict[str, Any]) -> dict[str, float]:
    """What the stage's own validation finds before the first step."""
    recipe = load_recipe("smoke", stage, {key: str(value) for key, value in settings.items()})
    torch.manual_seed(recipe.train.seed)
    made = stage_class(stage)(build_context(recipe, None, [weights], training=True))
    made.model.eval()
    return made.validate()


def better(name: str, more: bool, before: dict[str, float], after: list[dict[str, float]]) -> bool:
    values = [metrics[name] for metrics in after]
    return max(values) > before[name] if more else min(values) < 0.98 * before[name]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_betters_the_untrained_model(micro_run: Any, stage: str) -> None:
    before, after = untrained(stage, micro_run.folder, micro_run.settings[stage]), micro_run.metrics[stage]
    assert len(after) >= 2
    assert better(*JUDGED[stage], before, after), (before, after)
    assert better(*JUDGED[stage], after[0], after[1:]), after  # and goes on learning


def test_the_vocoder_betters_the_untrained_model(micro_weights: Path, tmp_path: Path) -> None:
    settings = {"steps": "20", "validate_every": "20", "data.val_clips": "4", "data.adversarial_from": "10"}
    before = untrained("vocoder", micro_weights, settings)
    after = run_stage("vocoder", recipe="smoke", out=tmp_path, weights=micro_weights, overrides=settings, device="cpu")
    for name in ("mel_l1", "spectral"):
        assert better(name, False, before, [after]), (before, after)


LESS = {"spectral", "mel_l1", "cer", "wer", "perplexity", "bits_per_byte", "answer_nats", "code_nats", "duration_loss"}
# Six questions with two answers, and what the Thinker knew before: omni has no more to learn of these.
AS_BEFORE = {"yes_no", "text_smoke_answers", "text_everyday"}


@pytest.mark.minutes
def test_the_whole_recipe_betters_every_metric_within_five_minutes(smoke_cache: Path, tmp_path: Path) -> None:
    """The very command of the README, unshortened; processor time, so that a busy machine fails nothing."""
    before = os.times()
    command = [sys.executable, "-m", "muomni_cli", "train", "--stage", "all", "--recipe", "smoke", "--out", "run"]
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([*command, "--json"], cwd=tmp_path, env=os.environ | path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 300
    trained = json.loads(done.stdout)["stages"]
    assert tuple(trained) == ALL_STAGES
    for stage, found in trained.items():
        for name, start in untrained(stage, tmp_path / "run", {}).items():
            if name in AS_BEFORE:
                continue
            less = name in LESS or name.removesuffix("_codec") in LESS or name.startswith("wer_")
            assert found[name] < start if less else found[name] > start, (stage, name, start, found[name])


def test_the_ear_hears_what_it_did_not_learn(micro_run: Any) -> None:
    assert micro_run.metrics["audio"][-1]["cer"] < 0.3


def test_files_say_what_they_are(micro_weights: Path) -> None:
    headers = {stage: read_header(micro_weights / f"{stage}.safetensors", stage) for stage in STAGES}
    for stage, header in headers.items():
        assert header.parents == {parent: headers[parent].fingerprint for parent in PARENTS[stage]}
        assert header.legs[0]["recipe"] == f"smoke/{stage}" and header.legs[0]["init"] == "scratch"
        assert header.step > 0 and header.metrics and len(header.data) == 12
    assert headers["thinker"].config["thinker"]["depth"] == 2 == headers["omni"].config["thinker"]["depth"]


def test_the_model_is_whole(omni: MuOmni, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    text = "good dog"
    sound = say(text, VOICES[0], rng)
    heard = omni.transcribe((sound, 16_000))
    assert char_error([text], [heard]).rate < 0.5
    picture = tmp_path / "picture.png"
    load_image(Path(__file__).parents[2] / "recipes/examples/shapes.png").save(picture)
    assert omni.ask("What do you see?", image=picture)
    assert isinstance(omni.ask("Hello", audio=(sound, 16_000)), str)
    assert omni.voices == ["low", "high"]
    spoken, rate = omni.speak("good dog", voice="high")
    assert rate == 16_000 and spoken.dtype == np.float32 and 0.2 < len(spoken) / rate < 10
    for vector in (omni.embed(image=picture), omni.embed(text="a red circle")):
        assert vector.shape == (128,) and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    codes = omni.encode_sound(sound)
    assert len(omni.decode_codes(codes, len(sound))) == len(sound)


def test_the_eye_was_trained(omni: MuOmni, smoke_cache: Path) -> None:
    from muomni_core.data.rows import read_rows

    rows = list(read_rows("images/smoke_shapes-val-000.tar", smoke_cache / "smoke"))
    pictures = np.stack([omni.embed(image=row.image_source()) for row in rows])
    names = ("circle", "square", "triangle")
    texts = np.stack([omni.embed(text=f"a photo of a {name}") for name in names])
    best = (pictures @ texts.T).argmax(1)
    right = [names[i] == row.label for i, row in zip(best, rows, strict=True)]
    assert np.mean(right) > 0.4


# --- the commands


def test_train_and_eval_by_command(smoke_cache: Path, tmp_path: Path) -> None:
    short = ["--set", "steps=4", "--set", "save_every=2", "--set", "validate_every=4", "--set", "batch=4"]
    train = ["train", "--stage", "codec", "--recipe", "smoke", "--out", str(tmp_path), *short]
    result = muomni(*train)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("codec: mel_l1 ") and "codec 4/4" in result.stderr
    before = (tmp_path / "codec.safetensors").read_bytes()
    again = muomni(*train, "--json", "--quiet")  # an existing run: nothing is left to do, nothing is lost
    assert again.exit_code == 0 and json.loads(again.stdout)["metrics"]["mel_l1"] > 0
    assert (tmp_path / "codec.safetensors").read_bytes() == before
    other = muomni(*train, "--set", "lr=0.5")
    assert other.exit_code == 1 and "another run" in other.stderr and "Traceback" not in other.stderr
    found = muomni(
        "eval", "--stage", "codec", "--recipe", "smoke", "--weights", str(tmp_path), "--json", "--limit", "4"
    )
    assert found.exit_code == 0, found.stderr
    found = json.loads(found.stdout)
    assert found["stage"] == "codec" and set(found["metrics"]) == {"mel_l1", "usage_0", "usage_1"}


EXPECTED = {
    "codec": {"mel_l1", "usage_0", "usage_1"},
    "audio": {"cer", "wer", "wer_smoke_low", "wer_smoke_high"},
    "vision": {"naming_smoke_shapes", "image_to_text_r1", "image_to_text_r5", "text_to_image_r10"},
    "thinker": {"perplexity", "bits_per_byte"},
    "omni": {"answer_nats", "naming_smoke_shapes", "yes_no", "describe", "text_smoke_answers", "text_everyday"},
    "talker": {"cer", "code_nats", "duration_loss"},
}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_measured(micro_weights: Path, stage: str) -> None:
    result = muomni(
        "eval", "--stage", stage, "--recipe", "smoke", "--weights", str(micro_weights), "--json", "--limit", "6"
    )
    assert result.exit_code == 0, result.stderr
    metrics = json.loads(result.stdout)["metrics"]
    assert set(metrics) >= EXPECTED[stage] and all(isinstance(value, float) for value in metrics.values())


def test_a_limit_bounds_the_rows(micro_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from muomni_core.data.features import SpeechSet

    seen: set[int] = set()
    mel = SpeechSet.mel
    monkeypatch.setattr(SpeechSet, "mel", lambda self, i, *args: seen.add(i) or mel(self, i, *args))
    evaluate_stage("codec", recipe="smoke", weights=micro_weights, limit=7)
    assert 4 <= len(seen) <= 7 and max(seen) > 20  # spread over all of them


def test_what_eval_refuses(micro_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder of weights"):
        evaluate_stage("codec", recipe="smoke", weights=tmp_path / "none")
    with pytest.raises(CheckpointError, match="no weights in this folder"):
        evaluate_stage("codec", recipe="smoke", weights=tmp_path)
    with pytest.raises(DataError, match="--recipe smoke"):
        evaluate_stage("codec", recipe="tiny", weights=micro_weights)
    # A talker beside another codec than its own.
    for stage in ("audio", "vision", "omni", "talker"):
        (tmp_path / f"{stage}.safetensors").write_bytes((micro_weights / f"{stage}.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"no thinker\.safetensors"):
        evaluate_stage("thinker", recipe="smoke", weights=tmp_path)
    overrides = [f"--set={item}" for item in ("steps=1", "batch=2", "validate_every=1")]
    assert muomni("train", "--stage", "codec", "--recipe", "smoke", "--out", str(tmp_path), *overrides).exit_code == 0
    with pytest.raises(CheckpointError, match=r"talker weights were trained on codec .* train them again"):
        evaluate_stage("talker", recipe="smoke", weights=tmp_path)
    result = muomni("speak", "good dog", "-o", str(tmp_path / "a.wav"), "--weights", str(tmp_path))
    assert result.exit_code == 1 and "muomni train --stage talker" in result.stderr


def test_a_stage_of_ones_own_is_usable_before_those_that_need_it(
    micro_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, package, sound = tmp_path / "own", tmp_path / "package", str(tmp_path / "a.wav")
    shutil.copytree(micro_weights, package)
    shutil.copy(SHIPPED / "tokenizer.json", package)
    muomni("train", "--stage", "codec", "--recipe", "smoke", "--out", str(own), "--set=steps=1", "--set=batch=2")
    monkeypatch.setattr("muomni_core.model.omni.SHIPPED", package)
    assert muomni("speak", "good dog", "-o", sound).exit_code == 0
    result = muomni("codec", "encode", sound, "-o", str(tmp_path / "a.codes"), "--weights", str(own))
    assert result.exit_code == 0, result.stderr
    for command in (("speak", "good dog", "-o", str(tmp_path / "b.wav")), ("export", str(tmp_path / "model"))):
        result = muomni(*command, "--weights", str(own))
        assert result.exit_code == 1 and "talker weights were trained on codec" in result.stderr, command
    assert not (tmp_path / "b.wav").exists() and not (tmp_path / "model").exists()


def test_an_export_gives_parents_and_a_start(micro_weights: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    assert muomni("export", str(model), "--weights", str(micro_weights)).exit_code == 0
    prints = {stage: header.fingerprint for stage, header in read_export(model).items()}
    short = [f"--set={item}" for item in ("steps=1", "batch=2", "validate_every=1", "data.val_clips=2")]
    for given in (model, model / "model.safetensors"):  # the folder and the file
        out = tmp_path / f"from-{given.name}"
        common = ("train", "--recipe", "smoke", "--out", str(out), "--weights", str(given), *short)
        result = muomni(*common, "--stage", "talker", "--init", str(given))
        assert result.exit_code == 0, result.output
        header = read_header(out / "talker.safetensors", "talker")
        assert header.parents == {stage: prints[stage] for stage in PARENTS["talker"]}
        assert header.legs[-1]["init"] == str(model)
        assert not (out / "codec.safetensors").exists()  # the export's own served
    wider = ("train", "--recipe", "smoke", "--stage", "codec", "--out", str(tmp_path / "w"), "--set", "model.width=20")
    result = muomni(*wider, "--init", str(model))
    assert result.exit_code == 1 and f"{model / 'model.safetensors'}: codec." in result.stderr
    args = ("eval", "--stage", "codec", "--recipe", "smoke", "--limit", "4", "--weights")
    assert muomni(*args, str(model)).stdout == muomni(*args, str(micro_weights)).stdout != ""


def test_a_run_needs_a_place(smoke_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = muomni("train", "--stage", "codec", "--recipe", "smoke", "--out", str(tmp_path / "file"))
    assert result.exit_code == 1 and "cannot be written" in result.stderr and result.stderr.count("\n") == 1


def test_training_data_of_ones_own(smoke_cache: Path, tmp_path: Path) -> None:
    """A folder of recordings with a manifest, and a recipe of three lines."""
    rng = np.random.default_rng(0)
    for split, texts in (("train", ["good dog", "red fish", "old cat", "big day"]), ("val", ["big dog"])):
        rows = []
        for n, text in enumerate(texts):
            write_wav(tmp_path / f"{split}{n}.wav", say(text, VOICES[0], rng))
            rows.append(json.dumps({"audio": f"{split}{n}.wav", "text": text}))
        (tmp_path / f"mine-{split}.jsonl").write_text("\n".join(rows))
    recipe = tmp_path / "codec.toml"
    recipe.write_text(
        '[model]\npreset = "micro"\n[data]\ntrain = ["mine-train.jsonl"]\nval = ["mine-val.jsonl"]\n'
        "[train]\nsteps = 2\nbatch = 2\n"
    )
    places = ["--recipe", str(recipe), "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    result = muomni("train", "--stage", "codec", *places)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "run" / "codec.safetensors").is_file()
