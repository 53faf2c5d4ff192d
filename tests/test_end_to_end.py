"""The real commands on a real, if tiny, model: chained in a shell, and given everything that people give by mistake."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner, Result

from muomni_cli.app import app
from muomni_core import MuOmni
from muomni_core.audio.io import write_wav
from muomni_core.data.smoke import VOICES, draw, say
from muomni_core.weights import SHIPPED

ROOT = Path(__file__).parent.parent
RATE = 16_000


@pytest.fixture
def place(micro_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with q.wav and photo.png, and the micro weights for every command."""
    monkeypatch.setenv("MUOMNI_WEIGHTS", str(micro_weights))
    monkeypatch.chdir(tmp_path)
    write_wav("q.wav", sound())
    picture().save("photo.png")
    return tmp_path


def sound() -> np.ndarray:
    return say("good dog", VOICES[0], np.random.default_rng(3))


def picture() -> Image.Image:
    import random

    return draw("red", "circle", "white", random.Random(0))


def muomni(*args: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(args), input=stdin)


def refused(result: Result, *words: str) -> None:
    """One line on stderr with `words` in it, nothing on stdout, exit code 1."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("muomni: ") and result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr and "unexpected" not in result.stderr, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


def fine(result: Result) -> str:
    assert result.exit_code == 0, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout


# --- what works


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_another_codec_leaves_the_packages_vocoder_out(micro_weights: Path) -> None:
    assert (SHIPPED / "vocoder.safetensors").is_file() and not (micro_weights / "vocoder.safetensors").exists()
    assert MuOmni.load().vocoders == ["neural", "griffin-lim"]
    assert MuOmni.load(micro_weights).vocoders == ["griffin-lim"]
    done = muomni("doctor", "--weights", str(micro_weights))
    assert "made for another codec than this one" in done.stdout


def test_the_commands_chain_in_a_shell(place: Path, micro_weights: Path) -> None:
    """As the README's script, with the weights named; the question is one that micro's ear can hear."""
    program = f'"{sys.executable}" -m muomni_cli'
    script = (
        f'set -euo pipefail; W="{micro_weights}"\n'
        f'{program} transcribe --weights "$W" q.wav | tee question.txt | {program} ask --weights "$W" - '
        f'| tee answer.txt | {program} speak --weights "$W" - -o a.wav'
    )
    environment = {k: v for k, v in os.environ.items() if k != "MUOMNI_WEIGHTS"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert Path("question.txt").read_text().count("\n") == 1 and Path("question.txt").read_text().strip()
    assert Path("answer.txt").read_text().strip()
    info = soundfile.info("a.wav")
    assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16") and info.frames > 0


def test_a_picture_is_asked_about(place: Path) -> None:
    alone = fine(muomni("ask", "--image", "photo.png"))
    assert alone.strip() and alone.count("\n") == 1
    assert fine(muomni("ask", "--image", "photo.png", "What do you see?")) == alone
    assert fine(muomni("ask", "--image", "-", stdin=Path("photo.png").read_bytes())) == alone
    fine(muomni("ask", "--image", "photo.png", "--speak", "answer.wav"))
    assert soundfile.info("answer.wav").frames > 0


def test_a_recording_is_the_question(place: Path) -> None:
    fine(muomni("ask", "--audio", "q.wav"))
    fine(muomni("ask", "--audio", "q.wav", "--image", "photo.png"))
    assert fine(muomni("ask", "--audio", "q.wav")) == fine(
        muomni("ask", "--audio", "-", stdin=Path("q.wav").read_bytes())
    )


def test_many_are_answered_with_one_model(place: Path) -> None:
    rows = [
        {"id": "a", "question": "Hello"},
        {"image": "photo.png"},
        {"id": 7, "image": "none.png", "question": "What?"},
        {"id": "d", "audio": "q.wav"},
        {"id": "e", "question": "  "},
    ]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\nno json\n")
    result = muomni("ask", "--batch", "rows.jsonl")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in found] == ["a", 2, 7, "d", "e", 6]
    assert ["answer" in row for row in found] == [True, True, False, True, False, False]
    assert "none.png" in found[2]["error"] and result.exit_code == 1
    assert result.stderr == "muomni: 3 of 6 requests failed\n"
    assert found[1]["answer"] == fine(muomni("ask", "--image", "photo.png")).strip()


@pytest.mark.parametrize("extra", [0, 1, 159, 160, 161, 319, 320])
def test_the_codec_gives_back_every_sample(place: Path, extra: int) -> None:
    whole = np.concatenate([sound(), np.zeros(320, np.float32)])[: len(sound()) // 320 * 320 - 320 + extra]
    write_wav("in.wav", whole)
    said = fine(muomni("codec", "encode", "in.wav", "-o", "out.codes"))
    assert said.count("\n") <= 1
    fine(muomni("codec", "decode", "out.codes", "-o", "again.wav"))
    assert soundfile.info("again.wav").frames == len(whole)
    assert Path("out.codes").stat().st_size < 0.06 * Path("in.wav").stat().st_size


def test_the_codec_keeps_what_was_said(place: Path) -> None:
    fine(muomni("codec", "encode", "q.wav", "-o", "q.codes"))
    fine(muomni("codec", "decode", "q.codes", "-o", "again.wav", "--vocoder", "griffin-lim"))
    before, _ = soundfile.read("q.wav")
    after, _ = soundfile.read("again.wav")
    loud = [np.abs(w[: len(w) // 320 * 320].reshape(-1, 320)).mean(1) for w in (before, after)]
    assert np.corrcoef(*loud)[0, 1] > 0.4  # loud where it was loud


def test_lines_become_files(place: Path) -> None:
    fine(muomni("speak", "-", "-o", "clips/", stdin="good dog\n\nred fish\n"))
    assert sorted(path.name for path in Path("clips").iterdir()) == ["0001.wav", "0003.wav"]
    again = muomni("speak", "-", "-o", "clips/", stdin="good dog\n\nred fish\nnew\n")
    refused(again, "0001.wav", "--force")
    assert not Path("clips/0004.wav").exists()


def test_voices_are_listed_and_differ(place: Path) -> None:
    assert fine(muomni("speak", "--list-voices")).split() == ["low", "high"]
    for voice in ("low", "high"):
        fine(muomni("speak", "good dog", "-o", f"{voice}.wav", "--voice", voice))
    assert Path("low.wav").read_bytes() != Path("high.wav").read_bytes()
    refused(muomni("speak", "good dog", "-o", "tom.wav", "--voice", "tom"), "low, high")
    assert not Path("tom.wav").exists()


def test_speech_always_ends(place: Path) -> None:
    text = " ".join(["the red dog is here, and the old cat sees a fish"] * 12)
    fine(muomni("speak", text, "-o", "long.wav"))
    assert 5 < soundfile.info("long.wav").duration < 300


# --- sounds as they come


def stored(format: str, subtype: str, rate: int = RATE, channels: int = 1) -> bytes:
    from muomni_core.audio.io import resample

    samples = resample(sound(), RATE, rate)
    blob = io.BytesIO()
    soundfile.write(blob, np.stack([samples] * channels, axis=1), rate, format=format, subtype=subtype)
    return blob.getvalue()


KINDS = {
    "eight.wav": ("WAV", "PCM_16", 8_000, 1),
    "studio.wav": ("WAV", "PCM_24", 48_000, 2),
    "talk.flac": ("FLAC", "PCM_16", 44_100, 1),
    "talk.ogg": ("OGG", "VORBIS", 22_050, 2),
    "talk.mp3": ("MP3", "MPEG_LAYER_III", 44_100, 2),
}


@pytest.mark.parametrize("name", KINDS)
def test_sounds_of_every_kind_are_heard(place: Path, name: str) -> None:
    Path(name).write_bytes(stored(*KINDS[name]))
    assert fine(muomni("transcribe", name)).count("\n") == 1
    fine(muomni("codec", "encode", name, "-o", "out.codes"))


def bad_sounds() -> dict[str, bytes]:
    nan = io.BytesIO()
    soundfile.write(nan, np.full(RATE, np.nan, np.float32), RATE, format="WAV", subtype="FLOAT")
    none = io.BytesIO()
    soundfile.write(none, np.zeros(0, np.float32), RATE, format="WAV", subtype="PCM_16")
    return {
        "nothing.wav": b"",
        "no_samples.wav": none.getvalue(),
        "header_only.wav": stored("WAV", "PCM_16")[:40],
        "text.wav": b"this is no sound at all, whatever its name says",
        "picture.wav": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "nan.wav": nan.getvalue(),
    }


@pytest.mark.parametrize("name", bad_sounds())
def test_what_is_no_sound_is_one_line(place: Path, name: str) -> None:
    Path(name).write_bytes(bad_sounds()[name])
    refused(muomni("transcribe", name), name)
    refused(muomni("codec", "encode", name, "-o", "out.codes"), name)
    refused(muomni("ask", "--audio", name), name)
    assert not Path("out.codes").exists()


def test_a_cut_file_gives_what_is_there(place: Path) -> None:
    whole = Path("q.wav").read_bytes()
    Path("cut.wav").write_bytes(whole[: len(whole) * 2 // 3])
    assert fine(muomni("transcribe", "cut.wav")).count("\n") == 1


def test_one_sample_is_a_sound(place: Path) -> None:
    write_wav("one.wav", np.array([0.5], np.float32))
    assert len(fine(muomni("transcribe", "one.wav"))) <= 2  # a click is a letter to this ear, or none
    fine(muomni("codec", "encode", "one.wav", "-o", "one.codes"))
    fine(muomni("codec", "decode", "one.codes", "-o", "one_again.wav"))
    assert soundfile.info("one_again.wav").frames == 1
    fine(muomni("ask", "--audio", "one.wav", "Hello"))


@pytest.mark.slow
def test_an_hour_is_transcribed(place: Path) -> None:
    samples = np.zeros(3600 * 8_000, np.uint8)
    soundfile.write("hour.wav", (samples.astype(np.int16)), 8_000, subtype="PCM_U8")
    assert fine(muomni("transcribe", "hour.wav")) == "\n"
    fine(muomni("ask", "--audio", "hour.wav", "Hello"))


# --- pictures as they come


def bad_pictures() -> dict[str, bytes]:
    whole = io.BytesIO()
    Image.effect_noise((200, 200), 80).convert("RGB").save(whole, "JPEG")
    return {
        "nothing.png": b"",
        "text.png": b"this is no picture",
        "cut.jpg": whole.getvalue()[: len(whole.getvalue()) // 2],
        "sound.png": stored("WAV", "PCM_16"),
    }


@pytest.mark.parametrize("name", bad_pictures())
def test_what_is_no_picture_is_one_line(place: Path, name: str) -> None:
    Path(name).write_bytes(bad_pictures()[name])
    refused(muomni("ask", "--image", name), name)


@pytest.mark.parametrize("mode", ["CMYK", "P", "RGBA", "I;16", "L", "1"])
def test_pictures_of_every_kind_are_seen(place: Path, mode: str) -> None:
    image = picture().convert("L").convert("I").point(lambda v: v * 256) if mode == "I;16" else picture()
    image = Image.fromarray(np.asarray(image).astype(np.uint16)) if mode == "I;16" else image.convert(mode)
    name = "photo.tif" if mode == "CMYK" else "photo2.png"
    image.save(name)
    assert fine(muomni("ask", "--image", name)).strip()


def test_pictures_of_every_size_are_seen(place: Path) -> None:
    Image.new("RGB", (1, 1), "red").save("dot.png")
    fine(muomni("ask", "--image", "dot.png"))
    Image.new("1", (20_000, 20_000)).save("huge.png")
    huge = muomni("ask", "--image", "huge.png")  # works, or is refused in one line
    if huge.exit_code:
        refused(huge, "huge.png")


def test_a_turned_photograph_is_turned_upright(place: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().transpose(Image.Transpose.ROTATE_90).save("turned.png", exif=exif)
    assert fine(muomni("ask", "--image", "turned.png")) == fine(muomni("ask", "--image", "photo.png"))


# --- files that are not there, questions that are none, places where nothing can be written


@pytest.mark.parametrize(
    "args",
    [
        ("transcribe", "none.wav"),
        ("ask", "--image", "none.wav"),
        ("ask", "--audio", "none.wav"),
        ("ask", "--batch", "none.wav"),
        ("codec", "encode", "none.wav", "-o", "x"),
        ("codec", "decode", "none.wav", "-o", "x"),
    ],
)
def test_a_missing_file_is_named(place: Path, args: tuple[str, ...]) -> None:
    refused(muomni(*args), "none.wav")


@pytest.mark.parametrize("question", ["", "  ", "\n\t"])
def test_an_empty_question_is_refused(place: Path, question: str) -> None:
    refused(muomni("ask", question), "empty")
    refused(muomni("ask", "-", stdin=question), "empty")
    refused(muomni("speak", question, "-o", "x.wav"), "nothing to say")


def test_what_cannot_be_said_is_refused(place: Path) -> None:
    refused(muomni("speak", "\N{THUMBS UP SIGN}", "-o", "x.wav"), "nothing in the text can be said")
    assert not Path("x.wav").exists()


def test_a_question_too_long_is_one_line(place: Path) -> None:
    refused(muomni("ask", "word " * 3000), "too long")


@pytest.mark.parametrize(
    "args", [("speak", "good dog", "-o"), ("codec", "encode", "q.wav", "-o"), ("ask", "Hello", "--speak")]
)
def test_nothing_is_overwritten_unless_forced(place: Path, args: tuple[str, ...]) -> None:
    Path("mine").write_bytes(b"precious")
    refused(muomni(*args, "mine"), "mine", "--force")
    assert Path("mine").read_bytes() == b"precious"
    refused(muomni(*args, "nowhere/x"), "nowhere")
    fine(muomni(*args, os.devnull))
    assert fine(muomni(*args, "mine", "--force")) is not None and Path("mine").read_bytes() != b"precious"
    assert sorted(path.name for path in place.iterdir()) == ["mine", "photo.png", "q.wav"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_takes_no_files_is_one_line(place: Path) -> None:
    Path("closed").mkdir(mode=0o500)
    refused(muomni("speak", "good dog", "-o", "closed/x.wav"), "closed")


# --- weights and codes that are damaged


@pytest.mark.parametrize("damage", ["cut", "bit", "text", "empty"])
def test_damaged_weights_are_named(place: Path, micro_weights: Path, damage: str) -> None:
    shutil.copytree(micro_weights, "own", ignore=shutil.ignore_patterns("state"))
    path = Path("own/audio.safetensors")
    whole = bytearray(path.read_bytes())
    whole[-100] ^= 1
    path.write_bytes({"cut": whole[: len(whole) // 2], "bit": whole, "text": b"no weights", "empty": b""}[damage])
    refused(muomni("transcribe", "q.wav", "--weights", "own"), "audio.safetensors")


def test_weights_that_are_not_there_are_named(place: Path) -> None:
    refused(muomni("transcribe", "q.wav", "--weights", "none"), "none")


def test_damaged_codes_are_named(place: Path) -> None:
    fine(muomni("codec", "encode", "q.wav", "-o", "q.codes"))
    whole = Path("q.codes").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    for name, data in {"cut": whole[:-10], "bit": bytes(flipped), "text": b"no codes", "empty": b""}.items():
        Path(name).write_bytes(data)
        refused(muomni("codec", "decode", name, "-o", "x.wav"), name)
    assert not Path("x.wav").exists()


# --- a user of Python


def test_three_lines_of_python(place: Path, micro_weights: Path) -> None:
    from muomni_core import MuOmni
    from muomni_core.errors import InputError

    m = MuOmni.load(micro_weights)
    assert m.ask("What do you see?", image="photo.png") == m.ask(image=picture())
    heard = m.transcribe("q.wav")
    stereo = (np.stack([sound()] * 2, axis=1) * 32767).astype(np.int16)
    assert heard == m.transcribe((stereo, RATE)) == m.transcribe((np.round(sound() * 32767) / 32768, RATE))
    assert (m.embed(image="photo.png") == m.embed(image=picture())).all()
    with pytest.raises(InputError, match="either an image or a text"):
        m.embed()
    pieces = list(m.speak_stream("good dog. red fish."))
    assert np.array_equal(np.concatenate(pieces), m.speak("good dog. red fish.")[0]) and len(pieces) > 1
    slow, fast = (len(m.speak("good dog", speed=s)[0]) for s in (0.5, 2.0))
    assert slow > 2.5 * fast
    assert "".join(m.ask_stream("Hello")).strip() == m.ask("Hello")
