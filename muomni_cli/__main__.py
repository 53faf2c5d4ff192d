"""`python -m muomni_cli`, and where the console script `muomni` begins."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # no SIGHUP on Windows
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _leave)
    try:
        from muomni_cli.app import app

        app()
    except KeyboardInterrupt:  # Ctrl-C while still importing
        sys.exit(130)


def _leave(number: int, _: object) -> None:
    """Ends as a kill would, but tidies up on the way: no half-written file stays behind."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
