"""Whole networks against nn.Sequential and autograd, and what a network promises about its tapes
and parameters.
"""

from itertools import pairwise

import pytest
import torch

from manual.layers import Linear
from manual.losses import Loss
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from manual.parameters import ALIGNMENT
from tests.cases import (
    ACTIVATIONS,
    INITIALIZERS,
    LOSSES,
    assert_within,
    both_dtypes,
    count,
    each_device,
    fits,
    one_and_two_threads,
)
from torch_ref.budgets import gradient_terms, network_budget
from torch_ref.cases import BATCHES, random, spec_of
from torch_ref.model import build, copy_to_network
from torch_ref.results import of_network
from torch_ref.twins import twin_initializer

LARGE = [(784, 30, 10), (784, 35, 17, 10)]
SMALL = [(5, 4, 3), (3, 1, 2), (4, 1), (1, 1), (20, 64, 33, 7, 10)]
MIXED = [*((name,) for name in ACTIVATIONS), ("tanh", "sigmoid"), ("relu", "softplus", "softmax")]


def check_against_autograd(network: Network, loss: Loss, batch: int) -> None:
    """The gradient of every parameter, and that of x, for one random batch."""
    k = network_budget(network, loss, batch)
    for name, by_hand, in_torch, terms in of_network(network, loss, batch):
        assert_within(by_hand, in_torch, k, terms, (network.spec, batch, name))


def check_sizes_against_autograd(
    activations: tuple[str, ...],
    loss: Loss,
    dtype: torch.dtype,
    device: str,
    all_sizes: list[tuple[int, ...]],
) -> None:
    for sizes in all_sizes:
        spec = spec_of(sizes, *activations)
        if not fits(loss, spec.activations[-1]):
            spec = NetworkSpec(sizes, (*spec.activations[:-1], "sigmoid"), "default")
        network = Network(spec, device=device, dtype=dtype)
        for batch in BATCHES:
            check_against_autograd(network, loss, batch)


@each_device
@both_dtypes
@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("activations", MIXED, ids="-".join)
def test_gradient_against_autograd(
    activations: tuple[str, ...], loss_name: str, dtype: torch.dtype, device: str
) -> None:
    check_sizes_against_autograd(activations, LOSSES[loss_name](), dtype, device, SMALL)


@one_and_two_threads
@each_device
@both_dtypes
@pytest.mark.parametrize("loss_name", ["half-squared", "cross-entropy"])
@pytest.mark.parametrize("activations", MIXED, ids="-".join)
def test_gradient_of_a_large_network(
    activations: tuple[str, ...], loss_name: str, dtype: torch.dtype, device: str
) -> None:
    check_sizes_against_autograd(activations, LOSSES[loss_name](), dtype, device, LARGE)


@both_dtypes
def test_batch_gradient_is_the_mean_over_the_slides_own_loop(dtype: torch.dtype) -> None:
    """Slide "Training by BackProp": for all t, dErr/dw += dDiv(Y_t, d_t)/dw; the update takes 1/T
    of it.
    """
    network = Network(spec_of((8, 6, 4), "sigmoid"), dtype=dtype)
    loss = LOSSES["half-squared"]()
    x, d = random((10, 8), dtype, seed=1), random((10, 4), dtype, seed=2)
    err = torch.zeros_like(network.parameters.grad)
    for sample in range(10):
        tape = network.forward(x[sample : sample + 1])
        _, dy = loss(tape.output, d[sample : sample + 1])
        err += network.backward(dy, tape)
    tape = network.forward(x)
    _, dy = loss(tape.output, d)
    terms = gradient_terms(network, tape, dy.abs())
    network.backward(dy, tape)
    mean = Network(network.spec, dtype=dtype)
    mean.parameters.grad.copy_(err / 10)
    for name, gradient in network.parameters.gradients.items():
        # sums of 10 products, rounded in different places: at most one unit a term
        error = (gradient - mean.parameters.gradients[name]).abs().max()
        assert error <= 10 * torch.finfo(dtype).eps * terms[name].max()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward_twice_then_backward_on_the_first_tape(activation: str) -> None:
    network = Network(spec_of((6, 5, 4), activation))
    x, dy = random((7, 6), torch.float32, seed=1), random((7, 4), torch.float32, seed=2)
    expected = network.backward(dy, network.forward(x)).clone()
    first = network.forward(x)
    network.forward(random((7, 6), torch.float32, seed=3))
    assert torch.equal(network.backward(dy, first), expected)
    assert torch.equal(network.backward(dy, first), expected), "a tape is not used up"
    assert torch.equal(network.predict(x), first.output)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_tape_keeps_z(activation: str) -> None:
    network = Network(spec_of((6, 5, 4), activation))
    x = random((7, 6), torch.float32, seed=1)
    tape = network.forward(x)
    layer = network.layers[0][0]
    assert isinstance(layer, Linear)
    assert layer.b is not None
    assert torch.equal(tape.z[1], torch.addmm(layer.b, x, layer.w))
    assert torch.equal(tape.z[2], network.layers[1][0].forward(tape.y[1])[0])


