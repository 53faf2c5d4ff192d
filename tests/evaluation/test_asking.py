"""The measures of `ask`, on pictures made here and a model that says what it is told to."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from muomni_core.data import phrasings
from muomni_core.data.record import Row
from muomni_core.data.shards import write_shard
from muomni_core.errors import DataError, InputError
from muomni_core.evaluation import (
    asking,
    captions,
    contact_sheet,
    drawn_scenes,
    everyday,
    naming,
    retrieval,
    spoken_questions,
    yes_no,
)
from muomni_core.evaluation.table import Report, Settings, example_lines, lines

COLOURS = {"cat": (250, 0, 0), "dog": (0, 250, 0), "car": (0, 0, 250), "cup": (250, 250, 0)}
CAPTIONS = {
    "cat": ["A cat sleeps on a bed.", "The cat is on the bed.", "A grey pet.", "A cat rests.", "Something furry."],
    "dog": ["A dog runs on grass.", "A brown dog is running.", "Dog in a field.", "A puppy plays.", "It runs."],
}


class Omni:
    """Knows what a picture shows by its colour, and answers by `say(question, thing)`."""

    def __init__(self, say: Callable[[str, str], str]):
        self.say = say

    def ask(self, question: str | None = None, image: Any = None, audio: Any = None, **_: Any) -> str:
        return self.say(question or "(spoken)", thing_in(image) if image is not None else "")

    def embed(self, *, image: Any = None, text: str | None = None) -> np.ndarray:
        names = list(COLOURS)
        vector = np.zeros(len(names), np.float32)
        said = (text or "").lower().replace("puppy", "dog").replace("it runs", "dog")
        found = thing_in(image) if image is not None else next((n for n in names if n in said), "cat")
        vector[names.index(found)] = 1.0
        return vector


def thing_in(image: Any) -> str:
    picture = image if isinstance(image, Image.Image) else Image.open(io.BytesIO(image))
    pixel = np.array(picture.convert("RGB").getpixel((0, 0)), int)
    return min(COLOURS, key=lambda name: float(np.abs(pixel - COLOURS[name]).sum()))


def picture(name: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), COLOURS[name]).save(out, format="PNG")
    return out.getvalue()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data root with a labelled and a captioned set."""
    labelled = [
        (f"{n:06d}", {"png": picture(name), "json": json.dumps({"label": name}).encode()})
        for n, name in enumerate(list(COLOURS) * 3)
    ]
    described = [
        (f"{n:06d}", {"png": picture(name), "json": json.dumps({"captions": CAPTIONS[name]}).encode()})
        for n, name in enumerate(list(CAPTIONS) * 2)
    ]
    for source in ("caltech101", "coco_labels", "oxford_pets", "grocery"):
        write_shard(tmp_path / f"images/{source}-val-000.tar", labelled)
    for source in ("flickr8k", "coco_captions"):
        write_shard(tmp_path / f"images/{source}-val-000.tar", described)
    return tmp_path


def knows(question: str, thing: str) -> str:
    return f"I see a {thing}."


def test_names(data: Path) -> None:
    found = naming.measure(Omni(knows), Settings(data)).figures  # type: ignore[arg-type]
    assert found["caltech101"] == found["cats"] == found["everyday"] == 1.0 and found["called_cat"] == 0.0
    assert 0.1 < found["caltech101_by_chance"] < 0.4
    found = naming.measure(Omni(lambda q, t: "I see a cat."), Settings(data)).figures  # type: ignore[arg-type]
    assert (found["caltech101"], found["cats"], found["called_cat"]) == (0.25, 1.0, 1.0)
    assert found["caltech101_by_chance"] == 0.25
    found = naming.measure(Omni(lambda q, t: "a cat and a dog"), Settings(data)).figures  # type: ignore[arg-type]
    assert found["caltech101"] == 0.0


def test_missing_sets_are_named_and_a_missing_root_is_refused(data: Path) -> None:
    assert "flowers" in " ".join(naming.measure(Omni(knows), Settings(data)).notes)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="MUOMNI_DATA"):
        naming.measure(Omni(knows), Settings())  # type: ignore[arg-type]


def test_captions_by_hand() -> None:
    references = [CAPTIONS["cat"], CAPTIONS["dog"]]
    assert captions.agreed_words(CAPTIONS["cat"]) == {"cat", "bed"}
    report = captions.caption_report(["I see a cat here.", "dog"], references)
    assert report.figures["content_word"] == 1.0
    assert report.figures["sentences"] == 0.5 and report.figures["distinct"] == 1.0
    report = captions.caption_report(["A grey thing.", "A grey thing."], references)
    assert report.figures["content_word"] == 0.0 and report.figures["distinct"] == 0.5
    assert report.met("content_word") is False and report.met("distinct") is True and report.met("sentences") is None


