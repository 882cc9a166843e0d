"""What a node of forward's graph computes, as a formula in a sentence."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name
from torch import Tensor

from torch_ref.diagnosis.graph import Graph, expression

X = torch.tensor([[0.5, -1.0], [0.25, 1.5]], dtype=torch.float64)
ONE, TWO = (torch.tensor(value, dtype=torch.float64) for value in (0.125, [1.0, 2.0]))
FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "tanh((x @ w) + w)": lambda x, w: torch.tanh(x @ w + w),
    "x * 0.125": lambda x, _: x * ONE,
    "x * c": lambda x, _: x * TWO,
    "x / 3.142": lambda x, _: x / 3.14159,
    "x / w": lambda x, w: x.view(-1).reshape(2, 2) / w,
    "-(x + w)": lambda x, w: -(x + w),
    "(x - w)^3": lambda x, w: (x - w) ** 3,
    "(x * w)^2": lambda x, w: (x * w).square(),
    "x.T @ (x + w)": lambda x, w: x.T @ (x + w),
    "(x + w).T @ w": lambda x, w: (x + w).T @ w,
    "x.T * w": lambda x, w: x.mT * w,
    "x.T + w": lambda x, w: x.t() + w,
    "w.T - x": lambda x, w: w.permute(1, 0) - x,
    "softmax(x)": lambda x, _: F.softmax(x, 1),
    "log_softmax(x) * w": lambda x, w: F.log_softmax(x, 1) * w,
    "max(x)": lambda x, _: x.amax(1),
    "conv(x, w)": lambda x, w: F.conv1d(x[:, None], w[:1, None]),
    "(x @ w) * (x + w)": lambda x, w: (x @ w) * (x + w),
    "sin(x) * cos(x)": lambda x, _: torch.sin(x) * torch.cos(x),
    "exp(... + ...)": lambda x, w: torch.exp(
        torch.sin(x @ w) + torch.cos(x @ w) + torch.exp(x @ w)
    ),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_its_formula(formula: str) -> None:
    graph = Graph(lambda point: FORMULAS[formula](*point.values()), {"x": X, "w": X + 1})
    assert expression(graph.output, dict(zip(graph.inputs, graph.names, strict=True))) == formula


@pytest.mark.parametrize("transposed", [torch.t, lambda x: x.mT], ids=["t", "transpose"])
def test_a_transpose_is_written_as_one(transposed: Callable[[Tensor], Tensor]) -> None:
    graph = Graph(lambda point: transposed(point["x"]) @ point["x"], {"x": X})
    assert expression(graph.output, dict(zip(graph.inputs, ["x"], strict=True))) == "x.T @ x"
