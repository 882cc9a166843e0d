"""A fully connected network, forward and backward (slides "Forward Computation", "Gradients:
Backward Computation").

Shapes: B batch, P parameters; layer k has O_k outputs, O_0 inputs.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from manual.activations import Activation
from manual.initializers import Initializer
from manual.layers import BatchNorm1d, Layer, Linear, Saved
from manual.parameters import Parameters


def _check_choice(option: str, names: Collection[str], name: str) -> None:
    if name not in names:
        raise ValueError(f"{option} {name!r} is unknown; choose from {', '.join(names)}")


class LayerSpec(NamedTuple):
    """Layer k of a network, `without` some of its parameters, and the name of the activation after
    it.
    """

    layer: type[Layer]
    inputs: int
    outputs: int
    activation: str
    without: tuple[str, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Its parameters in torch's order, name -> shape."""
        shapes = self.layer.shapes(self.inputs, self.outputs)
        return {name: shape for name, shape in shapes.items() if name not in self.without}


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is, without its numbers: sizes (O_0, ..., O_N), an activation per layer, how
    to initialize.

    `batch_norm` puts a layer of it between the weights and the activation of each hidden layer.
    ValueError names a size, activation or initializer that will not do.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    initializer: str = "normal"
    batch_norm: bool = False

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or not all(type(size) is int and size > 0 for size in self.sizes):
            raise ValueError(
                f"sizes {list(self.sizes)} must be two or more positive whole numbers, inputs first"
            )
        if len(self.activations) != len(self.sizes) - 1:
            raise ValueError(
                f"activations {list(self.activations)} must be one for each of "
                f"{len(self.sizes) - 1} layers"
            )
        for activation in self.activations:
            _check_choice("activations", Activation.named(), activation)
        _check_choice("initializer", Initializer.named(), self.initializer)

    @property
    def layers(self) -> list[LayerSpec]:
        """Every layer, k = 1..N."""
        layers = []
        steps = zip(pairwise(self.sizes), self.activations, strict=True)
        for k, ((inputs, outputs), activation) in enumerate(steps, start=1):
            if self.batch_norm and k < len(self.activations):  # the output is not normalized
                layers.append(LayerSpec(Linear, inputs, outputs, "identity", without=("b",)))
                layers.append(LayerSpec(BatchNorm1d, outputs, outputs, activation))
            else:
                layers.append(LayerSpec(Linear, inputs, outputs, activation))
        return layers


@dataclass
class Tape:
    """What forward leaves for backward, by k = 1..N: z^(k), y^(k), and what layer k saved itself
    (its input y^(k-1)).
    """

    network: "Network"
    z: dict[int, Tensor] = field(default_factory=dict)
    y: dict[int, Tensor] = field(default_factory=dict)
    saved: dict[int, Saved] = field(default_factory=dict)

    @property
    def output(self) -> Tensor:
        """y^(N) (B, O_N)."""
        return self.y[len(self.y)]


