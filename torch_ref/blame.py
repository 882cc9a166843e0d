"""Where a wrong gradient of a network comes from, in words: each of its operations is held against
autograd by itself.

All in float64, where rounding can't be mistaken for an error. Shapes: B batch, O_0 inputs.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from manual.layers import Layer
from manual.losses import Loss
from manual.network import Network
from manual.operation import Operation
from torch_ref.budgets import ROUNDING, ratio
from torch_ref.cases import (
    Case,
    activation_case,
    layer_case,
    lectures_names,
    loss_case,
    random,
    random_targets,
)
from torch_ref.check import check_gradients
from torch_ref.compare import compare
from torch_ref.results import Result, of_batch
from torch_ref.twins import twin_layer

# of the largest entry: gradients by one formula, or multiples of them, differ by less
EXACT = 1e-6
JOINING = "each operation by itself is right: look at how Network in manual/network.py joins them"


def of_network(network: Network, loss: Loss, x: Tensor, t: Tensor) -> list[str]:
    """What is wrong with the gradient by hand of a batch x (B, O_0) with targets t: a line that
    names the parameters, and a line for each method to look at. Empty where it is rounding.
    """
    double = Network(network.spec, dtype=torch.float64)
    for name, value in double.parameters.values.items():
        value.copy_(network.parameters.values[name])
    targets = t.cpu().double() if t.is_floating_point() else t.cpu()
    gradients = of_batch(double, loss, x.cpu().double(), targets)
    wrong = [each for each in gradients if is_wrong(each)]
    right = [each for each in gradients if not is_wrong(each)]
    if not wrong:
        return []
    factor = _common_factor(wrong)
    verdict = f"{_listed(wrong)} {f'{factor:.4g} times' if factor else 'not'} autograd's"
    places: dict[str, str] = {}
    for case in _cases(double, loss, len(x)):
        places = of_operation(case) | places
    lines = [f"look at {place}: {sentence}" for place, sentence in places.items()] or [JOINING]
    return [f"{verdict}; {_listed(right)} right" if right else verdict, *lines]


def of_operation(case: Case) -> dict[str, str]:
    """What is wrong with an operation: method -> what the checker says of it; of a wrong forward
    nothing else.
    """
    operation, names = case.operation, dict(zip(_names(case), case.inputs, strict=True))

    def turned(name: str, value: Tensor) -> Tensor:
        """A weight from torch's layout to the lecture's, or back."""
        return (
            value.T if isinstance(operation, Layer) and name != "x" and value.ndim == 2 else value
        )

    def inputs(values: tuple[Tensor, ...]) -> dict[str, Tensor]:
        return {name: turned(name, value) for name, value in zip(case.inputs, values, strict=True)}

    @torch.no_grad()
    def forward(*values: Tensor) -> Tensor:
        return case.by_hand(inputs(values))[0]

    def backward(dy: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        _, pullback = case.by_hand(inputs(values))
        gradients = pullback(dy)
        return tuple(turned(name, gradients[name]).clone() for name in case.inputs)

    def reference(*values: Tensor) -> Tensor:
        return case.in_torch(inputs(values))

    given = {name: turned(torchs, case.inputs[torchs]) for name, torchs in names.items()}
    by_method: dict[str, list[str]] = {}
    for name, sentence in check_gradients(forward, backward, given, reference).diagnosis.items():
        by_method.setdefault(_method(operation, name), []).append(sentence)
    if "forward" in by_method:
        y = forward(*given.values())
        for name, value in given.items():
            if torch.allclose(y, reference(*(given | {name: torch.zeros_like(value)}).values())):
                by_method["forward"] = [
                    f"{case.output} is what it would be without {name}: it is left out"
                ]
        by_method = {"forward": by_method["forward"]}
    file = Path(inspect.getfile(type(operation)))
    return {
        f"{type(operation).__name__}.{method} in {file.parent.name}/{file.name}": "; ".join(
            dict.fromkeys(sentences)
        )
        for method, sentences in by_method.items()
    }


def is_wrong(result: Result) -> bool:
    """Whether a float64 result by hand differs from torch's, if that is finite, by more than
    rounding.
    """
    _, by_hand, in_torch, terms = result
    apart, size = compare(by_hand, in_torch).max_abs, in_torch.abs().max().item()
    return size < torch.inf and not (
        apart <= EXACT * size or ratio(by_hand, in_torch, terms) <= ROUNDING
    )


def _method(operation: Operation, name: str) -> str:
    """The method that finds the gradient of `name`, or the output where that is "forward"."""
    if isinstance(operation, Loss):
        return "__call__"
    if name == "forward":
        return name
    return "input_gradient" if name == "x" else "backward"


def _names(case: Case) -> list[str]:
    """The inputs of a case by the lecture's names: w for torch's weight."""
    x, *torchs = case.inputs
    return (
        [x, *lectures_names(case.operation, torchs).values()]
        if isinstance(case.operation, Layer)
        else list(case.inputs)
    )


def _cases(network: Network, loss: Loss, batch: int) -> Iterator[Case]:
    """The operations of a network of float64 on random numbers, those first that backward comes to
    first, each kind and size once.
    """
    outputs, seen = network.spec.sizes[-1], set()
    y, t = (
        random((batch, outputs), torch.float64, seed=1),
        random_targets(loss, (batch, outputs), torch.float64, seed=2),
    )
    yield loss_case(loss, y, t)
    for (layer, f), spec in reversed(list(zip(network.layers, network.spec.layers, strict=True))):
        kind, of_f = (layer.name, spec.inputs, spec.outputs), (f.name, spec.outputs)
        if of_f not in seen:
            yield activation_case(f, random((batch, spec.outputs), torch.float64, seed=1))
        if kind not in seen:
            module = twin_layer(
                layer, spec.inputs, spec.outputs, device=torch.device("cpu"), dtype=torch.float64
            )
            for seed, parameter in enumerate(module.parameters()):
                parameter.data = random(tuple(parameter.shape), torch.float64, seed)
            yield layer_case(
                layer, module, random((batch, spec.inputs), torch.float64, seed=1), lambda _: {}
            )
        seen |= {kind, of_f}


def _common_factor(results: list[Result]) -> float | None:
    """The number other than 0 by which each gradient by hand is a multiple of torch's, if there is
    one.
    """
    factors = [
        float((by_hand * in_torch).sum() / in_torch.square().sum())
        for _, by_hand, in_torch, _ in results
    ]
    factor = factors[0]
    for _, by_hand, in_torch, _ in results:
        if (
            not (by_hand - factor * in_torch).abs().max()
            <= EXACT * abs(factor) * in_torch.abs().max()
        ):
            return None
    return factor or None


def _listed(results: list[Result]) -> str:
    *some, last = [f"d{result.name}" for result in results]
    return f"{', '.join(some)} and {last} are" if some else f"{last} is"
