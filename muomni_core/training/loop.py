"""The only training loop. A stage supplies model, batches, loss and metrics; this does the rest.

Everything random in a step follows from (seed, step): the rows of a batch, augmentation, dropout. A run that is
killed and resumed therefore goes the way of one that was not, and the state holds no random state and no data position.

Several processes (ranks.py) each take a part of a step's micro-batches and come to the same weights. The first one
alone validates, writes and reports.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from muomni_core.errors import CheckpointError, DataError, MuOmniError
from muomni_core.training.ahead import drawn_steps
from muomni_core.training.gradients import Drawn, Loss, Stage, backward, first_number, prepare
from muomni_core.training.interrupt import SIGNALS, Interrupts, Stopped
from muomni_core.training.ranks import ALONE, Ranks
from muomni_core.training.recipe import TrainConfig
from muomni_core.training.run_key import RunKey
from muomni_core.training.sharding import Sharded, local
from muomni_core.training.state import load_state, save_state, writing

__all__ = ["Loss", "Progress", "Stage", "train"]


@dataclass(frozen=True)
class Progress:
    """What a run reports while it goes."""

    step: int
    steps: int
    loss: float  # smoothed over steps
    lr: float
    per_second: float
    unit: str
    seconds_left: float
    metrics: dict[str, float] | None = None
    note: str = ""
    value: float = math.nan  # the loss of this step alone


@dataclass
class RunState:
    """Where a run stands: what its state says beside weights and optimiser."""

    run_key: str  # what the state was made for, as a digest
    bf16: bool
    step: int = 0
    best: float = math.inf
    hours: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    validated: int = 0  # the last step that was validated
    made_for: dict[str, Any] = field(default_factory=dict)  # the parts of the key; states of version 0 lack them
    notes: list[str] = field(default_factory=list)  # what was changed on the way: "step 500: steps 1000 -> 2000"


def share_done(config: TrainConfig, step: int, hours: float = 0.0) -> float:
    """How far a run has come, 0 to 1: by its steps, or by the clock where `minutes` end it before."""
    by_clock = 60 * hours / config.minutes if config.minutes else 0.0
    return min(1.0, max(step / config.steps, by_clock))


def learning_rate(config: TrainConfig, step: int, hours: float = 0.0) -> float:
    """Linear warm-up, then a cosine to `min_lr` of the peak."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    if config.minutes:
        done = max(done, share_done(config, step, hours))
    return config.lr * (config.min_lr + (1 - config.min_lr) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def make_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; norms, biases and other vectors do not decay."""
    trained = [p for p in model.parameters() if p.requires_grad]
    # No group may hold parted parameters (FSDP) and whole ones.
    kinds = [[p for p in trained if isinstance(p, DTensor) is parted] for parted in (False, True)]
    groups: list[dict[str, Any]] = []
    for kind in filter(None, kinds):
        groups.append({"params": [p for p in kind if p.dim() >= 2], "weight_decay": config.weight_decay})
        groups.append({"params": [p for p in kind if p.dim() < 2], "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, config.beta2), fused=True)


def use_bf16(precision: str, device: torch.device) -> bool:
    """bf16 where asked for, or where it is faster here: CPUs without bf16 units are a hundred times slower in it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    times = {}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(256, 256, dtype=dtype)
        a @ a
        start = time.perf_counter()
        for _ in range(3):
            a @ a
        times[dtype] = time.perf_counter() - start
    return times[torch.bfloat16] < 0.8 * times[torch.float32]


def average_state(model: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average that forgets its start: early on the decay is smaller."""
    decay = min(decay, (1 + step) / (10 + step))
    own = model.state_dict()
    moving = [name for name, value in own.items() if value.is_floating_point()]
    torch._foreach_lerp_([local(average[name]) for name in moving], [local(own[name]) for name in moving], 1 - decay)
    for name in own.keys() - set(moving):
        average[name].copy_(own[name])


class averaged_weights:
    """The model with its averaged weights, and its own again afterwards."""

    def __init__(self, model: nn.Module, average: dict[str, Tensor] | None):
        self.model, self.average = model, average

    def __enter__(self) -> None:
        self.training = self.model.training
        self.model.eval()
        if self.average is not None:
            self.own = average_state(self.model)
            self.model.load_state_dict(self.average)

    def __exit__(self, *_: object) -> None:
        if self.average is not None:
            self.model.load_state_dict(self.own)
        self.model.train(self.training)


def _check_key(at: RunState, key: RunKey, path: Path, fits_early: Callable[[str], bool]) -> list[str]:
    """Refuses the state of another run, by what differs; returns what may differ, and does.

    Raises CheckpointError.
    """
    remedy = "give another --out, with --init to begin from these weights"
    if at.made_for:
        if different := key.differences(at.made_for):
            more = f" and {len(different) - 3} more" if len(different) > 3 else ""
            raise CheckpointError(f"{path} belongs to another run ({'; '.join(different[:3])}{more}); {remedy}")
    elif not fits_early(at.run_key):
        raise CheckpointError(f"{path} belongs to another run ({at.run_key}); {remedy}")
    changes = key.changes(at.made_for)
    at.notes += [f"step {at.step}: {change}" for change in changes]
    at.run_key, at.made_for = key.digest(), key.parts()
    return changes


def train(
    stage: Stage,
    config: TrainConfig,
    state_path: Path,
    *,
    ship: Callable[[RunState], None],
    report: Callable[[Progress], None] = lambda _: None,
    begin: Callable[[RunState], None] = lambda _: None,
    key: RunKey | None = None,
    fits_early: Callable[[str], bool] | None = None,
    stop_after: int | None = None,
    ranks: Ranks = ALONE,
    order_seed: int | None = None,
) -> dict[str, float]:
    """Trains until `config.steps`, resuming from `state_path` if it is there; returns the last metrics.

    Args:
        ship: called while the model holds the averaged weights, when they are the best yet.
        begin: called once, when it is known where the run goes on.
        key: what the state must have been made for; a state of another run is refused.
        fits_early: whether a state of version 0, whose key is a mere digest, is of this run.
        stop_after: stop, saved, at that step; for tests.
        ranks: of several processes that train together, each of which calls this; `ship`, `report` and `begin` are
            called in the first one alone, and the metrics are returned there.
        order_seed: of what is random in each step (`Context.order_seed`); None: the seed of `config`.
    Raises:
        MuOmniError: a loss or gradient is not finite, data can't be read, nothing can be written; the last good state
            stays in place.
        Stopped: by a signal, when the step that it came in was done and saved.
    """
    with Interrupts(patient=ranks.size > 1) as interrupts:
        seed = config.seed if order_seed is None else order_seed
        run = _Run(stage, config, state_path, interrupts, ship, report, key or RunKey(), fits_early, ranks, seed)
        ranks.alone(lambda: begin(run.at))
        with interrupts.deferred() if ranks.size > 1 else contextlib.nullcontext():
            run.go(stop_after)
        return run.at.metrics


class _Run:
    """One call of `train`."""

    def __init__(
        self,
        stage: Stage,
        config: TrainConfig,
        state_path: Path,
        interrupts: Interrupts,
        ship: Callable[[RunState], None],
        report: Callable[[Progress], None],
        key: RunKey,
        fits_early: Callable[[str], bool] | None,
        ranks: Ranks,
        order_seed: int,
    ):
        self.stage, self.config, self.state_path, self.interrupts = stage, config, state_path, interrupts
        self.ship, self.report, self.ranks, self.order_seed = ship, report, ranks, order_seed
        self.model = stage.model
        device = next(self.model.parameters()).device
        self.changes: list[str] = []
        (found,) = ranks.total([float(ranks.is_first and state_path.exists())])  # before anybody writes one
        bf16 = 0.0 if found else ranks.total([float(ranks.is_first and use_bf16(config.precision, device))])[0]
        if not found:
            ranks.copy_first(self.model.state_dict().values())
        self.sharded: Sharded | None = None
        if config.shard and ranks.size > 1:
            if config.accumulate % ranks.size:
                raise ranks.agreed(DataError(f"{stage.name}: shard needs as many micro-batches for each process"))
            self.sharded = Sharded(self.model, ranks)
        self.optimiser = make_optimiser(self.model, config)
        has_average = config.ema and (ranks.is_first or self.sharded is not None)
        self.average = average_state(self.model) if has_average else None
        self.shards = ""  # where the parts of the last state lie
        if found:
            ranks.together(lambda: self._load(key, fits_early or key.digest().__eq__))
        else:
            self.at = RunState(run_key=key.digest(), bf16=bool(bf16), made_for=key.parts())
            self.save()  # a place that takes no files is found out now, and whether bf16 is used is settled

    def _load(self, key: RunKey, fits_early: Callable[[str], bool]) -> None:
        if not self.state_path.exists():
            raise CheckpointError(
                f"{self.state_path}: not seen by all processes; give an --out that all machines share"
            )
        about = load_state(self.state_path, self.model, self.average, self.optimiser)
        self.shards = about.pop("shards", "")
        self.at = RunState(**about)
        self.changes = _check_key(self.at, key, self.state_path, fits_early)

    def save(self) -> None:
        if self.sharded is None:
            self.ranks.alone(lambda: self._save(None))
        else:
            self._save(self.ranks)

    def _save(self, sharers: Ranks | None) -> None:
        about = dataclasses.asdict(self.at)
        with writing(self.state_path):
            self.shards = save_state(
                self.state_path, self.model, self.average, self.optimiser, about, sharers, self.shards
            )

    def validate(self) -> None:
        whole = self.sharded.whole() if self.sharded is not None else contextlib.nullcontext()
        with averaged_weights(self.model, self.average), whole:
            self.ranks.alone(self._judge)
        self.at.validated = self.at.step
        with self.interrupts.deferred():
            self.save()

    def _judge(self) -> None:
        """Validates with the weights that are in place, and ships them where they are the best yet."""
        at, score = self.at, self.stage.score
        torch.manual_seed(self.config.seed)
        with self.interrupts.at_once():
            metrics = self.stage.validate()
        value = -metrics[score[1:]] if score.startswith("-") else metrics[score]
        if not math.isfinite(value):
            raise MuOmniError(f"{self.stage.name}: validation gives {score.lstrip('-')} {value} at step {at.step}")
        at.metrics = metrics
        if value <= at.best:
            at.best = value
            with writing(self.state_path.parent.parent / self.state_path.name):
                self.ship(at)

    def is_over(self) -> bool:
        return share_done(self.config, self.at.step, self.at.hours) >= 1

    def is_due(self) -> bool:
        at = self.at
        return at.validated < at.step and (at.step % self.config.validate_every == 0 or self.is_over())

    def step(self, batches: Iterator[list[Drawn]], loss: Callable[[Any], Loss] | None) -> tuple[float, float, float]:
        """One optimiser step -> loss, learning rate, units."""
        at, config, stage = self.at, self.config, self.stage
        lr = learning_rate(config, at.step, at.hours)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.zero_grad(set_to_none=True)
        number = first_number(at.step, config.accumulate, self.order_seed)
        drawn = self.ranks.together(lambda: self._draw(batches))
        torch.manual_seed(number)
        if self.sharded is None:
            prepare(stage, drawn)
        else:
            self.sharded.within(lambda: prepare(stage, drawn))
        value, units = backward(stage, drawn, bf16=at.bf16, loss=loss, ranks=self.ranks, sharded=self.sharded)
        if not math.isfinite(value):
            raise self.ranks.agreed(MuOmniError(self._not_finite("loss", value)))
        if self.sharded is None:
            norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), config.clip))
        else:
            norm = self.sharded.clip(config.clip)
        if not math.isfinite(norm):
            raise self.ranks.agreed(MuOmniError(self._not_finite("gradient", norm)))
        self.optimiser.step()
        torch.manual_seed(number)  # the same for all processes, whatever each has drawn
        stage.after_step()
        self.ranks.copy_first(self.model.buffers())  # where sums on a GPU differ in their last bits
        at.step += 1
        if self.average is not None:
            update_average(self.average, self.model, config.ema, at.step)
        return value, lr, units

    def _draw(self, batches: Iterator[list[Drawn]]) -> list[Drawn]:
        try:
            return next(batches)
        except OSError as error:
            reason = str(error).splitlines()[-1]  # before that, the traceback of the process that drew it
            raise DataError(
                f"{self.stage.name}: the data of step {self.at.step} cannot be read ({reason}); put it back and give the "
                "same command again"
            ) from error

    def _not_finite(self, what: str, value: float) -> str:
        return (
            f"{self.stage.name}: the {what} is {value} at step {self.at.step}; the last state is kept: begin from its "
            "best weights with --init, another --out and a lower --set lr"
        )

    def agree(self, spent: float, asked: int | None) -> tuple[float, int | None]:
        """The first process's seconds, and the signal of whoever got one: all stop behind the same step."""
        if self.ranks.size == 1:
            return spent, asked
        spent, *signals = self.ranks.total(
            [spent * self.ranks.is_first, *(float(asked == number) for number in SIGNALS)]
        )
        return spent, next((number for number, n in zip(SIGNALS, signals, strict=True) if n), None)

    def tell(self, seen: Progress) -> None:
        if self.ranks.is_first:
            self.report(seen)

    def go(self, stop_after: int | None) -> None:
        at, config, model = self.at, self.config, self.model
        if self.changes:
            note = f"goes on from step {at.step} with {', '.join(self.changes)}"
            lr = learning_rate(config, at.step, at.hours)
            self.tell(Progress(at.step, config.steps, math.nan, lr, 0.0, self.stage.unit, math.nan, note=note))
        if self.is_due():  # killed between saving and the end of a validation
            self.validate()
        loss = torch.compile(self.stage.loss) if config.compile else None
        model.train()
        begun, mark, units, shown = time.time(), time.time(), 0.0, math.nan
        first = share_done(config, at.step, at.hours)
        batches = drawn_steps(self.stage, dataclasses.replace(config, seed=self.order_seed), at.step, self.ranks)
        while not self.is_over() and at.step != stop_after:
            with self.interrupts.deferred():
                value, lr, done = self.step(batches, loss)
                units += done
                shown = value if math.isnan(shown) else 0.95 * shown + 0.05 * value
                now = time.time()
                spent, mark = now - mark, now
                spent, asked = self.agree(spent, self.interrupts.asked)
                at.hours += spent / 3600
                share = share_done(config, at.step, at.hours)
                if at.step % config.save_every == 0 or share >= 1 or at.step == stop_after or asked is not None:
                    self.save()  # before validation, which may fail
                speed = units / max(1e-9, now - begun)
                left = (1 - share) * (now - begun) / max(1e-9, share - first)
                steps = round(at.step / share)  # with a clock, as it looks now
            if asked is not None:
                raise Stopped(asked, at.step, steps)
            due = self.is_due()
            if due:
                self.validate()
                mark = time.time()
            metrics = at.metrics if due else None
            self.tell(Progress(at.step, steps, shown, lr, speed, self.stage.unit, left, metrics, value=value))
