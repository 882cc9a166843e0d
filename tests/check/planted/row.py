"""A wrong backward, and what the checker has to say of it."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tests.check.functions import Function


@dataclass(frozen=True)
class Planted:
    """A wrong backward of one of the right functions, the verdict it should get and a phrase of its
    diagnosis.
    """

    name: str
    function: str
    backward: Function
    verdict: str
    says: str


@dataclass(frozen=True)
class Changed:
    """A wrong backward of a forward in torch, which is its own reference."""

    name: str
    forward: Function
    backward: Function
    inputs: tuple[Tensor, ...]


def in_float32(backward: Function) -> Function:
    """The same, rounded on the way."""
    return lambda dy, *inputs: backward(
        dy.astype(np.float32), *(x.astype(np.float32) for x in inputs)
    )
