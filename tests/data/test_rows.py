"""Shards and manifests: what is read, what is refused, and that nothing leaves the data root."""

from __future__ import annotations

import io
import json
import lzma
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muomni_core.data.record import name_and_split
from muomni_core.data.rows import Row, expand, fingerprint, read_rows
from muomni_core.data.shards import write_manifest, write_shard
from muomni_core.errors import DataError

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def add(tar: tarfile.TarFile, name: str, blob: bytes = b"x", **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(blob)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(blob) if member.isreg() else None)


def shard(path: Path, *members: tuple[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, blob in members:
            add(tar, name, blob)
    return path


def test_shard_rows_carry_bytes_fields_source_and_split(tmp_path: Path) -> None:
    write_shard(
        tmp_path / "speech/librispeech-train-001.tar",
        [("000007", {"ogg": b"sound", "json": b'{"text": "a cat", "speaker": "librispeech/1", "seconds": 2}'})],
    )
    (row,) = read_rows("speech/*-train-*.tar", tmp_path)
    assert (row.source, row.split, row.key) == ("librispeech", "train", "speech/librispeech-train-001/000007")
    assert (row.audio, row.text, row.speaker, row.seconds) == (b"sound", "a cat", "librispeech/1", 2.0)
    assert row.image is None and row.captions == []
    assert row.sound_source().read() == b"sound"
    with pytest.raises(DataError, match="no image"):
        row.image_source()


def test_row_reads_like_a_dict() -> None:
    row = Row(key="k", source="s", text="hello")
    assert row["text"] == "hello" and "text" in row and "captions" not in row
    assert row.get("label", "none") == "none" and row.get("no such field") is None
    assert dict(row) == {"key": "k", "source": "s", "text": "hello"}
    with pytest.raises(KeyError):
        row["audio"]


def test_members_pair_by_key_wherever_they_stand(tmp_path: Path) -> None:
    shard(
        tmp_path / "x-val-000.tar",
        ("b.json", b'{"label": "two"}'),
        ("a.webp", b"one"),
        ("b.WEBP", b"two"),
        ("notes", b"not part of any row"),
        ("._a.json", b"left by another system"),
        ("a.json", b'{"captions": ["one"], "unknown": 3}'),
    )
    rows = list(read_rows("x-val-000.tar", tmp_path))
    assert [(r.key, r.image, r.label, r.captions) for r in rows] == [
        ("x-val-000/b", b"two", "two", []),
        ("x-val-000/a", b"one", None, ["one"]),
    ]


def test_webdataset_txt_and_cls_are_text_and_label(tmp_path: Path) -> None:
    shard(tmp_path / "x.tar", ("a.flac", b"s"), ("a.txt", b" hello\n"), ("b.png", b"i"), ("b.cls", b"cat"))
    first, second = read_rows("x.tar", tmp_path)
    assert (first.text, second.label, first.split) == ("hello", "cat", None)


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ([("000003.ogg", b"s")], "000003.json is missing"),
        ([("000003.json", b"{}")], "000003 has no sound or picture"),
        ([("a.ogg", b"s"), ("a.wav", b"s"), ("a.json", b"{}")], "several sounds"),
        ([("a.ogg", b"s"), ("a.ogg", b"s"), ("a.json", b"{}")], "twice"),
        ([("a.ogg", b"s"), ("a.json", b"{")], "a.json is not JSON"),
        ([("a.ogg", b"s"), ("a.json", b"\xff")], "a.json is not JSON"),
        ([("a.ogg", b"s"), ("a.json", b"[]")], "expected a JSON object"),
        ([("a.ogg", b"s"), ("a.json", b'{"text": 3}')], "'text' must be text"),
        ([("a.ogg", b"s"), ("a.json", b'{"seconds": NaN}')], "'seconds' must be"),
        ([("a.png", b"s"), ("a.json", b'{"captions": "one"}')], "'captions' must be a list"),
        ([("../a.png", b"s"), ("../a.json", b"{}")], "stay inside"),
        ([("x/../../a.png", b"s")], "stay inside"),
        ([("/etc/a.png", b"s")], "stay inside"),
    ],
)
def test_bad_members_are_refused_by_name(tmp_path: Path, members: list[tuple[str, bytes]], named: str) -> None:
    shard(tmp_path / "x-train-000.tar", *members)
    with pytest.raises(DataError, match=named) as caught:
        list(read_rows("*.tar", tmp_path))
    assert "x-train-000" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        add(tar, "a.json", b"{}")
        add(tar, "a.ogg", b"", type=kind, linkname="/etc/hostname")
    with pytest.raises(DataError, match=r"a\.ogg.*plain file"):
        list(read_rows("x.tar", tmp_path))


