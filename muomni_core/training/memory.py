"""How much memory a training has held, and how much there is."""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from muomni_core.errors import MuOmniError


class Held(TorchDispatchMode):
    """Counts the bytes of the tensors that are made inside, a storage once, while anybody holds them.

    What a kernel takes for itself while it runs is not seen, nor what an allocator keeps for later.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        given = {id(t.untyped_storage()) for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)}
        found = func(*args, **(kwargs or {}))
        for tensor in tree_iter(found):
            if isinstance(tensor, Tensor):
                self._count(tensor, given)
        return found

    def _count(self, tensor: Tensor, given: set[int]) -> None:
        storage = tensor.untyped_storage()
        name, size = id(storage), storage.nbytes()
        if name in given or name in self._known:  # a view, or written in place
            return
        self._known.add(name)
        self.now += size
        self.peak = max(self.peak, self.now)

        def gone() -> None:
            self._known.discard(name)
            self.now -= size

        weakref.finalize(storage, gone)


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
