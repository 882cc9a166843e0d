"""What every operation of this package has in common: a name, and constants that lie ready on its device."""

import functools
from abc import ABC
from typing import ClassVar, Self

import torch
from torch import Tensor


class Operation(ABC):
    """A piece of the lecture, described once.

    A family (`Activation`, `Loss`, ...) is abstract; each of its classes is final, sits directly under it, and carries the
    name by which the command line, files and tests know it.
    """

    name: ClassVar[str]

    @classmethod
    def named(cls) -> dict[str, type[Self]]:
        """The classes of this family by name, in the order of their definition."""
        return {operation.name: operation for operation in cls.__subclasses__()}


@functools.lru_cache(maxsize=256)
def _scalar(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(mode=False):
        return torch.full((), value, dtype=dtype, device=device)


def scalar(value: float, like: Tensor) -> Tensor:
    """`value` as a tensor of no dimensions, with the dtype and on the device of `like`; made once, never written to.

    The same bits as a Python number in its place. Torch wraps such a number anew at every call, which costs more (about
    2 us) than the arithmetic on a batch of the lecture's size.
    """
    return _scalar(value, like.dtype, like.device)
