"""Runs `muomni` many times without importing torch many times: a process that forks for each command.

It reads a JSON object a line, `{"args", "cwd", "stdin", "stdout", "stderr", "env", "seconds"}`, and answers with
`{"code", "seconds", "bytes"}`: the exit code (negative: the signal), the time that the child computed, and the most
memory that it held.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from typing import Any

MAX_BYTES = 12_000_000_000  # of addresses: what goes beyond is a MemoryError there and not the end of this machine
PATIENCE = 6  # times `seconds`, by the clock: other work of the machine doesn't count, waiting forever does


def child(request: dict[str, Any]) -> None:
    """Becomes the command; never returns."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"] + 1, request["seconds"] + 1))
    os.chdir(request["cwd"])
    os.environ.update(request["env"])
    for number, name, flags in (
        (0, "stdin", os.O_RDONLY),
        (1, "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(request[name], flags, 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
    sys.argv = ["muomni", *request["args"]]
    from muomni_cli.app import app

    code: Any = 70
    try:
        app(request["args"])
    except SystemExit as stop:
        code = stop.code
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code if isinstance(code, int) else 71)


def main() -> None:
    import soundfile  # noqa: F401
    import torch
    import torchaudio  # noqa: F401
    import torchvision  # noqa: F401

    import muomni_core.evaluation.ear
    import muomni_core.model.omni  # noqa: F401

    torch.set_num_threads(1)  # other threads would not be there in a child
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        begun = time.monotonic()
        pid = os.fork()
        if pid == 0:
            child(request)
        while True:
            done, status, used = os.wait4(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() - begun > PATIENCE * request["seconds"]:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        code = os.waitstatus_to_exitcode(status)
        seconds = used.ru_utime + used.ru_stime
        print(json.dumps({"code": code, "seconds": seconds, "bytes": used.ru_maxrss * 1024}), flush=True)


if __name__ == "__main__":
    main()
