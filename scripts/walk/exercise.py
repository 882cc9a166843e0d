"""A fresh exercise, with numbers as on an exam sheet."""

import torch
from torch import Tensor

from manual.losses import Loss
from manual.network import Network
from scripts.run.specs import spec_for
from scripts.walk.example import Example

LARGEST = 9  # units a layer and layers: an index is one digit, and a sheet can be solved


def fresh(
    sizes: tuple[int, ...], activations: tuple[str, ...], loss: str, seed: int, lr: float
) -> Example:
    """Weights, biases and inputs of one decimal from -0.9 to 0.9, none of them 0, and a class as
    target.

    The activations are as spec_for takes them. ValueError begins with the option's name and says
    what will not do.
    """
    if loss not in Loss.named():
        raise ValueError(f"loss {loss!r} is unknown; choose from {', '.join(Loss.named())}")
    if any(size > LARGEST for size in sizes) or len(sizes) > LARGEST:
        raise ValueError(
            f"sizes {list(sizes)} must be at most {LARGEST} layers of at most {LARGEST} units, to "
            "be solved by hand"
        )
    chosen = Loss.named()[loss]()
    spec = spec_for(type(chosen), sizes, activations)
    if (
        sizes[-1] == 1
        and not chosen.targets(torch.tensor([0]), 1, torch.float64).is_floating_point()
    ):
        raise ValueError(
            f"loss {loss}: chooses between classes; sizes {list(sizes)} must end with 2 or more"
        )
    generator = torch.Generator().manual_seed(seed)
    network = Network(spec, dtype=torch.float64)
    values = {
        name: _one_decimal(value.shape, generator)
        for name, value in network.parameters.values.items()
    }
    x = _one_decimal((sizes[0],), generator)
    label = int(torch.randint(sizes[-1], (), generator=generator))
    return Example(spec, values, x, label, chosen, lr)


def _one_decimal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    tenths = torch.randint(1, 10, shape, generator=generator)
    signs = torch.randint(0, 2, shape, generator=generator) * 2 - 1
    return (tenths * signs).double() / 10
