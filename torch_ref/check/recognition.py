"""The form of what was given, tried at the given point."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torch_ref.evidence.slopes import Differences
from torch_ref.forms.alone import ThroughAutograd, function_of, of_function, of_module
from torch_ref.forms.arguments import Arguments
from torch_ref.forms.binding import named, plans, takes_context
from torch_ref.forms.forms import Form, Functions, called
from torch_ref.forms.layers import Layer, owner_of
from torch_ref.forms.outputs import Output
from torch_ref.forms.values import Leaf, a_or_none, double


def recognise(forward: Any, backward: Any, inputs: Any) -> Form:
    """The form of a forward and a backward. ValueError, in a sentence, where there is none."""
    function = function_of(forward)
    owned = backward is None or backward is forward or function_of(backward) is function
    if function is not None and (owned or backward is getattr(function, "backward", None)):
        return ThroughAutograd(
            function.apply, _arguments(function.forward, inputs), function=function
        )
    if isinstance(forward, nn.Module) and (
        backward is None or isinstance(backward, nn.Module) or inspect.ismethod(backward)
    ):
        return of_module(forward, inputs)
    owner = owner_of(forward, backward)
    if owner is not None:
        return Layer.of(*owner, inputs)
    if not callable(forward):
        raise ValueError(  # noqa: TRY004
            f"forward is {a_or_none(forward)}: a function, a layer or a module is wanted"
        )
    arguments = _arguments(forward, inputs)
    if backward is None or backward is forward:
        return of_function(forward, arguments)
    if not callable(backward):
        raise ValueError(  # noqa: TRY004
            f"backward is {a_or_none(backward)}: it must be a function backward(dy, *inputs)"
        )
    return _two_functions(forward, backward, arguments)


def _arguments(forward: Callable[..., Any], inputs: Any) -> Arguments:
    arguments = Arguments.of(*named(forward, inputs))
    if not arguments.leaves:
        raise ValueError("no input is an array of numbers: there is no gradient to check")
    # whole numbers typed without a point, where there is nothing else to differentiate by
    if not arguments.floats:
        arguments.leaves = {
            name: Leaf(name, leaf.value.double(), leaf.kind)
            for name, leaf in arguments.leaves.items()
        }
    return arguments


def _two_functions(
    forward: Callable[..., Any], backward: Callable[..., Any], arguments: Arguments
) -> Form:
    """The first plan that can be called; of several, the first whose gradient agrees with
    forward.
    """
    given = arguments.given
    try:
        result, _ = called(forward, arguments.build(given), with_context=takes_context(forward))
    except Exception as error:
        error.add_note(f"raised by forward, called with {arguments.describe(given)}")
        raise
    fitting: list[Functions] = []
    misshapen: list[Functions] = []
    failure: Exception | None = None
    for plan in plans(backward, arguments.names, result, scalar=_is_scalar(result)):
        form, by = Functions(forward, backward, arguments, plan), "forward"
        try:
            dy, by = torch.ones_like(form.forward(given).y), "backward"
            found = form.backward(given, dy)
        except Exception as error:  # noqa: BLE001 - it wasn't to be called like this
            error.add_note(f"raised by {by}, called with {arguments.describe(given)}")
            failure = failure or error
            continue
        fits = all(g is None or g.shape == given[name].shape for name, g in found.items())
        (fitting if fits else misshapen).append(form)
    forms = fitting or misshapen[:1]
    if forms:
        return forms[0] if len(forms) == 1 else next(filter(_agrees, forms), forms[0])
    if failure is not None:
        raise failure
    names = ", ".join(arguments.names)
    raise ValueError(
        f"backward takes neither (dy, {names}) nor (dy, cache) nor what else could be told from "
        f"the names of its parameters: write backward(dy, {names})"
    )


def _is_scalar(result: Any) -> bool:
    try:
        return Output.read(
            result[0] if isinstance(result, list | tuple) and result else result
        ).is_scalar
    except ValueError:
        return False


def _agrees(form: Form) -> bool:
    """Whether the gradients that a form reads are those of its forward, at the given point and one
    dy.
    """
    point = double(form.arguments.given)
    try:
        y = form.forward(point).y.double()
        dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        found = form.backward(point, dy)
    except Exception:  # noqa: BLE001 - it needs another dtype, say
        return False
    differences = Differences(lambda p: form.forward(p).y, torch.finfo(torch.float64).eps)
    pairs = [(name, g.double()) for name, g in found.items() if g is not None]
    return all(
        torch.equal(differences.nearest(point, dy, name, g), g)
        for name, g in pairs
        if g.shape == point[name].shape
    )
