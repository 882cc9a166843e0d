"""`python -m scripts.check`: its statuses."""

from pathlib import Path

import pytest

from scripts import check
from tests.conftest import Call

FILE = """
import numpy as np
import torch

def softplus(z):
    return np.logaddexp(0, z)

def right(dy, z):
    return dy / (1 + np.exp(-z))

def wrong(dy, z):
    return 2 * dy / (1 + np.exp(-z))

def loss(y, t):
    return torch.nn.functional.cross_entropy(y, t)

def loss_backward(dy, y, t):
    return dy * (torch.softmax(y, 1) - torch.eye(y.shape[1], dtype=y.dtype)[t]) / len(t)

def log(p):
    return np.log(p)

def log_backward(dy, p):
    return dy / p

def product(x, w):
    return x @ w

def product_backward(dy, x, w):
    return dy @ w.T, x.T @ dy
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's file, in the folder where the program runs."""
    (tmp_path / "mine.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        "softplus right --shape 8 5",
        "softplus right --shape 8 5 --reference torch.nn.functional.softplus",
        "softplus right --shape 8 5 --reference torch.nn.Softplus --dtype float32 --seed 3",
        "loss loss_backward --shape 8 5 --shape 8 --labels 5 --reference torch.nn.functional.cross_entropy",
        "log log_backward --shape 4 --between 0.5 2 --reference torch.log",
        "product product_backward --shape 8 5 --shape 5 3 --reference torch.matmul",
    ],
)
def test_status_0_where_all_is_right(arguments: str, call: Call) -> None:
    forward, backward, *options = arguments.split()
    ended = call(check, f"mine.py::{forward}", f"mine.py::{backward}", *options)
    assert ended.status == 0
    assert "ok" in ended.out


def test_status_1_where_a_gradient_is_wrong(call: Call) -> None:
    ended = call(check, "mine.py::softplus", "mine.py::wrong", "--shape", "8", "5")
    assert ended.status == 1
    assert "dz is 2 times forward everywhere" in ended.out
