"""The mistakes that are made on purpose to see whether they are the user's: of each operation all
of them, in words and in numbers, as they stand in changes.txt.

`python -m tests.check.test_changes` writes that file anew; read what has changed in it.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name
from torch import Tensor
from torch.torch_version import TorchVersion

from tests.sheet import Sheet
from torch_ref.check import check_gradients
from torch_ref.diagnosis import diagnosis, mutations
from torch_ref.diagnosis.changes import changes, uses
from torch_ref.diagnosis.graph import Change, Graph, Tape, expression
from torch_ref.diagnosis.mutations import _others
from torch_ref.diagnosis.rewriting import op

X = torch.tensor([[0.5, -1.0, 2.0], [0.25, 1.5, -0.75]], dtype=torch.float64)
SQUARE, ROW = X[:, :2], torch.tensor([2.0, -0.5, 4.0], dtype=torch.float64)
MORE = torch.tensor([[1.0, 3.0, -2.0], [0.5, -4.0, 2.0]], dtype=torch.float64)
ZERO = torch.tensor([[0.5, -1.0, 0.0], [0.25, 1.5, -0.75]], dtype=torch.float64)
ROWS = torch.tensor([0, 1, 1])
Function = Callable[..., Tensor]
FUNCTIONS: dict[str, tuple[Function, tuple[Tensor, ...]]] = {
    "sigmoid": (torch.sigmoid, (X,)),
    "tanh": (torch.tanh, (X,)),
    "exp": (torch.exp, (X,)),
    "softplus": (F.softplus, (X,)),
    "log": (torch.log, (X.abs(),)),
    "sqrt": (torch.sqrt, (X.abs(),)),
    "rsqrt": (torch.rsqrt, (X.abs(),)),
    "reciprocal": (torch.reciprocal, (X,)),
    "cube": (lambda x: x**3, (X,)),
    "sin": (torch.sin, (X,)),
    "cos": (torch.cos, (X,)),
    "gelu": (F.gelu, (ZERO,)),
    "silu": (F.silu, (X,)),
    "elu": (lambda x: F.elu(x, 0.5), (ZERO,)),
    "e^x - 1": (lambda x: x.exp() - 1, (X,)),
    "abs": (torch.abs, (X,)),
    "relu": (torch.relu, (ZERO,)),
    "leaky relu": (lambda x: F.leaky_relu(x, 0.125), (ZERO,)),
    "threshold": (lambda x: F.threshold(x, 0.375, 0), (X,)),
    "clamp": (lambda x: x.clamp(-0.875, 1), (X,)),
    "where": (lambda x: torch.where(x > 0, x, 0.25 * x), (X,)),
    "softmax": (lambda x: x.softmax(1), (X,)),
    "log_softmax": (lambda x: x.log_softmax(1), (X,)),
    "logsumexp": (lambda x: x.logsumexp(1), (X,)),
    "product": (torch.mul, (X, MORE)),
    "quotient": (torch.div, (X, MORE)),
    "broadcast": (torch.mul, (X, ROW)),
    "matrices": (torch.matmul, (X, MORE.T)),
    "square matrices": (torch.matmul, (SQUARE, MORE[:, 1:])),
    "transposed": (lambda x, w: x.mT @ w.sin().T.exp().T, (X, MORE)),
    "beside each other": (lambda x, w: torch.cat([x, w]) * torch.stack([x, w]).sum(), (X, MORE)),
    "mean": (lambda x: x.mean(0), (X,)),
    "sum": (lambda x: x.sum(1), (X,)),
    "variance": (lambda x: x.var(0, unbiased=False), (X,)),
    "cumulative sum": (lambda x: x.cumsum(1), (X,)),
    "expand": (lambda r: r.expand(2, 3) * 2, (ROW,)),
    "rows": (lambda w: w[ROWS], (X,)),
    "convolution": (
        lambda x, k: F.conv1d(x[:, None], k[None, None])[:, 0],
        (X, torch.tensor([2.0, -1.0], dtype=torch.float64)),
    ),
    "overlapping parts": (lambda x: x[:, :2] * x[:, 1:], (X,)),
    "residual": (lambda x: x + x.tanh(), (X,)),
    "used twice": (lambda x, w: (x @ w) * (x @ w.T), (SQUARE, MORE[:, 1:])),
    "used three times": (
        lambda x, w: torch.stack([h @ v for h in [x.sin()] for v in (w, w.T, w.sin())]).sum(0),
        (SQUARE, MORE[:, 1:]),
    ),
    "a layer": (lambda x, w, b: torch.tanh(x @ w + b), (X, MORE.T, ROW[:2])),
    "normalized": (lambda x: (x - x.mean(0)) / (x.var(0, unbiased=False) + 0.5).sqrt(), (X,)),
    "masked": (lambda x: x.masked_fill(X > 1, 0) * 3, (X,)),
    "log(1 + x^2)": (lambda x: (x * x).log1p(), (X,)),
    "bounded below": (lambda x: x.clamp_min(0.375), (X,)),
    "bounded above": (lambda x: x.clamp_max(1), (X,)),
    "hard tanh": (F.hardtanh, (X,)),
    "larger": (torch.maximum, (X, MORE)),
    "smaller": (torch.minimum, (X, MORE)),
    "largest": (lambda x: x.max(1).values + x.amax(1), (X,)),
    "smallest": (lambda x: x.amin(0), (X,)),
    "products along rows": (lambda x: x.prod(1), (X,)),
    "deviation": (lambda x: x.std(1), (X,)),
    "triangles": (lambda x: x.tril() * x.triu(), (SQUARE,)),
    "matrix and row": (torch.mv, (X, ROW)),
    "row and row": (torch.dot, (ROW, MORE[0])),
    "batch of matrices": (lambda x, w: x[None] @ w.t()[None], (X, MORE)),
    "inverse": (torch.linalg.inv, (SQUARE,)),
    "columns": (lambda x: x.index_select(1, ROWS), (X,)),
    "embedding": (lambda w: F.embedding(ROWS, w), (X,)),
    "an entry of each column": (lambda x: x.gather(0, ROWS[None]), (X,)),
    "entries": (lambda x: x.take(ROWS), (X,)),
    "windows": (lambda x: x.unfold(1, 2, 1) * 2, (X,)),
    "first and last row": (lambda x: x[0] * x[1], (X,)),
    "parts": (lambda x: x.split(2, 1)[0] * sum(x.unbind(1)[:2])[:, None], (X,)),
    "other shapes": (lambda x: x.view(3, 2)[None].squeeze(0).T.reshape(3, 2).sin(), (X,)),
    "copies": (lambda x: x.clone().float().double().flip(1) * x.detach(), (X,)),
    "constants": (lambda x: x * torch.tensor([[2.0], [0.5]], dtype=x.dtype), (X,)),
    "a copy": (lambda x: torch.ops.aten.alias(x).sin(), (X,)),
}


def all_changes(name: str) -> list[str]:
    """Of a function: its graph, its gradients, and each change with the gradients that it makes."""
    function, inputs = FUNCTIONS[name]
    point = dict(zip("xwb", inputs, strict=False))
    graph = Graph(lambda p: function(*p.values()), point)
    names = dict(zip(graph.inputs, graph.names, strict=True))
    tape = Tape(graph, point)
    dy = torch.arange(1.0, 1 + tape.values[graph.output].numel(), dtype=torch.float64)
    dy[1::3] *= -1

    def numbers(*made: Change) -> str:
        try:
            return plain(tape.backward(dy, *made))
        except Exception as error:  # noqa: BLE001 - a change has no meaning for some shapes
            return type(error).__name__

    lines = [
        f"   {expression(graph.output, names)}",
        f"   {' '.join(op(node) for node in graph.operations)}",
        f"   {numbers()}",
    ]
    for change in changes(graph, names):
        where = f"{op(change.node)} {change.k}"
        said = " | ".join(filter(None, (change.verdict, change.sentence, change.constant)))
        lines.append(f"{change.rank} {where}: {said}\n   {numbers(change)}")
    for some in uses(graph, names):
        said = " | ".join(dict.fromkeys(f"{each.verdict} | {each.sentence}" for each in some))
        lines.append(f"{some[0].rank} all uses: {said}\n   {numbers(*some)}")
    for node in graph.values:
        for words, other in _others(node, names):
            found = plain(Tape(graph, point, {node: other}).backward(dy))
            lines.append(f"other value: {words}\n   {found}")
    return lines


def plain(gradients: dict[str, Tensor]) -> str:
    """Numbers of four digits, by input."""
    return "; ".join(
        f"d{name} {' '.join(f'{value + 0.0:.4g}' for value in gradient.reshape(-1).tolist())}"
        for name, gradient in gradients.items()
    )


CLAMPS = {"clamp", "bounded below", "bounded above"}  # of torch 2.13, with a slope of 1 at a bound
SHEET = Sheet(Path(__file__).with_name("changes.txt"), FUNCTIONS, all_changes)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_changes_are_those_of_the_sheet(name: str) -> None:
    wanted = "\n".join(SHEET.parts()[name])
    if name in CLAMPS and torch.__version__ < TorchVersion("2.14"):
        at_output = "is taken at its output, where it belongs at its input\n   dx "
        wanted = re.sub(f"({at_output}).*", r"\g<1>1 -2 3 4 -5 6", wanted)
    assert "\n".join(all_changes(name)) == wanted


def test_what_a_reference_is_made_of() -> None:
    found, tell = list[frozenset[str] | None](), mutations.operations

    def forward(x: Tensor) -> Tensor:
        return F.log_softmax(x, 1).sin()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnosis, "operations", lambda fault: found.append(tell(fault)))
        check_gradients(forward, lambda dy, _: dy, MORE, forward)
    assert found == [frozenset({"log_softmax", "sin"})]


if __name__ == "__main__":
    SHEET.write()
