"""Batch normalization against torch's, in training and in evaluation, alone and in a network.

Torch sums in another order, so bits differ. Budgets are in eps of the terms that were added, with c
= 1 + |mu| / sigma for what the subtraction of the mean loses; beside each the largest seen over
2,400 random layers, batches of 2 to 128.
"""

import pytest
import torch
from torch import Tensor, nn

from manual.layers import BatchNorm1d, Layer
from manual.losses import CrossEntropyLoss
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from torch_ref.model import buffer_pairs, build, copy_to_network, pairs

# seen: 3.2, 2.1, 2.1, 1.8, 0.4, 1.0
BUDGET = {"z": 6, "dx": 4, "dgamma": 10, "dbeta": 2, "mean": 1, "var": 2}
SPEC = NetworkSpec((20, 16, 8, 4), ("sigmoid", "relu", "identity"), "default", batch_norm=True)


def layer(features: int, dtype: torch.dtype, generator: torch.Generator) -> BatchNorm1d:
    """A layer of its own, with random gamma and beta."""
    gamma, beta = (torch.randn(features, generator=generator, dtype=dtype) for _ in range(2))
    mean, var = torch.zeros(features, dtype=dtype), torch.ones(features, dtype=dtype)
    return BatchNorm1d(gamma, beta, torch.empty_like(gamma), torch.empty_like(beta), mean, var)


def twin(ours: BatchNorm1d) -> nn.BatchNorm1d:
    """torch's layer with the same numbers."""
    module = nn.BatchNorm1d(len(ours.gamma), dtype=ours.gamma.dtype)
    module.load_state_dict(
        {
            "weight": ours.gamma,
            "bias": ours.beta,
            "running_mean": ours.mean,
            "running_var": ours.var,
        },
        strict=False,
    )
    return module


def gradient(parameter: Tensor) -> Tensor:
    """What autograd left."""
    assert parameter.grad is not None
    return parameter.grad


def check(ours: Layer, norm: BatchNorm1d, module: nn.BatchNorm1d, x: Tensor, dz: Tensor) -> None:
    """Forward, the three gradients and the running statistics, each within its budget."""
    leaf = x.clone().requires_grad_()
    expected = module(leaf)
    expected.backward(dz)
    mu = x.mean(0) if module.training else norm.mean.clone()
    z, saved = ours.forward(x)
    ours.backward(dz, saved)
    x_hat, rstd = saved
    c = 1 + mu.abs() * rstd
    widest = x_hat.abs().amax(0).clamp_min(1)
    assert module.running_mean is not None
    assert module.running_var is not None
    rows = {
        "z": (z, expected.detach(), norm.gamma.abs() * widest * c + norm.beta.abs()),
        "dx": (
            ours.input_gradient(dz, saved),
            gradient(leaf),
            norm.gamma.abs() * rstd * dz.abs().amax(0) * widest * c,
        ),
        "dgamma": (norm.dgamma, gradient(module.weight), (dz * x_hat).abs().sum(0) * c),
        "dbeta": (norm.dbeta, gradient(module.bias), dz.abs().sum(0)),
        "mean": (norm.mean, module.running_mean, x.abs().amax(0)),
        "var": (norm.var, module.running_var, module.running_var * c),
    }
    for name, (actual, reference, terms) in rows.items():
        error = ((actual - reference).abs() / terms).max().item() / torch.finfo(x.dtype).eps
        assert error <= BUDGET[name], (name, error)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("center", [0, 10])
@pytest.mark.parametrize("batch", [2, 3, 10, 64, 128])
def test_training_and_evaluation_are_torchs(batch: int, center: float, dtype: torch.dtype) -> None:
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        ours = layer(1 + seed, dtype, generator)
        module = twin(ours)
        for _ in range(3):
            x, dz = (
                torch.randn(batch, 1 + seed, generator=generator, dtype=dtype) for _ in range(2)
            )
            module.zero_grad()
            # dz is not uniform: under a uniform one dx is 0, whatever is computed
            check(ours, ours, module, x + center, dz)
        module.zero_grad()
        module.eval()
        check(ours.frozen(), ours, module, x + center, dz)


