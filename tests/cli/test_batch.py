"""JSON lines in, JSON lines out, as they come: `--batch` of speak and transcribe, and of all as a session."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_muomni import FakeOmni, fake_process, make_wav, refused, run

from muomni_core.audio.io import read_sound
from muomni_core.tasks.rows import MAX_DROPPED_BYTES, MAX_LINE_BYTES

needs_devices = pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")


def rows(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_texts_become_files(omni: FakeOmni) -> None:
    folder = Path("sub")
    folder.mkdir()
    lines = [
        '{"id": "a", "text": "hello", "out": "a.wav", "voice": "kathleen", "speed": 2, "seed": 7, "else": 1}',
        "",
        '{"text": "größer", "out": "b.wav"}',
        '{"text": "lost"}',
        '{"out": "c.wav"}',
        '{"text": 3, "out": "c.wav"}',
        '{"text": "a", "out": "a.wav"}',
        '{"text": "a", "out": "c.wav", "speed": "fast"}',
        '{"text": "a", "out": "c.wav", "seed": -1}',
        '{"text": "a", "out": "c.wav", "seed": 1.5}',
        '{"text": "a", "out": "c.wav", "voice": []}',
        '{"text": "\\ud83d", "out": "-"}',
        "no json",
        '{"text": "last", "out": "d.wav", "id": 99}',
    ]
    (folder / "texts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    result = run("speak", "--batch", "sub/texts.jsonl", "--seed", "5", "--speed", "1.5")
    found = rows(result.stdout)
    assert result.exit_code == 1 and result.stderr == "muomni: 10 of 13 requests failed\n"
    assert [row["id"] for row in found] == ["a", *range(3, 14), 99]
    assert ["error" in row for row in found] == [False, False, *[True] * 10, False]
    assert found[0]["file"] == "sub/a.wav" and found[0]["voice"] == "kathleen"
    assert [word["word"] for word in found[0]["words"]] == ["hello"] and found[0]["seconds"] > 0
    assert sorted(path.name for path in folder.iterdir()) == ["a.wav", "b.wav", "d.wav", "texts.jsonl"]
    assert [(call["speed"], call["seed"]) for call in omni.calls[:2]] == [(2, 7), (1.5, 5)]
    assert "out is missing" in found[2]["error"] and "exists" in found[5]["error"]


def test_rows_without_a_file_go_into_the_folder(omni: FakeOmni) -> None:
    result = run("speak", "--batch", "-", "-o", "clips/", stdin='{"text": "one"}\n{"text": "two", "out": "own.wav"}\n')
    assert result.exit_code == 0, result.output
    assert [row["file"] for row in rows(result.stdout)] == ["clips/0001.wav", "own.wav"]
    assert len(read_sound("clips/0001.wav")) == 480
    assert run("speak", "--batch", "-", "-o", "clips/", stdin='{"text": "again"}').exit_code == 1
    assert run("speak", "--batch", "-", "-o", "clips/", "-f", stdin='{"text": "again"}').exit_code == 0


def test_recordings_become_lines(omni: FakeOmni) -> None:
    Path("sub").mkdir()
    make_wav(Path("sub/a.wav"))
    lines = ['{"id": "x", "audio": "a.wav"}', '{"audio": "none.wav"}', '{"id": 4}', '{"audio": "-"}', "[]"]
    Path("sub/clips.jsonl").write_text("\n".join(lines))
    result = run("transcribe", "--batch", "sub/clips.jsonl", "--beam", "3", "--plain")
    found = rows(result.stdout)
    assert result.exit_code == 1 and result.stderr == "muomni: 4 of 5 requests failed\n"
    assert found[0] | {"id": "x", "file": "sub/a.wav", "text": "1600 samples", "seconds": 0.1} == found[0]
    assert [row["id"] for row in found] == ["x", 2, 4, 4, 5] and all("error" in row for row in found[1:])
    assert omni.calls[0]["beam"] == 3 and omni.calls[0]["plain"]


def test_wrong_use_is_said_before_the_model_is_loaded(no_model: None) -> None:
    for args in (["hi"], ["--raw"], ["--plot", "p.png"], ["-o", "a.wav"]):
        refused(run("speak", "--batch", "x.jsonl", *args), "--batch", code=2)
    for args in (["a.wav"], ["--format", "srt"], ["-o", "x"]):
        refused(run("transcribe", "--batch", "x.jsonl", *args), "--batch", code=2)
    refused(run("transcribe"), "FILE", code=2)
    refused(run("speak", "--batch", "none.jsonl"), "no such file")
    refused(run("transcribe", "--batch", "none.jsonl"), "no such file")


@pytest.mark.parametrize("command", ["ask", "speak", "transcribe"])
def test_what_has_no_end_is_one_line(omni: FakeOmni, command: str) -> None:
    for data in (b"\0" * 3_000_000, "[]\n".encode("utf-16")):
        result = run(command, "--batch", "-", stdin=data)
        assert (result.exit_code, result.stdout) == (1, "") and "line 1 holds NUL bytes" in result.stderr
    result = run(command, "--batch", "-", stdin=b"{}\n" + b"a" * (MAX_DROPPED_BYTES + MAX_LINE_BYTES + 1))
    assert result.exit_code == 1 and result.stderr == "muomni: line 2 does not end; requests are lines of JSON\n"
    result = run(command, "--batch", "-", stdin=b"a" * (MAX_LINE_BYTES + 1) + b"\n{}\n")
    assert [row["id"] for row in rows(result.stdout)] == [1, 2]  # a long line is one error, and the rest goes on


@needs_devices
def test_devices_are_refused_before_the_model_is_loaded(no_model: None) -> None:
    for args in (["--batch"], ["hi", "--image"], ["hi", "--video"], ["--audio"]):
        refused(run("ask", *args, "/dev/zero"), "/dev/zero is a device")
    for command in ("speak", "transcribe"):
        refused(run(command, "--batch", "/dev/urandom"), "/dev/urandom is a device")
    refused(run("transcribe", "/dev/null"), "/dev/null is a device")
    refused(run("ask", "--batch", "/"), "/ is a folder")
    refused(run("transcribe", "/"), "/ is all that is on this machine")


@needs_devices
def test_a_row_that_names_a_device(omni: FakeOmni) -> None:
    result = run("transcribe", "--batch", "-", stdin='{"audio": "/dev/zero"}')
    assert result.exit_code == 1 and "/dev/zero is a device" in rows(result.stdout)[0]["error"]


def test_no_requests(omni: FakeOmni) -> None:
    refused(run("speak", "--batch", "-", stdin="\n\n"), "no requests")
    refused(run("transcribe", "--batch", "-", stdin=""), "no requests")


@pytest.mark.parametrize(
    ("command", "row", "answer"),
    [
        ("ask", {"question": "what?"}, "answer"),
        ("speak", {"text": "hello", "out": "{}.wav"}, "seconds"),
        ("transcribe", {"audio": "in.wav"}, "text"),
    ],
)
def test_a_session_answers_each_line_before_the_next_is_there(
    tmp_path: Path, command: str, row: dict, answer: str
) -> None:
    make_wav(tmp_path / "in.wav")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": tmp_path}
    with fake_process(command, "--batch", "-", **pipes) as child:
        for number in (1, 2, 3):
            line = json.dumps({"id": number} | row).replace("{}", str(number))
            child.stdin.write(line.encode() + b"\n")
            child.stdin.flush()
            found = json.loads(child.stdout.readline())  # before stdin ends
            assert found["id"] == number and answer in found
        child.stdin.close()
        assert child.wait(timeout=60) == 0 and child.stderr.read() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="pipes that close")
@pytest.mark.parametrize("command", ["speak", "transcribe"])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, command: str) -> None:
    make_wav(tmp_path / "in.wav")
    line = '{"audio": "in.wav"}' if command == "transcribe" else '{"text": "a", "out": "a.wav"}'
    with fake_process(command, "--batch", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as child:
        child.stdout.close()
        _, errors = child.communicate(f"{line}\n".encode() * 3, timeout=60)
    assert (child.returncode, errors) == (141, b"")
