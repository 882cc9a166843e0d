"""Functions with a right backward and a torch reference, on which the checker is tried.

Shapes: B = 8 samples, I = 4 inputs, C = 5 columns, all different and none of them 2, so that every
factor has one name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manual.activations import Activation
from manual.layers import Linear
from manual.losses import CrossEntropyLoss, Loss
from torch_ref.twins import twin

B, I, C = 8, 4, 5  # noqa: E741 - the lecture's letters
Function = Callable[..., Any]


def relu(z: Any) -> Any:
    return np.maximum(z, 0)


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def one_hot(t: Any, y: Any) -> Any:
    return np.eye(y.shape[1])[t]


def normalize(x: Any) -> Any:
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


def normalize_backward(dy: Any, x: Any) -> Any:
    y = normalize(x)
    return (dy - dy.mean(0) - y * (dy * y).mean(0)) / np.sqrt(x.var(0) + 1e-5)


def cross_entropy(y: Any, t: Any) -> Any:
    return -np.log(softmax(y)[np.arange(len(t)), t]).mean()


def squared_error(y: Any, t: Any) -> Any:
    return ((y - t) ** 2).mean()


def layer(x: Any, w: Any, b: Any) -> Any:
    return sigmoid(x @ w + b)


def layer_reference(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return torch.sigmoid(x @ w + b)


def delta(dy: Any, x: Any, w: Any, b: Any) -> Any:
    y = layer(x, w, b)
    return dy * y * (1 - y)


def layer_backward(dy: Any, x: Any, w: Any, b: Any) -> Any:
    dz = delta(dy, x, w, b)
    return dz @ w.T, x.T @ dz, dz.sum(0)


def right_sigmoid(dy: Any, z: Any) -> Any:
    return dy * sigmoid(z) * (1 - sigmoid(z))


@dataclass(frozen=True)
class Case:
    """forward, a right backward, a torch reference, and how to draw inputs of a size."""

    forward: Function
    backward: Function
    reference: Function
    inputs: Callable[[np.random.Generator, float], tuple[Any, ...]]


def matrix(rng: np.random.Generator, size: float) -> tuple[Any, ...]:
    return (size * rng.normal(size=(B, C)),)


def numbers(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator, float], tuple[Any, ...]]:
    return lambda rng, size: tuple(size * rng.normal(size=shape) for shape in shapes)


def with_labels(rng: np.random.Generator, size: float) -> tuple[Any, ...]:
    return size * rng.normal(size=(B, C)), rng.integers(0, C, size=B)


def with_zeros(rng: np.random.Generator, size: float) -> tuple[Any, ...]:
    return (size * rng.integers(-2, 3, size=(B, C)).astype(float),)


def probabilities(rng: np.random.Generator, size: float) -> tuple[Any, ...]:  # noqa: ARG001
    return rng.uniform(0.01, 0.99, size=(B, C)), rng.integers(0, 2, size=(B, C)).astype(float)


def clipped_bce(p: Any, t: Any) -> Any:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()


NUMPY: dict[str, Case] = {
    "sigmoid": Case(
        sigmoid, lambda dy, z: dy * sigmoid(z) * (1 - sigmoid(z)), torch.sigmoid, matrix
    ),
    "tanh": Case(np.tanh, lambda dy, z: {"dx": dy * (1 - np.tanh(z) ** 2)}, torch.tanh, matrix),
    "relu": Case(lambda z: np.maximum(z, 0), lambda dy, z: dy * (z > 0), torch.relu, matrix),
    "relu at its kink": Case(
        lambda z: np.maximum(z, 0), lambda dy, z: (dy * (z > 0),), torch.relu, with_zeros
    ),
    "leaky relu": Case(
        lambda z: np.where(z > 0, z, 0.01 * z),
        lambda dy, z: np.where(z > 0, dy, 0.01 * dy),
        nn.LeakyReLU(0.01),
        matrix,
    ),
    "abs": Case(np.abs, lambda dy, z: dy * np.sign(z), torch.abs, with_zeros),
    "clip": Case(
        lambda z: np.clip(z, -1, 1),
        lambda dy, z: dy * (np.abs(z) < 1),
        nn.functional.hardtanh,  # clamp's derivative at -1 and 1 was 1 before torch 2.14
        matrix,
    ),
    "softplus": Case(
        lambda z: np.logaddexp(0, z),
        lambda dy, z: dy * sigmoid(z),
        nn.Softplus(threshold=40),
        matrix,
    ),
    "softmax": Case(
        softmax,
        lambda dy, z: softmax(z) * (dy - (dy * softmax(z)).sum(1, keepdims=True)),
        nn.Softmax(dim=1),
        matrix,
    ),
    "log": Case(
        np.log,
        lambda dy, x: dy / x,
        torch.log,
        lambda rng, size: (size * rng.uniform(0.1, 2, (B, C)),),
    ),
    "row maximum": Case(
        lambda z: z.max(1),
        lambda dy, z: dy[:, None] * (z == z.max(1, keepdims=True)),
        lambda z: z.amax(1),
        matrix,
    ),
    "layer": Case(layer, layer_backward, layer_reference, numbers((B, I), (I, C), (C,))),
    "square layer": Case(layer, layer_backward, layer_reference, numbers((4, 4), (4, 4), (4,))),
    "normalization": Case(
        normalize,
        normalize_backward,
        lambda x: nn.functional.batch_norm(x, None, None, training=True),
        matrix,
    ),
    "mse": Case(
        squared_error,
        lambda dy, y, t: {"y": dy * 2 * (y - t) / y.size, "t": None},
        nn.MSELoss(),
        numbers((B, C), (B, C)),
    ),
    "cross-entropy": Case(
        cross_entropy,
        lambda dy, y, t: dy * (softmax(y) - one_hot(t, y)) / len(t),
        nn.functional.cross_entropy,
        with_labels,
    ),
    "binary cross-entropy": Case(
        clipped_bce,
        lambda dy, p, t: (dy * (p - t) / (p * (1 - p)) / p.size, None),
        nn.functional.binary_cross_entropy,
        probabilities,
    ),
}


def ours() -> Iterator[tuple[str, Case]]:
    """Our own operations; their backward overwrites dy."""
    for name, activation in Activation.named().items():
        f = activation()
        yield (
            f"our {name}",
            Case(f.forward, lambda dy, z, f=f: f.backward(dy, z, f.forward(z)), twin(f), matrix),
        )
    for name, kind in Loss.named().items():
        loss = kind()
        inputs = numbers((B, C), (B, C))
        if kind is CrossEntropyLoss:
            inputs = with_labels
        elif kind.of_probabilities:
            inputs = probabilities
        yield (
            f"our {name}",
            Case(
                lambda y, t, loss=loss: loss(y, t)[0],
                lambda dy, y, t, loss=loss: (dy * loss(y, t)[1], None),
                twin(loss),
                inputs,
            ),
        )

    def backward(dz: Tensor, x: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        linear = Linear(w, b, torch.empty_like(w), torch.empty_like(b))
        linear.backward(dz, (x,))
        return linear.input_gradient(dz, (x,)), linear.dw, linear.db  # type: ignore[return-value]

    def forward(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return Linear(w, b, w, b).forward(x)[0]

    yield (
        "our linear",
        Case(forward, backward, lambda x, w, b: x @ w + b, numbers((B, I), (I, C), (C,))),
    )


OURS = dict(ours())
RIGHT = NUMPY | OURS


def draw(name: str, dtype: str, seed: int) -> tuple[Any, ...]:
    """Inputs of a right function, of sizes from 0.1 to 30."""
    rng = np.random.default_rng(seed)
    arrays = RIGHT[name].inputs(rng, float(rng.choice([0.1, 1, 1, 5, 30])))
    arrays = tuple(array.astype(dtype) if array.dtype.kind == "f" else array for array in arrays)
    return tuple(torch.from_numpy(array) for array in arrays) if name in OURS else arrays
