"""How much memory a training has held, and how much there is."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


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
    """The bytes that are left on the GPU, or for this process: of the machine, and of the container it runs in."""
    if gpu:
        import torch

        return torch.cuda.mem_get_info()[0]
    limits = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        group = Path("/sys/fs/cgroup")
        limits.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    with contextlib.suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=0)
