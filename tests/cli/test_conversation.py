from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_muomni import FakeOmni, make_wav, refused, run
from PIL import Image

from muomni_cli.conversation import Talk
from muomni_core.audio import play
from muomni_core.audio.io import read_sound
from muomni_core.errors import InputError


def talk(omni: FakeOmni, lines: list[str | BaseException], **settings: Any) -> Talk:
    """A conversation in which these lines are typed."""
    typed = iter([*lines, EOFError()])

    def read_line() -> str:
        line = next(typed)
        if isinstance(line, BaseException):
            raise line
        return line

    made = Talk(omni, generation={"seed": 3}, speech={"voice": "slt"}, **settings)  # type: ignore[arg-type]
    made.run(read_line)
    return made


def picture(name: str = "cat.png") -> str:
    Image.new("RGB", (8, 8), "red").save(name)
    return name


def test_lines_are_questions_of_one_conversation(omni: FakeOmni, capsys: pytest.CaptureFixture[str]) -> None:
    talk(omni, ["one", " two ", "", "  "])
    assert capsys.readouterr().out == "1: You asked one.\n2: You asked two.\n"
    assert [call["seed"] for call in omni.calls] == [3, 3]


def test_a_terminal_without_a_question_begins_one(omni: FakeOmni, terminal: set[str]) -> None:
    terminal.add("stdin")
    result = run("ask", "--temperature", "0.5", stdin="hello\n/reset\nagain\n")
    assert result.exit_code == 0
    assert result.stdout == "1: You asked hello.\n1: You asked again.\n"
    assert "/help" in result.stderr and omni.calls[0]["temperature"] == 0.5


def test_a_terminal_with_a_picture_gets_one_answer(omni: FakeOmni, terminal: set[str]) -> None:
    terminal.add("stdin")
    assert run("ask", "--image", picture()).stdout == "You asked: What do you see?\n"


def test_sound_on_stdout_is_for_one_answer(no_model: None, terminal: set[str]) -> None:
    terminal.add("stdin")
    refused(run("ask", "--speak", "-"), "QUESTION", code=2)


def test_pictures_and_recordings_go_with_the_next_question(omni: FakeOmni) -> None:
    make_wav(Path("my question.wav"))
    picture("my cat.png")
    talk(omni, ["/image my cat.png", '/image "my cat.png"', "which?", "and now?", "/audio my\\ question.wav", ""])
    first, second, third = omni.calls
    assert len(first["image"]) == 2 and first["question"] == "which?"
    assert second["image"] is None
    assert third["question"] is None and len(third["audio"][0]) == 1600


def test_enter_alone_asks_about_a_picture(omni: FakeOmni) -> None:
    talk(omni, [f"/image {picture()}", ""])
    assert omni.calls[0]["question"] is None and len(omni.calls[0]["image"]) == 1


def test_frames_of_a_video(omni: FakeOmni) -> None:
    shades = [Image.new("RGB", (8, 8), (20 * n, 0, 0)) for n in range(10)]
    shades[0].save("v.gif", save_all=True, append_images=shades[1:])
    talk(omni, ["/video v.gif", "what happens?"], frames=2)
    assert len(omni.calls[0]["image"]) == 2


def test_what_goes_wrong_is_one_line_and_the_conversation_goes_on(
    omni: FakeOmni, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.png").write_text("no picture")
    lines = ["/image none.png", "/image bad.png", "/image", "/audio -", "/nonsense", "/image .", "fail", "hello"]
    talk(omni, lines)
    said = capsys.readouterr()
    assert said.out == "1: You asked hello.\n"
    assert said.err.count("\n") == 7 and all(line.startswith("muomni: ") for line in said.err.splitlines())
    for word in ("none.png", "bad.png", "name a file", "stdin", "/nonsense", "folder", "went wrong"):
        assert word in said.err
    assert omni.calls[-1]["image"] is None


def test_broken_bytes_are_no_end(omni: FakeOmni, capsys: pytest.CaptureFixture[str]) -> None:
    talk(omni, [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "hello"])
    assert "UTF-8" in (said := capsys.readouterr()).err and "You asked hello" in said.out


def test_reset_forgets_the_picture_that_waits_too(omni: FakeOmni) -> None:
    talk(omni, [f"/image {picture()}", "/reset", "hello"])
    assert omni.calls[0]["image"] is None


def test_answers_are_spoken_into_files(omni: FakeOmni, capsys: pytest.CaptureFixture[str]) -> None:
    talk(omni, ["/speak a.wav", "one", "two", "/speak off", "three"])
    assert capsys.readouterr().out.count("You asked") == 3
    assert len(read_sound("a.wav")) == 160 * len("1: You asked one.")
    assert sorted(path.name for path in Path().iterdir()) == ["a-2.wav", "a.wav"]


def test_a_recording_that_exists_is_kept(omni: FakeOmni, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.wav").write_text("mine")
    talk(omni, ["/speak a.wav", "one"])
    assert "--force" in capsys.readouterr().err and Path("a.wav").read_text() == "mine"
    talk(omni, ["one"], speak="a.wav", force=True)
    assert Path("a.wav").read_bytes()[:4] == b"RIFF"


def test_without_a_player_nothing_is_spoken(
    omni: FakeOmni, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> str:
        raise InputError("no player is here")

    monkeypatch.setattr(play, "find_player", none)
    made = talk(omni, ["/speak on", "hello"])
    assert "no player" in capsys.readouterr().err and made.player is None


def test_ctrl_c_stops_an_answer_and_not_the_conversation(
    omni: FakeOmni, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from muomni_cli import conversation

    shown = conversation.shown

    def interrupted(pieces: Any) -> Any:
        yield next(pieces)
        monkeypatch.setattr(conversation, "shown", shown)
        raise KeyboardInterrupt

    monkeypatch.setattr(conversation, "shown", interrupted)
    made = talk(omni, ["one", "two"])
    assert made.conversation.said == ["1: ", "2: You asked two."]  # type: ignore[attr-defined]
    assert "stopped" in capsys.readouterr().err


def test_ctrl_c_at_the_prompt_ends_it(omni: FakeOmni) -> None:
    with pytest.raises(KeyboardInterrupt):
        talk(omni, ["one", KeyboardInterrupt()])


def test_help_is_no_answer(omni: FakeOmni, capsys: pytest.CaptureFixture[str]) -> None:
    talk(omni, ["/help"])
    said = capsys.readouterr()
    assert said.out == "" and "/image FILE" in said.err and not omni.calls
