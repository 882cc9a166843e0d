"""The structure of an array of floats (one-hot rows, signs, a rotation), and random arrays with
the same.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

CLOSE = 1e-5  # sums and products of a structure may be as far off as float32 rounds


@dataclass(frozen=True)
class Structure:
    """kind: "constant", "one-hot", "shares" (positive, of sum 1), "binary", "signs", "integers",
    "orthogonal", "definite", "symmetric", "" for none; axis: along which it holds.
    """

    kind: str
    axis: int | None = None

    @property
    def is_data(self) -> bool:
        """Whether it looks like targets, a mask, a matrix of a graph: what is not trained."""
        return self.kind not in {"", "constant"}

    @property
    def is_fragile(self) -> bool:
        """Whether formulas may rely on it, so that drawn inputs must keep it."""
        return self.kind in {"shares", "orthogonal", "definite", "symmetric"}

    def keeps(self, axis: int) -> bool:
        """Whether taking other entries along this axis leaves it as it is."""
        return self.kind not in {"orthogonal", "definite", "symmetric"} and axis != self.axis


def structure(x: Tensor) -> Structure:
    """The structure of x, in any dtype."""
    v = x.detach().cpu().double()
    if not v.isfinite().all() or v.ndim == 0:
        return Structure("")
    if v.numel() == 1 or (v == v.reshape(-1)[0]).all():
        return Structure("constant")
    binary = bool(((v == 0) | (v == 1)).all())
    axes = [
        axis
        for axis in reversed(range(v.ndim))
        if v.shape[axis] > 1 and (v.sum(axis) - 1).abs().max() < CLOSE
    ]
    if axes and (v >= 0).all() and (v.ndim > 1 or len(v) > 2):
        return Structure("one-hot" if binary else "shares", axes[0])
    if v.ndim >= 2 and v.shape[-1] == v.shape[-2] > 1:
        if (v @ v.mT - torch.eye(v.shape[-1], dtype=torch.float64)).abs().max() < CLOSE:
            return Structure("orthogonal")
        if (v - v.mT).abs().max() < CLOSE * v.abs().max() and not binary:
            return Structure("definite" if (torch.linalg.eigvalsh(v) > 0).all() else "symmetric")
    kinds = {"binary": binary, "signs": (v.abs() == 1).all(), "integers": (v == v.round()).all()}
    return Structure(next((kind for kind, holds in kinds.items() if holds), ""))


def of_its_kind(x: Tensor, generator: Generator) -> Tensor:
    """Other numbers in the range of x, with its structure. A constant c hints at a scale: c/2 to
    3c/2, or -1 to 1.
    """
    v = x.detach().cpu().double()
    finite = v[v.isfinite()]
    low, high = (finite.min().item(), finite.max().item()) if len(finite) else (0.0, 0.0)
    if low == high:
        low, high = sorted((low / 2, low * 1.5)) if low else (-1.0, 1.0)
    uniform = torch.rand(v.shape, generator=generator, dtype=torch.float64)
    found = structure(x)
    match found.kind:
        case "one-hot":
            drawn = (uniform == uniform.amax(found.axis or 0, keepdim=True)).double()
        case "shares":
            drawn = uniform / uniform.sum(found.axis, keepdim=True)
        case "orthogonal" | "definite" | "symmetric":
            drawn = _matrix(
                found.kind, v, torch.randn(v.shape, generator=generator, dtype=torch.float64)
            )
        case "binary":
            drawn = uniform.round()
        case "signs":
            drawn = 2 * uniform.round() - 1
        case _:
            drawn = low + (high - low) * uniform
    return as_(x, torch.where(v.isfinite(), drawn, v))


def _matrix(kind: str, v: Tensor, normal: Tensor) -> Tensor:
    if kind == "orthogonal":
        q: Tensor = torch.linalg.qr(normal)[0]
        return q
    size = v.abs().max()
    if kind == "symmetric":
        return (normal + normal.mT) * (size / 2)
    product = normal @ normal.mT / v.shape[-1] + 0.3 * torch.eye(v.shape[-1], dtype=torch.float64)
    scaled: Tensor = product * (size / product.abs().amax())
    return scaled


def as_(x: Tensor, values: Tensor) -> Tensor:
    """The values in the dtype and on the device of x."""
    return values.to(x.dtype).to(x.device)
