"""The only training loop. A stage supplies model, batches, loss and metrics; this does the rest.

Everything random in a step follows from (seed, step): the rows of a batch, augmentation, dropout. A run that is
killed and resumed therefore goes the way of one that was not, and the state holds no random state and no data position.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from muomni_core.errors import MuOmniError
from muomni_core.training.recipe import TrainConfig
from muomni_core.training.state import load_state, save_state


@dataclass
class Loss:
    """A micro-batch's loss as a sum over `weight` items, so that accumulation is exact for batches of any shape."""

    total: Tensor
    weight: float
    units: float  # what throughput counts: tokens, pictures, seconds of sound


class Stage(Protocol):
    """What the loop needs of a stage."""

    name: str
    unit: str
    score: str  # the metric that decides which weights are kept; lower is better, or "-name" for higher is better
    model: nn.Module

    def batch(self, index: int) -> Any: ...
    def loss(self, batch: Any) -> Loss: ...
    def after_step(self) -> None: ...
    def validate(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Progress:
    """What a run reports while it goes."""

    step: int
    steps: int
    loss: float
    lr: float
    per_second: float
    unit: str
    seconds_left: float
    metrics: dict[str, float] | None = None
    note: str = ""


@dataclass
class RunState:
    """Where a run stands: what its state says beside weights and optimiser."""

    run_key: str  # what the state was made for: recipe, data, parents
    bf16: bool
    step: int = 0
    best: float = math.inf
    hours: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    validated: int = 0  # the last step that was validated


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine to `min_lr` of the peak."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * (config.min_lr + (1 - config.min_lr) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def make_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; norms, biases and other vectors do not decay."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
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


def to_device(batch: Any, device: torch.device) -> Any:
    """A batch, a tensor or a dataclass of tensors, on the model's device."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if device.type == "cpu" or not dataclasses.is_dataclass(batch):
        return batch
    kind: Any = type(batch)
    values = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    return kind(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in values.items()})


def average_state(model: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average that forgets its start: early on the decay is smaller."""
    decay = min(decay, (1 + step) / (10 + step))
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


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


def train(
    stage: Stage,
    config: TrainConfig,
    state_path: Path,
    *,
    ship: Callable[[int, dict[str, float], float], None],
    report: Callable[[Progress], None] = lambda _: None,
    run_key: str = "",
    stop_after: int | None = None,
) -> dict[str, float]:
    """Trains until `config.steps`, resuming from `state_path` if it is there; returns the last metrics.

    Args:
        ship: called with (step, metrics, hours) while the model holds the averaged weights, when they are the best yet.
        run_key: what the state must have been made for (recipe and data); a state of another key is refused.
        stop_after: stop, saved, at that step; for tests.
    Raises:
        MuOmniError: the loss is not finite; the last good state stays in place.
    """
    model = stage.model
    device = next(model.parameters()).device
    optimiser = make_optimiser(model, config)
    average = average_state(model) if config.ema else None
    at = RunState(run_key=run_key, bf16=use_bf16(config.precision, device))
    if state_path.exists():
        at = RunState(**load_state(state_path, model, average, optimiser))
        if at.run_key != run_key:
            raise MuOmniError(f"{state_path} belongs to another run ({at.run_key}); give another --out")

    def save() -> None:
        save_state(state_path, model, average, optimiser, dataclasses.asdict(at))

    def validate() -> None:
        with averaged_weights(model, average):
            torch.manual_seed(config.seed)
            at.metrics = stage.validate()
            score = -at.metrics[stage.score[1:]] if stage.score.startswith("-") else at.metrics[stage.score]
            if score <= at.best:
                at.best = score
                ship(at.step, at.metrics, at.hours)
        at.validated = at.step
        save()

    def is_due() -> bool:
        return at.validated < at.step and (at.step % config.validate_every == 0 or at.step == config.steps)

    if is_due():  # killed between saving and the end of a validation
        validate()
    compute_loss = torch.compile(stage.loss) if config.compile else stage.loss
    model.train()
    first, begun, mark, units, shown_loss = at.step, time.time(), time.time(), 0.0, math.nan
    while at.step < config.steps and at.step != stop_after:
        lr = learning_rate(config, at.step)
        for group in optimiser.param_groups:
            group["lr"] = lr
        optimiser.zero_grad(set_to_none=True)
        total, weight = 0.0, 0.0
        for micro in range(config.accumulate):
            index = at.step * config.accumulate + micro
            torch.manual_seed(config.seed * 1_000_003 + index)
            batch = to_device(stage.batch(index), device)
            with torch.autocast(device.type, torch.bfloat16, enabled=at.bf16):
                loss = compute_loss(batch)
            loss.total.backward()
            total, weight, units = total + float(loss.total.detach()), weight + loss.weight, units + loss.units
        value = total / weight
        if not math.isfinite(value):
            raise MuOmniError(f"{stage.name}: the loss is {value} at step {at.step}; lower lr, the last state is kept")
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.div_(weight)
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimiser.step()
        stage.after_step()
        at.step += 1
        if average is not None:
            update_average(average, model, config.ema, at.step)
        shown_loss = value if math.isnan(shown_loss) else 0.95 * shown_loss + 0.05 * value
        now = time.time()
        at.hours, mark = at.hours + (now - mark) / 3600, now
        if at.step % config.save_every == 0 or at.step in (config.steps, stop_after):
            save()  # before validation, which may fail
        due = is_due()
        if due:
            validate()
            mark = time.time()
        speed = units / max(1e-9, now - begun)
        left = (config.steps - at.step) * (now - begun) / max(1, at.step - first)
        metrics = at.metrics if due else None
        report(Progress(at.step, config.steps, shown_loss, lr, speed, stage.unit, left, metrics))
    return at.metrics
