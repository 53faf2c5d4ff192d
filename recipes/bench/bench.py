"""How fast training is, beside plain loops on the same machine, in one run:

    python recipes/bench/bench.py                     # the tiny sizes, some minutes on two cores
    python recipes/bench/bench.py --preset base --steps 50 --compile

Tokens a second of the stage thinker against a nanoGPT-style loop of equal width, depth and vocabulary and, where
`transformers` and `accelerate` are installed, against Hugging Face's Trainer with a Llama of equal sizes (a Mixtral where
there are experts, as in base; the nanoGPT-style loop has none, and so less to compute); pictures and seconds of sound a
second against the barest loop over the same model and batches. Ratios above 1 are in our favour. All take turns,
`--rounds` times, and the median counts. The data is made, so nothing else is needed. On a machine that others use as
well, `OMP_NUM_THREADS=1` and `--cpu-time` count what this process has had of the processor.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from plain import GPT, Clock, plain_loop, trainer_loop

from muomni_core.config import PRESETS, to_dict
from muomni_core.training.gradients import draw, to_device
from muomni_core.training.loop import train, use_bf16
from muomni_core.training.recipe import load_recipe
from muomni_core.training.run import build_context, pick_device
from muomni_core.training.stages import stage_class
from muomni_core.weights import SHIPPED

WARM_UP = 2  # steps that do not count


def build(stage: str, args: argparse.Namespace, device: str) -> tuple[Any, Any]:
    """A stage on made data, at the preset's size, and its TrainConfig."""
    sizes = {f"model.{k}": json.dumps(v) for k, v in to_dict(getattr(PRESETS[args.preset], stage)).items()}
    settings = {
        "model.preset": args.preset,
        **({"model.depth": sizes["model.depth"]} if stage == "thinker" else {}),
        "steps": str(args.steps),
        "validate_every": "1000000",
        "save_every": "1000000",
        "batch": str(args.batch),
        "seconds": str(float(4 * args.batch)) if stage == "audio" else "0.0",
        "precision": args.precision,
        "compile": str(args.compile).lower(),
        **({"data.context": str(args.context)} if stage == "thinker" else {}),
    }
    recipe = load_recipe("smoke", stage, settings)
    torch.manual_seed(0)
    made = stage_class(stage)(build_context(recipe, None, [SHIPPED], training=True, device=device))
    made.model.to(device)
    made.validate = lambda: {made.score.lstrip("-"): 0.0}
    return made, recipe.train


def rate(ends: list[float], units: list[float]) -> float:
    """Units a second behind the steps that warm up."""
    return sum(units[WARM_UP:]) / (ends[-1] - ends[WARM_UP - 1])


def ours(stage: Any, config: Any, clock: Clock) -> float:
    """The loop of `muomni train`, with everything it does at each step; the last one, which saves, does not count."""
    config = dataclasses.replace(config, steps=config.steps + 1)
    ends: list[float] = []
    units: list[float] = []
    loss = stage.loss

    def counted(batch: Any) -> Any:
        found = loss(batch)
        units.append(found.units)
        return found

    stage.loss = counted
    with tempfile.TemporaryDirectory() as folder:
        train(
            stage,
            config,
            Path(folder) / "state",
            ship=lambda _: None,
            report=lambda _: ends.append(clock()),
        )
    return rate(ends[:-1], units[:-1])


def bare(stage: Any, config: Any, bf16: bool, device: str, clock: Clock) -> float:
    """The same model and batches in the barest loop."""
    units: list[float] = []

    def loss(batch: Any) -> torch.Tensor:
        found = stage.loss(to_device(batch, torch.device(device)))
        units.append(found.units)
        return found.total / found.weight

    ends = plain_loop(stage.model, lambda i: draw(stage, i, 1, 0)[0].batch, loss, config.steps, bf16, clock)
    return rate(ends, units)


def nano(args: argparse.Namespace, bf16: bool, device: str, clock: Clock) -> float:
    config = PRESETS[args.preset].thinker
    model = GPT(config, args.context).to(device)
    tokens = torch.randint(config.vocab_size, (200_000,))

    def batch(_: int) -> tuple[torch.Tensor, torch.Tensor]:
        starts = torch.randint(len(tokens) - args.context - 1, (args.batch,)).tolist()
        rows = torch.stack([tokens[i : i + args.context + 1] for i in starts]).to(device)
        return rows[:, :-1], rows[:, 1:]

    forward: Any = torch.compile(model) if args.compile else model
    ends = plain_loop(model, batch, lambda b: forward(*b), args.steps, bf16, clock)
    return rate(ends, [args.batch * args.context] * args.steps)


def trainer(args: argparse.Namespace, bf16: bool, device: str, clock: Clock) -> float:
    config = PRESETS[args.preset].thinker
    ends = trainer_loop(config, args.context, args.batch, args.steps, bf16, args.compile, device, clock)
    return rate(ends, [args.batch * args.context] * args.steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="tiny")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "float32"))
    parser.add_argument("--compile", action="store_true", help="all of them compiled")
    parser.add_argument("--stages", nargs="+", default=["thinker", "vision", "audio"])
    parser.add_argument("--cpu-time", action="store_true", help="count processor time; no GPU, no --compile")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.steps <= WARM_UP:
        parser.error(f"--steps must be more than the {WARM_UP} that do not count")
    device = pick_device(args.device)
    clock = time.process_time if args.cpu_time else time.perf_counter
    bf16 = use_bf16(args.precision, torch.device(device))
    args.precision = "bf16" if bf16 else "float32"  # one choice for all
    rates: dict[str, dict[str, list[float]]] = {}
    for stage in args.stages:
        loops: dict[str, Callable[[], float]] = {"muomni": lambda s=stage: ours(*build(s, args, device), clock)}  # type: ignore[misc]
        if stage == "thinker":
            loops["nanoGPT-style loop"] = lambda: nano(args, bf16, device, clock)
            loops["HF Trainer"] = lambda: trainer(args, bf16, device, clock)
        else:
            loops["plain loop"] = lambda s=stage: bare(*build(s, args, device), bf16, device, clock)  # type: ignore[misc]
        for _ in range(args.rounds):
            for name, loop in list(loops.items()):
                try:
                    rates.setdefault(stage, {}).setdefault(name, []).append(loop())
                except ImportError as error:
                    print(f"{name} is left out: {error}", file=sys.stderr)
                    del loops[name], rates[stage][name]
    medians = {s: {name: statistics.median(v) for name, v in found.items()} for s, found in rates.items()}
    if args.json:
        print(json.dumps(medians))
        return
    units = {stage: stage_class(stage).unit for stage in medians}
    for stage, found in medians.items():
        print(f"{stage}, preset {args.preset}, {args.precision}{', compiled' if args.compile else ''}, {device}")
        for name, speed in found.items():
            ratio = "" if name == "muomni" else f"   ours is {found['muomni'] / speed:.2f}x"
            print(f"  {name:<20} {speed:12,.1f} {units[stage]}/s{ratio}")


if __name__ == "__main__":
    main()
