"""Each operation by itself against autograd. Shapes: B batch, C classes or outputs."""

import pytest
import torch

from manual.activations import Softmax
from manual.layers import Linear
from tests.cases import ACTIVATIONS, DTYPES, LOSSES, assert_within, budget, random, random_targets
from torch_ref.compare import compare
from torch_ref.twins import twin

SHAPES = [(1, 1), (1, 10), (2, 3), (7, 30), (10, 10), (128, 100)]
both_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
one_and_two_threads = pytest.mark.parametrize("threads", [1, 2], indirect=True)


@one_and_two_threads
@both_dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_against_autograd(name: str, shape: tuple[int, int], dtype: torch.dtype) -> None:
    f = ACTIVATIONS[name]()
    z = (3 * random(shape, dtype, seed=1)).requires_grad_()
    dy = random(shape, dtype, seed=2)
    expected = twin(f)(z)
    expected.backward(dy)
    assert z.grad is not None
    y = f.forward(z.detach())
    assert_within(compare(y, expected.detach()), budget(f), expected.detach())
    dz = f.backward(dy.clone(), z.detach(), y)
    assert_within(compare(dz, z.grad), budget(f), dy)


@both_dtypes
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_writes_where_it_says(name: str, dtype: torch.dtype) -> None:
    f = ACTIVATIONS[name]()
    z, dy = random((7, 5), dtype, seed=1), random((7, 5), dtype, seed=2)
    y = f.forward(z)
    dz = f.backward(dy.clone(), z, y)
    assert torch.equal(f.forward(z, out=torch.empty_like(z)), y)
    assert torch.equal(z, random((7, 5), dtype, seed=1)), "neither pass changes z when y has a place of its own"
    if f.derivative_from_y:  # y may stand in z's place, and then backward sees y for both
        over = f.forward(z, out=z)
        assert torch.equal(over, y)
        assert torch.equal(f.backward(dy.clone(), over, over), dz)
        assert torch.equal(over, y), "backward leaves y alone"


@both_dtypes
def test_softmax_jacobian(dtype: torch.dtype) -> None:
    """o_i (1 - o_i) and -o_i o_j, against autograd's Jacobian and against the backward pass that never forms it."""
    f = Softmax()
    z, dy = random((4, 5), dtype, seed=1), random((4, 5), dtype, seed=2)
    y = f.forward(z)
    jacobian = f.jacobian(y)
    assert torch.equal(jacobian[2, 1, 1], y[2, 1] - y[2, 1] * y[2, 1])
    assert torch.equal(jacobian[2, 1, 3], -y[2, 1] * y[2, 3])
    for row in range(4):
        expected = torch.autograd.functional.jacobian(lambda v: torch.softmax(v, dim=0), z[row])
        assert_within(compare(jacobian[row], expected), budget(f), y)
    by_jacobian = torch.einsum("bij,bi->bj", jacobian, dy)
    assert_within(compare(f.backward(dy.clone(), z, y), by_jacobian), budget(f), dy)


@one_and_two_threads
@both_dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_loss_against_autograd(name: str, shape: tuple[int, int], dtype: torch.dtype) -> None:
    loss = LOSSES[name]()
    y = random(shape, dtype, seed=1).requires_grad_()
    t = random_targets(loss, *shape, dtype, seed=2)
    expected = twin(loss)(y, t)
    expected.backward()
    assert y.grad is not None
    div, dy = loss(y.detach(), t)
    assert_within(compare(div, expected.detach()), budget(loss), expected.detach())
    assert_within(compare(dy, y.grad), budget(loss), torch.full_like(dy, 1 / shape[0]))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shapes", [((3, 1), (3,)), ((3, 2), (2, 3)), ((0, 4), (0, 4)), ((3,), (3, 1))], ids=str)
def test_loss_refuses_shapes_that_torch_would_broadcast(name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    loss = LOSSES[name]()
    y, t = torch.zeros(shapes[0]), torch.zeros(shapes[1])
    if loss.of_logits and shapes == ((3, 1), (3,)):
        return  # labels (B,) are what it takes
    with pytest.raises(ValueError, match=rf"\({shapes[0][0]},.*must"):
        loss(y, t)


@pytest.mark.parametrize("scale", [1e4, -1e4])
@both_dtypes
def test_cross_entropy_is_finite_at_large_logits(scale: float, dtype: torch.dtype) -> None:
    loss = LOSSES["cross-entropy"]()
    y = (scale * torch.eye(4, dtype=dtype)).requires_grad_()
    t = torch.tensor([0, 1, 0, 3])
    expected = twin(loss)(y, t)
    expected.backward()
    assert y.grad is not None
    div, dy = loss(y.detach(), t)
    assert div.isfinite()
    assert dy.isfinite().all()
    assert torch.equal(div, expected.detach())
    assert_within(compare(dy, y.grad), budget(loss), torch.full_like(dy, 1 / 4))


@one_and_two_threads
@both_dtypes
@pytest.mark.parametrize("batch", [1, 2, 7, 10, 128])
@pytest.mark.parametrize("sizes", [(784, 30), (30, 10), (1, 4), (13, 2), (5, 5)], ids=str)
def test_linear_against_autograd(sizes: tuple[int, int], batch: int, dtype: torch.dtype) -> None:
    inputs, outputs = sizes
    reference = torch.nn.Linear(inputs, outputs, dtype=dtype)
    weight = reference.weight.detach()
    layer = Linear(weight.T, reference.bias.detach(), torch.empty_like(weight).T, torch.empty(outputs, dtype=dtype))
    x = random((batch, inputs), dtype, seed=1).requires_grad_()
    dz = random((batch, outputs), dtype, seed=2)
    expected = reference(x)
    expected.backward(dz)
    z, saved = layer.forward(x.detach())
    layer.backward(dz, saved)
    pairs = [(z, expected.detach()), (layer.dw.T, reference.weight.grad), (layer.db, reference.bias.grad)]
    pairs.append((layer.input_gradient(dz, saved), x.grad))
    for actual, of_torch in pairs:
        assert of_torch is not None
        assert torch.equal(actual, of_torch)
