"""Wrong backwards of layers and of the normalization."""

# ruff: noqa: ARG005 - a wrong backward overlooks what it is given

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.check.functions import Function, delta, layer_backward, normalize_backward
from tests.check.planted.row import Planted, in_float32


def replaced(which: int, change: Callable[[Any, tuple[Any, ...]], Any]) -> Function:
    """The right backward of a layer with one of its gradients changed."""

    def backward(dy: Any, *inputs: Any) -> tuple[Any, ...]:
        gradients = list(layer_backward(dy, *inputs))
        gradients[which] = change(gradients[which], (dy, *inputs))
        return tuple(gradients)

    return backward


def other_layer(dz: Function) -> Function:
    """A layer's backward from another delta."""

    def backward(dy: Any, x: Any, w: Any, b: Any) -> tuple[Any, ...]:
        d = dz(dy, x, w, b)
        return d @ w.T, x.T @ d, d.sum(0)

    return backward


def last_sample(dy: Any, x: Any, w: Any, b: Any) -> Any:
    return delta(dy, x, w, b)[-1]


ROWS = [
    Planted(
        "f' missing in a layer",
        "layer",
        other_layer(lambda dy, x, w, b: dy),
        "f' missing",
        "db, dw and dx: the derivative of sigmoid((x @ w) + b) is missing",
    ),
    Planted(
        "f' twice in a layer",
        "layer",
        other_layer(lambda dy, x, w, b: delta(delta(dy, x, w, b), x, w, b)),
        "f' twice",
        "sigmoid((x @ w) + b) is applied twice",
    ),
    Planted("dw zero", "layer", replaced(1, lambda g, _: 0 * g), "zero", "dw is zero everywhere"),
    Planted(
        "dw of the right shape by reshape",
        "layer",
        replaced(1, lambda g, _: g.T.reshape(g.shape)),
        "transposed",
        "reshaped where .T",
    ),
    Planted(
        "dw transposed", "layer", replaced(1, lambda g, _: g.T), "transposed", "dw is transposed"
    ),
    Planted(
        "square dw transposed",
        "square layer",
        replaced(1, lambda g, _: g.T),
        "transposed",
        "dw is transposed",
    ),
    Planted(
        "dx and dw exchanged",
        "square layer",
        lambda dy, *a: [layer_backward(dy, *a)[i] for i in (1, 0, 2)],
        "exchanged",
        "dx is the gradient of w",
    ),
    Planted(
        "dx and db exchanged",
        "layer",
        lambda dy, *a: [layer_backward(dy, *a)[i] for i in (2, 1, 0)],
        "exchanged",
        "db is the gradient of x",
    ),
    Planted(
        "dw averaged",
        "layer",
        replaced(1, lambda g, a: g / len(a[0])),
        "factor",
        "dw is 8 times too small: multiply by 8 (1/B",
    ),
    Planted(
        "dw transposed and averaged",
        "layer",
        replaced(1, lambda g, a: g.T / len(a[0])),
        "transposed",
        "and 0.125 times that (1/B, the",
    ),
    Planted(
        "db not summed",
        "layer",
        replaced(2, lambda _, a: delta(*a)),
        "batch sum",
        "a row for each sample",
    ),
    Planted(
        "db of the first sample",
        "layer",
        replaced(2, lambda _, a: delta(*a)[0]),
        "batch sum",
        "first sample alone",
    ),
    Planted(
        "db of the last sample",
        "layer",
        replaced(2, lambda _, a: last_sample(*a)),
        "batch sum",
        "last sample alone",
    ),
    Planted(
        "db averaged",
        "layer",
        replaced(2, lambda g, a: g / len(a[0])),
        "factor",
        "averaged where it should be summed",
    ),
    Planted(
        "db over the wrong axis",
        "square layer",
        replaced(2, lambda _, a: delta(*a)[:4].sum(1)),
        "wrong axis",
        "db is summed over axis 1",
    ),
    Planted(
        "db with keepdims", "layer", replaced(2, lambda g, _: g[None]), "shape", "reshape them"
    ),
    Planted(
        "dx without a column",
        "layer",
        replaced(0, lambda g, _: g[:, 1:]),
        "shape",
        "has shape (8, 3), but x has (8, 4)",
    ),
    Planted(
        "float32: layer",
        "layer",
        in_float32(layer_backward),
        "lower precision",
        "in lower precision",
    ),
    Planted(
        "mean of dy not subtracted",
        "normalization",
        lambda dy, x: normalize_backward(dy, x) + dy.mean(0) / np.sqrt(x.var(0) + 1e-5),
        "term",
        "mean(x) is taken as a constant",
    ),
    Planted(
        "statistics taken as constants",
        "normalization",
        lambda dy, x: dy / np.sqrt(x.var(0) + 1e-5),
        "two mistakes",
        "mean(x) is taken as a constant: the gradient of x through it is missing; and",
    ),
    Planted(
        "batch mean summed",
        "normalization",
        lambda dy, x: len(x) * normalize_backward(dy, x),
        "factor",
        "divide by 8 (B, the",
    ),
]
