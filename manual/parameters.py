"""All parameters of a network in one flat vector theta, their gradients in another, and named views
into both.
"""

import math

import torch

ALIGNMENT = 64  # bytes: a cache line, and torch's own alignment of a tensor


class Parameters:
    """theta and grad (P,), and `values` and `gradients`: name -> view, in the order of the given
    shapes.

    A matrix (I, O) is a transposed view of [O, I] storage, the layout of nn.Linear. Every view
    starts on a 64-byte boundary, as a tensor of its own would: kernels round differently on other
    addresses. The gaps between stay zero.
    """

    def __init__(
        self, shapes: dict[str, tuple[int, ...]], dtype: torch.dtype, device: torch.device
    ) -> None:
        per_line = ALIGNMENT // dtype.itemsize
        starts, end = [], 0
        for shape in shapes.values():
            starts.append(end)
            end += math.ceil(math.prod(shape) / per_line) * per_line
        self.theta = torch.zeros(end, dtype=dtype, device=device)
        self.grad = torch.zeros(end, dtype=dtype, device=device)
        self.values, self.gradients = (
            {
                name: flat[start : start + math.prod(shape)].view(shape[::-1]).T
                if len(shape) == 2
                else flat[start : start + shape[0]]
                for (name, shape), start in zip(shapes.items(), starts, strict=True)
            }
            for flat in (self.theta, self.grad)
        )

    def weights(self) -> torch.Tensor:
        """(P,), 1 where theta is an entry of a matrix and 0 elsewhere."""
        mask = torch.zeros_like(self.theta)
        for value in self.values.values():
            if value.ndim == 2:
                start = value.storage_offset()
                mask[start : start + value.numel()] = 1
        return mask
