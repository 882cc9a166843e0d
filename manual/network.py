"""A fully connected network: forward and backward (slides "Forward Computation" and "Gradients: Backward Computation").

Shapes: B batch, P parameters; layer k has O_k outputs, O_0 inputs.
"""

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor

from manual.activations import Activation
from manual.initializers import Initializer
from manual.layers import Layer, Linear, Saved
from manual.parameters import Parameters


def _choose(family: str, names: dict[str, Any], name: object) -> None:
    if name not in names:
        raise ValueError(f"{family} {name!r} is unknown; choose from {', '.join(names)}")


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is, without its numbers: sizes (O_0, ..., O_N), an activation per layer, how to initialize.

    ValueError names a size, activation or initializer that will not do.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    initializer: str = "normal"

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or not all(type(size) is int and size > 0 for size in self.sizes):
            raise ValueError(f"sizes {list(self.sizes)} must be two or more positive whole numbers, inputs first")
        if len(self.activations) != len(self.sizes) - 1:
            raise ValueError(f"activations {list(self.activations)} must be one for each of {len(self.sizes) - 1} layers")
        for activation in self.activations:
            _choose("activation", Activation.named(), activation)
        _choose("initializer", Initializer.named(), self.initializer)

    def to_dict(self) -> dict[str, Any]:
        """Lists and strings alone, ready for JSON."""
        return asdict(self) | {"sizes": list(self.sizes), "activations": list(self.activations)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The spec that `to_dict` came from."""
        return cls(**fields | {"sizes": tuple(fields["sizes"]), "activations": tuple(fields["activations"])})


@dataclass
class Tape:
    """What forward leaves for backward, by k = 1..N: z^(k), y^(k), and what layer k saved itself (its input y^(k-1))."""

    z: dict[int, Tensor] = field(default_factory=dict)
    y: dict[int, Tensor] = field(default_factory=dict)
    saved: dict[int, Saved] = field(default_factory=dict)

    @property
    def output(self) -> Tensor:
        """y^(N) (B, O_N)."""
        return self.y[len(self.y)]


class Network:
    """The network of a spec, its parameters drawn from `seed` on the CPU, so that every device starts alike.

    It holds its parameters and their gradients and nothing else: what a pass leaves behind is in its tape.
    """

    def __init__(
        self, spec: NetworkSpec, seed: int = 0, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.spec = spec
        shapes: dict[str, tuple[int, ...]] = {}
        for k, (inputs, outputs) in enumerate(pairwise(spec.sizes), start=1):
            shapes |= {f"w{k}": (inputs, outputs), f"b{k}": (outputs,)}
        self.parameters = Parameters(shapes, dtype, torch.device(device))
        w, dw = self.parameters.values, self.parameters.gradients
        self.layers: list[tuple[Layer, Activation]] = [
            (Linear(w[f"w{k}"], w[f"b{k}"], dw[f"w{k}"], dw[f"b{k}"]), Activation.named()[activation]())
            for k, activation in enumerate(spec.activations, start=1)
        ]
        self._initialize(torch.Generator().manual_seed(seed))

    def _initialize(self, generator: torch.Generator) -> None:
        initialize = Initializer.named()[self.spec.initializer]()
        values = self.parameters.values
        for k in range(1, len(self.layers) + 1):
            weight = torch.empty(values[f"w{k}"].T.shape, dtype=values[f"w{k}"].dtype)
            bias = torch.empty(values[f"b{k}"].shape, dtype=weight.dtype)
            initialize(weight, bias, generator)
            values[f"w{k}"].T.copy_(weight)
            values[f"b{k}"].copy_(bias)

    def tape(self, batch_size: int) -> Tape:
        """Buffers for passes of one batch size; y[k] shares z[k]'s where the derivative needs y alone."""
        tape = Tape()
        for k, (_, f) in enumerate(self.layers, start=1):
            tape.z[k] = self.parameters.theta.new_empty(batch_size, self.spec.sizes[k])
            tape.y[k] = tape.z[k] if f.derivative_from_y else torch.empty_like(tape.z[k])
        return tape

    def forward(self, x: Tensor, tape: Tape | None = None) -> Tape:
        """x (B, O_0) -> a tape whose `output` is (B, O_N): a new one, or the given one (of this batch size) overwritten."""
        tape = tape or Tape()
        y = x  # y^(0) = x
        for k, (layer, f) in enumerate(self.layers, start=1):
            z, tape.saved[k] = layer.forward(y, out=tape.z.get(k))  # z_j^(k) = sum_i w_ij^(k) y_i^(k-1) + b_j^(k)
            tape.z[k] = z
            y = tape.y[k] = f.forward(z, out=tape.y.get(k))  # y_j^(k) = f_k(z_j^(k))
        return tape

    def predict(self, x: Tensor) -> Tensor:
        """The output (B, O_N) alone; nothing is kept of the layers before."""
        y = x
        for layer, f in self.layers:
            z, _ = layer.forward(y)
            y = f.forward(z, out=z)
        return y

    def backward(self, dy: Tensor, tape: Tape) -> Tensor:
        """dDiv/dy^(N) (B, O_N), to overwrite -> the gradient of all parameters: grad (P,), overwritten by the next call."""
        self._backward(dy, tape)
        return self.parameters.grad

    def input_gradient(self, dy: Tensor, tape: Tape) -> Tensor:
        """As `backward`, but returns dDiv/dx (B, O_0), which training has no use for."""
        dz = self._backward(dy, tape)
        return self.layers[0][0].input_gradient(dz, tape.saved[1])

    def _backward(self, dy: Tensor, tape: Tape) -> Tensor:
        """Fills grad and returns dDiv/dz^(1) (B, O_1)."""
        for k in range(len(self.layers), 0, -1):  # for k = N..1
            layer, f = self.layers[k - 1]
            dz = f.backward(dy, tape.z[k], tape.y[k])  # dDiv/dz_i^(k) = f_k'(z_i^(k)) dDiv/dy_i^(k)
            layer.backward(dz, tape.saved[k])  # dDiv/dw_ij^(k) = y_i^(k-1) dDiv/dz_j^(k)
            if k > 1:
                dy = layer.input_gradient(dz, tape.saved[k])  # dDiv/dy_i^(k-1) = sum_j w_ij^(k) dDiv/dz_j^(k)
        return dz
