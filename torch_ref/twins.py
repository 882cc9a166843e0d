"""The twin in torch of each operation in manual/: the class of the same name in torch.nn or
torch.optim, with the same fields.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from manual.activations import Activation, Softmax, Softplus
from manual.initializers import (
    Default,
    Initializer,
    KaimingNormal,
    KaimingUniform,
    Normal,
    ScaledNormal,
    XavierNormal,
    XavierUniform,
)
from manual.layers import BatchNorm1d, FrozenBatchNorm1d, Layer, Linear
from manual.losses import (
    BinaryCrossEntropy,
    BinaryCrossEntropyOfLogits,
    CrossEntropyOfProbabilities,
    HalfSquaredError,
    Loss,
    SquaredError,
)
from manual.operation import Operation
from manual.optimizers import Optimizer
from manual.schedules import Constant, OneCycle, Schedule


class PerSample(nn.Module):
    """A loss of torch.nn summed over classes and averaged over the batch: factor / B times its
    sum.
    """

    def __init__(self, total: nn.Module, factor: float = 1.0) -> None:
        super().__init__()
        self.total, self.factor = total, factor

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        """(B, C), (B, C) -> ()."""
        total: Tensor = self.total(y, t)
        return total * (self.factor / len(y))


class CrossEntropyOfProbabilitiesTwin(nn.Module):
    """-(1/N) sum t log o by autograd; torch.nn has it for logits alone."""

    def forward(self, o: Tensor, t: Tensor) -> Tensor:
        """(B, C), (B, C) -> ()."""
        smallest = torch.finfo(o.dtype).tiny
        # not clamp_min, whose derivative at the smallest itself was 1 before torch 2.14
        o = nn.functional.threshold(o, smallest, smallest)
        return (-t * o.log()).sum() * (1 / len(o))


# Classes whose twin is not simply torch's class of the same name.
_EXCEPTIONS: dict[type[Operation], Callable[[], nn.Module]] = {
    HalfSquaredError: lambda: PerSample(nn.MSELoss(reduction="sum"), 0.5),
    SquaredError: lambda: PerSample(nn.MSELoss(reduction="sum")),
    CrossEntropyOfProbabilities: CrossEntropyOfProbabilitiesTwin,
    BinaryCrossEntropy: lambda: PerSample(nn.BCELoss(reduction="sum")),
    BinaryCrossEntropyOfLogits: lambda: PerSample(nn.BCEWithLogitsLoss(reduction="sum")),
    Softmax: lambda: nn.Softmax(dim=1),
    # torch's softplus is the identity above its threshold, at 20 off by up to 2e-9; at 40 both
    # agree to the last bit
    Softplus: lambda: nn.Softplus(threshold=40),
}


def twin(operation: Activation | Loss) -> nn.Module:
    """The module of torch.nn that does the same. LookupError for a class without one in torch.nn or
    here.
    """
    cls = type(operation)
    module: nn.Module = _EXCEPTIONS[cls]() if cls in _EXCEPTIONS else _same_name(nn, cls)()
    return module


def twin_layer(
    layer: Layer, inputs: int, outputs: int, *, device: torch.device, dtype: torch.dtype
) -> nn.Module:
    """The torch.nn layer of the same name and shape, with initial values of its own."""
    cls = type(layer)
    if cls in _LAYERS:
        return _LAYERS[cls](layer, inputs, outputs, device=device, dtype=dtype)
    module: nn.Module = _same_name(nn, cls)(inputs, outputs, device=device, dtype=dtype)
    return module


def _linear(layer: Linear, inputs: int, outputs: int, **where: Any) -> nn.Module:
    return nn.Linear(inputs, outputs, bias=layer.b is not None, **where)


def _batch_norm(layer: BatchNorm1d, *sizes: int, **where: Any) -> nn.Module:
    return nn.BatchNorm1d(sizes[-1], layer.eps, layer.momentum, **where)


def _frozen_batch_norm(layer: FrozenBatchNorm1d, *sizes: int, **where: Any) -> nn.Module:
    return _batch_norm(layer.norm, *sizes, **where).eval()


_LAYERS: dict[type[Layer], Callable[..., nn.Module]] = {
    Linear: _linear,
    BatchNorm1d: _batch_norm,
    FrozenBatchNorm1d: _frozen_batch_norm,
}


def twin_optimizer(
    optimizer: Optimizer, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """The torch.optim class of the same name over `parameters`, with the same fields; where only
    weights decay, the others are a group of their own.
    """
    fields = {
        field.name: getattr(optimizer, field.name)
        for field in dataclasses.fields(optimizer)
        if field.init
    }
    parameters = list(parameters)
    groups: list[dict[str, Any]] = [{"params": parameters}]
    if fields.pop("weights") is not None:
        groups = [
            {"params": [parameter for parameter in parameters if parameter.ndim == 2]},
            {
                "params": [parameter for parameter in parameters if parameter.ndim != 2],
                "weight_decay": 0.0,
            },
        ]
    torchs: torch.optim.Optimizer = _same_name(torch.optim, type(optimizer))(groups, **fields)
    return torchs


def twin_schedule(
    schedule: Schedule, optimizer: torch.optim.Optimizer
) -> torch.optim.lr_scheduler.LRScheduler | None:
    """The scheduler that does the same to the learning rate of torch's optimizer; None where it is
    constant.
    """
    if isinstance(schedule, Constant):
        return None
    assert isinstance(schedule, OneCycle)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        schedule.lr,
        schedule.updates,
        pct_start=schedule.warm_up,
        cycle_momentum=False,
    )


def twin_initializer(
    initializer: Initializer, layer: nn.Linear, generator: torch.Generator
) -> None:
    """Fill `layer` with torch.nn.init as `initializer` would."""
    _INITIALIZERS[type(initializer)](layer, generator)


def _normal(layer: nn.Linear, generator: torch.Generator) -> None:
    nn.init.normal_(layer.weight, generator=generator)
    nn.init.normal_(layer.bias, generator=generator)


def _scaled_normal(layer: nn.Linear, generator: torch.Generator) -> None:
    nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.in_features), generator=generator)
    nn.init.normal_(layer.bias, generator=generator)


def _default(layer: nn.Linear, generator: torch.Generator) -> None:
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    bound = 1 / math.sqrt(layer.in_features)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def _zero_bias(initialize: Callable[..., Tensor]) -> Callable[[nn.Linear, torch.Generator], None]:
    def fill(layer: nn.Linear, generator: torch.Generator) -> None:
        initialize(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)

    return fill


_INITIALIZERS = {
    Normal: _normal,
    ScaledNormal: _scaled_normal,
    XavierUniform: _zero_bias(nn.init.xavier_uniform_),
    XavierNormal: _zero_bias(nn.init.xavier_normal_),
    KaimingUniform: _zero_bias(nn.init.kaiming_uniform_),
    KaimingNormal: _zero_bias(nn.init.kaiming_normal_),
    Default: _default,
}


def _same_name(module: object, cls: type[Operation]) -> Any:
    found = getattr(module, cls.__name__, None)
    if found is None:
        raise LookupError(
            f"{cls.__name__} has no twin: torch has no class of that name, and torch_ref/twins.py "
            "none either"
        )
    return found
