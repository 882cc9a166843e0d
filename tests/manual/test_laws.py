"""What holds of every network, whatever its numbers, on random ones. Shapes: B batch, C classes or
outputs, P parameters.
"""

from dataclasses import dataclass

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from manual.activations import Softmax
from manual.losses import CrossEntropyLoss, Loss
from manual.network import Network, NetworkSpec
from tests.cases import ACTIVATIONS, LOSSES, fits
from tests.manual.test_network import check_against_autograd
from torch_ref.cases import random, random_targets
from torch_ref.model import build, pairs
from torch_ref.twins import twin

F64 = torch.float64
EPS = torch.finfo(F64).eps
modest = settings(deadline=None, derandomize=True, max_examples=150)


@dataclass
class Problem:
    """A network with a loss and a batch: x (B, I), t (B, C) or labels (B,)."""

    network: Network
    loss: Loss
    x: Tensor
    t: Tensor

    def gradient(self, x: Tensor, t: Tensor) -> Tensor:
        """grad (P,), a copy."""
        tape = self.network.forward(x)
        _, dy = self.loss(tape.output, t)
        return self.network.backward(dy, tape).clone()


@st.composite
def problems(draw: st.DrawFn, dtype: torch.dtype = F64, *, smooth: bool = False) -> Problem:
    """Depths 1 to 5, widths 1 to 64, any activation in any layer that the loss allows."""
    sizes = tuple(draw(st.lists(st.integers(1, 64), min_size=2, max_size=6)))
    loss = LOSSES[draw(st.sampled_from(sorted(LOSSES)))]()
    names = [name for name, f in ACTIVATIONS.items() if not (smooth and f.kinks)]
    hidden = [draw(st.sampled_from(names)) for _ in sizes[2:]]
    last = draw(st.sampled_from([name for name in names if fits(loss, name)]))
    network = Network(
        NetworkSpec(sizes, (*hidden, last), "default"),
        seed=draw(st.integers(0, 2**32 - 1)),
        dtype=dtype,
    )
    batch, seed = draw(st.integers(1, 16)), draw(st.integers(0, 2**32 - 1))
    x = random((batch, sizes[0]), dtype, seed)
    return Problem(
        network,
        loss,
        x,
        random_targets(loss, (batch, sizes[-1]), dtype, seed, soft=draw(st.booleans())),
    )


def assert_near(actual: Tensor, expected: Tensor, k: float = 1000) -> None:
    """Within k eps of the largest entry, or of 1e-3 where all cancel: sums in another order,
    through up to five layers.
    """
    error = (actual - expected).abs().max()
    assert error <= k * EPS * max(expected.abs().max().item(), 1e-3), (
        error / EPS,
        expected.abs().max(),
    )


@modest
@given(problems(), st.sampled_from([1, 2, 7, 33]))
def test_manual_network_is_torchs(problem: Problem, batch: int) -> None:
    check_against_autograd(problem.network, problem.loss, batch)


@modest
@given(problems(torch.float32), st.sampled_from([1, 2, 7, 33]))
def test_manual_network_is_torchs_in_float32(problem: Problem, batch: int) -> None:
    check_against_autograd(problem.network, problem.loss, batch)


@modest
@given(problems(), st.integers(0, 2**32 - 1))
def test_adjoint_identity(problem: Problem, seed: int) -> None:
    """<v, J u> = <J^T v, u>: J^T v by our backward pass; J u by autograd, as the derivative of <J^T
    w, u> with respect to w.
    """
    network, model = problem.network, build(problem.network)
    leaves = [problem.x.clone().requires_grad_(), *model.parameters()]
    u = [random(tuple(leaf.shape), F64, seed + i) for i, leaf in enumerate(leaves)]
    y = model(leaves[0])
    w = torch.zeros_like(y).requires_grad_()
    j_t_w = torch.autograd.grad(y, leaves, w, create_graph=True)
    (j_u,) = torch.autograd.grad(j_t_w, w, u)
    v = random(tuple(y.shape), F64, seed + 100)
    tape = network.forward(problem.x)
    dx = network.input_gradient(v.clone(), tape)
    gradients = [
        dx,
        *(network.parameters.gradients[name].t() for name, _, _ in pairs(network, model)),
    ]
    products = torch.cat(
        [(gradient * direction).flatten() for gradient, direction in zip(gradients, u, strict=True)]
    )
    assert abs(products.sum() - (v * j_u).sum()) <= 1000 * EPS * (
        products.abs().sum() + (v * j_u).abs().sum()
    )


