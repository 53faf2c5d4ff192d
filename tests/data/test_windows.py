"""Data larger than the disk cache: a few shards at a time, every row once an epoch, the same order whoever draws it."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from muomni_core.data import features
from muomni_core.data.features import PictureSet, SpeechSet, StreamedTokens, TokenSet, WaveSet
from muomni_core.data.sampling import LengthSampler, RowSampler
from muomni_core.data.shards import write_manifest, write_shard
from muomni_core.data.windows import WindowSampler, windowed
from muomni_core.errors import DataError
from muomni_core.text.tokenizer import Tokenizer

N_SHARDS, N_CLIPS = 7, 5
PATTERN = "a-train-*.tar"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seven shards of five clips, of different lengths, and an empty cache."""
    monkeypatch.setenv("MUOMNI_CACHE", str(tmp_path / "cache"))
    for shard in range(N_SHARDS):
        rows = []
        for clip in range(N_CLIPS):
            number = shard * N_CLIPS + clip
            blob = io.BytesIO()
            sound = np.sin(np.arange(4800 + 160 * number) * (0.05 + 0.01 * number)) / 2
            soundfile.write(blob, sound, 16_000, format="WAV", subtype="PCM_16")
            text = json.dumps({"text": f"clip {number}"}).encode()
            rows.append((str(clip), {"wav": blob.getvalue(), "json": text}))
        write_shard(tmp_path / f"a-train-{shard:03d}.tar", rows)
    return tmp_path


def binaries(root: Path) -> dict[str, list[str]]:
    """Names of the features that lie on the disk, whole or half made, by folder."""
    found: dict[str, list[str]] = {}
    for path in sorted((root / "cache").rglob("*")):
        if path.suffix in (".bin", ".partial"):
            found.setdefault(path.parent.name, []).append(path.name)
    return found


def sampler(clips: Any, kind: str, window: int, lanes: int, seed: int = 3) -> WindowSampler:
    lengths = np.asarray(clips.frames)
    whole = RowSampler(len(clips), 1, seed) if kind == "rows" else LengthSampler(lengths, 150, seed)
    return WindowSampler(whole, clips.stored, window, lanes)


def epoch(windows: WindowSampler, lane: int, number: int) -> list[int]:
    """The rows of an epoch that a lane draws, by the numbers of its batches."""
    first = sum(windows.epoch(lane, earlier).starts[-1] for earlier in range(number))
    places = range(first, first + windows.epoch(lane, number).starts[-1])
    return [int(row) for place in places for row in windows(place * windows.lanes + lane)]


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("kind", ["rows", "lengths"])
def test_every_row_comes_once_an_epoch_in_another_order_each_time(root: Path, kind: str, lanes: int) -> None:
    windows = sampler(SpeechSet(PATTERN, root, streamed=True), kind, 2, lanes)
    epochs = [[row for lane in range(lanes) for row in epoch(windows, lane, number)] for number in range(3)]
    assert all(sorted(rows) == list(range(N_SHARDS * N_CLIPS)) for rows in epochs)
    assert len({tuple(rows) for rows in epochs}) == 3


def test_a_window_mixes_its_shards(root: Path) -> None:
    windows = sampler(SpeechSet(PATTERN, root, streamed=True), "rows", 4, 1)
    plan = windows.epoch(0, 0)
    assert [len(plan.window(number)) for number in (0, 1)] == [4, 3]
    first = [int(windows.stored.shards[windows(place)[0]]) for place in range(4 * N_CLIPS)]
    assert set(first) == set(plan.window(0)) and first != sorted(first, key=first.index)


@pytest.mark.parametrize("kind", ["rows", "lengths"])
def test_a_resumed_run_finds_its_place(root: Path, kind: str) -> None:
    clips = SpeechSet(PATTERN, root, streamed=True)
    in_order = sampler(clips, kind, 2, 2)
    seen = [in_order(index) for index in range(60)]
    for index in (59, 31, 4):
        again = sampler(SpeechSet(PATTERN, root, streamed=True), kind, 2, 2)
        assert np.array_equal(again(index), seen[index])
    assert not all(np.array_equal(sampler(clips, kind, 2, 2, seed=4)(i), seen[i]) for i in range(10))


