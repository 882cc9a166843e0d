"""Where floats end: what torch gives is given, and never a nan of our own; what no loss or network
can take is refused.
"""

import math

import pytest
import torch
from torch import Tensor

from manual.activations import Softmax
from manual.losses import CrossEntropyLoss, Loss
from manual.network import Network
from tests.cases import ACTIVATIONS, LOSSES, both_dtypes, each_device, needs_cuda
from torch_ref.cases import random, spec_of
from torch_ref.twins import twin

# The last three are subnormal or next to it in float32, and so in float64.
NUMBERS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    20.0,
    40.0,
    -40.0,
    88.0,
    89.0,
    -104.0,
    710.0,
    -746.0,
    1e4,
    -1e4,
    math.inf,
    -math.inf,
    math.nan,
]
SUBNORMAL = {torch.float32: [1e-38, 1e-40, -1e-45], torch.float64: [1e-308, 1e-310, -5e-324]}


def assert_same_kind(actual: Tensor, expected: Tensor, k: float = 4) -> None:
    """A nan where torch has one, the same infinities, and finite numbers within k eps of torch's or
    of the smallest normal.
    """
    assert torch.equal(actual.isnan(), expected.isnan()), (actual, expected)
    infinite = expected.isinf()
    assert torch.equal(actual.isinf(), infinite), (actual, expected)
    assert torch.equal(actual[infinite], expected[infinite]), (actual, expected)
    finite = expected.isfinite()
    a, e, info = actual[finite], expected[finite], torch.finfo(expected.dtype)
    assert ((a - e).abs() <= k * info.eps * e.abs().clamp_min(info.tiny)).all(), (a, e)


def numbers(dtype: torch.dtype, device: str) -> Tensor:
    """(n, 1): a row for each."""
    return torch.tensor([NUMBERS + SUBNORMAL[dtype]], dtype=dtype, device=device).T.contiguous()


@each_device
@both_dtypes
# not 1e30: there torch's softplus multiplies by e^z before it divides, and overflows where ours
# does not
@pytest.mark.parametrize("upstream", [1.0, -1e-30, 1e15, 0.0])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_as_torch(name: str, upstream: float, dtype: torch.dtype, device: str) -> None:
    f = ACTIVATIONS[name]()
    column = numbers(dtype, device)
    # each number alone, beside an ordinary one, and beside every other one
    rows = [
        column,
        torch.cat([column, torch.ones_like(column)], dim=1),
        torch.cartesian_prod(column[:, 0], column[:, 0]),
    ]
    for z in rows:
        leaf = z.clone().requires_grad_()
        expected = twin(f)(leaf)
        dy = torch.full_like(z, upstream)
        dy[:, -1] *= 0.5  # not uniform: under such a dy softmax has a gradient of 0
        expected.backward(dy)
        y = f.forward(z)
        assert_same_kind(y, expected.detach())
        assert leaf.grad is not None
        if isinstance(f, Softmax):  # whose terms cancel
            assert torch.equal(f.backward(dy.clone(), z, y).isnan(), leaf.grad.isnan())
            finite = leaf.grad.isfinite()
            error = (f.backward(dy.clone(), z, y) - leaf.grad)[finite].abs()
            assert (error <= 4 * torch.finfo(dtype).eps * abs(upstream)).all()
        else:
            assert_same_kind(f.backward(dy.clone(), z, y), leaf.grad)


@each_device
@both_dtypes
@pytest.mark.parametrize("name", LOSSES)
def test_loss_as_torch(name: str, dtype: torch.dtype, device: str) -> None:
    loss = LOSSES[name]()
    if loss.of_probabilities:
        values = torch.tensor(
            [0.0, 1.0, 0.5, *map(abs, SUBNORMAL[dtype])], dtype=dtype, device=device
        )
    else:
        values = numbers(dtype, device)[:, 0]
    for row in torch.cartesian_prod(values, values):
        for label in (0, 1):
            y = row[None]
            leaf = y.clone().requires_grad_()
            t = loss.targets(torch.tensor([label], device=device), 2, dtype)
            expected = twin(loss)(leaf, t)
            expected.backward()
            div, dy = loss(y, t)
            assert leaf.grad is not None
            assert_same_kind(div, expected.detach())
            if isinstance(loss, CrossEntropyLoss):  # p - t, which cancels
                assert torch.equal(dy.isnan(), leaf.grad.isnan()), (y, t)
                assert ((dy - leaf.grad).abs().nan_to_num() <= 2 * torch.finfo(dtype).eps).all(), (
                    y,
                    t,
                )
            else:
                assert_same_kind(dy, leaf.grad)


@both_dtypes
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_saturated_network_has_a_finite_gradient(activation: str, dtype: torch.dtype) -> None:
    network = Network(spec_of((4, 3, 2), activation), dtype=dtype)
    network.parameters.theta.mul_(1e4)
    loss = LOSSES["mse"]()
    tape = network.forward(random((5, 4), dtype, seed=1))
    _, dy = loss(tape.output, torch.zeros(5, 2, dtype=dtype))
    assert network.input_gradient(dy, tape).isfinite().all()
    assert network.parameters.grad.isfinite().all()