def test_captions_of_pictures(data: Path) -> None:
    report = captions.measure(Omni(lambda q, t: CAPTIONS[t][0]), Settings(data))  # type: ignore[arg-type]
    assert report.figures["cider"] > 1 > report.figures["cider_of_one_sentence"]
    assert report.figures["pictures"] == 4


def test_half_of_the_questions_have_a_yes() -> None:
    rows = [Row(str(n), "s", label=name) for n, name in enumerate(["cat", "dog", "pizza", "airplane"] * 10)]
    asked = yes_no.questions(rows, random.Random(0))
    assert sum(present for _, _, present in asked) * 2 == len(asked) > 40
    assert all(thing in (rows[n].label, "animal", "vehicle") for n, thing, present in asked if present)
    assert all(rows[n].label != thing for n, thing, present in asked if not present)
    yes, no = ({thing for _, thing, present in asked if present == which} for which in (True, False))
    assert no <= yes  # a thing alone tells nothing


def test_yes_and_no(data: Path) -> None:
    def right(question: str, thing: str) -> str:
        words = {"cat": "cat bed animal", "dog": "dog animal", "car": "car vehicle"}.get(thing, thing).split()
        there = any(f" {word} " in question for word in words)
        return f"Yes, there is a {thing}." if there else "No, there is none."

    report = yes_no.measure(Omni(right), Settings(data))  # type: ignore[arg-type]
    assert report.figures["right"] == 1.0 and report.figures["said_yes"] == 0.5
    report = yes_no.measure(Omni(lambda q, t: "Yes."), Settings(data))  # type: ignore[arg-type]
    assert report.figures["right"] == 0.5 and report.figures["sentences"] == 0.0


def test_scenes_ask_in_words_that_no_training_has() -> None:
    known = " ".join(str(value) for name, value in vars(phrasings).items() if name.isupper()).lower()
    for kind, some in drawn_scenes.OTHER.items():
        for question in some:
            assert question.lower() not in known, (kind, question)


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        ("colour", "The circle is red, not blue.", {"red", "blue"}),
        ("count", "There are no squares.", {"0"}),
        ("count", "There is one circle.", {"1"}),
        ("count", "There are 3 circles.", {"3"}),
        ("shape", "They are circles.", {"circle"}),
        ("side", "It is on the left.", {"left"}),
        ("side", "I don't know.", set()),
    ],
)
def test_what_an_answer_about_a_scene_says(kind: str, answer: str, said: set[str]) -> None:
    assert drawn_scenes.said_words(kind, answer) == said


def test_every_scene_question_has_one_answer() -> None:
    rng = random.Random(0)
    kinds = set()
    for _ in range(60):
        scene = drawn_scenes.random_scene(rng)
        for kind, make in drawn_scenes.OTHER_KINDS.items():
            for asked in (make(scene, rng), drawn_scenes.known_question(kind, scene, rng)):
                if asked is not None:
                    assert asked[1] in drawn_scenes.WORDS_OF[kind] and "{" not in asked[0]
                    kinds.add(kind)
    assert kinds == set(drawn_scenes.WORDS_OF)


def test_scenes_are_the_same_for_a_seed() -> None:
    omni = Omni(lambda q, t: "It is red.")
    first, second, other = (
        drawn_scenes.measure(omni, Settings(limit=10, seed=seed)).examples  # type: ignore[arg-type]
        for seed in (0, 0, 1)
    )
    assert first == second != other


def test_retrieval(data: Path) -> None:
    found = retrieval.measure(Omni(knows), Settings(data)).figures  # type: ignore[arg-type]
    assert found["captions"] == 20 and 0 < found["image_to_text_r10"] <= 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Saturday comes after Friday.", []),
        ("", ["empty"]),
        ("...", ["empty"]),
        ("Sunday comes after Friday.", ["off"]),
        ("What day comes after Friday? Saturday.", ["echo"]),
        ("Saturday, Saturday, Saturday.", ["repeats"]),
        ("I like it and I like it because it is Saturday.", []),
        ("I like it and I like it a lot, Saturday", ["unended"]),
        ("I like the day and I like the day of Saturday.", ["repeats"]),
    ],
)
def test_marks_of_everyday_answers(answer: str, expected: list[str]) -> None:
    found = everyday.marks("What day comes after Friday?", answer, "Saturday comes after Friday.")
    if "I like it and" in answer:
        expected = ["repeats", *expected]
    assert found == expected


