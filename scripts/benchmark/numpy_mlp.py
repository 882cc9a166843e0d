"""The same step in plain vectorized NumPy, as it is usually written.

Shapes: B batch, I inputs, O outputs of a layer, C classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.benchmark.case import LEARNING_RATE, Case, Step

Array = NDArray[Any]


class NumpyMLP:
    """Layers of weights (I, O) and biases (O,) with the sigmoid, half the squared error averaged
    over the batch, SGD.
    """

    def __init__(self, weights: list[Array], biases: list[Array], lr: float) -> None:
        self.weights, self.biases, self.lr = weights, biases, lr

    def gradients(self, x: Array, t: Array) -> tuple[list[Array], list[Array]]:
        """x (B, I), t (B, C) -> dDiv/dw (I, O) and dDiv/db (O,) of each layer."""
        ys = [x]
        for w, b in zip(self.weights, self.biases, strict=True):
            ys.append(1 / (1 + np.exp(-(ys[-1] @ w + b))))
        dy = (ys[-1] - t) / len(x)
        dws: list[Array] = []
        dbs: list[Array] = []
        for k in range(len(self.weights), 0, -1):
            y = ys[k]
            dz = dy * y * (1 - y)
            dws.insert(0, ys[k - 1].T @ dz)
            dbs.insert(0, dz.sum(axis=0))
            if k > 1:
                dy = dz @ self.weights[k - 1].T
        return dws, dbs

    def step(self, x: Array, t: Array) -> None:
        """One update."""
        dws, dbs = self.gradients(x, t)
        for k in range(len(self.weights)):
            self.weights[k] -= self.lr * dws[k]
            self.biases[k] -= self.lr * dbs[k]


@contextmanager
def numpy_mlp(case: Case) -> Iterator[Step]:
    """A step of NumpyMLP; its threads are set by the process's environment."""
    mlp, x, t = _ready(case)
    yield Step(lambda: mlp.step(x, t))


@contextmanager
def products(case: Case) -> Iterator[Step]:
    """The matrix products of that step and nothing else, into arrays that are ready: what NumPy's
    BLAS allows.
    """
    mlp, x, _ = _ready(case)
    ys = [x, *(np.full((len(x), size), 0.5, x.dtype) for size in case.sizes[1:])]
    calls = [(y, w, after) for y, w, after in zip(ys, mlp.weights, ys[1:], strict=False)]
    for k in range(len(mlp.weights), 0, -1):
        calls.append((ys[k - 1].T, np.ones_like(ys[k]), np.empty_like(mlp.weights[k - 1])))
        if k > 1:
            calls.append((np.ones_like(ys[k]), mlp.weights[k - 1].T, np.empty_like(ys[k - 1])))

    def step() -> None:
        for a, b, out in calls:
            np.matmul(a, b, out=out)

    yield Step(step)


def _ready(case: Case) -> tuple[NumpyMLP, Array, Array]:
    rng = np.random.default_rng(0)
    layers = list(pairwise(case.sizes))
    weights = [rng.uniform(-(i**-0.5), i**-0.5, (i, o)).astype(case.dtype) for i, o in layers]
    biases = [rng.uniform(-(i**-0.5), i**-0.5, o).astype(case.dtype) for i, o in layers]
    x = rng.random((case.batch_size, case.sizes[0])).astype(case.dtype)
    t = np.eye(case.sizes[-1], dtype=case.dtype)[rng.integers(case.sizes[-1], size=case.batch_size)]
    return NumpyMLP(weights, biases, LEARNING_RATE), x, t
