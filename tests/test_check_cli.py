"""`python -m scripts.check`: its statuses, and one clear line for what a user can mend."""

import sys
from pathlib import Path

import pytest

from scripts.check import main

FILE = """
import numpy as np
import torch

def softplus(z):
    return np.logaddexp(0, z)

def right(dy, z):
    return dy / (1 + np.exp(-z))

def wrong(dy, z):
    return 2 * dy / (1 + np.exp(-z))

def fails(dy, z):
    return dy / undefined

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


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Check":
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "broken.py").write_text("def f(:\n")
    monkeypatch.chdir(tmp_path)
    return Check(monkeypatch)


class Check:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, forward: str, backward: str, *options: str) -> int:
        places = [name if "." in name else f"mine.py::{name}" for name in (forward, backward)]
        self._monkeypatch.setattr(sys, "argv", ["check", *places, *options])
        return main()


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
def test_status_0_where_all_is_right(arguments: str, check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(*arguments.split()) == 0
    assert "ok" in capsys.readouterr().out


def test_status_1_where_a_gradient_is_wrong(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("softplus", "wrong", "--shape", "8", "5") == 1
    assert "dz is 2 times forward everywhere" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("softplus fails --shape 8 5", "name 'undefined' is not defined; raised by backward, called with z (8, 5) float64"),
        ("softplus nothing --shape 8 5", "has no function nothing; it has softplus, right"),
        ("nowhere.py::f right --shape 8 5", "nowhere.py::f: must be path/to/file.py::name"),
        ("broken.py::f right --shape 8 5", "broken.py: cannot be loaded: SyntaxError"),
        ("softplus right --shape 8 0", "--shape 8 0: must be whole numbers of at least 1"),
        ("softplus right --shape 8 5 --labels 0", "--labels 0"),
        ("softplus right --shape 8 5 --between 1 0", "--between 1.0 0.0: the first number"),
        ("softplus right --shape 8 5 --reference os.system", "--reference os.system: must be a function or module of torch"),
        ("softplus right --shape 8 5 --reference torch.os.system", "--reference torch.os.system: must be"),
        ("softplus right --shape 8 5 --reference torch.nn.nothing", "--reference torch.nn.nothing: must be"),
        ("softplus right --shape 8 5 --reference torch.nn", "--reference torch.nn: must be"),
        ("softplus right --shape 8 5 --reference torch.nn.Linear", "--reference torch.nn.Linear: needs arguments"),
        ("softplus right --shape 8 5 --shape 3", "forward"),
    ],
)
def test_status_2_and_one_line_for_bad_input(
    arguments: str, says: str, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(*arguments.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err
