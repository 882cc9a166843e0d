"""Wrong backwards in how dy enters, in which order numbers stand, and what is applied besides."""

# ruff: noqa: ARG005 - a wrong backward overlooks what it is given

from typing import Any

import numpy as np

from tests.check.functions import delta, right_sigmoid, softmax
from tests.check.planted.layers import replaced
from tests.check.planted.row import Planted


def of_column(k: int, dy: Any, x: Any, w: Any, b: Any) -> Any:
    """A layer's delta in one column, 0 in the others."""
    only = np.zeros_like(dy)
    only[:, k] = delta(dy, x, w, b)[:, k]
    return only


def softmax_besides(dy: Any, z: Any) -> Any:
    g, y = right_sigmoid(dy, z), softmax(z)
    return y * (g - (g * y).sum(1, keepdims=True))


ROWS = [
    Planted(
        "dy squared",
        "sigmoid",
        lambda dy, z: right_sigmoid(dy**2, z),
        "dy ignored",
        "dz has dy squared: it is multiplied by dy twice",
    ),
    Planted(
        "dy without its sign",
        "sigmoid",
        lambda dy, z: right_sigmoid(abs(dy), z),
        "dy ignored",
        "dz is that of |dy|: the sign of dy is lost",
    ),
    Planted(
        "mean of dy",
        "sigmoid",
        lambda dy, z: right_sigmoid(np.full_like(dy, dy.mean()), z),
        "dy ignored",
        "dz takes the mean of dy for dy",
    ),
    Planted(
        "sum of dy",
        "sigmoid",
        lambda dy, z: right_sigmoid(np.full_like(dy, dy.sum()), z),
        "dy ignored",
        "dz takes the sum of dy for dy",
    ),
    Planted(
        "rows upside down",
        "sigmoid",
        lambda dy, z: right_sigmoid(dy, z)[::-1],
        "order",
        "dz is reversed along axis 0",
    ),
    Planted(
        "columns reversed",
        "sigmoid",
        lambda dy, z: right_sigmoid(dy, z)[:, ::-1],
        "order",
        "dz is reversed along axis 1",
    ),
    Planted(
        "rows shifted",
        "sigmoid",
        lambda dy, z: np.roll(right_sigmoid(dy, z), 1, 0),
        "order",
        "dz is shifted along axis 0: each entry stands one after its place",
    ),
    Planted(
        "columns shifted back",
        "sigmoid",
        lambda dy, z: np.roll(right_sigmoid(dy, z), -1, 1),
        "order",
        "dz is shifted along axis 1: each entry stands one before its place",
    ),
    Planted(
        "a softmax besides",
        "sigmoid",
        softmax_besides,
        "f' twice",
        "a softmax's derivative is applied once more: what comes before dz has it already",
    ),
    Planted(
        "a sigmoid's factor besides",
        "softplus",
        lambda dy, z: dy / (1 + np.exp(-z)) * z * (1 - z),
        "f' twice",
        "dz has the factor z (1 - z) of a sigmoid besides",
    ),
    Planted(
        "a tanh's factor besides",
        "softplus",
        lambda dy, z: dy / (1 + np.exp(-z)) * (1 - z * z),
        "f' twice",
        "dz has the factor 1 - z^2 of a tanh besides",
    ),
    Planted(
        "dy summed",
        "layer",
        replaced(2, lambda db, given: given[0].sum(0)),
        "f' missing",
        "db lacks a sigmoid's y (1 - y)",
    ),
    Planted(
        "db of the first column",
        "layer",
        replaced(2, lambda db, given: of_column(0, *given).sum(0)),
        "batch sum",
        "db is that of the first column of dy alone",
    ),
    Planted(
        "dx of the last column",
        "layer",
        replaced(0, lambda dx, given: of_column(-1, *given) @ given[2].T),
        "batch sum",
        "dx is that of the last column of dy alone",
    ),
    Planted(
        "only where t is not 0",
        "binary cross-entropy",
        lambda dy, p, t: -dy * t / p / p.size,
        "mask",
        "is there only where t is not 0, and zero elsewhere: every entry has a gradient",
    ),
]
