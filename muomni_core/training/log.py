"""What a run leaves to look at: DIR/logs/<stage>/metrics.jsonl, loss.png, and TensorBoard's files where asked for."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from muomni_core.checkpoint import write_atomically
from muomni_core.errors import InputError
from muomni_core.training.curve import draw_curves
from muomni_core.training.loop import Progress, RunState
from muomni_core.training.state import writing


def log_folder(out: Path, stage: str) -> Path:
    return out / "logs" / stage


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl; one that was cut off by a kill is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


class RunLog:
    """Takes every Progress of a run; use as a context manager.

    A line of metrics.jsonl has step, loss (mean since the last line), lr, per_second, unit, time (seconds since 1970),
    and metrics where the step was validated.
    Of several processes, one that is not told of any step writes nothing.
    """

    def __init__(self, out: Path, stage: str, every: int, score: str, *, tensorboard: bool = False):
        self.folder, self.stage, self.every, self.score = log_folder(out, stage), stage, every, score
        self.path = self.folder / "metrics.jsonl"
        self.board = _board(self.folder) if tensorboard else None
        self._losses: list[float] = []
        self._begun = False

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.board is not None:
            self.board.close()
        if kind is None and self._begun and self.path.exists():
            with writing(self.folder):
                draw_curves(read_rows(self.path), self.folder / "loss.png", self.stage, self.score)

    def begin(self, at: RunState) -> None:
        """Leaves out what was logged behind the state that the run goes on from: those steps come again."""
        self._begun = True
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = [row for row in read_rows(self.path) if row["step"] <= at.step] if self.path.exists() else []
            write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in kept).encode())

    def __call__(self, seen: Progress) -> None:
        if math.isnan(seen.value):  # a note, no step
            return
        self._losses.append(seen.value)
        if not (seen.step % self.every == 0 or seen.metrics or seen.step == seen.steps):
            return
        row: dict[str, Any] = {
            "step": seen.step,
            "loss": round(sum(self._losses) / len(self._losses), 6),
            "lr": float(f"{seen.lr:.4g}"),
            "per_second": round(seen.per_second, 2),
            "unit": seen.unit,
            "time": round(time.time(), 1),
        }
        if seen.metrics:
            row["metrics"] = {k: round(float(v), 6) for k, v in seen.metrics.items()}
        self._losses.clear()
        with writing(self.folder), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self.board is not None:
            for name, value in {"loss": row["loss"], "lr": seen.lr, **(seen.metrics or {})}.items():
                self.board.add_scalar(f"{self.stage}/{name}", value, seen.step)


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("--tensorboard needs a package that is not installed: pip install tensorboard") from None
    return SummaryWriter(str(folder))
