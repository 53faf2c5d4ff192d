"""How well the ear hears: word and character errors by source and condition, the worst rows, the commonest mistakes.

    python -m muomni_core.evaluation.ear --data DIR "speech/*-val-*.tar" --limit 20 --conditions all --beam 32

Rows are those of any layout that data/rows.py reads; the first `--limit` of each source are heard. Computing is counted
as this process's own, on one thread or several, over the sound's length.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muomni_core.errors import DataError, MuOmniError, one_line_errors
from muomni_core.evaluation.conditions import CONDITIONS, disturb, not_speech
from muomni_core.evaluation.metrics import char_error, edits, word_error, words
from muomni_core.text.decoding import RESCORE, Decoding
from muomni_core.text.spoken import ctc_text

if TYPE_CHECKING:
    from muomni_core.data.record import Row
    from muomni_core.model.hearing import Listener

DEFAULT = Decoding()
N_WORST, N_CONFUSIONS = 10, 15


@dataclass(frozen=True)
class Result:
    """What was said (as the ear should write it) and heard in one row, how long it is and how long that took."""

    key: str
    source: str
    said: str
    heard: str
    seconds: float
    computed: float
    confidence: float | None

    @property
    def word_error(self) -> float:
        return word_error([self.said], [self.heard]).rate


def readable(rows: Iterable[Row], limit: int | None = None) -> Iterator[tuple[Row, str, Any]]:
    """Rows with a sound and a text: the row, its text as the ear writes it, the sound (N,); at most `limit` a source.

    What cannot be read is left out and named on stderr.
    """
    from muomni_core.audio.io import read_sound

    taken: Counter[str] = Counter()
    for row in rows:
        said = ctc_text(row.text or "")
        if row.audio is None or not said or (limit is not None and taken[row.source] >= limit):
            continue
        try:
            sound = read_sound(row.sound_source())
        except MuOmniError as error:
            print(f"{row.key}: left out, {error}", file=sys.stderr)
            continue
        taken[row.source] += 1
        yield row, said, sound


def measure(
    listener: Listener,
    clips: Iterable[tuple[Row, str, Any]],
    decoding: Decoding = DEFAULT,
    condition: str = "clean",
    seed: int = 0,
) -> Iterator[Result]:
    """Hears what `readable` gives, under one of CONDITIONS."""
    for number, (row, said, sound) in enumerate(clips):
        changed = disturb(sound, condition, seed + number)
        start = time.process_time()
        heard = listener.hear([changed], decoding)
        spent = time.process_time() - start
        yield Result(row.key, row.source, said, heard.text, heard.seconds, spent, heard.confidence)


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """wer, cer, clips, seconds, factor (computing over sound), empty, sources, worst and confusions, ready for JSON.

    Raises DataError without results.
    """
    if not results:
        raise DataError("no row has both a sound that can be read and a text; nothing to measure")
    sources = {name: [r for r in results if r.source == name] for name in sorted({r.source for r in results})}
    worst = sorted(results, key=lambda r: (-r.word_error, r.key))[:N_WORST]
    return {
        **_rates(results),
        "factor": sum(r.computed for r in results) / max(1e-9, sum(r.seconds for r in results)),
        "sources": {name: _rates(own) for name, own in sources.items()},
        "worst": [{"key": r.key, "wer": r.word_error, "said": r.said, "heard": r.heard} for r in worst if r.word_error],
        "confusions": [{"said": said, "heard": heard, "count": count} for (said, heard), count in confusions(results)],
    }


def _rates(results: Sequence[Result]) -> dict[str, Any]:
    said, heard = [r.said for r in results], [r.heard for r in results]
    return {
        "wer": word_error(said, heard).rate,
        "cer": char_error(said, heard).rate,
        "clips": len(results),
        "seconds": sum(r.seconds for r in results),
        "empty": sum(not r.heard for r in results),
    }


def confusions(results: Iterable[Result], most: int = N_CONFUSIONS) -> list[tuple[tuple[str, str], int]]:
    """The commonest pairs of a word that was said and the one that was heard in its place, with their counts."""
    counts = Counter(pair for r in results for pair in substitutions(words(r.said), words(r.heard)))
    return sorted(counts.items(), key=lambda found: (-found[1], found[0]))[:most]


def substitutions(said: Sequence[str], heard: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Words that stand for one another in the best alignment; of two equally good ones, that of more alike words."""
    rows = [[float(j) for j in range(len(heard) + 1)]]
    for i, one in enumerate(said, 1):
        row = [float(i)]
        for j, other in enumerate(heard, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + _cost(one, other)))
        rows.append(row)
    i, j = len(said), len(heard)
    found = []
    while i and j:
        if rows[i][j] == rows[i - 1][j - 1] + _cost(said[i - 1], heard[j - 1]):
            i, j = i - 1, j - 1
            if said[i] != heard[j]:
                found.append((said[i], heard[j]))
        elif rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    yield from reversed(found)


def _cost(one: str, other: str) -> float:
    return 0.0 if one == other else 1.0 + 2.0**-10 * round(8 * edits(one, other) / max(len(one), len(other)))


def invented(listener: Listener, decoding: Decoding = DEFAULT) -> dict[str, str]:
    """What is heard where nobody speaks, by kind of sound; it should be nothing."""
    return {name: listener.hear([sound], decoding).text for name, sound in not_speech().items()}


