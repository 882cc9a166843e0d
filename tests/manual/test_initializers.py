"""Initial values: the numbers that torch.nn.init draws from the same generator, and their
spread.
"""

import math

import pytest
import torch
from torch import nn

from manual.initializers import Initializer
from manual.network import Network, NetworkSpec
from torch_ref.twins import twin_initializer

ALL = sorted(Initializer.named())
INPUTS, OUTPUTS = 200, 2000
SPREAD = {  # standard deviation of weights and of biases
    "normal": (1, 1),
    "scaled-normal": (1 / math.sqrt(INPUTS), 1),
    "xavier-uniform": (math.sqrt(2 / (INPUTS + OUTPUTS)), 0),
    "xavier-normal": (math.sqrt(2 / (INPUTS + OUTPUTS)), 0),
    "kaiming-uniform": (math.sqrt(2 / INPUTS), 0),
    "kaiming-normal": (math.sqrt(2 / INPUTS), 0),
    "default": (1 / math.sqrt(3 * INPUTS), 1 / math.sqrt(3 * INPUTS)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(784, 30), (30, 10), (2, 3), (1, 1), (3, 5), (16, 1)])
@pytest.mark.parametrize("name", ALL)
def test_same_numbers_as_torch_and_the_same_number_of_draws(
    name: str, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    initializer = Initializer.named()[name]()
    layer = nn.Linear(*shape, dtype=dtype)
    weight, bias = torch.empty(shape[::-1], dtype=dtype), torch.empty(shape[1], dtype=dtype)
    ours, torchs = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    for _ in range(2):
        initializer(weight, bias, ours)
        twin_initializer(initializer, layer, torchs)
        assert torch.equal(weight, layer.weight)
        assert torch.equal(bias, layer.bias)
    assert torch.equal(ours.get_state(), torchs.get_state())


@pytest.mark.parametrize("name", ALL)
def test_a_network_starts_as_torch_would(name: str) -> None:
    network = Network(NetworkSpec((20, 7, 3), ("tanh", "tanh"), name), seed=3)
    generator = torch.Generator().manual_seed(3)
    for k, shape in enumerate([(20, 7), (7, 3)], start=1):
        layer = nn.Linear(*shape)
        twin_initializer(Initializer.named()[name](), layer, generator)
        assert torch.equal(network.parameters.values[f"w{k}"], layer.weight.T)
        assert torch.equal(network.parameters.values[f"b{k}"], layer.bias)


@pytest.mark.parametrize("name", ALL)
def test_spread_is_as_documented(name: str) -> None:
    weight, bias = torch.empty(OUTPUTS, INPUTS), torch.empty(OUTPUTS)
    Initializer.named()[name]()(weight, bias, torch.Generator().manual_seed(0))
    of_weight, of_bias = SPREAD[name]
    # 400,000 draws: 0.1 % is one standard deviation
    assert weight.std().item() == pytest.approx(of_weight, rel=0.01)
    assert bias.std().item() == pytest.approx(of_bias, rel=0.06)  # 2,000 draws: 1.6 %
    assert abs(weight.mean().item()) < 0.01 * of_weight