@both_dtypes
@pytest.mark.parametrize("sizes", LARGE + SMALL, ids=str)
def test_parameters_are_aligned_views_of_theta_with_zero_gaps(
    sizes: tuple[int, ...], dtype: torch.dtype
) -> None:
    network = Network(spec_of(sizes, "sigmoid"), dtype=dtype)
    parameters = network.parameters
    for views in (parameters.values, parameters.gradients):
        assert all(view.data_ptr() % ALIGNMENT == 0 for view in views.values())
    assert count(parameters) == sum(
        inputs * outputs + outputs for inputs, outputs in pairwise(sizes)
    )
    tape = network.forward(random((7, sizes[0]), dtype, seed=1))
    network.backward(random((7, sizes[-1]), dtype, seed=2), tape)
    SGD(lr=0.1).step(parameters.theta, parameters.grad)
    for flat, views in (
        (parameters.theta, parameters.values),
        (parameters.grad, parameters.gradients),
    ):
        gaps = flat.clone()
        for view in views.values():
            start = (view.data_ptr() - flat.data_ptr()) // dtype.itemsize
            gaps[start : start + view.numel()] = 0
        assert not gaps.any()


@both_dtypes
@pytest.mark.parametrize("name", INITIALIZERS)
def test_initial_values_are_those_of_torch(name: str, dtype: torch.dtype) -> None:
    network = Network(spec_of((17, 9, 4), "sigmoid", initializer=name), seed=5, dtype=dtype)
    generator = torch.Generator().manual_seed(5)
    for k, (inputs, outputs) in enumerate([(17, 9), (9, 4)], start=1):
        layer = torch.nn.Linear(inputs, outputs, dtype=dtype)
        twin_initializer(INITIALIZERS[name](), layer, generator)
        assert torch.equal(network.parameters.values[f"w{k}"].T, layer.weight.detach())
        assert torch.equal(network.parameters.values[f"b{k}"], layer.bias.detach())


def test_default_initializer_is_that_of_nn_linear() -> None:
    torch.manual_seed(5)
    layer = torch.nn.Linear(17, 9)
    network = Network(spec_of((17, 9), "sigmoid"), seed=5)
    assert torch.equal(network.parameters.values["w1"].T, layer.weight.detach())
    assert torch.equal(network.parameters.values["b1"], layer.bias.detach())


def test_parameters_are_copied_either_way() -> None:
    network = Network(spec_of((6, 5, 4), "sigmoid"), seed=1)
    other = Network(network.spec, seed=2)
    model = build(network)
    copy_to_network(model, other)
    assert torch.equal(other.parameters.theta, network.parameters.theta)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    assert torch.equal(other.parameters.theta, network.parameters.theta), "copies, not views"


@pytest.mark.parametrize(
    ("sizes", "activations", "initializer", "message"),
    [
        ((784,), (), "normal", "sizes"),
        ((784, 0, 10), ("sigmoid", "sigmoid"), "normal", "784, 0, 10"),
        ((784, True), ("sigmoid",), "normal", "sizes"),
        ((784, 30, 10), ("sigmoid",), "normal", "one for each of 2"),
        ((784, 10), ("sigmond",), "normal", "'sigmond' is unknown; choose from identity, sigmoid"),
        ((784, 10), ("sigmoid",), "norm", "'norm' is unknown; choose from normal"),
    ],
)
def test_spec_refuses(
    sizes: tuple[int, ...], activations: tuple[str, ...], initializer: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkSpec(sizes, activations, initializer)