def test_a_sum_needs_its_number_and_a_fact_any_word_of_it() -> None:
    assert everyday.marks("What is 7 + 5?", "10 plus 1 is 10.", "7 plus 5 is 12.") == ["off"]
    assert everyday.marks("What is 7 + 5?", "It is 12.", "7 plus 5 is 12.") == []
    assert everyday.marks("Where does honey come from?", "It comes from bees.", "Bees make honey.") == []


def test_small_talk_has_no_one_answer() -> None:
    report = everyday.measure(Omni(lambda q, t: "I am fine."), Settings())  # type: ignore[arg-type]
    chat = next(e for e in report.examples if e["question"].startswith("Hi there"))
    assert "right" not in chat and chat["marks"] == []
    assert report.figures["questions"] == 40 and report.figures["off"] > 0


def test_spoken_questions_without_a_voice_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spoken_questions.shutil, "which", lambda _: None)
    report = spoken_questions.measure(Omni(knows), Settings())  # type: ignore[arg-type]
    assert not report.figures and "skipped" in report.notes[0]
    for name in ("flite:awb", "alien:x"):
        with pytest.raises(InputError):
            spoken_questions.find_voice(name)


def test_spoken_questions_are_compared_with_the_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Hearing(Omni):
        def transcribe(self, path: Path, plain: bool = False) -> str:
            return "hello"

        def ask(
            self, question: str | None = None, image: Any = None, audio: Any = None, transcript: bool = True
        ) -> str:
            return "Hello!" if transcript else "No."

    made = tmp_path / "q.wav"
    monkeypatch.setattr(spoken_questions, "find_voice", lambda name: "slt")
    monkeypatch.setattr(spoken_questions, "say_all", lambda texts, voice, folder: [made] * len(texts))
    found = spoken_questions.measure(Hearing(knows), Settings()).figures  # type: ignore[arg-type]
    assert (found["questions"], found["same"], found["same_without_transcript"]) == (40, 1.0, 0.0)


def test_a_contact_sheet(data: Path) -> None:
    found = Settings(data, seed=3)
    rows = contact_sheet.draw_rows(found, 24)
    assert len(rows) == 24 and len({(row.source, row.key) for row, _ in rows}) == 24
    assert [row.key for row, _ in rows] == [row.key for row, _ in contact_sheet.draw_rows(found, 24)]
    some = [contact_sheet.answered(Omni(knows), row, labels) for row, labels in rows]  # type: ignore[arg-type]
    assert all(one.right for one in some)
    page = contact_sheet.sheet(some, "What do you see?")
    assert page.width > 6 * contact_sheet.SIDE and page.height > 4 * contact_sheet.SIDE
    with pytest.raises(DataError, match="only"):
        contact_sheet.draw_rows(found, 1000)


def test_a_sheet_that_exists_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    out.write_text("mine")
    assert contact_sheet.main([str(out)]) == 1
    assert "--force" in capsys.readouterr().err and out.read_text() == "mine"


def test_the_table_says_what_is_wanted() -> None:
    report = Report({"right": 0.5, "cider": 0.25, "n": 3, "empty": 0.0}, {"right": 0.6, "cider": 0.2, "empty": 0.0})
    report.at_most = frozenset({"empty"})
    text = "\n".join(lines(report, "part"))
    assert "50.0%  wanted 60.0%  (missed)" in text and "0.250  wanted 0.200\n" in text and "at most 0.0%" in text
    report.examples = [{"question": "q", "answer": "a", "truth": "t", "right": True}, {"question": "r", "answer": "b"}]
    assert example_lines(report, 5) == ["+ q  ->  a   [t]", "  r  ->  b"] and example_lines(report, 0) == []


def test_one_command_prints_parts_as_a_table_or_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: Path
) -> None:
    monkeypatch.setattr(asking, "load", lambda weights: Omni(knows))
    assert asking.main(["--data", str(data), "--only", "naming,captions"]) == 0
    assert "caltech101" in (said := capsys.readouterr().out) and "cider" in said
    assert asking.main(["--data", str(data), "--only", "naming", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["naming"]["figures"]["cats"] == 1.0
    with pytest.raises(SystemExit):
        asking.main(["--only", "nonsense"])
