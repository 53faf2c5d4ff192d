"""Several processes for a test, forked, which meet over gloo."""

from __future__ import annotations

import json
import multiprocessing
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from muomni_core.training.ranks import Ranks


def in_processes(work: Callable[[Ranks], Any], folder: Path, size: int = 2) -> list[Any]:
    """What `work` returns in each of `size` processes, as JSON; fails with the traceback of the first that failed."""
    context = multiprocessing.get_context("fork")
    meeting = folder / f"meeting-{len(list(folder.iterdir()))}"
    answers = [folder / f"{meeting.name}-answer-{rank}.json" for rank in range(size)]
    children = [context.Process(target=_child, args=(work, meeting, r, size, answers[r])) for r in range(size)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
        if child.is_alive():
            child.kill()
    found = [json.loads(path.read_text()) if path.exists() else {"failed": "no answer"} for path in answers]
    failed = [f"process {rank}: {answer['failed']}" for rank, answer in enumerate(found) if "failed" in answer]
    assert not failed, "\n".join(failed)
    return [answer["result"] for answer in found]


def _child(work: Callable[[Ranks], Any], meeting: Path, rank: int, size: int, answer: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
    try:
        answer.write_text(json.dumps({"result": work(Ranks(rank, size, rank))}))
    except BaseException:
        answer.write_text(json.dumps({"failed": traceback.format_exc()}))
    dist.destroy_process_group()
