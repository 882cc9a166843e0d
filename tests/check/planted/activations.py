"""Wrong backwards of activations."""

# ruff: noqa: ARG005 - a wrong backward overlooks what it is given

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.check.functions import Function, right_sigmoid, sigmoid, softmax
from tests.check.planted.row import Planted, in_float32


def spoiled(value: float) -> Function:
    def backward(dy: Any, z: Any) -> Any:
        dz = dy * sigmoid(z) * (1 - sigmoid(z))
        dz[1, 2] = value
        return dz

    return backward


def relu_mask(mask: Callable[[Any], Any]) -> Function:
    return lambda dy, z: dy * mask(z)


ROWS = [
    Planted(
        "dy ignored",
        "sigmoid",
        lambda dy, z: sigmoid(z) * (1 - sigmoid(z)),
        "dy ignored",
        "ignores dy",
    ),
    Planted(
        "f' missing: sigmoid",
        "sigmoid",
        lambda dy, z: dy,
        "f' missing",
        "dz: the derivative of sigmoid(z) is missing",
    ),
    Planted(
        "f' missing: tanh",
        "tanh",
        lambda dy, z: dy,
        "f' missing",
        "dx: the derivative of tanh(x) is missing",
    ),
    Planted(
        "f' missing: softplus",
        "softplus",
        lambda dy, z: dy,
        "f' missing",
        "dz: the derivative of softplus(z) is missing",
    ),
    Planted(
        "f' twice: sigmoid",
        "sigmoid",
        lambda dy, z: dy * (sigmoid(z) * (1 - sigmoid(z))) ** 2,
        "f' twice",
        "sigmoid(z) is applied twice",
    ),
    Planted(
        "f' twice: tanh", "tanh", lambda dy, z: dy * (1 - np.tanh(z) ** 2) ** 2, "f' twice", "twice"
    ),
    Planted(
        "f' twice: softplus", "softplus", lambda dy, z: dy * sigmoid(z) ** 2, "f' twice", "twice"
    ),
    Planted(
        "z for y: sigmoid",
        "sigmoid",
        lambda dy, z: dy * z * (1 - z),
        "z for y",
        "z (1 - z), the input in the place of the output, stands where y (1 - y) belongs",
    ),
    Planted(
        "z for y: tanh",
        "tanh",
        lambda dy, z: dy * (1 - z**2),
        "z for y",
        "1 - z^2, the input in the place of the output, stands where 1 - y^2",
    ),
    Planted(
        "y for z: sigmoid",
        "sigmoid",
        lambda dy, z: right_sigmoid(dy, sigmoid(z)),
        "y for z",
        "sigmoid(z) is taken at its output",
    ),
    Planted(
        "y for z: softplus",
        "softplus",
        lambda dy, z: dy * sigmoid(np.logaddexp(0, z)),
        "y for z",
        "softplus(z) is taken at its output",
    ),
    Planted(
        "diagonal of softmax",
        "softmax",
        lambda dy, z: dy * softmax(z) * (1 - softmax(z)),
        "diagonal",
        "only the diagonal",
    ),
    Planted(
        "softmax as a linear map",
        "softmax",
        lambda dy, z: dy,
        "f' missing",
        "dz: the derivative of softmax(z) is missing",
    ),
    Planted(
        "mask always 1",
        "relu",
        lambda dy, z: dy * (np.maximum(z, 0) >= 0),
        "mask",
        "the mask is missing",
    ),
    Planted(
        "mask upside down",
        "relu",
        relu_mask(lambda z: z < 0),
        "mask",
        "the mask of relu(z) is upside down",
    ),
    Planted("mask too narrow", "relu", relu_mask(lambda z: z > 0.5), "mask", "zero at"),
    Planted("mask too wide", "relu", relu_mask(lambda z: z > -0.5), "mask", "not zero at"),
    Planted(
        "mask of dy",
        "relu",
        lambda dy, z: dy * (dy > 0) * (z > 0),
        "mask",
        "asks for dy > 0 besides",
    ),
    Planted("f'(0) = 1", "relu", relu_mask(lambda z: z >= 0), "kink", "only at a kink"),
    Planted(
        "abs' (0) = 1", "abs", lambda dy, z: np.where(z >= 0, dy, -dy), "kink", "only at a kink"
    ),
    Planted("zero", "sigmoid", lambda dy, z: np.zeros_like(z), "zero", "zero everywhere"),
    Planted(
        "nan", "sigmoid", spoiled(np.nan), "nan or inf", "nan at 1 of 40 entries, first at [1, 2]"
    ),
    Planted(
        "inf",
        "sigmoid",
        spoiled(-np.inf),
        "nan or inf",
        "infinite at 1 of 40 entries, first at [1, 2]",
    ),
    Planted("one entry", "sigmoid", spoiled(0.1), "wrong", "is wrong at 1 of 40 entries"),
    Planted(
        "float32: sigmoid",
        "sigmoid",
        in_float32(right_sigmoid),
        "lower precision",
        "in lower precision",
    ),
    Planted(
        "rounded",
        "tanh",
        lambda dy, z: (dy * (1 - np.tanh(z) ** 2)).astype(np.float32).astype(float),
        "lower precision",
        "as if float32",
    ),
    Planted(
        "float16",
        "tanh",
        lambda dy, z: (dy * (1 - np.tanh(z) ** 2)).astype(np.float16).astype(float),
        "lower precision",
        "as if float16",
    ),
]