def test_the_cache_holds_a_window_a_lane_and_no_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, list[str]]] = []
    make = features._make_mels

    def watched(path: Path, binary: Path, root: Path) -> list[dict]:
        rows = make(path, binary, root)
        seen.append(binaries(root))
        return rows

    monkeypatch.setattr(features, "_make_mels", watched)
    clips = SpeechSet(PATTERN, root, streamed=True)
    assert len(seen) == N_SHARDS and all(sum(map(len, found.values())) == 1 for found in seen)
    assert not binaries(root) and len(clips) == N_SHARDS * N_CLIPS  # what is known of rows stays, nothing else
    windows = sampler(clips, "rows", 2, 2)
    for index in range(100):
        windows(index)
        seen.append(binaries(root))
    assert all(set(found) <= {"streamed", "lane-0", "lane-1"} for found in seen)
    assert max(len(names) for found in seen for names in found.values()) == 2


def test_features_are_those_of_a_whole_cache(root: Path) -> None:
    for kind, feature in ((SpeechSet, "mel"), (WaveSet, "wave")):
        whole, streamed = kind(PATTERN, root), kind(PATTERN, root, streamed=True)
        windows = WindowSampler(RowSampler(len(streamed), 1, 0), streamed.stored, 3, 1)
        for index in range(40):
            (row,) = windows(index)
            assert torch.equal(getattr(streamed, feature)(row), getattr(whole, feature)(row))
    assert streamed.lengths == whole.lengths


def test_a_process_makes_the_features_of_its_own_lanes_alone(root: Path) -> None:
    clips = SpeechSet(PATTERN, root, streamed=True)
    both, mine = sampler(clips, "rows", 2, 2), sampler(clips, "rows", 2, 2)
    expected = [both(index) for index in range(40)]
    for path in (root / "cache").rglob("*.bin"):
        path.unlink()
    mine.stored = SpeechSet(PATTERN, root, streamed=True).stored
    assert all(np.array_equal(mine(index), expected[index]) for index in range(1, 40, 2))
    assert set(binaries(root)) == {"lane-1"}


