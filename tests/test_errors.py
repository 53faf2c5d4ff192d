"""How the modules that are commands of their own end when something is in the way."""

from __future__ import annotations

import subprocess
import sys

COMMAND = """
import sys
from muomni_core.errors import InputError, one_line_errors

@one_line_errors
def main():
    {body}
    return 0

sys.exit(main())
"""


def start(body: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COMMAND.format(body=body)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_our_errors_are_one_line_on_stderr() -> None:
    process = start("raise InputError('no such thing')")
    assert process.communicate() == ("", "error: no such thing\n")
    assert process.returncode == 1


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    for lines in (1, 100_000):  # noticed when the buffer is flushed at the end, and on the way
        process = start(f"for n in range({lines}): print('line', n)")
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        process.stderr.close()
        assert process.wait() == 141
