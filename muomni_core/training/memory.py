"""How much memory a training has held, and how much there is."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from muomni_core.errors import MuOmniError


def peak_memory(*, gpu: bool) -> int:
    """The most bytes that the GPU, or this process, held so far; 0 where nobody counts them."""
    if gpu:
        import torch

        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def free_memory(*, gpu: bool) -> int:
    """The bytes that are left on the GPU, or for this process: of the machine, and of the container it runs in.

    Raises MuOmniError where the system does not tell.
    """
    if gpu:
        import torch

        return torch.cuda.mem_get_info()[0]
    limits = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        limits.append(1024 * _numbers(Path("/proc/meminfo"))["MemAvailable:"])
    with contextlib.suppress(OSError, ValueError, KeyError):  # "max" where there is no limit
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text()) - _numbers(group / "memory.stat")["inactive_file"]
        limits.append(int((group / "memory.max").read_text()) - used)  # files that were read are no burden
    if not limits:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if not limits:
        raise MuOmniError("this system does not say how much memory is free; leave --auto-batch out")
    return min(limits)


def _numbers(path: Path) -> dict[str, int]:
    """The first two words of each line, a name and a number."""
    return {words[0]: int(words[1]) for words in map(str.split, path.read_text().splitlines()) if len(words) > 1}
