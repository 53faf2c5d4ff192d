"""Inputs that cannot be opened say so in one line; outputs are whole or absent; nothing is overwritten unasked."""

from __future__ import annotations

import errno
import io
import os
import stat
import threading

import pytest

from muomni_core.errors import InputError
from muomni_core.files import check_output, open_input, open_output, source_name


def written(path, data=b"new", **options):
    with open_output(path, **options) as file:
        file.write(data)


def left_over(folder):
    return [p.name for p in folder.iterdir() if p.name.startswith(".muomni")]


def test_output_appears_under_its_name_with_ordinary_permissions(tmp_path):
    out = tmp_path / "a.bin"
    mask = os.umask(0o022)
    try:
        written(out)
    finally:
        os.umask(mask)
    assert out.read_bytes() == b"new" and stat.S_IMODE(out.stat().st_mode) == 0o644 and not left_over(tmp_path)


def test_text_mode_writes_utf8(tmp_path):
    written(tmp_path / "a.txt", "ä🙂\n", mode="w")
    assert (tmp_path / "a.txt").read_bytes() == "ä🙂\n".encode()


def test_existing_file_is_kept_without_force(tmp_path):
    out = tmp_path / "a.bin"
    out.write_bytes(b"old")
    for attempt in (lambda: check_output(out), lambda: written(out)):
        with pytest.raises(InputError, match=r"a\.bin exists; use --force to overwrite"):
            attempt()
    assert out.read_bytes() == b"old"
    out.chmod(0o600)
    written(out, force=True)
    assert out.read_bytes() == b"new" and stat.S_IMODE(out.stat().st_mode) == 0o600


def test_a_failing_block_leaves_what_was_there(tmp_path):
    out = tmp_path / "a.bin"
    out.write_bytes(b"old")
    for failure in (KeyboardInterrupt, ValueError):
        with pytest.raises(failure), open_output(out, force=True) as file:
            file.write(b"half")
            raise failure
    assert out.read_bytes() == b"old" and not left_over(tmp_path)


def test_a_file_that_came_meanwhile_is_kept(tmp_path):
    out = tmp_path / "a.bin"
    with pytest.raises(InputError, match="exists"), open_output(out) as file:
        file.write(b"new")
        out.write_bytes(b"other")
    assert out.read_bytes() == b"other" and not left_over(tmp_path)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    written(tmp_path / "link", force=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_outputs_that_cannot_be(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for path in ("", tmp_path, tmp_path / "no" / "a", tmp_path / "file" / "a", tmp_path / ("n" * 300), "a\0b"):
        with pytest.raises(InputError) as caught:
            check_output(path)
        assert len(str(caught.value).splitlines()) == 1 and "\0" not in str(caught.value)
        with pytest.raises(InputError):
            written(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_unwritable_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere, and tests may run as root
    with pytest.raises(InputError, match="no permission"):
        check_output(tmp_path / "a")


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    written(tmp_path / ("n" * 255))
    assert (tmp_path / ("n" * 255)).read_bytes() == b"new"


def test_relative_name_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written("a.bin")
    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_devices_and_pipes_are_simply_written(tmp_path):
    written("/dev/null")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    written(pipe)
    reader.join()
    assert got == [b"new"] and stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line():
    with pytest.raises(InputError, match="/dev/full cannot be written: No space left"):
        written("/dev/full", b"x" * 100_000)


def test_errors_of_the_block_keep_their_own_meaning(tmp_path):
    with pytest.raises(FileNotFoundError), open_output(tmp_path / "a"):
        open(tmp_path / "missing")
    with pytest.raises(BrokenPipeError), open_output(tmp_path / "a"):
        raise BrokenPipeError
    with pytest.raises(InputError, match="quota"), open_output(tmp_path / "a"):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_dash_is_standard_output(capfdbinary):
    written("-", b"\x00\xff")
    assert capfdbinary.readouterr().out == b"\x00\xff"


def test_open_input_of_everything_that_has_bytes(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"content")
    at_its_end = io.BytesIO(b"content")
    at_its_end.seek(0, os.SEEK_END)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"content")))
    for source in (path, str(path), b"content", at_its_end, "-"):
        with open_input(source) as file:
            assert file.seekable() and file.read() == b"content"
    assert not at_its_end.closed


def test_open_input_of_a_pipe_can_seek():
    reading, writing = os.pipe()
    os.write(writing, b"content")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, open_input(pipe) as file:
        assert file.read() == b"content" and file.seek(0) == 0 and file.read(3) == b"con"


def test_a_pipe_without_an_end(monkeypatch):
    monkeypatch.setattr("muomni_core.files.MAX_PIPED_BYTES", 100_000)
    reading, writing = os.pipe()

    def write():
        with os.fdopen(writing, "wb") as sink:
            sink.write(bytes(200_000))

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, "rb") as pipe:
        with pytest.raises(InputError, match="more than 100,000 bytes"), open_input(pipe):
            pass
        pipe.read()  # so that the thread ends
    thread.join()


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
def test_a_device_is_no_input(tmp_path):
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in ("/dev/zero", tmp_path / "link"):
        with pytest.raises(InputError, match="is a device"), open_input(path):
            pass


def test_inputs_that_cannot_be(tmp_path, monkeypatch):
    (tmp_path / "empty").write_bytes(b"")
    monkeypatch.setattr("sys.stdin", None)
    for source, says in (
        (tmp_path / "missing", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "empty", "is empty"),
        (b"", "is empty"),
        ("", "no such file"),
        ("a\0b", r"a\\x00b cannot be read"),
        ("-", "standard input is closed"),
        (3.5, "float"),
    ):
        with pytest.raises(InputError, match=says), open_input(source):
            pass


def test_names_stay_on_one_line():
    assert source_name("a\nb") == "a\\nb" and source_name("x\udcff") == "x\\udcff"
    assert source_name("käse 🧀") == "käse 🧀"
