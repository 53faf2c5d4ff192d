"""Ctrl-C and a polite kill: a step and its checkpoint are finished first, everything else is left at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# SIGHUP: the terminal went away. Not on Windows.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """The run was asked to stop. `signal` is the number; `step` and `steps` are set where the state was saved first."""

    def __init__(self, number: int, step: int | None = None, steps: int | None = None):
        super().__init__(f"stopped by signal {number}")
        self.signal, self.step, self.steps = number, step, steps


class Interrupts:
    """While entered, a signal raises Stopped: at once, or at the end of a `deferred` block.

    A second signal is not made to wait, unless `patient`: of several processes, one that leaves in the middle of a step
    would let the others wait in vain. Signals that are ignored (nohup) stay so; outside the main thread, where Python
    allows no handlers, nothing changes.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.patient = patient
        self.asked: int | None = None
        self._busy = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def _handle(self, number: int, _: FrameType | None) -> None:
        if not self._busy or (self.asked is not None and not self.patient):
            raise Stopped(number)
        self.asked = number

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """What is inside is done whole, and whoever asks for a stop meanwhile is heard at its end (see `asked`)."""
        with self._set_busy(True):
            yield

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside a deferred block: what is in here need not be done whole."""
        with self._set_busy(False):
            if self.asked is not None:
                raise Stopped(self.asked)
            yield

    @contextmanager
    def _set_busy(self, busy: bool) -> Iterator[None]:
        before, self._busy = self._busy, busy
        try:
            yield
        finally:
            self._busy = before
