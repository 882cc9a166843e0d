"""What odd uses found: each is right, or refused in a sentence."""

import copy
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from manual.activations import ReLU
from manual.layers import BatchNorm1d
from manual.losses import BinaryCrossEntropy, CrossEntropyOfProbabilities, HalfSquaredError
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD, Adam, Optimizer, RMSprop
from tests.cases import both_dtypes
from torch_ref.budgets import ratio
from torch_ref.cases import random
from torch_ref.twins import twin

SPEC = NetworkSpec((4, 3, 2), ("tanh", "sigmoid"), "default", batch_norm=True)
X, D = random((5, 4), torch.float32, seed=1), random((5, 2), torch.float32, seed=2)


def trained(network: Network) -> Network:
    """Three updates on."""
    sgd = SGD(0.5)
    for _ in range(3):
        tape = network.forward(X)
        _, dy = HalfSquaredError()(tape.output, D)
        sgd.step(network.parameters.theta, network.backward(dy, tape))
    return network


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))],  # noqa: S301
)
def test_a_copy_of_a_network_trains_like_it(copied: Any) -> None:
    network = trained(Network(SPEC, seed=3))
    other = copied(network)
    assert torch.equal(other.parameters.grad, network.parameters.grad)
    assert other.parameters.theta.data_ptr() != network.parameters.theta.data_ptr()
    before = other.parameters.theta.clone()
    trained(network)
    assert torch.equal(other.parameters.theta, before), "a network of its own"
    trained(other)
    assert torch.equal(other.parameters.theta, network.parameters.theta)
    assert all(torch.equal(other.buffers[name], buffer) for name, buffer in network.buffers.items())
    assert torch.equal(other.predict(X), network.predict(X))


def test_the_tape_of_another_network_is_refused() -> None:
    network, other = Network(SPEC), Network(SPEC, seed=1)
    tape = other.forward(X)
    for backward in (network.backward, network.input_gradient):
        with pytest.raises(ValueError, match="the tape is of another network"):
            backward(D, tape)
    with pytest.raises(ValueError, match=r"gradient \(5, 4\) .* must be \(B, 2\)"):
        other.backward(X, tape)
    other.backward(D, tape)


@both_dtypes
@pytest.mark.parametrize("n", [1, 7, 16, 17, 33])
def test_relu_has_torchs_signs_of_zero_and_nan(n: int, dtype: torch.dtype) -> None:
    bits = {torch.float32: torch.int32, torch.float64: torch.int64}[dtype]
    values = torch.tensor([-0.0, 0.0, math.nan, -1.0, 1.0], dtype=dtype)
    for value in [*values, torch.copysign(values[2], values[3])]:
        z = value.repeat(n, 1)
        assert torch.equal(ReLU().forward(z).view(bits), torch.relu(z).view(bits))


@both_dtypes
def test_cross_entropy_of_probabilities_at_the_smallest_normal_number(dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).tiny
    for o in (tiny / 2, tiny, tiny * 2):
        y, t = (
            torch.tensor([[o, 1.0]], dtype=dtype, requires_grad=True),
            torch.tensor([[1.0, 0.0]], dtype=dtype),
        )
        twin(CrossEntropyOfProbabilities())(y, t).backward()
        assert y.grad is not None
        assert torch.equal(CrossEntropyOfProbabilities()(y.detach(), t)[1], y.grad)


def test_targets_of_many_classes_take_no_matrix_of_them() -> None:
    labels = torch.tensor([0, 999_999, 7])
    t = HalfSquaredError().targets(labels, 1_000_000, torch.float32)
    assert t.shape == (3, 1_000_000)
    assert t.dtype == torch.float32
    assert torch.equal(t.nonzero(), torch.stack((torch.arange(3), labels), dim=1))
    assert torch.equal(t.sum(dim=1), torch.ones(3))