@modest
@given(problems(), st.integers(0, 2**32 - 1))
def test_order_of_a_batch_does_not_matter(problem: Problem, seed: int) -> None:
    order = torch.randperm(len(problem.x), generator=torch.Generator().manual_seed(seed))
    assert_near(
        problem.gradient(problem.x[order], problem.t[order]), problem.gradient(problem.x, problem.t)
    )


@modest
@given(problems(), st.integers(2, 4))
def test_a_batch_repeated_has_the_same_mean_gradient(problem: Problem, times: int) -> None:
    x, t = torch.cat([problem.x] * times), torch.cat([problem.t] * times)
    assert_near(problem.gradient(x, t), problem.gradient(problem.x, problem.t))


@modest
@given(problems())
def test_gradient_of_a_batch_is_the_mean_of_its_samples(problem: Problem) -> None:
    samples = [
        problem.gradient(problem.x[i : i + 1], problem.t[i : i + 1]) for i in range(len(problem.x))
    ]
    assert_near(problem.gradient(problem.x, problem.t), torch.stack(samples).mean(dim=0))


@modest
@given(problems(), st.integers(0, 2**32 - 1))
def test_gradient_of_a_sum_is_the_sum_of_gradients(problem: Problem, seed: int) -> None:
    """backward is linear in dDiv/dy."""
    network = problem.network
    tape = network.forward(problem.x)
    a, b = random((2, *tape.output.shape), F64, seed)
    of_a, of_b = (
        network.backward(a.clone(), tape).clone(),
        network.backward(b.clone(), tape).clone(),
    )
    assert_near(network.backward(2 * a - b, tape), 2 * of_a - of_b)


@modest
@given(problems(smooth=True), st.integers(0, 2**32 - 1))
def test_slope_of_the_loss_along_a_direction(problem: Problem, seed: int) -> None:
    """<grad, u> = (Div(theta + h u) - Div(theta - h u)) / 2h."""
    theta, h = problem.network.parameters.theta, 1e-6
    grad, u = problem.gradient(problem.x, problem.t), random(tuple(theta.shape), F64, seed)
    u[problem.network.parameters.theta == 0] = 0  # the gaps

    def div(step: float) -> float:
        theta.add_(u, alpha=step)
        value, _ = problem.loss(problem.network.predict(problem.x), problem.t)
        theta.sub_(u, alpha=step)
        return value.item()

    size = (grad * u).abs().sum().item() + abs(div(0))
    assert abs((div(h) - div(-h)) / (2 * h) - (grad @ u).item()) <= 1e-6 * size + 1e-9


shapes = st.tuples(st.integers(1, 32), st.integers(1, 32))


@modest
@given(shapes, st.integers(0, 2**32 - 1), st.floats(-500, 500))
def test_softmax_ignores_a_shift_and_its_gradient_sums_to_zero(
    shape: tuple[int, int], seed: int, shift: float
) -> None:
    f, z = Softmax(), random(shape, F64, seed)
    y = f.forward(z)
    assert (f.forward(z + shift) - y).abs().max() <= 4 * EPS * (1 + abs(shift))
    assert (y.sum(dim=1) - 1).abs().max() <= 4 * EPS
    dy = random(shape, F64, seed + 1)
    assert f.backward(dy.clone(), z, y).sum(dim=1).abs().max() <= 8 * EPS * dy.abs().max()


@modest
@given(shapes, st.integers(0, 2**32 - 1))
def test_rows_of_cross_entropys_gradient_sum_to_zero(shape: tuple[int, int], seed: int) -> None:
    loss = CrossEntropyLoss()
    div, dy = loss(random(shape, F64, seed), random_targets(loss, shape, F64, seed))
    assert div >= 0
    assert dy.sum(dim=1).abs().max() <= 4 * EPS


@modest
@given(problems())
def test_a_loss_is_never_negative_and_the_gradient_finite(problem: Problem) -> None:
    div, _ = problem.loss(problem.network.forward(problem.x).output, problem.t)
    assert div >= 0
    assert torch.allclose(
        div,
        twin(problem.loss)(problem.network.predict(problem.x), problem.t),
        rtol=1e-12,
        atol=1e-15,
    )
    assert problem.gradient(problem.x, problem.t).isfinite().all()