ONE_HOT = [loss() for loss in LOSSES.values() if loss is not CrossEntropyLoss]
MISMATCHED: list[tuple[Tensor, Tensor, str]] = [
    (torch.zeros(3, 1), torch.zeros(3), r"\(3, 1\).*\(3,\)"),
    (torch.zeros(3), torch.zeros(3, 1), r"\(3,\).*\(3, 1\)"),
    (torch.zeros(3), torch.zeros(3), r"\(3,\).*must have one shape \(B, C\)"),
    (torch.zeros(()), torch.zeros(()), r"\(\).*must have one shape \(B, C\)"),
    (torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), r"\(2, 3, 4\).*must have one shape \(B, C\)"),
    (torch.zeros(3, 2), torch.zeros(2, 3), r"\(3, 2\).*\(2, 3\)"),
    (torch.zeros(1, 4), torch.zeros(3, 4), r"\(1, 4\).*\(3, 4\)"),
    (torch.zeros(0, 4), torch.zeros(0, 4), r"\(0, 4\).*B at least 1"),
    (
        torch.zeros(3, 2),
        torch.zeros(3, 2, dtype=torch.float64),
        r"torch.float32.*torch.float64.*one dtype",
    ),
    (
        torch.zeros(3, 2),
        torch.zeros(3, 2, dtype=torch.int64),
        r"torch.float32.*torch.int64.*one dtype",
    ),
]


@pytest.mark.parametrize("loss", ONE_HOT, ids=lambda loss: loss.name)
@pytest.mark.parametrize(("y", "t", "named"), MISMATCHED, ids=[named for _, _, named in MISMATCHED])
def test_loss_refuses_what_does_not_match(loss: Loss, y: Tensor, t: Tensor, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        loss(y, t)


LABELS = torch.zeros(3, dtype=torch.int64)
NOT_LABELS: list[tuple[Tensor, Tensor, type[Exception], str]] = [
    (torch.zeros(3, 4), LABELS[:2], ValueError, r"\(3, 4\).*\(2,\).*must be \(B, C\) and \(B,\)"),
    (torch.zeros(3, 4), torch.zeros(3, 4), ValueError, r"\(3, 4\).*\(3, 4\)"),
    (torch.zeros(3), LABELS, ValueError, r"\(3,\).*must be \(B, C\)"),
    (torch.zeros(3, 4, 5), LABELS, ValueError, r"\(3, 4, 5\).*must be \(B, C\)"),
    (torch.zeros(0, 4), LABELS[:0], ValueError, "B at least 1"),
    (torch.zeros(3, 4), LABELS.float(), ValueError, r"torch.float32.*torch.int64"),
    (torch.zeros(3, 4), LABELS.int(), ValueError, r"torch.int32.*torch.int64"),
    (torch.zeros(3, 4), LABELS.bool(), ValueError, r"torch.bool.*torch.int64"),
    (
        torch.zeros(3, 4),
        LABELS + 4,
        IndexError,
        "label 4 is out of range: with 4 classes labels are 0 to 3",
    ),
    (torch.zeros(3, 4), torch.tensor([0, 3, -1]), IndexError, "label -1 is out of range"),
    # torch's ignore_index
    (torch.zeros(3, 4), LABELS - 100, IndexError, "label -100 is out of range"),
]


@pytest.mark.parametrize(
    ("y", "t", "error", "named"), NOT_LABELS, ids=[named for _, _, _, named in NOT_LABELS]
)
def test_cross_entropy_refuses_what_are_no_labels(
    y: Tensor, t: Tensor, error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        CrossEntropyLoss()(y, t)


@needs_cuda
def test_cross_entropy_refuses_labels_on_another_device() -> None:
    with pytest.raises(RuntimeError, match="cuda:0"):  # torch's own words
        CrossEntropyLoss()(torch.zeros(3, 4, device="cuda"), LABELS)


@each_device
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("labels", "error", "named"),
    [
        (LABELS + 10, IndexError, "label 10 is out of range: with 10 classes labels are 0 to 9"),
        (LABELS - 1, IndexError, "label -1"),
        (LABELS.float(), ValueError, "torch.float32 must be"),
        (LABELS.to(torch.uint8), ValueError, "torch.uint8 must be"),
        (LABELS[:, None], ValueError, r"\(3, 1\)"),
    ],
)
def test_targets_refuse_what_are_no_labels(
    name: str, labels: Tensor, error: type[Exception], named: str, device: str
) -> None:
    with pytest.raises(error, match=named):
        LOSSES[name]().targets(labels.to(device), 10, torch.float32)


UNFIT: list[tuple[Tensor, str]] = [
    (torch.zeros(3, 5), r"input \(3, 5\) of torch.float32 must be \(B, 4\)"),
    (torch.zeros(4), r"input \(4,\)"),
    (torch.zeros(3, 4, 1), r"input \(3, 4, 1\)"),
    (torch.zeros(0, 4), "with B at least 1"),
    (torch.zeros(3, 4, dtype=torch.float64), "of torch.float64 must be .* of torch.float32"),
    (torch.zeros(3, 4, dtype=torch.uint8), "of torch.uint8 must be .* of torch.float32"),
]


@pytest.mark.parametrize("call", ["forward", "predict"])
@pytest.mark.parametrize(("x", "named"), UNFIT, ids=[named for _, named in UNFIT])
def test_network_refuses_an_input(x: Tensor, named: str, call: str) -> None:
    network = Network(spec_of((4, 3, 2), "sigmoid"))
    with pytest.raises(ValueError, match=named):
        getattr(network, call)(x)
    getattr(network, call)(torch.zeros(3, 4))
