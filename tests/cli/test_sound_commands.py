"""transcribe, speak and codec."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from fake_muomni import FakeOmni, make_wav, refused, run

from muomni_core.audio.io import read_sound


def test_one_file_is_one_line(omni: FakeOmni) -> None:
    make_wav(Path("q.wav"), 0.1)
    result = run("transcribe", "q.wav")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "1600 samples\n", "")


def test_several_files_are_named_and_a_bad_one_does_not_stop_the_rest(omni: FakeOmni) -> None:
    make_wav(Path("a.wav"))
    make_wav(Path("b.wav"))
    Path("bad.wav").write_bytes(b"no sound")
    result = run("transcribe", "a.wav", "bad.wav", "none.wav", "b.wav")
    assert result.exit_code == 1
    assert result.stdout == "a.wav\t1600 samples\nb.wav\t1600 samples\n"
    assert [line.startswith("muomni: ") for line in result.stderr.splitlines()] == [True, True]
    assert "bad.wav" in result.stderr.splitlines()[0] and "none.wav" in result.stderr.splitlines()[1]


def test_json_has_file_text_and_seconds(omni: FakeOmni) -> None:
    make_wav(Path("a.wav"), 0.25)
    result = run("transcribe", "--json", "a.wav", "none.wav")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found[0] == {"file": "a.wav", "text": "4000 samples", "seconds": 0.25}
    assert found[1]["file"] == "none.wav" and "error" in found[1] and result.exit_code == 1


def test_a_wav_on_stdin(omni: FakeOmni) -> None:
    wav = make_wav(Path("a.wav"), 0.5).read_bytes()
    assert run("transcribe", "-", stdin=wav).stdout == "8000 samples\n"
    found = json.loads(run("transcribe", "--json", "-", stdin=wav).stdout)
    assert found == {"file": "-", "text": "8000 samples", "seconds": 0.5}


def test_names_with_line_ends_stay_on_their_line(omni: FakeOmni) -> None:
    make_wav(Path("a.wav"))
    make_wav(Path("x\n\x1b.wav"))
    assert run("transcribe", "a.wav", "x\n\x1b.wav").stdout.splitlines()[1].startswith("x\\n\\x1b.wav\t")


def test_a_missing_file_is_refused_at_once(no_model: None) -> None:
    refused(run("transcribe", "none.wav"), "none.wav")
    refused(run("transcribe", "-", "-"), code=2)
    refused(run("transcribe"), "FILE", code=2)


def test_text_becomes_a_wav(omni: FakeOmni) -> None:
    result = run("speak", "hello", "-o", "out.wav", "--voice", "slt", "--vocoder", "griffin-lim", "--speed", "1.5")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert len(read_sound("out.wav")) == 800
    expected = {"text": "hello", "voice": "slt", "vocoder": "griffin-lim", "speed": 1.5, "temperature": 0.0, "seed": 0}
    assert omni.calls == [expected]


@pytest.mark.parametrize("args", [("-",), ()])
def test_text_comes_from_a_pipe(omni: FakeOmni, args: tuple[str, ...]) -> None:
    run("speak", *args, "-o", "out.wav", stdin="first line\nsecond\n")
    assert omni.calls[0]["text"].split() == ["first", "line", "second"]


def test_a_wav_on_stdout_is_a_whole_wav(omni: FakeOmni) -> None:
    result = run("speak", "hello", "-o", "-")
    assert result.exit_code == 0 and len(read_sound(io.BytesIO(result.stdout_bytes))) == 800


def test_no_wav_on_a_terminal(no_model: None, terminal: set[str]) -> None:
    terminal.add("stdout")
    refused(run("speak", "hello", "-o", "-"), "terminal")


def test_each_line_becomes_a_numbered_file(omni: FakeOmni) -> None:
    result = run("speak", "-", "-o", "lines/", stdin="one\n\nthree\n")
    assert result.exit_code == 0
    assert sorted(path.name for path in Path("lines").iterdir()) == ["0001.wav", "0003.wav"]
    assert [call["text"] for call in omni.calls] == ["one", "three"]


def test_an_existing_folder_needs_no_slash(omni: FakeOmni) -> None:
    Path("lines").mkdir()
    run("speak", "-", "-o", "lines", stdin="one\ntwo\n")
    assert len(list(Path("lines").iterdir())) == 2


def test_a_folder_is_checked_before_the_first_file_is_made(omni: FakeOmni) -> None:
    Path("lines").mkdir()
    Path("lines/0002.wav").write_text("mine")
    refused(run("speak", "-", "-o", "lines/", stdin="one\ntwo\n"), "0002.wav exists")
    assert [path.name for path in Path("lines").iterdir()] == ["0002.wav"] and not omni.calls
    assert run("speak", "-", "-o", "lines/", "--force", stdin="one\ntwo\n").exit_code == 0


def test_a_line_that_cannot_be_spoken_does_not_stop_the_rest(omni: FakeOmni) -> None:
    result = run("speak", "-", "-o", "lines/", stdin="one\n\N{THUMBS UP SIGN}\nthree\n")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1 and "0002.wav" in result.stderr
    assert sorted(path.name for path in Path("lines").iterdir()) == ["0001.wav", "0003.wav"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("speak", "hi"), 2),
        (("speak", "hi", "-", "-o", "x.wav"), 2),
        (("speak", "hi", "-o", "x.wav", "--speed", "9"), 2),
        (("speak", "hi", "-o", "x.wav", "--speed", "nan"), 2),
        (("speak", "hi", "-o", "x.wav", "--vocoder", "wavenet"), 2),
        (("speak", "hi", "-o", "x.wav", "--seed", "-1"), 2),
        (("speak", "hi", "-o", "x.wav", "--max-tokens", "3"), 2),
        (("speak", "--list-voices", "hi"), 2),
        (("speak", " ", "-o", "x.wav"), 1),
        (("speak", "-", "-o", "x.wav"), 1),
        (("speak", "hi", "-o", ""), 1),
        (("speak", "hi", "-o", "none/x.wav"), 1),
        (("speak", "hi", "-o", "none/deep/"), 1),
    ],
)
def test_what_speak_refuses(no_model: None, args: tuple[str, ...], code: int) -> None:
    refused(run(*args), code=code)
    assert not list(Path().iterdir())


def test_a_device_is_simply_written(omni: FakeOmni) -> None:
    assert run("speak", "hi", "-o", "/dev/null").exit_code == 0


def test_voices_are_listed(omni: FakeOmni) -> None:
    assert run("speak", "--list-voices").stdout == "slt\nkathleen\n"


def test_codes_there_and_back(omni: FakeOmni) -> None:
    make_wav(Path("in.wav"), 1.0)
    result = run("codec", "encode", "in.wav", "-o", "in.codes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "1000 bit/s (50 frames of 2 codes, 1.00 s)\n"
    result = run("codec", "decode", "in.codes", "-o", "out.wav")
    assert result.exit_code == 0 and "1000 bit/s" in result.stdout
    assert len(read_sound("out.wav")) == 16_000


def test_codes_on_stdout_leave_the_bit_rate_to_stderr(omni: FakeOmni) -> None:
    make_wav(Path("in.wav"), 1.0)
    result = run("codec", "encode", "in.wav", "-o", "-")
    assert result.stdout_bytes[:4] == b"MUOC" and "1000 bit/s" in result.stderr
    assert run("codec", "encode", "in.wav", "-o", "-", "--quiet").stderr == ""
    assert run("codec", "decode", "-", "-o", "out.wav", stdin=result.stdout_bytes).exit_code == 0


def test_what_the_codec_refuses(omni: FakeOmni) -> None:
    make_wav(Path("in.wav"))
    refused(run("codec", "encode", "none.wav", "-o", "x.codes"), "none.wav")
    refused(run("codec", "encode", "in.wav", "-o", "in.wav"), "exists")
    refused(run("codec", "decode", "in.wav", "-o", "x.wav"), "not a codes file")
    refused(run("codec", "encode", "in.wav"), "-o", code=2)
    assert not Path("x.codes").exists() and not Path("x.wav").exists()