def test_workers_that_come_at_once_or_late_see_the_same(root: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("workers are forked")
    clips = SpeechSet(PATTERN, root, streamed=True)
    windows = sampler(clips, "rows", 2, 1)
    whole = SpeechSet(PATTERN, root)

    def work(worker: int) -> None:
        for index in range(worker, 60, 3):
            (row,) = windows(index)
            assert torch.equal(clips.mel(row), whole.mel(row))

    workers = [get_context("fork").Process(target=work, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(binaries(root)["lane-0"]) <= 2


def test_rows_come_by_their_weights_and_those_of_no_shard_in_every_window(root: Path) -> None:
    clips = SpeechSet(PATTERN, root, streamed=True)
    n_rows, n_more = len(clips), 4
    weights = np.repeat([0.0, 1, 1, 1, 1, 1, 3], N_CLIPS)
    weights = np.concatenate([weights, np.full(n_more, weights.sum() / n_more)])  # half of all
    windows = WindowSampler(RowSampler(n_rows + n_more, 13, 0, weights), clips.stored, 2, 1)
    rows = np.concatenate([batch for number in range(700) for w in range(3) for batch in windows.batches(0, number, w)])
    shares = Counter(int(clips.stored.shards[row]) if row < n_rows else "more" for row in rows)
    assert 0 not in shares and not any(0 in windows.epoch(0, number).shards for number in range(20))
    for shard, weight in ((6, 3), *((s, 1) for s in range(1, 6))):
        assert shares[shard] / len(rows) == pytest.approx(weight / 16, rel=0.1)
    assert shares["more"] / len(rows) == pytest.approx(0.5, rel=0.1)


def test_what_cannot_be_is_said(root: Path) -> None:
    clips = SpeechSet(PATTERN, root, streamed=True)
    with pytest.raises(DataError, match="7 shards cannot be dealt to 8 micro-batches"):
        sampler(clips, "rows", 1, 8)
    with pytest.raises(DataError, match="window is a number of shards"):
        windowed(RowSampler(3, 1, 0), clips.stored, -1, 1)
    windows = sampler(clips, "rows", 7, 1)
    about = (root / "a-train-001.tar").stat()
    (root / "a-train-001.tar").write_bytes((root / "a-train-002.tar").read_bytes())
    os.utime(root / "a-train-001.tar", ns=(about.st_atime_ns, about.st_mtime_ns))
    with pytest.raises(DataError, match=r"a-train-001\.tar no longer gives the rows"):
        windows(0)


def test_a_full_disk_is_said_and_leaves_no_half_made_features(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = SpeechSet(PATTERN, root, streamed=True)

    def full(_: Path, binary: Path, __: Path) -> list[dict]:
        binary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(features, "_make_mels", full)
    with pytest.raises(DataError, match="the disk is full: no room for the features of a-train-"):
        sampler(clips, "rows", 2, 1)(0)
    assert not binaries(root)


def test_what_a_killed_process_left_goes(root: Path) -> None:
    folder = root / "cache" / "mel" / "streamed"
    (folder / "lane-0").mkdir(parents=True)
    for left in (
        folder / "a.1.partial",
        folder / "b.bin",
        folder / "lane-0" / "c.2.partial",
        folder / "lane-0" / "d.bin",
    ):
        left.write_bytes(b"half")
    windows = sampler(SpeechSet(PATTERN, root, streamed=True), "rows", 1, 1)
    assert set(binaries(root)) == {"lane-0"}
    windows(0)
    assert len(binaries(root)["lane-0"]) == 1


class FewShards:
    """Shards without features."""

    def __init__(self, n_shards: int, n_rows: int):
        self.shards = np.repeat(np.arange(n_shards), n_rows)

    def enter(self, lane: int, shards: list[int]) -> None:
        pass


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("budget", [90, 700])
def test_batches_are_counted_as_they_are_cut_and_keep_to_their_length(weighted: bool, budget: int) -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(5, 120, 12 * 40)
    weights = rng.random(len(lengths)) * (rng.random(len(lengths)) < 0.5) if weighted else None
    windows = WindowSampler(LengthSampler(lengths, budget, 2, weights), FewShards(12, 40), 2, 3)  # type: ignore[arg-type]
    seen: Counter[int] = Counter()
    for number in range(40):
        for lane in range(3):
            plan = windows.epoch(lane, number)
            for window in range(len(plan.starts) - 1):
                batches = windows.batches(lane, number, window)
                assert len(batches) == plan.starts[window + 1] - plan.starts[window]
                assert all(len(b) == 1 or len(b) * lengths[b].max() <= budget for b in batches)
                seen.update(int(row) for batch in batches for row in batch)
    wanted = np.ones(len(lengths)) if weights is None else weights / weights.mean()
    counts = np.array([seen[row] for row in range(len(lengths))]) / 40
    assert np.abs(counts - wanted).max() < (0.5 if weighted else 1e-9)


def test_a_place_behind_many_batches_is_found_without_drawing_them() -> None:
    lengths = np.random.default_rng(0).integers(60, 2000, 200 * 100)
    windows = WindowSampler(LengthSampler(lengths, 16_000, 0), FewShards(200, 100), 2, 1)  # type: ignore[arg-type]
    drawn = []
    draw = windows._draw
    windows.batches = lambda *place: drawn.append(place) or draw(*place)  # type: ignore[assignment,func-returns-value]
    assert len(windows(100_000)) and len(drawn) == 1


def test_pictures_and_text_are_streamed_too(root: Path) -> None:
    for shard in range(3):
        rows = []
        for number in range(4):
            blob = io.BytesIO()
            Image.new("RGB", (200, 100 + number), (50 * shard, 60 * number, 0)).save(blob, "PNG")
            rows.append((str(number), {"png": blob.getvalue(), "json": json.dumps({"label": "plain"}).encode()}))
        write_shard(root / f"b-train-{shard:03d}.tar", rows)
        texts = [{"text": f"Sentence {number} of shard {shard}, and something more to read."} for number in range(9)]
        write_manifest(root / f"c-train-{shard:03d}.jsonl", texts)
    whole, streamed = PictureSet("b-train-*.tar", root), PictureSet("b-train-*.tar", root, streamed=True)
    windows = WindowSampler(RowSampler(len(streamed), 2, 0), streamed.stored, 1, 1)
    squares, same = streamed.squares(), whole.squares()
    squares.append([Image.new("RGB", (128, 128))])
    assert streamed.rows == whole.rows and len(squares) == 13
    for index in range(12):
        picked = windows(index)
        assert torch.equal(squares[picked], same[picked])

    tokens = StreamedTokens("c-train-*.jsonl", root, Tokenizer.load(), 8)
    windows = WindowSampler(RowSampler(len(tokens), 1, 0), tokens.stored, 1, 1)
    seen = {int(row): tokens.row(int(row), 8) for index in range(3 * len(tokens)) for row in windows(index)}
    assert sorted(seen) == list(range(len(tokens)))
    for shard in range(3):  # the same stream as one shard by itself has
        alone = TokenSet(f"c-train-{shard:03d}.jsonl", root, Tokenizer.load())
        mine = np.flatnonzero(tokens.stored.shards == shard)
        assert len(mine) == alone.n_rows(8)
        for place, row in enumerate(mine):
            for ours, theirs in zip(seen[int(row)], alone.row(place, 8), strict=True):
                assert np.array_equal(ours, theirs)
