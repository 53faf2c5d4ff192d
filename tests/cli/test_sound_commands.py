"""codec."""

from __future__ import annotations

from pathlib import Path

from fake_muomni import FakeOmni, make_wav, refused, run

from muomni_core.audio.io import read_sound


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
