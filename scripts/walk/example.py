"""A small network on one sample: its values, forward and backward, from manual/ and from torch.nn
with autograd.

Shapes: I inputs, O outputs of a layer; one sample, so values of a layer are (O,), weights (I, O).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from manual.losses import Loss
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from torch_ref.model import build, pairs
from torch_ref.twins import twin, twin_optimizer

SLIDES = {
    "given": "Notation",
    "forward": "Forward Computation",
    "loss": "Loss Functions and total Error",
    "backward": "Gradients: Backward Computation",
    "update": "Learning rate",
}


@dataclass(frozen=True)
class Example:
    """A network with its numbers, one sample x and its class.

    values: w1 (I, O), b1 (O,), ...  biases: whether they are shown.  slides: the slide of each
    part. printed and remarks: by the name of a step, or of a part and its layer (forward1).
    """

    spec: NetworkSpec
    values: Mapping[str, Tensor]
    x: Tensor
    label: int
    loss: Loss
    lr: float
    biases: bool = True
    slides: Mapping[str, str] = field(default_factory=lambda: SLIDES)
    printed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def target(self) -> Tensor:
        """The class as the loss wants it, in a batch of one."""
        return self.loss.targets(torch.tensor([self.label]), self.spec.sizes[-1], self.x.dtype)

    @cached_property
    def one_hot(self) -> Tensor:
        """The target as the formulas have it (O_N,)."""
        return torch.eye(self.spec.sizes[-1], dtype=self.x.dtype)[self.label]

    def network(self) -> Network:
        """The hand-written network at these values."""
        network = Network(self.spec, dtype=self.x.dtype)
        for name, value in network.parameters.values.items():
            value.copy_(self.values[name])
        return network

    def hold_biases(self, gradients: Mapping[str, Tensor]) -> None:
        """Before an update: where no biases are shown, there are none to learn either."""
        for name, gradient in gradients.items():
            if name.startswith("b") and not self.biases:
                gradient.zero_()

    def given(self) -> dict[str, Any]:
        """All that is needed to compute it again."""
        values = {
            name: value.tolist()
            for name, value in self.values.items()
            if self.biases or not name.startswith("b")
        }
        numbers = {"x": self.x.tolist(), "t": self.one_hot.tolist(), "lr": self.lr}
        network = {
            "sizes": list(self.spec.sizes),
            "activations": list(self.spec.activations),
            "loss": self.loss.name,
        }
        return network | values | numbers


def by_hand(example: Example) -> dict[str, Tensor]:
    """z1, y1, ..., div, dy and dz of each layer, dw and db, new_w and new_b, new_div, from manual/.

    ValueError where the loss has no value for this output.
    """
    network, loss, x = example.network(), example.loss, example.x.unsqueeze(0)
    tape = network.forward(x)
    div, dy = loss(tape.output, example.target)
    if not div.isfinite():
        outputs = [round(y, 6) for y in tape.output[0].tolist()]
        raise ValueError(
            f"loss {loss.name} has no value for outputs {outputs}; choose another last activation"
        )
    values = {"div": div}
    for k in range(len(network.layers), 0, -1):  # for k = N..1
        layer, f = network.layers[k - 1]
        values[f"z{k}"], values[f"y{k}"], values[f"dy{k}"] = tape.z[k][0], tape.y[k][0], dy[0]
        dz = f.backward(dy, tape.z[k], tape.y[k])
        values[f"dz{k}"] = dz[0]
        layer.backward(dz, tape.saved[k])
        dy = layer.input_gradient(dz, tape.saved[k])
    values |= {f"d{name}": value.clone() for name, value in network.parameters.gradients.items()}
    example.hold_biases(network.parameters.gradients)
    SGD(example.lr).step(network.parameters.theta, network.parameters.grad)
    values |= {f"new_{name}": value for name, value in network.parameters.values.items()}
    values["new_div"], _ = loss(network.predict(x), example.target)
    return values


def by_autograd(example: Example) -> dict[str, Tensor]:
    """The same values from torch.nn, autograd and torch.optim."""
    network, criterion, x = example.network(), twin(example.loss), example.x.unsqueeze(0)
    model = build(network)
    optimizer = twin_optimizer(SGD(example.lr), model.parameters())
    outputs = [x]  # y^(0), z^(1), y^(1), z^(2), ...
    for module in model:
        outputs.append(module(outputs[-1]))
        outputs[-1].retain_grad()
    div = criterion(outputs[-1], example.target)
    div.backward()
    values = {"div": div.detach()}
    for k in range(1, len(network.layers) + 1):
        for letter, output in (("z", outputs[2 * k - 1]), ("y", outputs[2 * k])):
            assert output.grad is not None
            values |= {f"{letter}{k}": output.detach()[0], f"d{letter}{k}": output.grad[0]}
    example.hold_biases(
        {
            name: parameter.grad
            for name, _, parameter in pairs(network, model)
            if parameter.grad is not None
        }
    )
    optimizer.step()
    for name, _, parameter in pairs(network, model):
        assert parameter.grad is not None
        for key, value in ((f"d{name}", parameter.grad), (f"new_{name}", parameter.detach())):
            values[key] = value.T if value.ndim == 2 else value
    values["new_div"] = criterion(model(x), example.target).detach()
    return values