def manifest_rows(path: Path) -> Iterator[Row]:
    """Rows of a file or folder in any layout. Raises DataError where there is none, or none is understood."""
    from muomni_core.data.rows import read_path

    if not path.exists():
        raise DataError(f"{path}: no such file or folder of data")
    return read_path(path, path if path.is_dir() else path.parent)


def measure_manifest(
    path: Path,
    weights: Path | None = None,
    *,
    limit: int | None = None,
    decoding: Decoding = DEFAULT,
    device: str = "auto",
) -> dict[str, Any]:
    """The summary of at most `limit` rows of a file or folder. Raises MuOmniError where they cannot be measured."""
    from muomni_core import MuOmni

    clips = readable(manifest_rows(path))
    listener = MuOmni.load(weights, device=device).listener
    return summary(list(islice(measure(listener, clips, decoding), limit)))


def report(found: dict[str, Any]) -> str:
    """A summary as lines to read: rates by source, the worst rows, the commonest confusions."""
    width = max(len("source"), *map(len, found["sources"]))
    lines = [f"{'source':<{width}}  {'rows':>5}  {'minutes':>7}  {'WER %':>6}  {'CER %':>6}"]
    for name, own in [*found["sources"].items(), ("all", found)]:
        rates = f"{100 * own['wer']:>6.1f}  {100 * own['cer']:>6.1f}"
        lines.append(f"{name:<{width}}  {own['clips']:>5}  {own['seconds'] / 60:>7.1f}  {rates}")
    lines.append(f"computing over sound: {found['factor']:.3f}; heard as empty: {found['empty']}")
    if found["worst"]:
        lines += ["", "worst rows"]
    for row in found["worst"]:
        lines += [f"{100 * row['wer']:>6.0f}%  {row['key']}", f"    said   {row['said']}", f"    heard  {row['heard']}"]
    if found["confusions"]:
        lines += ["", "commonest confusions"]
    lines += [f"{pair['count']:>7}  {pair['said']} -> {pair['heard']}" for pair in found["confusions"]]
    return "\n".join(lines)


def table(measured: dict[str, dict[str, Any]]) -> str:
    """Word errors (%) of every source under every condition, as a Markdown table."""
    conditions = list(measured)
    sources = list(next(iter(measured.values()))["sources"])
    lines = [f"| source | clips | {' | '.join(conditions)} |", f"|---|--:|{'--:|' * len(conditions)}"]
    for name in [*sources, "all"]:
        own = [found if name == "all" else found["sources"][name] for found in measured.values()]
        rates = " | ".join(f"{100 * one['wer']:.1f}" for one in own)
        lines.append(f"| {name} | {own[0]['clips']} | {rates} |")
    return "\n".join(lines)


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", default=["speech/*-val-*.tar"], help="data, below --data")
    parser.add_argument("--data", type=Path, default=os.environ.get("MUOMNI_DATA"), help="root of the data")
    parser.add_argument("--weights", type=Path, help="folder of weights (default: those of the package)")
    parser.add_argument("--limit", type=int, default=20, help="clips a source (default: 20)")
    parser.add_argument("--conditions", default="clean", help=f"all, or some of {','.join(CONDITIONS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--beam", type=int, default=1, help="1 (the default) is greedy")
    parser.add_argument("--letters", type=Path, help="a letter model (default: that of the weights)")
    parser.add_argument("--letters-weight", type=float, default=Decoding.letters)
    parser.add_argument("--bonus", type=float, default=Decoding.bonus, help="nats for each character")
    parser.add_argument("--rescore", type=float, nargs="?", const=RESCORE, default=0.0, help="weight of the Thinker")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of the table")
    chosen = parser.parse_args(arguments)
    conditions = list(CONDITIONS) if chosen.conditions == "all" else chosen.conditions.split(",")
    if unknown := [name for name in conditions if name not in CONDITIONS]:
        parser.error(f"no condition {unknown[0]!r}; there are: {', '.join(CONDITIONS)}")
    if chosen.data is None:
        parser.error("give --data DIR or set MUOMNI_DATA")
    measured = _measure_all(chosen, conditions)
    invented_words = measured.pop("invented")
    if chosen.json:
        print(json.dumps({"conditions": measured, "invented": invented_words}, ensure_ascii=False))
        return 0
    print(table(measured))
    clean = next(iter(measured.values()))
    print(f"\ncomputing over sound: {clean['factor']:.4f}; clips heard as empty: {clean['empty']} of {clean['clips']}")
    print("invented: " + ("; ".join(f"{name}: {text!r}" for name, text in invented_words.items() if text) or "nothing"))
    return 0


def _measure_all(chosen: argparse.Namespace, conditions: list[str]) -> dict[str, Any]:
    import torch

    from muomni_core import MuOmni
    from muomni_core.data.rows import read_rows
    from muomni_core.text.ngram import LetterModel

    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    listener = MuOmni.load(chosen.weights, device="cpu").listener
    if chosen.letters is not None:
        listener.letter_model = LetterModel.load(chosen.letters)
    decoding = Decoding(chosen.beam, chosen.letters_weight, chosen.bonus, chosen.rescore)
    measured: dict[str, Any] = {}
    for condition in conditions:
        clips = readable(read_rows(chosen.patterns, chosen.data), chosen.limit)
        measured[condition] = summary(list(measure(listener, clips, decoding, condition, chosen.seed)))
        print(f"{condition}: word error {100 * measured[condition]['wer']:.1f}%", file=sys.stderr)
    return measured | {"invented": invented(listener, decoding)}


if __name__ == "__main__":
    sys.exit(main())
