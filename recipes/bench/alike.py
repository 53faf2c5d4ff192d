"""How alike two trainings are: each stage of recipes/smoke by one process, then by several, then anew in other ways.

    python recipes/bench/alike.py                     # some minutes on two cores

Every run is a command of its own, as a user gives it, on the CPU, in float32:

- again, with the same seed: are the states (weights, optimiser) the same to the bit?
- by several processes, which share the micro-batches of a step out evenly: by how much do the weights differ, as a
  share of their size?
- by one process with two threads, which adds up in another order and does all else alike: how much of that is rounding?
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from muomni_core.training.recipe import load_recipe
from muomni_core.training.stages import STAGES


def trained(
    stage: str, out: Path, weights: Path, args: argparse.Namespace, processes: int = 1, threads: int = 1
) -> dict[str, Tensor]:
    """The state that a run into `out` leaves; parents are taken from `weights`. Rows a step are the recipe's."""
    recipe = load_recipe("smoke", stage).train
    size = (
        f"seconds={recipe.seconds / args.accumulate}" if recipe.seconds else f"batch={recipe.batch // args.accumulate}"
    )
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    command = [sys.executable, "-m", *(launch if processes > 1 else []), "muomni_cli", "train", "--quiet"]
    command += ["--stage", stage, "--recipe", "smoke", "--out", str(out), "--device", "cpu"]
    if weights != out:
        command += ["--weights", str(weights)]
    command += [f"--set=steps={args.steps}", f"--set=accumulate={args.accumulate}", f"--set={size}"]
    # Threads that wait do so asleep: where others use the machine too, they would steal each other's time.
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return load_file(out / "state" / f"{stage}.safetensors")


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """How far apart the weights of two states are, as a share of their size."""
    names = [name for name in one if name.startswith("model.") and one[name].is_floating_point()]
    a, b = (torch.cat([state[name].double().flatten() for name in names]) for state in (one, other))
    return float((a - b).norm() / a.norm())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--stages", nargs="+", default=list(STAGES), choices=STAGES, help="with their parents before them"
    )
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--accumulate", type=int, default=4, help="micro-batches a step")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "first"
        for stage in args.stages:
            own = Path(folder) / stage  # nothing but the stage itself, or these would be the parents of the next
            first = trained(stage, weights, weights, args)
            again = trained(stage, own / "again", weights, args)
            several = apart(first, trained(stage, own / "several", weights, args, processes=args.processes))
            threads = apart(first, trained(stage, own / "threads", weights, args, threads=2))
            equal = first.keys() == again.keys() and all(torch.equal(first[name], again[name]) for name in first)
            found[stage] = {"again_equal": equal, "again": apart(first, again), "several": several, "threads": threads}
            if not args.json:
                same = "the same to the bit" if equal else f"{apart(first, again):.1e}"
                text = (
                    f"{stage:<8} again: {same}; {args.processes} processes: {several:.1e}; two threads: {threads:.1e}"
                )
                print(text, flush=True)
    if args.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
