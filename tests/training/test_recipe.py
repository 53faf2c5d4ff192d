"""Recipes: found by name, folder or file; every key known and of its type; --set as a user writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from muomni_core.config import PRESETS
from muomni_core.errors import DataError
from muomni_core.training.context import Context
from muomni_core.training.recipe import TrainConfig, data_root, load_recipe, recipes_folder
from muomni_core.training.run import find_root
from muomni_core.training.stages import STAGES, stage_class
from muomni_core.training.stages.codec import Options


def write(folder: Path, text: str, stage: str = "codec") -> Path:
    path = folder / f"{stage}.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["smoke", "tiny", "base"])
def test_every_recipe_of_the_package_is_whole(name: str, stage: str) -> None:
    recipe = load_recipe(name, stage)
    assert recipe.name == f"{name}/{stage}" and recipe.makes_data == (name == "smoke")
    assert recipe.train.steps > 0 and recipe.model.name == {"smoke": "micro"}.get(name, name)
    module = __import__(f"muomni_core.training.stages.{stage}", fromlist=["Options"])
    options = Context(recipe, Path(), None, []).options(module.Options)  # type: ignore[arg-type]
    assert options.train and options.val
    patterns = [*options.train, *options.val]
    assert all(not Path(p).is_absolute() and ".." not in Path(p).parts for p in patterns)


def test_a_recipe_is_a_name_a_folder_or_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[data]\ntrain = ["a"]\n[train]\nsteps = 3\n')
    for given in (tmp_path, path, str(path)):
        assert load_recipe(given, "codec").train.steps == 3
    assert load_recipe(path, "codec").model == PRESETS["tiny"]
    assert (recipes_folder() / "tiny" / "codec.toml").is_file()


def test_a_recipe_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no recipe 'mine' for the stage codec; there are: .*smoke, tiny"):
        load_recipe("mine", "codec")
    with pytest.raises(DataError, match="for the stage audio"):
        load_recipe(tmp_path, "audio")
    with pytest.raises(DataError, match="no stage 'thinkr'; there are: codec"):
        stage_class("thinkr")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps = 3", "unknown section 'steps'; there are: model, data, train"),
        ("[train]\nstep = 3", "no option 'step'; there are: .*steps"),
        ("[train]\nsteps = 'many'", "steps should be of type int, got 'many'"),
        ("[train]\nsave_every = 0", "save_every must be at least 1, got 0"),
        ("[train]\nlr = 'slow'", "lr should be of type float"),
        ("[model]\nwidth = 'wide'", "width should be of type int"),
        ("[model]\nheads = 3", r"\[model\]: no option 'heads'"),
        ("[model]\npreset = 'huge'", "no preset 'huge'; there are: tiny, base, micro"),
        ("[train", "not a TOML file"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, text)
    with pytest.raises(DataError, match=said) as caught:
        load_recipe(tmp_path, "codec")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "codec.toml").write_bytes(b"\xff\xfe[train]")
    with pytest.raises(DataError, match="not a TOML file"):
        load_recipe(tmp_path, "codec")


def test_set_changes_values_of_every_section() -> None:
    overrides = {
        "steps": "7",
        "lr": "1",
        "train.precision": "bf16",
        "data.train": '["x.tar"]',
        "data.crop": "32",
        "model.width": "48",
        "compile": "true",
    }
    recipe = load_recipe("smoke", "codec", overrides)
    assert (recipe.train.steps, recipe.train.lr, recipe.train.precision, recipe.train.compile) == (7, 1.0, "bf16", True)
    assert isinstance(recipe.train.lr, float)
    assert recipe.data["train"] == ["x.tar"] and recipe.data["crop"] == 32 and recipe.model.codec.width == 48
    voices = load_recipe("smoke", "talker", {"model.voices": '["a", "b", "c"]'}).model.talker.voices
    assert voices == ("a", "b", "c")
    assert load_recipe("tiny", "omni", {"model.depth": "2"}).model.thinker.depth == 2
    projector = load_recipe("tiny", "omni", {"model.picture_grid": "0"}).model.projector
    assert projector.picture_grid == 0 and projector.picture_positions


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("steps", "many", "--set steps: expected int, got 'many'"),
        ("steps", "1.5", "--set steps: expected int"),
        ("stepz", "3", "no option 'stepz'"),
        ("trainer.steps", "3", "no section 'trainer'"),
        ("model.width", "wide", "width should be of type int"),
        ("data.train", "x.tar", "--set data.train: expected list"),
    ],
)
def test_a_set_that_does_not_fit_is_named(key: str, value: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_recipe("smoke", "codec", {key: value})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("train = ['a']", r"\[data\]: 'val' is missing"),
        ("train = ['a']\nval = ['b']\ncrops = 3", r"\[data\]: no option 'crops'; there are: train, val, crop"),
        ("train = ['a']\nval = ['b']\ncrop = 'long'", "crop should be of type int, got 'long'"),
        ("train = 'a'\nval = ['b']", r"train should be of type list\[str\], got 'a'"),
    ],
)
def test_options_of_a_stage_are_checked(tmp_path: Path, data: str, said: str) -> None:
    recipe = load_recipe(write(tmp_path, f"[data]\n{data}\n"), "codec")
    with pytest.raises(DataError, match=said):
        Context(recipe, tmp_path, None, []).options(Options)  # type: ignore[arg-type]


def test_the_defaults_are_those_of_the_config() -> None:
    defaults = TrainConfig()
    assert defaults.accumulate == 1 and defaults.precision == "auto" and not defaults.compile


# --- where the data lies


def test_missing_data_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUOMNI_DATA", raising=False)
    recipe = load_recipe("tiny", "codec")
    with pytest.raises(DataError, match=r"--data DIR or set MUOMNI_DATA.*--recipe smoke, which needs none"):
        find_root(recipe, None)
    with pytest.raises(DataError, match=r"nowhere is missing;.*--recipe smoke"):
        find_root(recipe, tmp_path / "nowhere")
    monkeypatch.setenv("MUOMNI_DATA", str(tmp_path))
    assert data_root(None) == tmp_path == find_root(recipe, None)
    assert data_root(tmp_path / "other") == tmp_path / "other"


def test_smoke_makes_nothing_among_a_persons_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.setattr("muomni_core.data.smoke.make_smoke", lambda root: made.append(root) or root)
    own, cache = tmp_path / "own", tmp_path / "cache"
    own.mkdir()
    (cache / "smoke").mkdir(parents=True)
    monkeypatch.setenv("MUOMNI_CACHE", str(cache))
    monkeypatch.setenv("MUOMNI_DATA", str(own))
    recipe = load_recipe("smoke", "codec")
    assert find_root(recipe, None) == cache / "smoke" == find_root(recipe, own)  # --data is filled in from the variable
    (tmp_path / "chosen").mkdir()
    assert find_root(recipe, tmp_path / "chosen") == tmp_path / "chosen"
    assert own not in made


def test_whole_numbers_and_fractions_interchange_where_a_fraction_fits() -> None:
    assert load_recipe("smoke", "audio", {"seconds": "6.5"}).train.seconds == 6.5  # the recipe says 20
    assert load_recipe("smoke", "audio", {"data.augment": "1"}).data["augment"] == 1
    recipe = load_recipe("smoke", "codec", {"data.crop": "32.5"})
    with pytest.raises(DataError, match=r"crop should be of type int, got 32\.5"):
        Context(recipe, Path(), None, []).options(Options)  # type: ignore[arg-type]
