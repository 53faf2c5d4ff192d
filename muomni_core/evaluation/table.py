"""What the measuring commands of `ask` share: their arguments, their figures as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muomni_core.data.rows import read_rows
from muomni_core.data.sampling import evenly
from muomni_core.errors import DataError, one_line_errors

if TYPE_CHECKING:
    from muomni_core.data.record import Row
    from muomni_core.model.omni import MuOmni


@dataclass
class Report:
    """Figures by name, and what they are made of.

    Attributes:
        figures: shares from 0 to 1, counts and scores.
        wanted: for some of them the least (or, for names in `at_most`, the most) that is wanted.
        examples: rows like {"question", "answer", "right"}, in the order asked.
        notes: what was left out, and why.
    """

    figures: dict[str, float] = field(default_factory=dict)
    wanted: dict[str, float] = field(default_factory=dict)
    at_most: frozenset[str] = frozenset()
    examples: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def met(self, name: str) -> bool | None:
        """Whether a figure is as wanted; None where nothing is."""
        if name not in self.wanted:
            return None
        value, wanted = self.figures[name], self.wanted[name]
        return value <= wanted if name in self.at_most else value >= wanted


@dataclass(frozen=True)
class Settings:
    """What is measured on.

    Attributes:
        data: the data root, with images/ and text/.
        limit: at most so many pictures a set, spread over it; None takes all.
        seed: of what is drawn by chance.
    """

    data: Path | None = None
    limit: int | None = None
    seed: int = 0

    @property
    def root(self) -> Path:
        """Raises DataError where no data root is given."""
        if self.data is None:
            raise DataError("give --data DIR or set MUOMNI_DATA: this is measured on its images/ and text/")
        return self.data

    def pictures(self, source: str) -> list[Row]:
        """The val rows of a set that have a picture. Raises DataError where the set is missing."""
        rows = [row for row in read_rows(f"images/{source}-val*", self.root) if row.image is not None]
        return list(rows if self.limit is None else evenly(rows, self.limit))


Measure = Callable[["MuOmni", Settings], Report]


def share(values: Iterable[bool | float]) -> float:
    """The mean; of nothing 0."""
    kept = [float(value) for value in values]
    return sum(kept) / len(kept) if kept else 0.0


def lines(report: Report, title: str = "") -> list[str]:
    """The table: a figure a line, what is wanted of it beside it."""
    width = max([24, *(len(name) for name in report.figures)])
    found = [title] if title else []
    for name, value in report.figures.items():
        met = report.met(name)
        beside = "" if met is None else f"  wanted {_plain(report.wanted[name], name)}{'' if met else '  (missed)'}"
        if met is not None and name in report.at_most:
            beside = beside.replace("wanted", "at most")
        found.append(f"  {name:{width}} {_plain(value, name):>8}{beside}")
    return found + [f"  ({note})" for note in report.notes]


def _plain(value: float, name: str) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.3f}" if name.startswith(("cider", "bits")) else f"{value:.1%}"


def example_lines(report: Report, count: int) -> list[str]:
    """The first examples, spread over all: what was asked, answered and right."""
    found = []
    for example in evenly(report.examples, count) if count else []:
        mark = "  " if "right" not in example else "+ " if example["right"] else "- "
        about = f"   [{example['truth']}]" if "truth" in example else ""
        found.append(f"{mark}{example['question']}  ->  {example['answer']}{about}")
    return found


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The arguments that every measure takes."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("MUOMNI_DATA")
    made.add_argument("--data", type=Path, default=Path(data) if data else None, help="data root (MUOMNI_DATA)")
    made.add_argument("--weights", type=Path, help="folder of weights (default: those of the package)")
    made.add_argument("--limit", type=int, help="at most so many pictures a set (default: all)")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--json", action="store_true", help="print figures and examples as JSON")
    return made


def settings(args: argparse.Namespace) -> Settings:
    return Settings(args.data, args.limit, args.seed)


def load(weights: Path | None) -> MuOmni:
    """The model, not logging each answer that is cut off."""
    import logging

    from muomni_core import MuOmni

    logging.getLogger("muomni_core").setLevel(logging.ERROR)
    return MuOmni.load(weights)


@one_line_errors
def run(doc: str | None, measure: Measure, arguments: Sequence[str] | None = None, *, show: int = 12) -> int:
    """A whole command: arguments, model, measure, table. Returns the exit code: 1 where it could not be measured."""
    made = parser(doc)
    made.add_argument("--show", type=int, default=show, metavar="N", help=f"print N of the answers ({show})")
    args = made.parse_args(arguments)
    start = time.perf_counter()
    report = measure(load(args.weights), settings(args))
    seconds = time.perf_counter() - start
    if args.json:
        print(json.dumps(as_json(report), ensure_ascii=False))
        return 0
    print("\n".join([*example_lines(report, args.show), *lines(report)]))
    print(f"{seconds:.0f} s", file=sys.stderr)
    return 0


def as_json(report: Report) -> dict[str, Any]:
    """figures, wanted, examples and notes."""
    return {
        "figures": report.figures,
        "wanted": report.wanted,
        "examples": report.examples,
        "notes": report.notes,
    }
