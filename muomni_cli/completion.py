"""What a shell offers when Tab is pressed: files of the right kind, folders, voices, recipes. No torch in here.

Choices such as stages and devices complete by themselves. What else there is stands in one table, by an option's name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

MOST = 200  # that are offered
MAX_HEADER = 10_000_000


class Candidate(NamedTuple):
    """What Click's completion takes of each: `type` "plain" is text as it stands."""

    value: str
    type: str = "plain"
    help: str | None = None


Offer = Callable[[Any, str], Iterator[str]]


def files(*suffixes: str) -> Offer:
    """Files that end so (all of them without any suffix), and the folders on the way to them."""
    return lambda ctx, begun: _paths(begun, lambda name: not suffixes or name.lower().endswith(suffixes))


def folders(ctx: Any, begun: str) -> Iterator[str]:
    return _paths(begun, lambda name: False)


def sounds(ctx: Any, begun: str) -> Iterator[str]:
    from muomni_core.tasks.transcribe import RAW_SUFFIXES, SOUND_SUFFIXES

    return _paths(begun, lambda name: name.rpartition(".")[2].lower() in SOUND_SUFFIXES | RAW_SUFFIXES)


def pictures(ctx: Any, begun: str) -> Iterator[str]:
    from muomni_core.data.record import IMAGE_SUFFIXES

    return _paths(begun, lambda name: name.rpartition(".")[2].lower() in IMAGE_SUFFIXES)


def recipes(ctx: Any, begun: str) -> Iterator[str]:
    from muomni_cli.options import recipe_names

    yield from (name for name in recipe_names() if name.startswith(begun))
    yield from _paths(begun, lambda name: name.endswith(".toml"))


def voices(ctx: Any, begun: str) -> Iterator[str]:
    """Of the weights that are named before, else of the package's."""
    from muomni_core.weights import SHIPPED

    given = ctx.params.get("weights")
    for folder in [Path(given)] if given else []:
        folder = folder.parent if folder.is_file() else folder  # the single file of an export
        if found := voices_in(folder):
            return (name for name in found if name.startswith(begun))
    return (name for name in voices_in(SHIPPED) if name.startswith(begun))


def voices_in(folder: Path) -> list[str]:
    """Names of the Talker's voices, read out of a file's header; none where there is no such file."""
    try:
        if (folder / "talker.safetensors").is_file():
            with open(folder / "talker.safetensors", "rb") as file:
                size = int.from_bytes(file.read(8), "little")
                values = json.loads(file.read(min(size, MAX_HEADER)))["__metadata__"]["muomni"]
            return list(map(str, json.loads(values)["config"]["talker"]["voices"]))
        stages = json.loads((folder / "config.json").read_bytes())["stages"]
        return list(map(str, stages["talker"]["config"]["talker"]["voices"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []


def _paths(begun: str, wanted: Callable[[str], bool]) -> Iterator[str]:
    """Paths that begin so: folders with a slash, and wanted files. A single folder is gone into: shells put a space
    behind the only answer, and its contents are more than one."""
    found = list(_entries(begun, wanted))
    while len(found) == 1 and found[0].endswith("/") and (inside := list(_entries(found[0], wanted))):
        found = inside
    return iter(found)


def _entries(begun: str, wanted: Callable[[str], bool]) -> Iterator[str]:
    folder, slash, start = begun.rpartition("/")
    try:
        with os.scandir(os.path.expanduser(folder + slash) or ".") as entries:
            named = sorted((entry.name, entry.is_dir()) for entry in entries)
    except (OSError, ValueError):
        return
    for name, is_folder in named:
        hidden = name.startswith(".") and not start.startswith(".")
        if name.startswith(start) and not hidden and name.isprintable() and (is_folder or wanted(name)):
            yield folder + slash + name + ("/" if is_folder else "")


OFFERS: dict[str, Offer] = {
    "image": pictures,
    "audio": sounds,
    "files": sounds,
    "batch": files(".jsonl"),
    "manifest": files(".jsonl", ".xz", ".tar"),
    "weights": folders,
    "init": folders,
    "data": folders,
    "plot": files(".png"),
    "out": files(),
    "output": files(),
    "speak": files(".wav"),
    "folder": folders,
    "recipe": recipes,
    "voice": voices,
    "encode file": sounds,
    "decode file": files(".codes"),
}


def attach(ctx: Any, params: list[Any]) -> None:
    """Gives the parameters of a command what a shell is offered for them."""
    for param in params:
        offer = OFFERS.get(f"{ctx.info_name} {param.name}") or OFFERS.get(param.name)
        if offer is not None:
            param.shell_complete = lambda ctx, begun, offer=offer: [
                Candidate(value) for value in islice(offer(ctx, begun), MOST)
            ]
