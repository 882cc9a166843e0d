"""The output of forward as one tensor y, and a dy in the form of it: one array, or several in a
tuple or a dict.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torch_ref.forms.values import (
    a_or_none,
    as_kind,
    as_real,
    is_array,
    is_number,
    is_numeric,
    kind_of,
    plain,
    read,
    rebuilt,
)


@dataclass(frozen=True)
class Part:
    """One array of an output: where it begins in y, and what it was returned as."""

    start: int
    shape: torch.Size  # of its real view
    dtype: torch.dtype
    device: torch.device
    kind: str
    is_complex: bool

    def of(self, dy: Tensor, layout: str) -> Any:
        """Its share of a flat dy, as the user's code would be given it."""
        real = (
            dy[self.start : self.start + self.shape.numel()]
            .reshape(self.shape)
            .to(self.dtype)
            .to(self.device)
        )
        value = as_kind(real, self.kind, complex_=self.is_complex)
        if isinstance(value, np.ndarray) and not value.ndim:
            return value[()]
        if layout == "contiguous" or self.kind not in {"torch", "numpy"} or not value.ndim:
            return value
        if isinstance(value, Tensor):
            if layout == "expanded":
                return value[:1].expand(value.shape)
            return value.mT.contiguous().mT if value.ndim > 1 else value.repeat_interleave(2)[::2]
        return np.asfortranarray(value) if value.ndim > 1 else np.repeat(value, 2)[::2]


@dataclass(frozen=True)
class Output:
    """y: the output in its own shape if it is one real array, else all of its numbers in a row; on
    the CPU.
    """

    y: Tensor
    template: Any

    @classmethod
    def read(cls, result: Any, *, whose: str = "forward") -> "Output":
        """The output in what forward returned. ValueError where nothing could have a gradient."""
        tensors: list[Tensor] = []

        def take(value: Any) -> Part | None:
            tensor = read(value, f"{whose}'s output") if is_numeric(value) else None
            if tensor is None or not (
                tensor.is_floating_point() or tensor.is_complex() or isinstance(value, int)
            ):
                return None
            real = as_real(tensor.double() if isinstance(value, int) else tensor)
            kind = "numpy" if is_number(value) else kind_of(value)
            start = sum(map(torch.numel, tensors))
            tensors.append(real.cpu())
            return Part(start, real.shape, real.dtype, real.device, kind, tensor.is_complex())

        template = rebuilt(result, take)
        if not tensors:
            what = plain(read(result, "").dtype) if is_array(result) else a_or_none(result)
            raise ValueError(
                f"{whose} returned {what}: its output must be floats to have a gradient, an array "
                "or tensor of them"
            )
        if isinstance(template, Part) and not template.is_complex:
            return cls(tensors[0], template)
        dtype = reduce(torch.promote_types, [tensor.dtype for tensor in tensors], torch.float32)
        return cls(torch.cat([tensor.reshape(-1).to(dtype) for tensor in tensors]), template)

    def upstream(self, dy: Tensor, layout: str = "contiguous") -> Any:
        """dy, one number for each of y, nested and typed as the output is, its memory laid out
        contiguous, transposed or expanded.
        """
        return rebuilt(
            self.template, lambda part: None if part is None else part.of(dy.reshape(-1), layout)
        )

    @property
    def single(self) -> bool:
        """Whether it is one real array."""
        return isinstance(self.template, Part) and not self.template.is_complex

    @property
    def is_scalar(self) -> bool:
        """Whether it is one number, as a loss is."""
        return self.y.numel() == 1
