"""What is thought of ahead, and what a record holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from muomni_core.model.speaking import Said, Word
from muomni_core.tasks import speak
from muomni_core.tasks.speak import MAX_PLOT_SECONDS, Record, ahead, numbered


def test_parts_come_in_order_and_are_made_elsewhere() -> None:
    made_in = set()

    def parts() -> Iterator[str]:
        for n in range(5):
            made_in.add(threading.current_thread())
            yield str(n)

    with ahead(parts()) as taken:
        assert list(taken) == list("01234")
    assert threading.current_thread() not in made_in
    assert not any(thread.is_alive() for thread in made_in)


def test_the_next_part_is_made_before_it_is_asked_for() -> None:
    second = threading.Event()

    def parts() -> Iterator[str]:
        yield "1"
        second.set()
        yield "2"

    with ahead(parts()) as taken:
        assert next(taken) == "1"
        assert second.wait(10)


def test_an_error_there_is_an_error_here() -> None:
    def parts() -> Iterator[str]:
        yield "1"
        raise ValueError("no more")

    with ahead(parts()) as taken:
        assert next(taken) == "1"
        with pytest.raises(ValueError, match="no more"):
            next(taken)


def test_whoever_leaves_stops_the_making() -> None:
    made = []

    def parts() -> Iterator[str]:
        while True:
            made.append(1)
            yield "x"

    with pytest.raises(RuntimeError), ahead(parts()) as taken:
        next(taken)
        raise RuntimeError("the disk is full")
    n = len(made)
    assert len(made) == n


def test_a_record_holds_what_is_wanted_and_not_more(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record("a.wav", "slt", "neural")
    said = Said(np.zeros(16_000 * 50, np.float32), [Word("a", 0, 1 / 3)], 1.0)
    for _ in range(4):
        speak._keep(record, said, True, True)
    assert record.seconds == 200 and len(record.words) == 4
    assert sum(map(len, record.sound)) == MAX_PLOT_SECONDS * 16_000
    assert record.as_json()["words"][0] == {"word": "a", "start": 0, "end": 0.333}
    bare = Record("a.wav", "slt", "neural")
    speak._keep(bare, said, False, False)
    assert bare.seconds == 50 and not bare.words and not bare.sound


def test_lines_are_numbered_by_their_place(tmp_path) -> None:
    assert numbered("a\n\n b ", tmp_path) == [(tmp_path / "0001.wav", "a"), (tmp_path / "0003.wav", "b")]
