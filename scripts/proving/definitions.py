"""What each operation is said to be: the slides' or papers' formula, typed once more, for the proof
to hold manual/ to.

Arguments are NumPy arrays of formulas. An operation without a row here is held to being its own
derivative alone.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
import torch

from manual.activations import Identity, ReLU, Sigmoid, Softmax, Softplus, Tanh
from manual.initializers import (
    Default,
    KaimingNormal,
    KaimingUniform,
    Normal,
    ScaledNormal,
    XavierNormal,
    XavierUniform,
)
from manual.layers import BatchNorm1d, FrozenBatchNorm1d, Linear
from manual.losses import (
    SMALLEST_SLOPE,
    BinaryCrossEntropy,
    BinaryCrossEntropyOfLogits,
    CrossEntropyLoss,
    CrossEntropyOfProbabilities,
    HalfSquaredError,
    MSELoss,
    SquaredError,
)
from manual.operation import Operation
from manual.optimizers import SGD, Adam, Optimizer, RMSprop
from scripts.proving.algebra import exact
from scripts.proving.cases import sign
from scripts.proving.symbols import entrywise

Array = np.ndarray[Any, Any]
exp, log, sqrt = (entrywise(function) for function in (sp.exp, sp.log, sp.sqrt))
TINY = exact(torch.finfo(torch.float64).tiny)


def at_least(least: Any) -> Callable[[Array], Array]:
    """max(x, least)."""
    return entrywise(lambda x: x if sign(x - least) > 0 else least)


def _softmax(z: Array) -> Any:
    return exp(z) / exp(z).sum(axis=1, keepdims=True)


def _one_hot(t: Array, classes: int) -> Array:
    return np.array([[sp.Integer(j == label) for j in range(classes)] for label in t], dtype=object)


def _entropy(y: Array, t: Array) -> Any:
    """-t log y - (1 - t) log(1 - y), with logs no smaller than -100."""
    no_smaller = at_least(-100)
    return -(t * no_smaller(log(y)) + (1 - t) * no_smaller(log(1 - y))).sum() / len(y)


ACTIVATIONS: dict[type[Operation], Callable[[Array], Array]] = {
    Identity: lambda z: z,
    Sigmoid: lambda z: 1 / (1 + exp(-z)),
    Tanh: lambda z: (exp(z) - exp(-z)) / (exp(z) + exp(-z)),
    ReLU: at_least(0),
    Softplus: lambda z: log(1 + exp(z)),
    Softmax: _softmax,
}
LOSSES: dict[type[Operation], Callable[[Array, Array], Any]] = {
    HalfSquaredError: lambda y, t: ((y - t) ** 2).sum() / 2 / len(y),
    SquaredError: lambda y, t: ((y - t) ** 2).sum() / len(y),
    MSELoss: lambda y, t: ((y - t) ** 2).sum() / y.size,
    CrossEntropyLoss: lambda y, t: -(_one_hot(t, y.shape[1]) * log(_softmax(y))).sum() / len(y),
    CrossEntropyOfProbabilities: lambda y, t: -(t * log(at_least(TINY)(y))).sum() / len(y),
    BinaryCrossEntropy: _entropy,
    BinaryCrossEntropyOfLogits: lambda y, t: (log(1 + exp(y)) - t * y).sum() / len(y),
}
# What the derivative is said to be where f has none, or the clamp of a derivative makes it another
# one.
STATED: dict[type[Operation], Callable[..., Array]] = {
    ReLU: lambda dy, z: dy * entrywise(lambda x: sp.Integer(sign(x) > 0))(z),
    CrossEntropyOfProbabilities: lambda y, t: (
        -t / y / len(y) * entrywise(lambda x: sp.Integer(sign(x - TINY) > 0))(y)
    ),
    BinaryCrossEntropy: lambda y, t: (
        (y - t) / at_least(exact(SMALLEST_SLOPE))(y * (1 - y)) / len(y)
    ),
}


def _batch_norm(x: Array, *, gamma: Array, beta: Array, eps: Any, **_: Any) -> Any:
    return gamma * (x - _mean(x)) / sqrt(_mean((x - _mean(x)) ** 2) + eps) + beta


def _running(x: Array, *, mean: Array, var: Array, momentum: Any, **_: Any) -> dict[str, Array]:
    """The running statistics after x."""
    unbiased = ((x - _mean(x)) ** 2).sum(axis=0) / sp.Integer(len(x) - 1)
    return {
        "mean": (1 - momentum) * mean + momentum * _mean(x),
        "var": (1 - momentum) * var + momentum * unbiased,
    }


def _mean(x: Array) -> Any:
    return x.sum(axis=0) / sp.Integer(len(x))


def _frozen(
    x: Array, *, gamma: Array, beta: Array, mean: Array, var: Array, eps: Any, **_: Any
) -> Any:
    return gamma * (x - mean) / sqrt(var + eps) + beta


LAYERS: dict[type[Operation], Callable[..., Array]] = {
    Linear: lambda x, *, w, b=0: x @ w + b,
    BatchNorm1d: _batch_norm,
    FrozenBatchNorm1d: _frozen,
}
RUNNING: dict[type[Operation], Callable[..., dict[str, Array]]] = {BatchNorm1d: _running}


# One step n from any state: theta, g = dJ/dtheta with decay, what was kept -> theta, what is kept.
State = Mapping[str, Any]
Step = tuple[Any, dict[str, Any]]


# n counts for Adam alone
def _sgd(o: SGD, theta: Any, g: Any, kept: State, n: Any) -> Step:  # noqa: ARG001
    if not o.momentum:
        return theta - o.lr * g, {}
    v = o.momentum * kept["momentum_buffer"] + g
    return theta - o.lr * (g + o.momentum * v if o.nesterov else v), {"momentum_buffer": v}


# likewise
def _rmsprop(o: RMSprop, theta: Any, g: Any, kept: State, n: Any) -> Step:  # noqa: ARG001
    v = o.alpha * kept["square_avg"] + (1 - o.alpha) * g**2
    direction = g / (sqrt(v) + o.eps)
    if not o.momentum:
        return theta - o.lr * direction, {"square_avg": v}
    u = o.momentum * kept["momentum_buffer"] + direction
    return theta - o.lr * u, {"square_avg": v, "momentum_buffer": u}


def _adam(o: Adam, theta: Any, g: Any, kept: State, n: Any) -> Step:
    b1, b2 = o.betas
    m, v = b1 * kept["exp_avg"] + (1 - b1) * g, b2 * kept["exp_avg_sq"] + (1 - b2) * g**2
    corrected_m, corrected_v = m / (1 - b1**n), v / (1 - b2**n)
    return theta - o.lr * corrected_m / (sqrt(corrected_v) + o.eps), {"exp_avg": m, "exp_avg_sq": v}


OPTIMIZERS: dict[type[Optimizer], tuple[Callable[..., Step], str]] = {
    SGD: (_sgd, "slide Learning rate, momentum as Sutskever and others, 2013"),
    RMSprop: (_rmsprop, "Hinton, lecture 6e"),
    Adam: (_adam, "Kingma and Ba, 2015, algorithm 1"),
}
# What they keep, by torch's names.
KEPT: dict[type[Optimizer], tuple[str, ...]] = {
    SGD: ("momentum_buffer",),
    RMSprop: ("square_avg", "momentum_buffer"),
    Adam: ("exp_avg", "exp_avg_sq"),
}
# I inputs, O outputs -> the variance of weights and that of biases; every mean is 0.
VARIANCES: dict[type[Operation], Callable[[Any, Any], tuple[Any, Any]]] = {
    Normal: lambda i, o: (1, 1),  # noqa: ARG005
    ScaledNormal: lambda i, o: (1 / i, 1),  # noqa: ARG005
    XavierUniform: lambda i, o: (2 / (i + o), 0),
    XavierNormal: lambda i, o: (2 / (i + o), 0),
    KaimingUniform: lambda i, o: (2 / i, 0),  # noqa: ARG005
    KaimingNormal: lambda i, o: (2 / i, 0),  # noqa: ARG005
    Default: lambda i, o: (1 / (3 * i), 1 / (3 * i)),  # noqa: ARG005
}
