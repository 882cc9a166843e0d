"""The optimizers against torch.optim: equal bits over 500 updates on real gradients, and what they
leave alone.
"""

import gzip
from functools import lru_cache
from typing import Any

import pytest
import torch

from manual.losses import CrossEntropyLoss
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD, Optimizer
from tests.cases import count
from tests.conftest import ROOT
from torch_ref.cases import OPTIMIZER_FIELDS
from torch_ref.compare import compare_parameters, largest
from torch_ref.model import build
from torch_ref.twins import twin_optimizer

UPDATES = 500
# large enough that two threads share a kernel
SPEC = NetworkSpec((784, 50, 10), ("sigmoid", "identity"))
DECAYS = ["none", "weights", "all"]


@lru_cache(maxsize=1)
def real_gradients(dtype: torch.dtype) -> list[torch.Tensor]:
    """The flat gradients (P,) of 500 updates of a network that learns MNIST, batches of 10."""
    raw = ROOT / "data/MNIST/raw"
    pixels = gzip.decompress((raw / "train-images-idx3-ubyte.gz").read_bytes())[
        16 : 16 + UPDATES * 10 * 784
    ]
    labels = gzip.decompress((raw / "train-labels-idx1-ubyte.gz").read_bytes())[
        8 : 8 + UPDATES * 10
    ]
    images = (
        torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(-1, 784).to(dtype).div_(255)
    )
    network, loss, gradients = Network(SPEC, seed=1, dtype=dtype), CrossEntropyLoss(), []
    for x, t in zip(images.split(10), torch.tensor(list(labels)).split(10), strict=True):
        tape = network.forward(x)
        gradients.append(network.backward(loss(tape.output, t)[1], tape).clone())
        network.parameters.theta.add_(gradients[-1], alpha=-0.5)
    return gradients


def fields(decay: str, network: Network) -> dict[str, Any]:
    """The optimizer's fields for a way to decay."""
    if decay == "none":
        return {}
    return {
        "weight_decay": 1e-3,
        "weights": network.parameters.weights() if decay == "weights" else None,
    }


@pytest.mark.parametrize(
    ("threads", "decay", "updates"),
    [(1, "weights", UPDATES), (1, "none", 50), (1, "all", 50), (2, "weights", 50)],
    indirect=["threads"],
)
@pytest.mark.parametrize(("cls", "options"), OPTIMIZER_FIELDS)
# last, so that it changes once: gradients are kept of one
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_500_updates_have_torchs_bits(
    cls: type[Optimizer], options: dict[str, Any], decay: str, updates: int, dtype: torch.dtype
) -> None:
    gradients = real_gradients(dtype)[:updates]
    network = Network(SPEC, seed=1, dtype=dtype)
    model = build(network)
    optimizer = cls(**options, **fields(decay, network))
    reference = twin_optimizer(optimizer, model.parameters())
    theta, grad = network.parameters.theta, network.parameters.grad
    views = [
        gradient.T if gradient.ndim == 2 else gradient
        for gradient in network.parameters.gradients.values()
    ]
    for flat in gradients:
        grad.copy_(flat)
        for parameter, gradient in zip(model.parameters(), views, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step(theta, grad)
        reference.step()
    assert optimizer.steps == updates
    kept = {name for state in reference.state.values() for name in state if state[name] is not None}
    assert optimizer.buffers.keys() == kept - {"step"}
    difference = largest(compare_parameters(network, model).values())
    assert difference.bitwise, difference
    moved = compare_parameters(Network(SPEC, seed=1, dtype=dtype), model)
    assert not any(change.bitwise for change in moved.values())


def gaps(network: Network, flat: torch.Tensor) -> torch.Tensor:
    """The entries of a flat vector that belong to no parameter."""
    holes = torch.ones_like(flat, dtype=torch.bool)
    for value in network.parameters.values.values():
        holes[value.storage_offset() : value.storage_offset() + value.numel()] = False
    return flat[holes]


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize(("cls", "options"), OPTIMIZER_FIELDS)
def test_gaps_stay_zero_and_the_gradient_as_it_was(
    cls: type[Optimizer], options: dict[str, Any], decay: str
) -> None:
    network = Network(NetworkSpec((3, 2, 1), ("tanh", "tanh")))
    optimizer = cls(**options, **fields(decay, network))
    theta = network.parameters.theta
    for value in network.parameters.gradients.values():
        value.fill_(0.5)
    grad = network.parameters.grad.clone()
    for _ in range(3):
        optimizer.step(theta, network.parameters.grad)
    assert torch.equal(network.parameters.grad, grad)
    for flat in (theta, *optimizer.buffers.values()):
        assert torch.equal(gaps(network, flat), torch.zeros(len(flat) - count(network.parameters)))
        assert flat.isfinite().all()


@pytest.mark.parametrize(("cls", "options"), OPTIMIZER_FIELDS)
def test_steps_and_buffers_are_all_that_the_next_step_needs(
    cls: type[Optimizer], options: dict[str, Any]
) -> None:
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(50, generator=generator)
    gradients = torch.randn(6, 50, generator=generator)
    optimizer = cls(**options)
    for grad in gradients[:3]:
        optimizer.step(theta, grad)
    resumed, resumed_theta = cls(**options), theta.clone()
    resumed.steps, resumed.buffers = (
        optimizer.steps,
        {name: buffer.clone() for name, buffer in optimizer.buffers.items()},
    )
    for grad in gradients[3:]:
        optimizer.step(theta, grad)
        resumed.step(resumed_theta, grad)
    assert torch.equal(theta, resumed_theta)


def test_decay_of_weights_leaves_biases_alone() -> None:
    network = Network(NetworkSpec((3, 2), ("identity",)))
    before = {name: value.clone() for name, value in network.parameters.values.items()}
    optimizer = SGD(0.5, weight_decay=0.1, weights=network.parameters.weights())
    optimizer.step(network.parameters.theta, torch.zeros_like(network.parameters.grad))
    assert torch.equal(network.parameters.values["b1"], before["b1"])
    # w <- (1 - eta lambda) w
    assert torch.allclose(network.parameters.values["w1"], before["w1"] * (1 - 0.5 * 0.1))


def test_decay_is_once_per_batch() -> None:
    """(1 - eta lambda / n) w of Nielsen's book is weight_decay lambda / n, whatever the batch
    size.
    """
    theta = torch.ones(4)
    SGD(0.5, weight_decay=5 / 50_000).step(theta, torch.zeros(4))
    assert torch.allclose(theta, torch.full((4,), 1 - 0.5 * 5 / 50_000), rtol=0, atol=0)


def test_what_is_not_the_learning_rate_is_named() -> None:
    optimizer: Any = SGD
    with pytest.raises(TypeError, match="positional"):
        optimizer(0.5, 0.1)


def test_plain_sgd_keeps_nothing() -> None:
    optimizer = SGD(3.0)
    optimizer.step(torch.ones(4), torch.ones(4))
    assert optimizer.buffers == {}
