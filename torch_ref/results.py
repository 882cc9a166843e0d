"""Results by hand beside torch's: of an operation, an optimizer, a network.

Shapes: B batch, C classes or outputs.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from manual.losses import Loss
from manual.network import Network
from manual.optimizers import Optimizer
from torch_ref.budgets import forward_terms, gradient_terms, loss_terms
from torch_ref.cases import Case, random, random_targets
from torch_ref.model import build, pairs
from torch_ref.twins import twin, twin_optimizer


class Result(NamedTuple):
    """An output, a gradient or a parameter: by hand, in torch, and the terms it is summed from, by
    whose size its difference is measured.
    """

    name: str
    by_hand: Tensor
    in_torch: Tensor
    terms: Tensor


def of_case(case: Case) -> list[Result]:
    """The output, and the gradient of each input for a random dDiv/d(output)."""
    leaves = {name: x.detach().requires_grad_() for name, x in case.inputs.items()}
    expected = case.in_torch(leaves)
    upstream = upstream_of(expected)
    gradients = torch.autograd.grad(expected, list(leaves.values()), upstream)
    output, pullback = case.by_hand(case.inputs)
    by_hand, terms = pullback(upstream), case.terms(upstream)
    return [
        Result(case.output, output, expected.detach(), terms[case.output]),
        *(
            Result(name, by_hand[name], gradient, terms[name])
            for name, gradient in zip(leaves, gradients, strict=True)
        ),
    ]


def upstream_of(output: Tensor) -> Tensor:
    """dDiv/d(output) of a case: random, but for a loss 1."""
    shape, dtype, device = tuple(output.shape), output.dtype, output.device.type
    return random(shape, dtype, 2, device) if shape else output.new_ones(())


def of_optimizer(optimizer: Optimizer, network: Network, updates: int) -> Iterator[Result]:
    """The parameters of `network`, which `optimizer` moves, after each update from random
    gradients, of which some are 0.
    """
    model, parameters = build(network), network.parameters
    reference = twin_optimizer(optimizer, model.parameters())
    for update in range(updates):
        gradients = zip(pairs(network, model), parameters.gradients.values(), strict=True)
        for seed, ((_, value, parameter), gradient) in enumerate(gradients):
            parameter.grad = random(
                tuple(value.shape), value.dtype, 100 * update + seed, value.device.type
            ).relu_()
            gradient.copy_(parameter.grad.t())
        optimizer.step(parameters.theta, parameters.grad)
        reference.step()
        for name, value, parameter in pairs(network, model):
            yield Result(
                f"{name} after {update + 1} updates", value, parameter.detach(), parameter.detach()
            )


def of_network(network: Network, loss: Loss, batch: int) -> list[Result]:
    """`of_batch` of a `random_batch`."""
    return of_batch(network, loss, *random_batch(network, loss, batch))


def random_batch(network: Network, loss: Loss, batch: int) -> tuple[Tensor, Tensor]:
    """Inputs (B, O_0) of N(0, 1) and targets, that this network and this loss can take."""
    theta, sizes = network.parameters.theta, network.spec.sizes
    where: dict[str, Any] = {"dtype": theta.dtype, "seed": batch, "device": theta.device.type}
    return random((batch, sizes[0]), **where), random_targets(loss, (batch, sizes[-1]), **where)


def of_batch(network: Network, loss: Loss, x: Tensor, t: Tensor) -> list[Result]:
    """The gradient of every parameter, and that of x (B, O_0), for this batch with targets t."""
    model, leaf = build(network), x.detach().clone().requires_grad_()
    twin(loss)(model(leaf), t).backward()
    tape = network.forward(x)
    _, dy = loss(tape.output, t)
    terms = gradient_terms(
        network, tape, loss_terms(loss, tape.output, forward_terms(network, tape)[-1])
    )
    dx = network.input_gradient(dy, tape)
    gradients = network.parameters.gradients
    results = []
    for name, value, parameter in pairs(network, model):
        assert parameter.grad is not None
        by_hand = gradients[name].T if value.ndim == 2 else gradients[name]
        results.append(Result(name, by_hand, parameter.grad, terms[name]))
    assert leaf.grad is not None
    return [*results, Result("x", dx, leaf.grad, terms["x"])]