def test_folders_in_a_shard_are_part_of_the_key(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        add(tar, "./", b"", type=tarfile.DIRTYPE)
        add(tar, "in/", b"", type=tarfile.DIRTYPE)
        for name in ("./in/a.ogg", "in/a.json"):
            add(tar, name, b"{}")
    assert [row.key for row in read_rows("x.tar", tmp_path)] == ["x/in/a"]


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    whole = shard(tmp_path / "x.tar", ("a.ogg", b"s" * 2000), ("a.json", b"{}")).read_bytes()
    broken_header = bytearray(whole)
    broken_header[512 + 2048 + 20] ^= 0xFF  # in the second member's header: its checksum is wrong
    for content in (b"", b"no tar at all" * 100, whole[:1500], bytes(broken_header)):
        (tmp_path / "x.tar").write_bytes(content)
        with pytest.raises(DataError, match=r"damaged") as caught:
            list(read_rows("x.tar", tmp_path))
        assert "\n" not in str(caught.value)
    packed = lzma.compress(b'{"text": "a"}\n' * 3000)
    for content in (packed[: len(packed) // 2], b"plain", packed[:-40] + b"x" * 40):
        (tmp_path / "y.jsonl.xz").write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            list(read_rows("y.jsonl.xz", tmp_path))


@FEW
@given(st.data())
def test_a_bent_shard_gives_rows_or_a_data_error(tmp_path: Path, data: st.DataObject) -> None:
    members = [("a.ogg", b"s" * 600), ("a.json", b'{"text": "a"}'), ("b.ogg", b"t"), ("b.json", b"{}")]
    content = bytearray(shard(tmp_path / "x.tar", *members).read_bytes())
    for position in data.draw(st.lists(st.integers(0, 4000), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    (tmp_path / "x.tar").write_bytes(content)
    try:
        assert all(isinstance(row, Row) for row in read_rows("x.tar", tmp_path))
    except DataError as error:
        assert "\n" not in str(error)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
manifest_rows = st.fixed_dictionaries(
    {"text": words},
    optional={
        "question": words,
        "answer": words,
        "context": words,
        "label": words,
        "turns": st.lists(words, min_size=1, max_size=3),
        "captions": st.lists(words, min_size=1, max_size=3),
        "objects": st.lists(words, min_size=1, max_size=3),
    },
)


@FEW
@given(st.lists(manifest_rows, max_size=5), st.sampled_from([".jsonl", ".jsonl.xz"]))
def test_a_manifest_reads_back_as_written(tmp_path: Path, rows: list[dict], suffix: str) -> None:
    assert write_manifest(tmp_path / f"mine-val{suffix}", rows) == len(rows)
    read = list(read_rows(f"mine-val{suffix}", tmp_path))
    named = {"source": "mine", "split": "val"}
    assert [dict(row) for row in read] == [
        {"key": f"mine-val/{n:06d}", **named, **row} for n, row in enumerate(rows, 1)
    ]


def test_manifest_media_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine/wavs").mkdir(parents=True)
    (tmp_path / "mine/wavs/a.wav").write_bytes(b"s")
    line = {"audio": "wavs/a.wav", "text": "a", "caption": "one", "captions": ["two"]}
    (tmp_path / "mine/list.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(line).encode() + b"\n\n")
    for pattern in ("mine/list.jsonl", "mine", Path(tmp_path / "mine/list.jsonl")):
        (row,) = read_rows(pattern, tmp_path)
        assert row.audio == tmp_path / "mine/wavs/a.wav" == row.sound_source()
        assert row.captions == ["one", "two"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('{"audio": "../a.wav"}', "stay inside"),
        ('{"audio": "/etc/hostname"}', "stay inside"),
        ('{"image": "wavs/../../a.png"}', "stay inside"),
        ('{"image": ""}', "stay inside"),
        ('{"image": "a\\u0000.png"}', "stay inside"),
        ('{"image": 3}', "must be a path"),
        ('{"audio": "gone.wav", "text": "a"}', "'gone.wav' is missing"),
        ('{"audoi": "a.wav"}', "no field that is known"),
        ('{"caption": ["a"]}', "goes into 'captions'"),
        ('"text"', "expected a JSON object"),
        ("text", "not JSON"),
    ],
)
def test_bad_manifest_lines_are_named(tmp_path: Path, line: str, named: str) -> None:
    (tmp_path / "a.wav").write_bytes(b"s")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/list.jsonl").write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(DataError, match=named) as caught:
        list(read_rows("in/list.jsonl", tmp_path))
    assert "list.jsonl line 2" in str(caught.value) and "\n" not in str(caught.value)


def test_patterns_are_sorted_and_exclude(tmp_path: Path) -> None:
    for name in ("b-train", "a-train", "a-val", "c-train"):
        write_manifest(tmp_path / f"text/{name}.jsonl", [{"text": name}])

    def texts(patterns: str | list[str]) -> list[str | None]:
        return [row.text for row in read_rows(patterns, tmp_path)]

    assert texts("text/*-train.jsonl") == ["a-train", "b-train", "c-train"]
    assert texts(["text/c*", "text/*-train.jsonl"]) == ["c-train", "a-train", "b-train"]
    assert texts(["text/*", "!text/*-val.jsonl", "!text/b*"]) == ["a-train", "c-train"]
    assert texts("text") == texts("text/*")


@pytest.mark.parametrize("pattern", ["../x", "/etc/*", "text/../../x", "!/etc/*", ""])
def test_patterns_stay_inside_the_root(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(DataError, match="stay inside"):
        expand([pattern], tmp_path)


def test_a_root_put_together_of_links_works(tmp_path: Path) -> None:
    write_manifest(tmp_path / "elsewhere/a-val.jsonl", [{"text": "a", "image": "a.png"}])
    (tmp_path / "elsewhere/a.png").write_bytes(b"i")
    root = tmp_path / "root"
    root.mkdir()
    os.symlink("../elsewhere", root / "text")
    os.symlink(root, tmp_path / "also")
    (row,) = read_rows("text/*.jsonl", tmp_path / "also")
    assert row.key == "text/a-val/000001" and row.image == tmp_path / "also/text/a.png"


def test_what_is_missing_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError) as made:
        read_rows("speech/made_slt-train-*.tar", tmp_path)
    assert "made_slt-train-*.tar is missing" in str(made.value)
    assert f"python -m muomni_core.data.made_speech --data {tmp_path}" in str(made.value)
    with pytest.raises(DataError) as had:
        read_rows("speech/librispeech-train-*.tar", tmp_path)
    assert "librispeech-train-*.tar is missing" in str(had.value) and "recipes/data/" in str(had.value)
    with pytest.raises(DataError, match="--data DIR or set MUOMNI_DATA") as root:
        read_rows("*", tmp_path / "gone")
    for caught in (made, had, root):
        assert "--recipe smoke" in str(caught.value) and "\n" not in str(caught.value)


def test_fingerprint_tells_data_apart_and_not_where_it_lies(tmp_path: Path) -> None:
    big = b"x" * 300_000
    for root in ("one", "two"):
        write_manifest(tmp_path / root / "a-train.jsonl", [{"text": "a"}])
        shard(tmp_path / root / "b-train-000.tar", ("a.ogg", big), ("a.json", b"{}"))
    patterns = ["*.jsonl", "*.tar"]
    first = fingerprint(patterns, tmp_path / "one")
    assert len(first) == 12 and int(first, 16) >= 0
    assert first == fingerprint(patterns, tmp_path / "two") == fingerprint(patterns[::-1], tmp_path / "two")
    assert first != fingerprint("*.tar", tmp_path / "one")
    shard(tmp_path / "two/b-train-000.tar", ("a.ogg", big), ("a.json", b"[]"))
    changed = fingerprint(patterns, tmp_path / "two")
    (tmp_path / "two/a-train.jsonl").rename(tmp_path / "two/c-train.jsonl")
    assert len({first, changed, fingerprint(patterns, tmp_path / "two")}) == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("librispeech-train-000.tar", ("librispeech", "train")),
        ("tatoeba_english-val.jsonl.xz", ("tatoeba_english", "val")),
        ("my-own-test-12.tar", ("my-own", "test")),
        ("notes.txt", ("notes", None)),
        ("trainset.jsonl", ("trainset", None)),
    ],
)
def test_source_and_split_of_a_name(name: str, expected: tuple[str, str | None]) -> None:
    assert name_and_split(name) == expected
