"""The network of a spec as nn.Sequential, and its parameters to and from the hand-written one."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from manual.network import Network
from torch_ref.twins import twin, twin_layer


def build(network: Network) -> nn.Sequential:
    """The same network of torch.nn modules, on the same device and dtype, with a copy of the same
    parameters.
    """
    theta = network.parameters.theta
    modules: list[nn.Module] = []
    for (layer, f), spec in zip(network.layers, network.spec.layers, strict=True):
        modules += [
            twin_layer(layer, spec.inputs, spec.outputs, device=theta.device, dtype=theta.dtype),
            twin(f),
        ]
    model = nn.Sequential(*modules)
    copy_to_model(network, model)
    return model


def pairs(network: Network, model: nn.Module) -> Iterator[tuple[str, Tensor, nn.Parameter]]:
    """(our name, our value in torch's layout, torch's parameter) of each parameter, in the order of
    both.
    """
    values = network.parameters.values
    for (name, value), parameter in zip(values.items(), model.parameters(), strict=True):
        yield name, value.T if value.ndim == 2 else value, parameter


def buffer_pairs(network: Network, model: nn.Module) -> Iterator[tuple[str, Tensor, Tensor]]:
    """(our name, our buffer, torch's) of each running statistic, in the order of both."""
    statistics = [
        buffer for name, buffer in model.named_buffers() if not name.endswith("num_batches_tracked")
    ]
    for (name, value), buffer in zip(network.buffers.items(), statistics, strict=True):
        yield name, value, buffer


@torch.no_grad()
def copy_to_model(network: Network, model: nn.Module) -> None:
    """Set the parameters and running statistics of `model` to those of `network`."""
    for _, value, parameter in (*pairs(network, model), *buffer_pairs(network, model)):
        parameter.copy_(value)


@torch.no_grad()
def copy_to_network(model: nn.Module, network: Network) -> None:
    """Set the parameters and running statistics of `network` to those of `model`."""
    for _, value, parameter in (*pairs(network, model), *buffer_pairs(network, model)):
        value.copy_(parameter)
