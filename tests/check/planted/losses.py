"""Wrong backwards of losses."""

# ruff: noqa: ARG005 - a wrong backward overlooks what it is given

from collections.abc import Callable
from typing import Any

from tests.check.functions import Function, one_hot, softmax
from tests.check.planted.row import Planted


def scaled(factor: Callable[[Any], float]) -> Function:
    return lambda dy, y, t: {"y": factor(y) * dy * 2 * (y - t) / y.size, "t": None}


ROWS = [
    Planted(
        "sum for mean over the batch",
        "cross-entropy",
        lambda dy, y, t: dy * (softmax(y) - one_hot(t, y)),
        "factor",
        "8 times too large: divide by 8 (B, the number of samples: summed where it should be "
        "averaged)",
    ),
    Planted(
        "twice averaged",
        "cross-entropy",
        lambda dy, y, t: dy * (softmax(y) - one_hot(t, y)) / len(t) ** 2,
        "factor",
        "(1/B, the",
    ),
    Planted(
        "averaged over columns, too",
        "cross-entropy",
        lambda dy, y, t: dy * (softmax(y) - one_hot(t, y)) / y.size,
        "factor",
        "multiply by 5 (1/C, the number of columns",
    ),
    Planted(
        "sign",
        "cross-entropy",
        lambda dy, y, t: dy * (one_hot(t, y) - softmax(y)) / len(t),
        "factor",
        "the sign is turned",
    ),
    Planted(
        "label not subtracted",
        "cross-entropy",
        lambda dy, y, t: dy * softmax(y) / len(t),
        "term",
        "of softmax - target only the softmax",
    ),
    Planted(
        "averaged over the batch alone",
        "mse",
        scaled(lambda y: y.shape[1]),
        "factor",
        "divide by 5 (C, the number of columns: summed",
    ),
    Planted(
        "no average",
        "mse",
        scaled(lambda y: y.size),
        "factor",
        "divide by 40 (B*C, the number of samples times",
    ),
    Planted(
        "averaged once too often",
        "mse",
        scaled(lambda y: 1 / y.size),
        "factor",
        "multiply by 40 (1/(B*C), the",
    ),
    Planted(
        "the 2 forgotten", "mse", scaled(lambda y: 0.5), "factor", "the 2 of the derivative of"
    ),
    Planted("the 2 twice", "mse", scaled(lambda y: 2), "factor", "a 2 too many"),
    Planted(
        "an odd factor",
        "mse",
        scaled(lambda y: 0.3),
        "factor",
        "the gradient of y is 3.3333 times too small: multiply by 3.3333",
    ),
    Planted("half the sum", "mse", scaled(lambda y: len(y) / 2), "factor", "divide by 4 (B/2, the"),
    Planted(
        "sign and sum",
        "mse",
        scaled(lambda y: -len(y)),
        "factor",
        "of the wrong sign and 8 times too large: divide by -8 (-B, the",
    ),
    Planted(
        "dy ignored in a loss",
        "mse",
        lambda dy, y, t: (2 * (y - t) / y.size, None),
        "dy ignored",
        "ignores dy",
    ),
]
