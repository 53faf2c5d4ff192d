from __future__ import annotations

import io
import json
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_muomni import FakeOmni, make_wav, refused, run
from PIL import Image

from muomni_core.audio.io import read_sound
from muomni_core.errors import InputError
from muomni_core.model.speaking import Said


def asked(omni: FakeOmni) -> str | None:
    assert len(omni.calls) == 1
    return omni.calls[0]["question"]


def test_a_question_is_answered_on_stdout_alone(omni: FakeOmni) -> None:
    result = run("ask", "Hello, how are you?")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "You asked: Hello, how are you?\n", "")


def test_words_without_quotes_are_one_question(omni: FakeOmni) -> None:
    run("ask", "how", "are", "you")
    assert asked(omni) == "how are you"


def test_a_picture_alone_is_asked_what_is_seen_and_stdin_is_left_alone(omni: FakeOmni) -> None:
    Path("cat.png").write_bytes(b"x")
    run("ask", "--image", "cat.png", stdin="not for you")
    assert asked(omni) == "What do you see?"


def test_a_recording_is_the_question(omni: FakeOmni) -> None:
    make_wav(Path("q.wav"))
    run("ask", "--audio", "q.wav", stdin="not for you")
    assert omni.calls[0] | {"question": None, "audio": "q.wav", "image": None} == omni.calls[0]


def test_a_picture_with_a_recording_leaves_the_question_to_the_recording(omni: FakeOmni) -> None:
    make_wav(Path("q.wav"))
    Path("cat.png").write_bytes(b"x")
    run("ask", "--audio", "q.wav", "--image", "cat.png")
    assert asked(omni) is None


@pytest.mark.parametrize("args", [(), ("-",)])
def test_a_pipe_is_the_question(omni: FakeOmni, args: tuple[str, ...]) -> None:
    run("ask", *args, stdin="who are you?\n")
    assert asked(omni) == "who are you?"


@pytest.mark.parametrize("args", [("-", "Summarise this"), ("Summarise this", "-")])
def test_piped_text_stands_before_the_question(omni: FakeOmni, args: tuple[str, ...]) -> None:
    run("ask", *args, stdin="It rains.\nIt pours.\n")
    assert asked(omni) == "It rains.\nIt pours.\nSummarise this"


def test_stdin_is_not_read_beside_a_question(omni: FakeOmni) -> None:
    run("ask", "hello", stdin="not for you")
    assert asked(omni) == "hello"


def test_stdin_in_utf16_and_broken_utf8(omni: FakeOmni) -> None:
    run("ask", "-", stdin="größer?\r\n".encode("utf-16"))
    run("ask", "-", stdin=b"\xef\xbb\xbfa \xff b")
    assert [call["question"] for call in omni.calls] == ["größer?", "a \ufffd b"]


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        ((" \t",), None),
        (("",), None),
        ((), ""),
        (("-",), " \n"),
        (("-", " "), "text"),
        (("-", "question"), ""),
        (("--image", "cat.png", ""), None),
    ],
)
def test_nothing_but_white_space_is_no_question(no_model: None, args: tuple[str, ...], stdin: str | None) -> None:
    Path("cat.png").write_bytes(b"x")
    refused(run("ask", *args, stdin=stdin), "empty")


def test_stdin_is_read_for_one_thing_only(no_model: None) -> None:
    refused(run("ask", "-", "--audio", "-"), code=2)
    refused(run("ask", "-", "-"), code=2)


def test_a_picture_comes_from_stdin(omni: FakeOmni) -> None:
    run("ask", "--image", "-", "what?", stdin=b"\x89PNG")
    assert isinstance(omni.calls[0]["image"], io.BytesIO) and omni.calls[0]["image"].getvalue() == b"\x89PNG"


@pytest.mark.parametrize("flag", ["--image", "--audio"])
def test_missing_inputs_are_refused_before_the_model_is_loaded(no_model: None, flag: str) -> None:
    refused(run("ask", flag, "none.bin", "what?"), "none.bin", "no such file")
    refused(run("ask", flag, ".", "what?"), "folder")


def picture(name: str, colour: str = "red") -> str:
    Image.new("RGB", (8, 8), colour).save(name)
    return name


def test_several_pictures_are_one_question(omni: FakeOmni) -> None:
    run("ask", "--image", picture("a.png"), "--image", picture("b.png"), "Which is red?")
    assert omni.calls[0]["image"] == ["a.png", "b.png"]


