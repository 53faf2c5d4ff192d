"""`muomni transcribe`: formats, files and folders, stdin, raw samples, what is refused and what goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_muomni import FakeOmni, make_wav, refused, run

from muomni_cli.transcribe import FormatName
from muomni_core.tasks.subtitles import WRITERS

WORDS = [{"word": "4000", "start": 0.0, "end": 0.5, "confidence": 0.75}]
WORDS += [{"word": "samples", "start": 0.5, "end": 1.0, "confidence": 0.75}]


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


@pytest.mark.parametrize("flags", [("--json",), ("--format", "json")])
def test_json_has_words_with_times(omni: FakeOmni, flags: tuple[str, ...]) -> None:
    make_wav(Path("a.wav"), 0.25)
    result = run("transcribe", *flags, "a.wav", "none.wav")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found[0] == {"file": "a.wav", "text": "4000 samples", "seconds": 0.25, "confidence": 0.75, "words": WORDS}
    assert found[1]["file"] == "none.wav" and "error" in found[1] and result.exit_code == 1


def test_the_formats_are_those_that_there_are() -> None:
    assert [name.value for name in FormatName] == list(WRITERS)


def test_subtitles_of_one_file(omni: FakeOmni) -> None:
    make_wav(Path("a.wav"), 0.25)
    wanted = "1\n00:00:00,000 --> 00:00:01,000\n4000 samples\n"
    assert run("transcribe", "--format", "srt", "a.wav").stdout == wanted
    result = run("transcribe", "--format", "srt", "a.wav", "-o", "a.srt")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert Path("a.srt").read_text() == wanted
    assert run("transcribe", "--format", "vtt", "a.wav").stdout.startswith("WEBVTT\n")
    refused(run("transcribe", "--format", "srt", "a.wav", "-o", "a.srt"), "a.srt", "--force")
    assert run("transcribe", "--format", "srt", "a.wav", "-o", "a.srt", "--force").exit_code == 0


def test_a_folder_of_results(omni: FakeOmni) -> None:
    Path("talks/deep").mkdir(parents=True)
    make_wav(Path("talks/a.wav"))
    make_wav(Path("talks/deep/b.wav"))
    Path("talks/deep/bad.wav").write_bytes(b"no sound")
    result = run("transcribe", "--format", "srt", "talks", "-o", "subs/")
    assert result.exit_code == 1 and result.stdout == "" and result.stderr.count("\n") == 1
    assert "bad.wav" in result.stderr
    made = sorted(path.relative_to("subs").as_posix() for path in Path("subs").rglob("*.*"))
    assert made == ["a.srt", "deep/b.srt"]
    refused(run("transcribe", "--format", "srt", "talks", "-o", "subs"), "subs", "--force")
    assert run("transcribe", "talks/a.wav", "-o", "subs").exit_code == 0  # one file too, and a folder that exists
    assert Path("subs/a.txt").read_text() == "1600 samples\n"


def test_a_folder_is_searched(omni: FakeOmni) -> None:
    Path("talks").mkdir()
    make_wav(Path("talks/b.wav"))
    make_wav(Path("talks/a.wav"))
    assert run("transcribe", "talks").stdout == "talks/a.wav\t1600 samples\ntalks/b.wav\t1600 samples\n"


def test_lines_in_one_file(omni: FakeOmni) -> None:
    make_wav(Path("a.wav"))
    result = run("transcribe", "a.wav", "none.wav", "-o", "all.txt")
    assert result.exit_code == 1 and result.stdout == ""
    assert Path("all.txt").read_text() == "a.wav\t1600 samples\n"
    refused(run("transcribe", "none.wav", "-o", "none.txt"), "none.wav")
    Path("bad.wav").write_bytes(b"no sound")
    refused(run("transcribe", "bad.wav", "-o", "none.txt"), "bad.wav")
    assert not Path("none.txt").exists()
    assert run("transcribe", "a.wav", "-o", "-").stdout == "1600 samples\n"


def test_a_wav_on_stdin(omni: FakeOmni) -> None:
    wav = make_wav(Path("a.wav"), 0.25).read_bytes()
    assert run("transcribe", "-", stdin=wav).stdout == "4000 samples\n"
    found = json.loads(run("transcribe", "--json", "-", stdin=wav).stdout)
    assert found == {"file": "-", "text": "4000 samples", "seconds": 0.25, "confidence": 0.75, "words": WORDS}


def test_raw_samples(omni: FakeOmni) -> None:
    samples = b"\1\0" * 800
    assert run("transcribe", "--rate", "8000", "-", stdin=samples).stdout == "1600 samples\n"
    Path("x.raw").write_bytes(samples)
    assert run("transcribe", "--rate", "16000", "x.raw").stdout == "800 samples\n"
    refused(run("transcribe", "--rate", "16000", str(make_wav(Path("a.wav")))), "--rate")


def test_how_it_is_decoded_is_passed_on(omni: FakeOmni) -> None:
    make_wav(Path("a.wav"))
    run("transcribe", "a.wav", "--beam", "8", "--rescore", "--plain")
    run("transcribe", "a.wav")
    found = [{key: call[key] for key in ("beam", "rescore", "plain")} for call in omni.calls]
    assert found == [{"beam": 8, "rescore": True, "plain": True}, {"beam": None, "rescore": False, "plain": False}]


def test_a_bar_for_a_person_only(omni: FakeOmni, terminal: set[str]) -> None:
    make_wav(Path("a.wav"))
    make_wav(Path("b.wav"))
    terminal.add("stderr")
    result = run("transcribe", "a.wav", "b.wav")
    assert result.stdout == "a.wav\t1600 samples\nb.wav\t1600 samples\n"
    assert run("transcribe", "a.wav", "b.wav", "--quiet").stderr == ""


def test_names_with_line_ends_stay_on_their_line(omni: FakeOmni) -> None:
    make_wav(Path("a.wav"))
    make_wav(Path("x\n\x1b.wav"))
    assert run("transcribe", "a.wav", "x\n\x1b.wav").stdout.splitlines()[1].startswith("x\\n\\x1b.wav\t")


def test_what_is_refused_at_once(no_model: None) -> None:
    refused(run("transcribe", "none.wav"), "none.wav")
    refused(run("transcribe", "-", "-"), code=2)
    refused(run("transcribe"), "FILE", code=2)
    make_wav(Path("a.wav"))
    make_wav(Path("b.wav"))
    refused(run("transcribe", "--json", "--format", "srt", "a.wav"), "--json", code=2)
    refused(run("transcribe", "--format", "srt", "a.wav", "b.wav"), "-o DIR", code=2)
    refused(run("transcribe", "--format", "srt", "a.wav", "b.wav", "-o", "one.srt"), "-o DIR", code=2)
    refused(run("transcribe", "--format", "odd", "a.wav"), "odd", code=2)
    refused(run("transcribe", "a.wav", "-o", "nowhere/x.txt"), "nowhere")
    refused(run("transcribe", "a.wav", "a.wav", "-o", "out/"), "a.txt")
    Path("empty").mkdir()
    refused(run("transcribe", "empty"), "no sound files")
    assert sorted(path.name for path in Path().iterdir()) == ["a.wav", "b.wav", "empty"]