REFUSED: list[tuple[type[Optimizer], dict[str, Any], str]] = [
    (SGD, {"lr": -1.0}, "lr -1.0 must be at least 0.0 and below inf"),
    (SGD, {"lr": math.nan}, "lr nan"),
    (SGD, {"lr": 1.0, "weight_decay": -0.1}, "weight_decay -0.1"),
    (SGD, {"lr": 1.0, "momentum": -1.0}, "momentum -1.0 must be at least 0.0"),
    (SGD, {"lr": 1.0, "nesterov": True}, "nesterov needs a momentum above 0"),
    (RMSprop, {"lr": 1.0, "alpha": 1.0}, "alpha 1.0 must be at least 0.0 and below 1.0"),
    (RMSprop, {"lr": 1.0, "eps": -1.0}, "eps -1.0"),
    (Adam, {"lr": 1.0, "eps": 0.0}, "eps 0.0"),
    (Adam, {"lr": 1.0, "betas": (1.0, 0.999)}, "betas 1.0 must be at least 0.0 and below 1.0"),
    (Adam, {"lr": 1.0, "betas": (0.9, -0.1)}, "betas -0.1"),
]


@pytest.mark.parametrize(
    ("cls", "fields", "named"), REFUSED, ids=[named for _, _, named in REFUSED]
)
def test_an_optimizers_numbers_are_refused(
    cls: type[Optimizer], fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        cls(**fields)


def norm(**fields: Any) -> BatchNorm1d:
    return BatchNorm1d(*random((6, 3), torch.float32, seed=1), **fields)


@pytest.mark.parametrize("eps", [-1.0, 0.0, math.nan])
def test_batch_norm_refuses_an_eps_not_above_0(eps: float) -> None:
    with pytest.raises(ValueError, match=f"eps {eps} must be above 0"):
        norm(eps=eps)


@pytest.mark.parametrize("shape", [(4, 3, 3), (4, 1), (3,), (4, 6)])
def test_batch_norm_refuses_another_shape_before_anything_moves(shape: tuple[int, ...]) -> None:
    layer = norm()
    mean, var = layer.mean.clone(), layer.var.clone()
    for each in (layer, layer.frozen()):
        with pytest.raises(ValueError, match=r"must be \(B, 3\)"):
            each.forward(random(shape, torch.float32, seed=1))
    assert torch.equal(layer.mean, mean)
    assert torch.equal(layer.var, var)


@both_dtypes
@pytest.mark.parametrize("y", [-0.5, -1e-30, 1.5, math.inf])
def test_binary_cross_entropy_has_no_value_outside_0_to_1(y: float, dtype: torch.dtype) -> None:
    div, dy = BinaryCrossEntropy()(
        torch.tensor([[y, 0.5]], dtype=dtype), torch.ones(1, 2, dtype=dtype)
    )
    assert div.isnan()
    assert dy.isnan().tolist() == [[True, False]]


def test_a_network_under_a_default_device() -> None:
    with torch.device("meta"):
        network = Network(SPEC, seed=3)
    assert torch.equal(network.parameters.theta, Network(SPEC, seed=3).parameters.theta)


def test_a_network_refuses_autocast() -> None:
    network = Network(SPEC)
    tape = network.forward(X)
    calls: list[tuple[Any, tuple[Tensor | Any, ...]]] = [
        (network.forward, (X,)), (network.predict, (X,)), (network.backward, (D, tape)),
        (network.input_gradient, (D, tape)),
    ]  # fmt: skip
    with torch.autocast("cpu"):
        for call, arguments in calls:
            with pytest.raises(ValueError, match=r"nor be under torch\.autocast"):
                call(*arguments)
    assert network.predict(X).dtype == torch.float32


def test_a_network_refuses_what_autograd_would_follow() -> None:
    network = Network(SPEC)
    for call in (network.forward, network.predict):
        with pytest.raises(ValueError, match="input must not require grad"):
            call(X.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.complex64, torch.int64])
def test_a_network_is_of_float32_or_float64(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=f"dtype {dtype} must be torch.float32 or torch.float64"):
        Network(SPEC, dtype=dtype)


@both_dtypes
def test_the_ratio_of_subnormal_terms(dtype: torch.dtype) -> None:
    info = torch.finfo(dtype)
    smallest = torch.tensor([info.smallest_normal * info.eps], dtype=dtype)
    zero = torch.zeros_like(smallest)
    for terms in (zero, smallest, torch.tensor([info.tiny], dtype=dtype)):
        assert ratio(smallest, smallest, terms) == 0
        assert ratio(3 * smallest, smallest, terms) == 2
