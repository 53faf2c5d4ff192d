"""`python -m muomni_cli`, and where the console script `muomni` begins."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    try:
        from muomni_cli.app import app

        app()
    except KeyboardInterrupt:  # Ctrl-C while still importing
        sys.exit(130)


if __name__ == "__main__":
    main()
