"""The table of conventions of docs/losses.md: one gradient, other factors, so a learning rate
carries over.
"""

import re

import pytest
import torch

from tests.cases import LOSSES
from tests.docs import section
from torch_ref.cases import random

B, C = 8, 10
# dDiv/dy = factor * (y - t) for the squared errors; after a sigmoid or softmax the cross-entropies
# have it for dDiv/dz
FACTORS = {"half-squared": 1 / B, "squared": 2 / B, "mse": 2 / (B * C)}
OF_LOGITS = {
    "cross-entropy": torch.softmax,
    "binary-cross-entropy-of-logits": lambda z, dim: torch.sigmoid(z),  # noqa: ARG005
}


def rows() -> dict[str, list[str]]:
    lines = [
        line
        for line in section("losses", "Conventions of the losses").splitlines()
        if line.startswith("| `")
    ]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].split("`")[1]: row for row in cells}


def test_every_loss_has_its_row() -> None:
    assert list(rows()) == list(LOSSES)


@pytest.mark.parametrize("name", FACTORS)
def test_factor_and_learning_rate(name: str) -> None:
    """lr times factor is the same for every squared error: 3.0 of the lecture is 15 under torch's
    MSELoss.
    """
    y, t = random((B, C), torch.float64, seed=1), random((B, C), torch.float64, seed=2)
    _, dy = LOSSES[name]()(y, t)
    torch.testing.assert_close(dy, FACTORS[name] * (y - t), rtol=1e-15, atol=0)
    lr = float(re.sub(r"[^\d.]", "", rows()[name][3].split()[0]))
    assert lr * FACTORS[name] == pytest.approx(3.0 / B, rel=1e-15)


@pytest.mark.parametrize("name", OF_LOGITS)
def test_cross_entropies_of_logits_have_the_half_squared_errors_factor(name: str) -> None:
    loss = LOSSES[name]()
    z, labels = random((B, C), torch.float64, seed=1), torch.arange(B) % C
    _, dz = loss(z, loss.targets(labels, C, torch.float64))
    t = torch.eye(C, dtype=torch.float64)[labels]
    torch.testing.assert_close(dz, (OF_LOGITS[name](z, dim=1) - t) / B, rtol=0, atol=1e-16)
