"""How much memory a training has held."""

from __future__ import annotations

import sys


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