def test_a_video_is_asked_about_as_its_frames(omni: FakeOmni) -> None:
    shades = [Image.new("RGB", (8, 8), (20 * n, 0, 0)) for n in range(10)]
    shades[0].save("v.gif", save_all=True, append_images=shades[1:], duration=50)
    run("ask", "--video", "v.gif", "--frames", "3")
    assert [frame.getpixel((0, 0))[0] for frame in omni.calls[0]["image"]] == [20, 100, 160]
    assert asked(omni) == "What do you see?"
    run("ask", "--image", picture("a.png"), "--video", "v.gif", "what?")
    assert len(omni.calls[1]["image"]) == 5


def test_a_video_that_cannot_be_decoded_says_so(no_model: None, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("v.mp4").write_bytes(b"x" * 100)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    refused(run("ask", "--video", "v.mp4", "what?"), "v.mp4", "ffmpeg")


def test_the_answer_is_explained_in_a_picture(omni: FakeOmni) -> None:
    result = run("ask", "--image", picture("a.png"), "--explain", "e.png", "What?")
    assert (result.exit_code, result.stdout) == (0, "You asked: What?\n")
    assert omni.calls[1]["attention"] == "You asked: What?" and omni.calls[1]["image"] == "a.png"
    with Image.open("e.png") as page:
        assert page.format == "PNG" and page.width > 800
    refused(run("ask", "--image", "a.png", "--explain", "e.png"), "e.png exists", "--force")


def test_what_cannot_be_explained_is_refused_at_once(no_model: None) -> None:
    refused(run("ask", "hi", "--explain", "e.png"), "--image", code=2)
    refused(run("ask", "--image", picture("a.png"), "--explain", "-"), "stdout", code=2)


def test_a_recording_without_its_transcript(omni: FakeOmni) -> None:
    make_wav(Path("q.wav"))
    run("ask", "--audio", "q.wav")
    run("ask", "--audio", "q.wav", "--no-transcript")
    assert [call["transcript"] for call in omni.calls] == [True, False]


def test_too_much_text_is_refused(no_model: None) -> None:
    refused(run("ask", "-", stdin=b"a" * 4_000_001), "4,000,000")


def test_generation_flags_reach_the_model(omni: FakeOmni) -> None:
    given = "--temperature 0.7 --top-p 0.9 --seed 3 --max-tokens 9 --no-repeat 2 --candidates 5"
    run("ask", "hi", *given.split())
    wanted = {"temperature": 0.7, "top_p": 0.9, "seed": 3, "max_tokens": 9, "no_repeat": 2, "candidates": 5}
    assert omni.calls[0] | wanted == omni.calls[0]


def test_the_answer_is_spoken_too(omni: FakeOmni) -> None:
    result = run("ask", "hi", "--speak", "a.wav", "--voice", "kathleen")
    assert result.stdout == "You asked: hi\n"
    assert len(read_sound("a.wav")) == 160 * len("You asked: hi")
    assert omni.calls[1]["voice"] == "kathleen"


def test_the_answer_is_spoken_while_it_is_thought_of(omni: FakeOmni, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = threading.Event()

    def think(**_: Any) -> Iterator[str]:
        yield "First. "
        assert spoken.wait(10)  # the second sentence comes after the first is in the file
        yield "Second."

    def speak(text: Iterable[str], **_: Any) -> Iterator[Said]:
        for _ in text:
            yield Said(np.full(160, 0.25, np.float32), [], 1.0)
            spoken.set()

    monkeypatch.setattr(omni, "ask_stream", think)
    monkeypatch.setattr(omni, "speak_pieces", lambda text, **_: speak(text))
    assert run("ask", "hi", "--speak", "a.wav").stdout == "First. Second.\n"
    assert len(read_sound("a.wav")) == 320


def test_an_answer_that_fails_leaves_no_recording(omni: FakeOmni, monkeypatch: pytest.MonkeyPatch) -> None:
    def think(**_: Any) -> Iterator[str]:
        yield "First. "
        raise InputError("no more")

    monkeypatch.setattr(omni, "ask_stream", think)
    refused(run("ask", "hi", "--speak", "a.wav"), "no more")
    assert not list(Path().iterdir())


def test_an_existing_recording_is_kept_unless_forced(omni: FakeOmni) -> None:
    Path("a.wav").write_text("mine")
    refused(run("ask", "hi", "--speak", "a.wav"), "a.wav exists", "--force")
    assert Path("a.wav").read_text() == "mine" and not omni.calls
    assert run("ask", "hi", "--speak", "a.wav", "--force").exit_code == 0
    assert Path("a.wav").read_bytes()[:4] == b"RIFF"


def test_spoken_to_stdout_the_text_moves_to_stderr(omni: FakeOmni) -> None:
    result = run("ask", "hi", "--speak", "-")
    assert result.stdout_bytes[:4] == b"RIFF" and b"You asked" not in result.stdout_bytes
    assert result.stderr == "You asked: hi\n"


def test_a_terminal_gets_the_answer_piece_by_piece_without_control_characters(
    omni: FakeOmni, terminal: set[str]
) -> None:
    terminal.add("stdout")
    assert run("ask", "a\x1b[2Jb").stdout == "You asked: a\\x1b[2Jb\n"


def rows(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_batch_answers_each_row_and_fails_at_the_end(omni: FakeOmni) -> None:
    folder = Path("sub")
    folder.mkdir()
    (folder / "cat.png").write_bytes(b"x")
    lines = [
        '{"id": "a", "question": "one", "label": "ignored"}',
        "",
        '{"image": "cat.png"}',
        '{"id": 7, "image": "none.png"}',
        "not json",
        "[1]",
        '{"id": null, "question": " "}',
        '{"id": "x"}',
        '{"question": 3}',
        '{"image": "-"}',
        '{"id": "last", "question": "half \\ud83d of a pair"}',
    ]
    (folder / "requests.jsonl").write_text("\n".join(lines))
    result = run("ask", "--batch", "sub/requests.jsonl")
    assert result.exit_code == 1
    found = rows(result.stdout)
    assert found[0] == {"id": "a", "answer": "You asked: one"}
    assert found[1] == {"id": 3, "answer": "You asked: What do you see?"}
    assert omni.calls[1]["image"] == Path("sub/cat.png")
    assert [row["id"] for row in found] == ["a", 3, 7, 5, 6, 7, "x", 9, 10, "last"]
    assert ["error" in row for row in found] == [False, False, *[True] * 7, False]
    assert "none.png" in found[2]["error"] and "line 5" in found[3]["error"]
    assert result.stderr == "muomni: 7 of 10 requests failed\n"


def test_a_batch_on_stdin_finds_files_where_one_stands(omni: FakeOmni) -> None:
    Path("cat.png").write_bytes(b"x")
    result = run("ask", "--batch", "-", stdin='\ufeff{"image": "cat.png", "question": "Größe?"}\n')
    assert result.exit_code == 0
    assert rows(result.stdout) == [{"id": 1, "answer": "You asked: Größe?"}]
    assert "Größe" in result.stdout


def test_a_batch_row_may_have_several_pictures(omni: FakeOmni) -> None:
    lines = [
        {"image": [picture("a.png"), picture("b.png")], "question": "Which?"},
        {"image": ["a.png", 3], "question": "Which?"},
        {"image": ["a.png", None], "question": "Which?"},
        {"image": [], "question": "Hello?"},
    ]
    result = run("ask", "--batch", "-", stdin="\n".join(map(json.dumps, lines)))
    assert ["answer" in row for row in rows(result.stdout)] == [True, False, False, True]
    assert omni.calls[0]["image"] == [Path("a.png"), Path("b.png")]


def test_a_line_without_end_does_not_fill_the_memory(omni: FakeOmni) -> None:
    result = run("ask", "--batch", "-", stdin=b"{" * 2_500_000 + b'\n{"question": "next"}\n')
    assert [("error" in row, row["id"]) for row in rows(result.stdout)] == [(True, 1), (False, 2)]


def test_one_row_cannot_bring_the_batch_down(omni: FakeOmni, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(omni, "ask", lambda *a, **k: 1 / 0)
    result = run("ask", "--batch", "-", stdin='{"question": "a"}\n{"question": "b"}\n')
    assert result.exit_code == 1 and ["ZeroDivisionError" in row["error"] for row in rows(result.stdout)] == [True] * 2


def test_batches_that_cannot_start(no_model: None) -> None:
    refused(run("ask", "--batch", "none.jsonl"), "no such file")
    refused(run("ask", "--batch", "x.jsonl", "and a question"), code=2)


def test_an_empty_batch_says_so(omni: FakeOmni) -> None:
    refused(run("ask", "--batch", "-", stdin=""), "no requests")
