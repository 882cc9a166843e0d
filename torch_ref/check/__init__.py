"""A user's own forward and backward, in the form that its author gave them, held against autograd
and finite differences.

    from torch_ref.check import assert_gradients

    def test_my_softplus():
        x = np.random.randn(8, 5)
        assert_gradients(forward, backward, x, reference=torch.nn.functional.softplus)

Each package imports only those before it: forms/ (in which form both were given), evidence/ (where
backward is tried, and what is right there), diagnosis/ (what is wrong), and this one. Its checker
is the way through: recognition (which form), known (what is known beforehand), behaviour (whether
it answers alike each time), errors (which gradients are wrong), judging (rows and sentences).

A gradient is checked in float64 first, where rounding cannot be mistaken for an error, then in the
dtype of the inputs.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec

import numpy as np

from torch_ref.check.checker import Check
from torch_ref.check.inputs import Asked
from torch_ref.check.recognition import recognise
from torch_ref.evidence.report import Report, Row

__all__ = ["Report", "Row", "assert_gradients", "check_gradients"]
P = ParamSpec("P")


def check_gradients(  # noqa: PLR0913 - what is checked, and what only its author knows
    forward: Any,
    backward: Any = None,
    inputs: Any = (),
    reference: Callable[..., Any] | None = None,
    *,
    data: str | Iterable[str] = (),
    domain: Mapping[str, tuple[float, float]] | tuple[float, float] | None = None,
    seed: int = 0,
) -> Report:
    """Check a backward at the given inputs and at random ones of the same kind, with random dy.

    forward, backward: `forward(*inputs)` -> an array, tensor or number of floats, or several in a
        tuple or dict, and `backward(dy, *inputs)` -> the gradient of each input. Or `forward` ->
        (out, cache) and `backward(dout, cache)`; the two methods of a layer, or the layer alone;
        one function of (loss, gradient), a torch.autograd.Function, a module or a function of
        tensors alone, whose backward is then autograd's.
    inputs: an array, tensor or number, a tuple of them, or a dict by name; nested in dicts and
        lists, and with what is no array (a stride, a mode) where forward takes it.
    reference: a torch function or nn.Module of the same inputs, differentiated by autograd; without
        one, finite differences of forward.
    data: names of inputs that have no gradient and stay as they are. By default those that get
        None, integers included.
    domain: (low, high) of all inputs, or by name, outside of which backward means nothing. By
        default other inputs are drawn where forward takes them and gives finite numbers.

    ValueError for what is not of these forms; an exception of forward, or of backward at the given
    inputs, passes through, with a note of the call that raised it.
    """
    with np.errstate(all="ignore"):  # an overflow shows in the gradient, where it is diagnosed
        form = recognise(forward, backward, inputs)
        ranges = (
            dict.fromkeys(form.arguments.floats, domain)
            if isinstance(domain, tuple)
            else dict(domain or {})
        )
        asked = Asked(_names(data), ranges)
        return Check(form, reference, seed=seed).report(asked)


def _names(names: str | Iterable[str]) -> set[str]:
    return {names} if isinstance(names, str) else set(names)


def _asserting(check: Callable[P, Report]) -> Callable[P, None]:
    """`check` as an assertion, with the same arguments for type checkers and help()."""

    def assert_gradients(*args: P.args, **kwargs: P.kwargs) -> None:
        """`check_gradients` as a line of a test: AssertionError with the report where something is
        wrong.
        """
        report = check(*args, **kwargs)
        if not report.ok:
            raise AssertionError(f"wrong gradient\n{report}")

    signature = inspect.signature(check).replace(return_annotation=None)
    assert_gradients.__signature__ = signature  # type: ignore[attr-defined]
    return assert_gradients


assert_gradients = _asserting(check_gradients)
