"""The folder layouts that users have on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muomni_core.data.rows import Row, fingerprint, read_rows
from muomni_core.errors import DataError

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def put(path: Path, content: str | bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(root: Path, pattern: str) -> str:
    with pytest.raises(DataError) as caught:
        list(read_rows(pattern, root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def read(root: Path, pattern: str) -> list[Row]:
    rows = list(read_rows(pattern, root))
    assert len({row.key for row in rows}) == len(rows)
    return rows


def test_ljspeech(tmp_path: Path) -> None:
    put(tmp_path / "lj/metadata.csv", '\ufeffLJ1-1|Dr. "A" 3|Doctor "A" three\nLJ1-2|Only one\n\nLJ1-3.wav|Both|\n')
    for name in ("LJ1-1", "LJ1-2", "LJ1-3"):
        put(tmp_path / f"lj/wavs/{name}.wav")
    rows = read(tmp_path, "lj")
    assert [row.text for row in rows] == ['Doctor "A" three', "Only one", "Both"]
    assert rows[0].audio == tmp_path / "lj/wavs/LJ1-1.wav"
    assert (rows[0].key, rows[0].source, rows[0].speaker) == ("lj/LJ1-1", "lj", "lj")
    assert read(tmp_path, "lj/metadata.csv") == rows
    assert [row.text for row in read(tmp_path / "lj", ".")] == [row.text for row in rows]


def test_ljspeech_what_is_missing_is_named(tmp_path: Path) -> None:
    put(tmp_path / "lj/metadata.csv", "LJ1|text\nLJ2|text\n../../etc/x|text\nLJ4\n")
    assert "wavs/ is missing" in refusal(tmp_path, "lj")
    put(tmp_path / "lj/wavs/LJ1.wav")
    assert "line 2: sound 'LJ2' is missing" in refusal(tmp_path, "lj")
    put(tmp_path / "lj/wavs/LJ2.flac")
    assert "line 3" in (said := refusal(tmp_path, "lj")) and "stay inside" in said
    put(tmp_path / "lj/metadata.csv", "LJ1\n")
    assert "id|text" in refusal(tmp_path, "lj")
    put(tmp_path / "lj/metadata.csv", b"LJ1|\xff\xfe\n")
    assert "not UTF-8" in refusal(tmp_path, "lj")


def test_librispeech(tmp_path: Path) -> None:
    put(tmp_path / "libri-train/84/12/84-12.trans.txt", "84-12-0000 GO DO YOU HEAR\n84-12-0001 BUT IN LESS\n")
    put(tmp_path / "libri-train/9/1/9-1.trans.txt", "9-1-0000 YES\n")
    for name in ("84/12/84-12-0000", "84/12/84-12-0001", "9/1/9-1-0000"):
        put(tmp_path / f"libri-train/{name}.flac")
    rows = read(tmp_path, "libri-train")
    assert [row.text for row in rows] == ["go do you hear", "but in less", "yes"]
    assert [row.speaker for row in rows] == ["libri/84", "libri/84", "libri/9"]
    assert rows[2].audio == tmp_path / "libri-train/9/1/9-1-0000.flac" and rows[2].split == "train"
    (tmp_path / "libri-train/84/12/84-12-0001.flac").unlink()
    assert "84-12-0001" in refusal(tmp_path, "libri-train")


def coco(**changes: object) -> str:
    content: dict[str, object] = {
        "images": [
            {"id": 7, "file_name": "000007.jpg"},
            {"id": 8, "file_name": "8.jpg"},
            {"id": 9, "file_name": "9.jpg"},
        ],
        "annotations": [
            {"image_id": 7, "caption": "A cat.\n"},
            {"image_id": 9, "caption": "A dog."},
            {"image_id": 7, "caption": "One  cat."},
        ],
    }
    return json.dumps(content | changes)


@pytest.mark.parametrize("pictures", ["coco/val2017", "coco/images/val2017", "coco/images", "coco", "coco/annotations"])
def test_coco_captions(tmp_path: Path, pictures: str) -> None:
    put(tmp_path / "coco/annotations/captions_val2017.json", coco())
    put(tmp_path / "coco/annotations/instances_val2017.json", "not looked at")
    for name in ("000007.jpg", "9.jpg"):  # picture 8 has no caption, so it need not be there
        put(tmp_path / pictures / name)
    for pattern in ("coco", "coco/annotations/captions_*.json"):
        rows = read(tmp_path, pattern)
        assert [row.captions for row in rows] == [["A cat.", "One cat."], ["A dog."]]
        assert rows[0].image == tmp_path / pictures / "000007.jpg"
        assert (rows[0].source, rows[0].split) == ("coco", "val")
    (tmp_path / pictures / "9.jpg").unlink()
    assert "'9.jpg' is missing" in refusal(tmp_path, "coco")


def test_coco_that_is_none_or_leaves_the_folder(tmp_path: Path) -> None:
    for content in ("{}", "[]", "{", '{"images": [], "annotations": [{"image_id": 1}]}', coco(images=[{"id": 7}])):
        put(tmp_path / "captions.json", content)
        assert "no COCO captions file" in refusal(tmp_path, "captions.json")
    put(tmp_path / "in/captions.json", coco(images=[{"id": 7, "file_name": "../secret.jpg"}]))
    put(tmp_path / "secret.jpg")
    assert "stay inside" in refusal(tmp_path, "in/captions.json")


def test_image_folder(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "cat/2.PNG", "hot_dog/deep/1.webp", ".cache/x/1.jpg"):
        put(tmp_path / "pets" / name)
    put(tmp_path / "pets/cat/about.txt", "no picture")
    rows = read(tmp_path, "pets")
    assert [(row.label, row.split) for row in rows] == [("cat", None), ("cat", None), ("hot dog", None)]
    assert rows[0].key == "pets/cat/1.jpg" and rows[0].image == tmp_path / "pets/cat/1.jpg"
    put(tmp_path / "pets/stray.jpg")
    assert "outside the class folders" in refusal(tmp_path, "pets")


def test_image_folder_with_splits(tmp_path: Path) -> None:
    for name in ("train/cat/1.jpg", "validation/dog/1.jpg"):
        put(tmp_path / "pets" / name)
    assert [(r.label, r.split) for r in read(tmp_path, "pets")] == [("cat", "train"), ("dog", "val")]
    assert [(r.label, r.source) for r in read(tmp_path, "pets/train")] == [("cat", "train")]


def test_plain_text(tmp_path: Path) -> None:
    put(tmp_path / "books/b/two-val.txt", "One line.\nAnother line.\n")
    put(tmp_path / "books/a.txt", "\ufeffFirst paragraph,\r\n  wrapped.\r\n\r\n\r\nSecond.\n<|endoftext|>\nThird.")
    rows = read(tmp_path, "books")
    assert [row.text for row in rows[:3]] == ["First paragraph, wrapped.", "Second.", "Third."]
    assert [(row.text, row.source, row.split) for row in rows[3:]] == [
        ("One line.", "two", "val"),
        ("Another line.", "two", "val"),
    ]
    assert read(tmp_path, "books/*.txt") == rows[:3]
    assert read(tmp_path, str(put(tmp_path / "empty.txt", " \n\n").relative_to(tmp_path))) == []
    put(tmp_path / "books/a.txt", b"caf\xe9")
    assert "not UTF-8" in refusal(tmp_path, "books")


paragraph = st.text(st.characters(categories=["L", "P", "N"]), min_size=1).filter(lambda text: text.strip())


@FEW
@given(st.lists(st.lists(paragraph, min_size=1, max_size=3), min_size=2, max_size=4))
def test_paragraphs_keep_their_words(tmp_path: Path, paragraphs: list[list[str]]) -> None:
    put(tmp_path / "x.txt", "\n\n".join("\n".join(lines) for lines in paragraphs))
    assert [row.text for row in read(tmp_path, "x.txt")] == [" ".join(lines) for lines in paragraphs]


def test_unknown_things_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "odd/readme.md", "nothing")
    assert "no layout that is known" in refusal(tmp_path, "odd")
    assert "expected .jsonl" in refusal(tmp_path, "odd/readme.md")
    (tmp_path / "void").mkdir()
    assert "no layout that is known" in refusal(tmp_path, "void")


def test_fingerprint_of_a_folder_sees_every_file(tmp_path: Path) -> None:
    put(tmp_path / "pets/cat/1.jpg", b"one")
    put(tmp_path / "pets/dog/1.jpg", b"two")
    before = fingerprint("pets", tmp_path)
    assert before == fingerprint("pets", tmp_path)
    put(tmp_path / "pets/dog/1.jpg", b"owt")
    assert fingerprint("pets", tmp_path) != before
