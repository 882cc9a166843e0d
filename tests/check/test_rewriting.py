"""The graph of a forward computes what forward does, whatever it is split into or put together."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name
from torch import Tensor

from tests.check.mistakes.row import tensor
from torch_ref.diagnosis.graph import Graph, Tape
from torch_ref.diagnosis.rewriting import op

X, W, Q = tensor(4, 6), tensor(6), tensor(2, 3, 4)
LABELS = torch.tensor([0, 5, 2, 2])
TRUE, WEIGHTS = (tensor(4, 6, seed=1) > 0).double(), tensor(4, 6, seed=2).abs()
IMAGES, CHANNELS = tensor(3, 4, 2, 2), tensor(4)
FLIPPED = torch.tensor([[0.0, 1, -1], [2, 0, 0.5], [-2, 1, 0]], dtype=torch.float64)
Function = Callable[..., Tensor]
SPLIT: dict[str, tuple[Function, tuple[Tensor, ...]]] = {
    "layer norm": (lambda x, w: F.layer_norm(x, (6,), w, w - 1, eps=0.1), (X, W)),
    "layer norm of two axes": (lambda x: F.layer_norm(x, (4, 2, 2)), (IMAGES,)),
    "batch norm": (
        lambda x, w: F.batch_norm(x, None, None, w, w - 1, training=True, eps=0.1),
        (IMAGES, CHANNELS),
    ),
    "batch norm with running statistics": (
        lambda x: F.batch_norm(x, CHANNELS, CHANNELS.abs(), eps=0.1),
        (IMAGES,),
    ),
    "group norm": (lambda x, w: F.group_norm(x, 2, w, w - 1, eps=0.1), (IMAGES, CHANNELS)),
    "attention": (lambda q, k: F.scaled_dot_product_attention(q, k, q - k), (Q, Q.flip(1))),
    "attention with a mask": (
        lambda q: F.scaled_dot_product_attention(q, q, q, attn_mask=FLIPPED),
        (Q,),
    ),
    "attention of heads": (
        lambda q, k: F.scaled_dot_product_attention(q, k, q - k),
        (Q[None], Q[None].flip(2)),
    ),
    "causal attention of heads": (
        lambda q: F.scaled_dot_product_attention(q, q.sin(), q, is_causal=True, scale=0.3),
        (Q[None],),
    ),
    "masked attention of heads": (
        lambda q: F.scaled_dot_product_attention(q, q, q, attn_mask=FLIPPED),
        (Q[None],),
    ),
    "causal attention": (
        lambda q: F.scaled_dot_product_attention(q, q.sin(), q, is_causal=True, scale=0.3),
        (Q,),
    ),
    "cross-entropy": (lambda x: F.cross_entropy(x, LABELS), (X,)),
    "cross-entropy, weighted": (lambda x, w: F.cross_entropy(x, LABELS, w.detach()), (X, W.abs())),
    "cross-entropy, one ignored": (lambda x: F.cross_entropy(x, LABELS, ignore_index=5), (X,)),
    "cross-entropy, weighted, one ignored": (
        lambda x, w: F.cross_entropy(x, LABELS, w.detach(), ignore_index=5),
        (X, W.abs()),
    ),
    "cross-entropy, summed": (lambda x: F.cross_entropy(x, LABELS, reduction="sum"), (X,)),
    "cross-entropy of each": (lambda x: F.cross_entropy(x, LABELS, reduction="none"), (X,)),
    "length": (torch.linalg.vector_norm, (X,)),
    "length of rows": (lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True), (X,)),
    "another length": (lambda x: torch.linalg.vector_norm(x, 3, dim=0), (X,)),
    "another length of rows": (
        lambda x: torch.linalg.vector_norm(x, 3, dim=1, keepdim=True),
        (X,),
    ),
    "squared error": (lambda x: F.mse_loss(x, x.sin().detach()), (X,)),
    "squared error, summed": (lambda x: F.mse_loss(x, x.sin(), reduction="sum"), (X,)),
    "squared error of each": (lambda x: F.mse_loss(x, x.sin(), reduction="none"), (X,)),
    "binary cross-entropy": (lambda x: F.binary_cross_entropy(x.sigmoid(), TRUE), (X,)),
    "binary cross-entropy, weighted": (
        lambda x: F.binary_cross_entropy(x.sigmoid(), TRUE, WEIGHTS, reduction="sum"),
        (X,),
    ),
    "silu": (F.silu, (X,)),
    "linear": (F.linear, (X, tensor(3, 6), tensor(3))),
    "scaled product": (lambda b, x, w: torch.addmm(b, x, w, beta=2, alpha=3), (W, X, tensor(6, 6))),
    "in place": (lambda x: (2 * x).sigmoid_() * 3, (X,)),
    "parts": (lambda x: x[:2] * x[2:, :] + x[:][:2] * x[1:3], (X,)),
    "two of a split": (lambda x: torch.cat([a.sin() for a in x.split(2)][::-1]), (X,)),
    "largest": (lambda x: x.max(1).values * x.amax(0).sum(), (X,)),
}
PUT_TOGETHER: dict[str, tuple[Function, str]] = {
    "sigmoid": (lambda x: 1 / (1 + torch.exp(-x)), "sigmoid mul"),
    "sigmoid, the sum turned": (lambda x: (torch.exp(-x) + 1).reciprocal(), "sigmoid"),
    "no sigmoid": (lambda x: 1 / (2 + torch.exp(-x)), "neg exp add reciprocal mul"),
    "no sigmoid either": (lambda x: 1 / (1 + torch.exp(x)), "exp add reciprocal mul"),
    "softmax": (lambda x: x.exp() / x.exp().sum(1, keepdim=True), "exp exp sum div"),
    "softmax of one exp": (lambda x: _shares(x, 1), "_softmax"),
    "softmax of columns": (lambda x: _shares(x, 0), "_softmax"),
    "no softmax": (lambda x: _shares(x, (0, 1)), "exp sum div"),
    "softmax, its sum unsqueezed": (lambda x: _over(x, lambda e: e.sum(1)[:, None]), "_softmax"),
    "softmax, its sum broadcast": (lambda x: _over(x, lambda e: e.sum(0)), "_softmax"),
    "softmax of the other end": (lambda x: _over(x, lambda e: e.sum(-2)), "_softmax"),
    "no softmax of the other axis": (
        lambda x: _over(x[:, :4], lambda e: e.sum(1)),
        "slice exp sum div",
    ),
    "no softmax turned": (
        lambda x: _over(x[:, :4], lambda e: e.sum(0)[:, None]),
        "slice exp sum unsqueeze div",
    ),
    "no softmax of all": (lambda x: _over(x, lambda e: e.sum()), "exp sum div"),
    "relu": (lambda x: torch.clamp_min(x, 0), "relu"),
    "relu by a maximum": (lambda x: torch.maximum(torch.tensor(0.0).double(), x), "relu"),
    "no relu": (lambda x: torch.clamp_min(x, 1), "clamp_min"),
    "softplus": (lambda x: torch.log1p(x.exp()), "softplus"),
    "softplus by a log": (lambda x: torch.log(1 + x.exp()), "softplus"),
    "no softplus": (lambda x: torch.log(2 + x.exp()), "exp add log"),
    "logsumexp": (lambda x: x.exp().sum(1).log(), "logsumexp"),
    "logsumexp, kept": (lambda x: x.exp().sum(0, keepdim=True).log(), "logsumexp"),
    "the log of all": (lambda x: x.exp().sum().log(), "exp sum log"),
    "the log of a sum": (lambda x: x.abs().sum(1).log(), "abs sum log"),
    "a constant": (lambda x: x * torch.tensor(3.0), "mul"),
    "constants": (lambda x: x * torch.tensor([[3.0], [1.0], [2.0], [4.0]]), "mul"),
    "every second row": (lambda x: x[::2] * 3, "slice mul"),
    "the first rows": (lambda x: x[:3] * 3, "slice mul"),
    "a copied constant": (lambda x: x + torch.tensor(3.0).clone(), "add"),
    "a constant in float64": (lambda x: x - torch.tensor(3.0).double(), "sub"),
    "a full constant": (lambda x: x + torch.full((), 3.0), "add"),
    "a scalar tensor": (lambda x: x ** torch.scalar_tensor(3.0), "pow"),
    "a renamed constant": (lambda x: x ** torch.ops.aten.alias(torch.tensor(3.0)), "pow"),
    "a power": (lambda x: x ** torch.tensor(3.0), "pow"),
}


def _shares(x: Tensor, axes: int | tuple[int, ...]) -> Tensor:
    power = x.exp()
    return power / power.sum(axes, keepdim=True)


def _over(x: Tensor, total: Function) -> Tensor:
    power = x.exp()
    return power / total(power)


def check(function: Function, inputs: tuple[Tensor, ...]) -> list[str]:
    """The graph's value and gradients are torch's. Its operations."""
    point = {str(i): x for i, x in enumerate(inputs)}
    graph = Graph(lambda p: function(*p.values()), point)
    tape = Tape(graph, point)
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = function(*leaves)
    dy = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).reshape(y.shape)
    right = torch.autograd.grad(y, leaves, dy, materialize_grads=True)
    torch.testing.assert_close(tape.values[graph.output].reshape(y.shape), y.detach())
    for mine, torchs in zip(tape.backward(dy).values(), right, strict=True):
        torch.testing.assert_close(mine, torchs)
    return [op(node) for node in graph.operations]


@pytest.mark.parametrize("name", SPLIT)
def test_what_is_split_computes_the_same(name: str) -> None:
    operations = check(*SPLIT[name])
    whole = {"silu", "addmm", "mse_loss", "binary_cross_entropy", "linalg_vector_norm"}
    assert not whole & set(operations)
    assert not any(each.startswith(("native_", "nll_", "_scaled")) for each in operations)


@pytest.mark.parametrize("name", PUT_TOGETHER)
def test_what_is_put_together_computes_the_same(name: str) -> None:
    function, operations = PUT_TOGETHER[name]
    assert " ".join(check(function, (X,))) == operations