def test_gradient_of_a_uniform_dz_is_zero() -> None:
    ours = layer(3, torch.float64, torch.Generator().manual_seed(0))
    _, saved = ours.forward(
        torch.randn(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    )
    dx = ours.input_gradient(torch.full((9, 3), 2.0, dtype=torch.float64), saved)
    assert dx.abs().max() < 1e-14


def test_without_affine_parameters() -> None:
    generator = torch.Generator().manual_seed(0)
    x, dz = (torch.randn(9, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    # gamma, beta, ..., mean, var
    fields = torch.tensor([1, 0, 0, 0, 0, 1], dtype=torch.float64).unsqueeze(1).repeat(1, 3)
    ours = BatchNorm1d(*fields)
    module = nn.BatchNorm1d(3, affine=False, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    expected = module(leaf)
    expected.backward(dz)
    z, saved = ours.forward(x)
    assert torch.allclose(z, expected, rtol=0, atol=1e-15 * 4)
    assert torch.allclose(ours.input_gradient(dz, saved), gradient(leaf), rtol=0, atol=1e-15 * 8)


def test_a_batch_of_one_is_refused_in_training_as_torch_does() -> None:
    ours, x = layer(3, torch.float32, torch.Generator().manual_seed(0)), torch.ones(1, 3)
    with pytest.raises(
        ValueError, match="Expected more than 1 value per channel when training"
    ) as torchs:
        twin(ours)(x)
    with pytest.raises(
        ValueError, match="Expected more than 1 value per channel when training"
    ) as refused:
        ours.forward(x)
    assert str(refused.value) == str(torchs.value)
    assert ours.mean.eq(0).all()
    assert ours.frozen().forward(x)[0].isfinite().all()


def test_parameters_and_buffers_in_torchs_order() -> None:
    network = Network(SPEC)
    assert list(network.parameters.values) == [
        "w1",
        "gamma2",
        "beta2",
        "w3",
        "gamma4",
        "beta4",
        "w5",
        "b5",
    ]
    assert list(network.buffers) == ["mean2", "var2", "mean4", "var4"]
    model = build(network)
    for _, ours, theirs in (*pairs(network, model), *buffer_pairs(network, model)):
        assert torch.equal(ours, theirs)


def test_running_statistics_begin_as_torchs() -> None:
    network, module = Network(SPEC), nn.BatchNorm1d(SPEC.sizes[1])
    assert module.running_mean is not None
    assert module.running_var is not None
    assert torch.equal(network.buffers["mean2"], module.running_mean)
    assert torch.equal(network.buffers["var2"], module.running_var)


def test_a_network_trains_and_predicts_as_torchs() -> None:
    network = Network(SPEC, seed=1, dtype=torch.float64)
    model, loss, generator = build(network), CrossEntropyLoss(), torch.Generator().manual_seed(0)
    reference, optimizer = torch.optim.SGD(model.parameters(), lr=0.1), SGD(0.1)
    for _ in range(50):
        x, t = torch.randn(12, 20, generator=generator, dtype=torch.float64), torch.arange(12) % 4
        tape = network.forward(x)
        optimizer.step(network.parameters.theta, network.backward(loss(tape.output, t)[1], tape))
        reference.zero_grad()
        nn.CrossEntropyLoss()(model(x), t).backward()
        reference.step()
    for name, ours, theirs in (*pairs(network, model), *buffer_pairs(network, model)):
        # 50 updates of up to 1e-16 each, amplified
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-13), name
    model.eval()
    before = {name: value.clone() for name, value in network.buffers.items()}
    assert torch.allclose(network.predict(x), model(x), rtol=0, atol=1e-12)
    assert all(torch.equal(value, before[name]) for name, value in network.buffers.items())
    assert torch.allclose(network.predict(x[:1]), model(x[:1]), rtol=0, atol=1e-12)


def test_running_statistics_are_copied_back() -> None:
    network, model = Network(SPEC), build(Network(SPEC, seed=1))
    model(torch.randn(8, 20, generator=torch.Generator().manual_seed(0)))
    copy_to_network(model, network)
    assert all(torch.equal(ours, theirs) for _, ours, theirs in buffer_pairs(network, model))
    assert not network.buffers["mean2"].eq(0).any()
