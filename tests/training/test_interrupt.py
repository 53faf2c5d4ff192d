"""A run that is stopped politely saves first; one that is not loses nothing; what cannot be written is one line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from test_loop import Toy, config, go, same_state, saved

from muomni_core.errors import DataError, MuOmniError
from muomni_core.training.interrupt import Interrupts, Stopped
from muomni_core.training.state import writing


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Ctrl-C is heard, also where a shell began these tests in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Calls(Toy):
    """Calls `act` in the loss of batch `at`, or in validation where that is None."""

    def __init__(self, act: Callable[[], Any], at: int | None):
        super().__init__()
        self.act, self.at = act, at

    def batch(self, index: int) -> Any:
        if index == self.at:
            self.act()
        return super().batch(index)

    def validate(self) -> dict[str, float]:
        if self.at is None:
            self.act()
        return super().validate()


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_step_end_and_saves(tmp_path: Path, number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped:
        go(Calls(send(number), at=2), tmp_path / "state", config(save_every=100))
    assert (stopped.value.signal, stopped.value.step, stopped.value.steps) == (number, 3, 6)
    assert saved(tmp_path / "state")[1]["step"] == 3 and signal.getsignal(number) is before
    go(Toy(), tmp_path / "state", config(save_every=100))
    go(Toy(), tmp_path / "whole", config(save_every=100))
    same_state(tmp_path / "state", tmp_path / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_validation_is_left_at_once_and_made_up_for(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        go(Calls(send(signal.SIGTERM), at=None), tmp_path / "state", config(validate_every=2))
    assert saved(tmp_path / "state")[1]["step"] == 2
    assert [step for step, _ in go(Toy(), tmp_path / "state", config(validate_every=2))] == [2, 4, 6]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_second_signal_does_not_wait() -> None:
    with Interrupts() as interrupts, pytest.raises(Stopped), interrupts.deferred():
        send(signal.SIGTERM)()
        assert interrupts.asked == signal.SIGTERM
        send(signal.SIGINT)()
        pytest.fail("still here")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            send(signal.SIGHUP)()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


# --- disks and data


@pytest.mark.skipif(sys.platform == "win32", reason="limits on files")
def test_a_full_disk_keeps_the_last_state(tmp_path: Path) -> None:
    """The system cuts the writing off in the middle, as a full disk does."""
    import resource

    path = tmp_path / "state"
    go(Toy(), path, config(), stop_after=2)
    whole = path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) // 2, before[1]))

    try:
        with pytest.raises(MuOmniError, match=r"state cannot be written \(File too large\); .* goes on") as caught:
            go(Calls(fill, at=3), path, config())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == whole and [p.name for p in tmp_path.iterdir()] == ["state"]
    go(Toy(), path, config())
    go(Toy(), tmp_path / "unbroken", config())
    same_state(path, tmp_path / "unbroken")


def test_a_place_that_takes_no_files_is_known_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    stage = Toy()
    with pytest.raises(MuOmniError, match="cannot be written"):
        go(stage, tmp_path / "file" / "state", config())
    assert stage.after == 0


def test_weights_that_cannot_be_written_leave_the_state_whole(tmp_path: Path) -> None:
    def ship(_: Any) -> None:
        raise OSError(28, "No space left on device")

    from muomni_core.training.loop import train

    with pytest.raises(MuOmniError, match="No space left on device"):
        train(Toy(), config(validate_every=2), tmp_path / "state" / "toy", ship=ship)
    assert saved(tmp_path / "state" / "toy")[1]["step"] == 2
    assert [step for step, _ in go(Toy(), tmp_path / "state" / "toy", config(validate_every=2))] == [2, 4, 6]


def test_data_that_goes_away_is_named_with_its_step(tmp_path: Path) -> None:
    def read() -> None:
        raise FileNotFoundError(2, "No such file or directory", "speech.tar")

    with pytest.raises(DataError, match=r"toy: the data of step 3 cannot be read \(.*speech.tar.*\); put it back"):
        go(Calls(read, at=3), tmp_path / "state", config())
    assert saved(tmp_path / "state")[1]["step"] == 2


def test_a_gradient_that_is_no_number_keeps_the_last_state(tmp_path: Path) -> None:
    stage = Toy()
    loss, stage.lost = stage.loss, 0

    def overflowing(batch: Any) -> Any:
        found = loss(batch)
        stage.lost += 1
        if stage.lost == 4:
            found.total = found.total + (stage.model[0].weight.sum() * 0).sqrt()  # its value is 0, its slope not finite
        return found

    stage.loss = overflowing
    with pytest.raises(MuOmniError, match=r"toy: the gradient is (nan|inf) at step 3; the last state is kept"):
        go(stage, tmp_path / "state", config())
    assert all(bool(p.isfinite().all()) for p in stage.model.parameters())
    assert saved(tmp_path / "state")[1]["step"] == 2


def test_a_validation_that_gives_no_number_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MuOmniError, match="validation gives error nan at step 2"):
        go(Toy(scores=[float("nan")]), tmp_path / "state", config(validate_every=2))
    assert torch.is_tensor(saved(tmp_path / "state")[0]["model.0.weight"])


def test_half_written_files_make_room(tmp_path: Path) -> None:
    (tmp_path / "codec.safetensors.partial").write_bytes(b"half")
    (tmp_path / "mine").write_bytes(b"mine")
    with pytest.raises(MuOmniError), writing(tmp_path):
        raise OSError(28, "No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
