"""How a training run shows itself: a Rich bar on a terminal, a line now and then elsewhere. All on stderr."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from muomni_cli import console

if TYPE_CHECKING:
    from muomni_core.training.run import Progress

SECONDS_BETWEEN_LINES = 10.0


def describe(seen: Progress) -> str:
    """Loss, learning rate, throughput, time left and memory as text."""
    left = "" if seen.seconds_left is None else f"  {clock(seen.seconds_left)} left"
    return f"loss {seen.loss:.4f}  lr {seen.lr:.1e}  {seen.per_second:,.0f} {seen.unit}/s{left}{memory()}"


def memory() -> str:
    """The most memory that was held so far, as text: the GPU's where one is used, else the process's."""
    from muomni_core.training.memory import peak_memory

    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and (held := peak_memory(gpu=True)):
        return f"  {held / 1e9:.1f} GB of the GPU"
    held = peak_memory(gpu=False)
    return f"  {held / 1e9:.1f} GB" if held else ""


def clock(seconds: float) -> str:
    """h:mm:ss, or m:ss below an hour; a time that is no number is a question mark."""
    if not 0 <= seconds < 1e9:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def metrics_line(metrics: dict[str, float]) -> str:
    """`name value` pairs on one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())


class Reporter:
    """Called with every Progress of a run; use as a context manager."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.last_line = float("-inf")
        self.bar: Any = None
        self.task: Any = None
        if not console.is_quiet() and console.is_terminal(sys.stderr):
            self.bar = _make_bar()

    def __enter__(self) -> Reporter:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, seen: Progress) -> None:
        if console.is_quiet():
            return
        news = "  ".join(part for part in (metrics_line(seen.metrics or {}), seen.note) if part)
        if seen.note and math.isnan(seen.loss):  # said before the first step
            console.say(f"{self.stage}: {seen.note}")
            return
        if self.bar is not None:
            self._update_bar(seen, news)
            return
        now = time.monotonic()
        if news or seen.step >= seen.steps or now - self.last_line >= SECONDS_BETWEEN_LINES:
            self.last_line = now
            line = "  ".join(part for part in (f"{self.stage} {seen.step}/{seen.steps}", describe(seen), news) if part)
            sys.stderr.write(console.escape(line) + "\n")
            sys.stderr.flush()

    def _update_bar(self, seen: Progress, news: str) -> None:
        if self.task is None:
            self.task = self.bar.add_task(self.stage, total=seen.steps, status="")
        self.bar.update(self.task, completed=seen.step, total=seen.steps, status=describe(seen))
        if news:
            self.bar.console.print(console.escape(f"{self.stage} {seen.step}: {news}"))


def _make_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}", markup=False),
        console=Console(stderr=True, highlight=False, markup=False),
    )
