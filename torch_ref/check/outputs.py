"""What forward returned, as one tensor y, and a dy of its kind: one array, or several in a tuple or a dict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torch_ref.check.values import as_kind, as_real, is_array, is_number, is_number_list, kind_of, plain, read

LAYOUTS = ("contiguous", "transposed", "expanded")  # how the memory of dy may lie


@dataclass(frozen=True)
class Part:
    """One array of an output: where it stands in y, and as what it was returned."""

    start: int
    shape: torch.Size  # of its real view
    dtype: torch.dtype
    device: torch.device
    kind: str
    is_complex: bool

    def of(self, dy: Tensor, layout: str) -> Any:
        """Its share of a flat dy, as the user's code would be given it."""
        real = dy[self.start : self.start + self.shape.numel()].reshape(self.shape).to(self.dtype).to(self.device)
        value = as_kind(real, self.kind, complex_=self.is_complex)
        if layout == "contiguous" or self.kind not in {"torch", "numpy"}:
            return value[()] if isinstance(value, np.ndarray) and not value.ndim else value
        if isinstance(value, Tensor):
            if layout == "expanded" and value.ndim:
                return value[:1].expand(value.shape)
            return value.mT.contiguous().mT if value.ndim > 1 else _spread(value)
        return np.asfortranarray(value) if value.ndim > 1 else np.repeat(value, 2)[::2] if value.ndim else value[()]


def _spread(value: Tensor) -> Tensor:
    return value.repeat_interleave(2)[::2] if value.ndim else value


@dataclass(frozen=True)
class Output:
    """y: the output in its own shape if it is one real array, else all of its numbers in a row; on the CPU."""

    y: Tensor
    parts: list[Part]
    template: Any

    @classmethod
    def read(cls, result: Any, *, whose: str = "forward", torch_wanted: bool = False) -> "Output":
        """ValueError where it holds nothing that could have a gradient."""
        parts: list[Part] = []
        tensors: list[Tensor] = []
        template = _take(result, whose, parts, tensors, torch_wanted=torch_wanted)
        if not parts:
            what = f"returned {kind_of(result)}" if not is_array(result) else f"returned {plain(read(result, '').dtype)}"
            raise ValueError(f"{whose} {what}: its output must be floats to have a gradient, an array or tensor of them")
        if isinstance(template, Part) and not template.is_complex:
            return cls(tensors[0].reshape(template.shape), parts, template)
        dtype = torch.float32
        for tensor in tensors:
            dtype = torch.promote_types(dtype, tensor.dtype)
        return cls(torch.cat([tensor.reshape(-1).to(dtype) for tensor in tensors]), parts, template)

    def upstream(self, dy: Tensor, layout: str = "contiguous") -> Any:
        """dy, one number for each of y, nested and typed as the output is."""
        flat = dy.reshape(-1)

        def put(part: Any) -> Any:
            if isinstance(part, Part):
                return part.of(flat, layout)
            if isinstance(part, dict):
                return {key: put(value) for key, value in part.items()}
            if isinstance(part, list | tuple):
                values = [put(value) for value in part]
                return type(part)(*values) if hasattr(part, "_fields") else type(part)(values)
            return None

        return put(self.template)

    @property
    def single(self) -> bool:
        """One real array."""
        return isinstance(self.template, Part) and not self.template.is_complex

    @property
    def is_scalar(self) -> bool:
        """One number: a loss."""
        return self.y.numel() == 1


def _take(value: Any, whose: str, parts: list[Part], tensors: list[Tensor], *, torch_wanted: bool) -> Any:
    if is_array(value) or is_number(value) or is_number_list(value):
        tensor = read(value, f"{whose}'s output")
        if not (tensor.is_floating_point() or tensor.is_complex()):
            if not isinstance(value, int):
                return None
            tensor = tensor.double()
        real = as_real(tensor)
        kind = "torch" if isinstance(value, Tensor) or torch_wanted else "numpy" if not is_number_list(value) else "list"
        if isinstance(value, np.matrix):
            kind = "matrix"
        start = sum(part.shape.numel() for part in parts)
        parts.append(Part(start, real.shape, real.dtype, real.device, kind, tensor.is_complex()))
        tensors.append(real.cpu())
        return parts[-1]
    if isinstance(value, Mapping):
        return {key: _take(part, whose, parts, tensors, torch_wanted=torch_wanted) for key, part in value.items()}
    if isinstance(value, list | tuple):
        found = [_take(part, whose, parts, tensors, torch_wanted=torch_wanted) for part in value]
        return type(value)(*found) if hasattr(value, "_fields") else type(value)(found)
    return None
