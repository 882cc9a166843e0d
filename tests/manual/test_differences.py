"""Finite differences against known derivatives, and every hand-written gradient against finite
differences.
"""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from manual.activations import Activation
from manual.differences import differences
from manual.losses import Loss, SquaredError
from manual.network import Network, NetworkSpec

# of max |g|, in float64; seen over 4 seeds: 3.2e-11, with batch norm, whose curves are sharper,
# 8.7e-10
BUDGET = 1e-9


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Thousands of tiny passes: to share one between threads takes longer than the pass."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def problem(
    hidden: str, loss: Loss, output: str, seed: int, *, batch_norm: bool = False
) -> tuple[Network, Tensor, Tensor]:
    """A small network in float64 and a batch of which no pre-activation lies near a kink of its
    activation.
    """
    spec = NetworkSpec((4, 5, 3), (hidden, output), "default", batch_norm=batch_norm)
    network = Network(spec, seed, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    t = loss.targets(torch.arange(6) % 3, 3, torch.float64)
    while True:
        x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
        tape = network.forward(x)
        gaps = [
            (tape.z[k] - kink).abs().min().item()
            for k, (_, f) in enumerate(network.layers, start=1)
            for kink in f.kinks
        ]
        if min(gaps, default=1.0) > 0.01:  # ten times a step of 7e-4
            return network, x, t


def network_differences(
    network: Network,
    loss: Loss,
    batch: tuple[Tensor, Tensor],
    name: str,
    entries: Tensor | None = None,
) -> Tensor:
    """dDiv/d(parameter `name`) of the network in training, on the batch (x, t); running statistics
    move on.
    """
    x, t = batch
    return differences(
        lambda: loss(network.forward(x).output, t)[0], network.parameters.values[name], entries
    )


def outputs(loss: Loss) -> list[str]:
    """The activations that may be last under a loss."""
    if loss.of_logits:
        return ["identity"]
    return [
        name
        for name, f in Activation.named().items()
        if f.probabilities or not loss.of_probabilities
    ]


# Each activation under a loss, and each loss with the activations that may be last under it.
CASES = [
    *((hidden, "half-squared", "sigmoid") for hidden in Activation.named()),
    *(("tanh", loss, output) for loss, cls in Loss.named().items() for output in outputs(cls())),
]


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("hidden", "loss", "output"), CASES)
def test_gradients_by_hand_are_those_of_finite_differences(
    hidden: str, loss: str, output: str, *, batch_norm: bool
) -> None:
    div = Loss.named()[loss]()
    network, x, t = problem(hidden, div, output, seed=2, batch_norm=batch_norm)
    tape = network.forward(x)
    network.backward(div(tape.output, t)[1], tape)
    largest = network.parameters.grad.abs().max()
    for name, gradient in network.parameters.gradients.items():
        error = (network_differences(network, div, (x, t), name) - gradient).abs().max()
        assert error <= BUDGET * largest, (name, (error / largest).item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_known_derivatives(dtype: torch.dtype) -> None:
    x = torch.tensor([[0.5, -1.0, 2.0], [0.0, 1.5, -0.25]], dtype=dtype)
    before = x.clone()

    def f() -> Tensor:
        return x.sin().sum()

    assert torch.allclose(
        differences(f, x), x.cos(), rtol=0, atol=20 * torch.finfo(dtype).eps ** 0.8
    )
    assert torch.equal(x, before)


def test_entries_are_indices_in_reading_order_of_a_transposed_view() -> None:
    x = torch.arange(6, dtype=torch.float64).view(3, 2).T
    factors = torch.tensor([[1.0, 2, 3], [4, 5, 6]], dtype=torch.float64)

    def f() -> Tensor:
        return (x * factors).sum()

    assert differences(f, x, torch.tensor([5, 0, 2])).tolist() == pytest.approx([6, 1, 3], abs=1e-9)
    assert torch.allclose(differences(f, x), factors, rtol=0, atol=1e-9)


def test_entries_are_of_the_device_of_x() -> None:
    x = torch.tensor([1.0, 2, 3], dtype=torch.float64)
    entries = torch.tensor([2, 0])
    with torch.device("meta"):
        found = differences(lambda: x.square().sum(), x, entries)
    assert found.tolist() == pytest.approx([6, 2], abs=1e-9)


def test_the_value_is_put_back_where_the_function_fails() -> None:
    x = torch.ones(2)

    def fail() -> Tensor:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        differences(fail, x)
    assert torch.equal(x, torch.ones(2))


def test_a_sample_of_the_lectures_network() -> None:
    network = Network(NetworkSpec((784, 30, 10), ("sigmoid", "sigmoid")), dtype=torch.float64)
    generator, loss = torch.Generator().manual_seed(0), SquaredError()
    x, t = (
        torch.rand(10, 784, generator=generator, dtype=torch.float64),
        loss.targets(torch.arange(10), 10, torch.float64),
    )
    tape = network.forward(x)
    network.backward(loss(tape.output, t)[1], tape)
    for name, gradient in network.parameters.gradients.items():
        entries = torch.randperm(gradient.numel(), generator=generator)[:40]
        found = network_differences(network, loss, (x, t), name, entries)
        error = (found - gradient.reshape(-1)[entries]).abs().max()
        assert error <= BUDGET * network.parameters.grad.abs().max(), (name, error)


def test_slide_change_of_y_is_the_sum_of_changes_of_x() -> None:
    """Delta y ~ sum_i dy/dx_i Delta x_i."""
    x = torch.tensor([0.3, -0.7], dtype=torch.float64)
    gradient = differences(lambda: x[0].exp() * x[1].sin(), x)
    change = torch.tensor([1e-6, -2e-6], dtype=torch.float64)
    after = math.exp(0.3 + 1e-6) * math.sin(-0.7 - 2e-6) - math.exp(0.3) * math.sin(-0.7)
    assert (gradient @ change).item() == pytest.approx(after, rel=1e-5)
