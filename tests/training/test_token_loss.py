"""The loss over the vocabulary, some rows at a time, is the loss of all at once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from muomni_core.training.token_loss import ROWS, token_loss

N = 2 * ROWS["cpu"] + 7


def given() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    hidden, weight = torch.randn(N, 16), torch.randn(50, 16)
    targets = torch.randint(50, (N,)).masked_fill(torch.rand(N) < 0.2, -100)
    return hidden.requires_grad_(), weight.requires_grad_(), targets


def plain(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight).float(), targets, ignore_index=-100, reduction="sum")


@pytest.mark.parametrize("bf16", [False, True])
def test_loss_and_gradients_are_those_of_all_at_once(bf16: bool) -> None:
    found = []
    for loss in (token_loss, plain):
        hidden, weight, targets = given()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            value = loss(hidden, weight, targets)
        (0.5 * value).backward()
        found.append((value.detach(), hidden.grad, weight.grad))
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype == torch.float32
        assert float((one - other).norm() / other.norm()) < (1e-2 if bf16 else 1e-5)


def test_rows_without_a_target_have_no_gradient() -> None:
    hidden, weight, targets = given()
    token_loss(hidden, weight, targets).backward()
    assert hidden.grad is not None and not hidden.grad[targets < 0].any() and hidden.grad[targets >= 0].any(1).all()
    nothing = token_loss(hidden[:0], weight, targets[:0])
    nothing.backward()
    assert float(nothing.detach()) == 0


def test_without_gradients_it_is_the_same_number() -> None:
    hidden, weight, targets = given()
    with torch.no_grad():
        assert float(token_loss(hidden, weight, targets)) == pytest.approx(float(plain(hidden, weight, targets)))
