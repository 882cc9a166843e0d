"""The lecture's own numbers: the worked 2-2-1 example, softmax and cross-entropy."""

import pytest
import torch

from manual.activations import Softmax
from manual.layers import Linear
from manual.losses import CrossEntropyLoss, HalfSquaredError
from manual.network import Network, NetworkSpec

F64 = torch.float64


@pytest.fixture
def example() -> Network:
    """Slide "Example: Forward": tanh, then logistic, no biases."""
    network = Network(NetworkSpec((2, 2, 1), ("tanh", "sigmoid")), dtype=F64)
    values = network.parameters.values
    values["w1"].copy_(torch.tensor([[0.3, -0.3], [-0.4, 0.6]]))
    values["w2"].copy_(torch.tensor([[0.9], [0.3]]))
    values["b1"].zero_()
    values["b2"].zero_()
    return network


def close(actual: torch.Tensor, *printed: float) -> None:
    """The slides cut their values off, so they are right to 1e-4; ours are compared with the exact
    ones to 1e-7.
    """
    torch.testing.assert_close(
        actual.flatten(), torch.tensor(printed, dtype=F64), rtol=0, atol=1e-7
    )


def test_worked_example(example: Network) -> None:
    x, d = torch.tensor([[1.1, 0.4]], dtype=F64), torch.ones(1, 1, dtype=F64)
    tape = example.forward(x)
    close(tape.z[1], 0.17, -0.09)  # later slides print -.019
    close(tape.y[1], 0.1683810, -0.0897577)
    close(tape.z[2], 0.1246156)  # printed -.124615
    close(tape.y[2], 0.5311136)
    div, dy = HalfSquaredError()(tape.output, d)
    close(div, 0.1099272)
    close(dy, -0.4688864)
    layer, f = example.layers[1]
    dz = f.backward(dy, tape.z[2], tape.y[2])
    close(dz, -0.1167677)
    dy1 = layer.input_gradient(dz, tape.saved[2])
    close(dy1, -0.1050909, -0.0350303)
    close(example.layers[0][1].backward(dy1, tape.z[1], tape.y[1]), -0.1021114, -0.0347481)
    example.backward(dy, tape)
    gradients = example.parameters.gradients
    close(gradients["w2"], -0.0196615, 0.0104808)
    close(gradients["w1"], -0.1123225, -0.0382229, -0.0408445, -0.0138992)
    close(gradients["b2"], -0.1167677)


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        ((1.2, 0.3), (0.7109495, 0.2890505)),
        ((-0.62, 8.12, 2.53), (0.00015943, 0.99612003, 0.00372053)),
    ],
)
def test_softmax_vectors(z: tuple[float, ...], expected: tuple[float, ...]) -> None:
    close(Softmax().forward(torch.tensor([z], dtype=F64)), *expected)


@pytest.mark.parametrize(
    ("y", "label", "printed"), [((0.4, 0.4, 0.2), 1, 0.92), ((0.1, 0.2, 0.7), 2, 0.36)]
)
def test_cross_entropy_examples(y: tuple[float, ...], label: int, printed: float) -> None:
    """Of probabilities y: their logarithms are logits whose softmax they are. The slides round to
    two digits.
    """
    div, _ = CrossEntropyLoss()(torch.tensor([y], dtype=F64).log(), torch.tensor([label]))
    assert abs(div.item() - printed) < 0.005


def test_bias_is_a_weight_on_a_constant_input() -> None:
    """Slide "Activations and their derivatives": x = [x1, x2, x3, 1]."""
    network = Network(NetworkSpec((3, 2), ("sigmoid",)), dtype=F64)
    values, gradients = network.parameters.values, network.parameters.gradients
    x = torch.tensor([[0.5, -1.0, 2.0], [0.1, 0.2, 0.3]], dtype=F64)
    dz = torch.tensor([[0.3, -0.2], [0.7, 0.4]], dtype=F64)
    extended = Linear(
        torch.cat([values["w1"], values["b1"][None]]),
        torch.zeros(2, dtype=F64),
        torch.empty(4, 2, dtype=F64),
        torch.empty(2, dtype=F64),
    )
    x1 = torch.cat([x, torch.ones(2, 1, dtype=F64)], dim=1)
    layer = network.layers[0][0]
    z, saved = layer.forward(x)
    z1, saved1 = extended.forward(x1)
    torch.testing.assert_close(z1, z, rtol=0, atol=4e-16)
    layer.backward(dz, saved)
    extended.backward(dz, saved1)
    torch.testing.assert_close(
        extended.dw, torch.cat([gradients["w1"], gradients["b1"][None]]), rtol=0, atol=4e-16
    )