class Network:
    """The network of a spec, its parameters drawn from `seed` on the CPU, so that a GPU starts as
    the CPU beside it does.

    It holds its parameters, their gradients and, as `buffers`, the running statistics of its
    layers: name -> (O,). ValueError for a dtype other than float32 and float64.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        seed: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if dtype not in {torch.float32, torch.float64}:
            raise ValueError(f"dtype {dtype} must be torch.float32 or torch.float64")
        self.spec = spec
        steps = list(enumerate(spec.layers, start=1))
        shapes = {f"{name}{k}": shape for k, step in steps for name, shape in step.shapes.items()}
        self.parameters = Parameters(shapes, dtype, torch.device(device))
        self.buffers: dict[str, Tensor] = {
            f"{name}{k}": torch.full((step.outputs,), value, dtype=dtype, device=device)
            for k, step in steps
            for name, value in step.layer.buffers().items()
        }
        self.layers: list[tuple[Layer, Activation]] = [
            (self._layer(k, step), Activation.named()[step.activation]()) for k, step in steps
        ]
        initializer, generator = (
            Initializer.named()[spec.initializer](),
            torch.Generator().manual_seed(seed),
        )
        for layer, _ in self.layers:
            layer.initialize(initializer, generator)

    def __getstate__(self) -> dict[str, Any]:
        """For copy.deepcopy and pickle, which would copy each view into theta by itself."""
        return {
            "spec": self.spec,
            "theta": self.parameters.theta,
            "grad": self.parameters.grad,
        } | self.buffers

    def __setstate__(self, state: dict[str, Any]) -> None:
        theta = state["theta"]
        self.__init__(state["spec"], device=theta.device, dtype=theta.dtype)  # type: ignore[misc]
        for name, tensor in self.__getstate__().items():
            if name != "spec":
                tensor.copy_(state[name])

    def _layer(self, k: int, step: LayerSpec) -> Layer:
        """Layer k on its parameters (None: it is without), their gradients and its buffers."""
        names = [f"{name}{k}" for name in step.layer.shapes(step.inputs, step.outputs)]
        return step.layer(
            *(self.parameters.values.get(name) for name in names),
            *(self.parameters.gradients.get(name) for name in names),
            *(self.buffers[f"{name}{k}"] for name in step.layer.buffers()),
        )

    def forward(self, x: Tensor) -> Tape:
        """x (B, O_0) -> a tape whose `output` is (B, O_N). ValueError for an x that will not do."""
        self._check("input", x, self.spec.sizes[0])
        tape = Tape(self)
        y = x  # y^(0) = x
        for k, (layer, f) in enumerate(self.layers, start=1):
            z, saved = layer.forward(y)  # z_j^(k) = sum_i w_ij^(k) y_i^(k-1) + b_j^(k)
            y = f.forward(z)  # y_j^(k) = f_k(z_j^(k))
            tape.z[k], tape.y[k], tape.saved[k] = z, y, saved
        return tape

    def backward(self, dy: Tensor, tape: Tape) -> Tensor:
        """dDiv/dy^(N) (B, O_N) -> grad (P,), overwritten by the next call. ValueError for a tape of
        another network.
        """
        self._backward(dy, tape)
        return self.parameters.grad

    def input_gradient(self, dy: Tensor, tape: Tape) -> Tensor:
        """As `backward`, but returns dDiv/dx (B, O_0), which training has no use for."""
        dz = self._backward(dy, tape)
        return self.layers[0][0].input_gradient(dz, tape.saved[1])

    def _backward(self, dy: Tensor, tape: Tape) -> Tensor:
        """Fills grad and returns dDiv/dz^(1) (B, O_1)."""
        if tape.network is not self:
            raise ValueError(
                "the tape is of another network: backward takes one of its own forward"
            )
        self._check("gradient", dy, self.spec.sizes[-1])
        for k in range(len(self.layers), 0, -1):  # for k = N..1
            layer, f = self.layers[k - 1]
            dz = f.backward(dy, tape.z[k], tape.y[k])  # dDiv/dz_i^(k) = f_k'(z_i^(k)) dDiv/dy_i^(k)
            layer.backward(dz, tape.saved[k])  # dDiv/dw_ij^(k) = y_i^(k-1) dDiv/dz_j^(k)
            if k > 1:
                # dDiv/dy_i^(k-1) = sum_j w_ij^(k) dDiv/dz_j^(k)
                dy = layer.input_gradient(dz, tape.saved[k])
        return dz

    def predict(self, x: Tensor) -> Tensor:
        """The output (B, O_N) alone, of frozen layers; nothing is kept of the layers before.
        ValueError as from `forward`.
        """
        self._check("input", x, self.spec.sizes[0])
        y = x
        for layer, f in self.layers:
            z, _ = layer.frozen().forward(y)
            y = f.forward(z)
        return y

    def _check(self, what: str, x: Tensor, units: int) -> None:
        dtype = self.parameters.theta.dtype
        if x.ndim != 2 or len(x) == 0 or x.shape[1] != units or x.dtype != dtype:
            raise ValueError(
                f"{what} {tuple(x.shape)} of {x.dtype} must be (B, {units}), with B at least 1, of "
                f"{dtype}"
            )
        if x.requires_grad or torch.is_autocast_enabled(x.device.type):
            raise ValueError(
                f"{what} must not require grad, nor be under torch.autocast, which would round "
                "products in silence"
            )
