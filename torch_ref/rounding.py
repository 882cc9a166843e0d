"""A derived bound on how far two roundings of one formula can be apart: the formula is run on
numbers that carry the size of their error.

To first order: each operation passes its arguments' errors on, and adds its own rounding, which is
anywhere within u = eps / 2 of its result, or within the ulp that exp and log are documented to be
off. Errors are taken to be independent (Higham and Mary, 2019, "A new approach to probabilistic
rounding error analysis"), and to stay within LIKELY standard deviations.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from manual.activations import Softmax
from manual.layers import BatchNorm1d, FrozenBatchNorm1d, Layer
from manual.losses import CrossEntropyLoss
from torch_ref.cases import Case, lectures_names, owner
from torch_ref.results import upstream_of

LIKELY = 4
SUMS_IN_A_ROW = {Softmax, CrossEntropyLoss, BatchNorm1d, FrozenBatchNorm1d}
ULPS = 1.0  # of exp, log, log1p and rsqrt: of Sleef's u10 functions, which torch calls


_in_a_row = False  # whether sums are as in kernels of SUMS_IN_A_ROW, or as torch.sum takes them


def derived(case: Case) -> dict[str, float]:
    """By result, a bound on its distance from torch's, in eps of its terms. Torch's kernels are
    taken to round as often as the formula of manual/, which is run; those of SUMS_IN_A_ROW to add
    one number after the other.
    """
    global _in_a_row
    upstream = upstream_of(case.by_hand(case.inputs)[0].cpu())
    run = _of_layer if isinstance(case.operation, Layer) else _of_function
    found = []
    for _in_a_row in (type(case.operation) in SUMS_IN_A_ROW, False):
        found.append({name: each.error.max().item() for name, each in run(case, upstream).items()})
    in_torch, by_hand = found
    sizes = {name: each.abs().max().item() for name, each in case.terms(upstream).items()}
    return {
        name: LIKELY / 2 * math.hypot(by_hand[name], in_torch[name]) / sizes[name]
        for name in by_hand
        if sizes[name]
    }


def _of_function(case: Case, upstream: Tensor) -> dict[str, "Rounded"]:
    """The results of an activation or a loss."""
    inputs: Any = {name: Rounded(x) for name, x in case.inputs.items()}
    output, pullback = case.by_hand(inputs)
    return {case.output: output, **pullback(Rounded(upstream))}  # type: ignore[arg-type, dict-item]


def _of_layer(case: Case, upstream: Tensor) -> dict[str, "Rounded"]:
    """The results of a layer whose parameters carry an error too, by torch's names."""
    layer: Any = case.operation
    ours: Any = owner(layer)
    names = lectures_names(layer, list(case.inputs)[1:])
    fields: dict[str, Any] = {
        each.name: getattr(ours, each.name) for each in dataclasses.fields(ours)
    }
    fields = {
        name: Rounded(value) if isinstance(value, Tensor) else value
        for name, value in fields.items()
    }
    made: Any = type(ours)(**fields)
    made = made.frozen() if ours is not layer else made
    z, saved = made.forward(Rounded(case.inputs["x"]))
    dz = Rounded(upstream)
    dx = made.input_gradient(dz, saved)
    made.backward(dz, saved)
    within = made.norm if ours is not layer else made
    return {
        "z": z,
        "x": dx,
        **{torchs: getattr(within, f"d{name}") for torchs, name in names.items()},
    }


class Rounded:
    """Numbers in float64 and the standard deviation of the error of each, in u."""

    def __init__(self, value: Tensor, *errors: Tensor) -> None:
        self.value, self.error, self.dtype = (
            value.double(),
            torch.zeros_like(value, dtype=torch.float64),
            value.dtype,
        )
        for each in errors:
            self.error = torch.hypot(self.error, each)  # independent ones

    @classmethod
    def __torch_function__(cls, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        return RULES[function.__name__](*args, **(kwargs or {}))

    def __getattr__(self, name: str) -> Any:
        if name in {"shape", "ndim", "device", "is_cuda"}:
            return getattr(self.value, name)
        if name == "T":
            return RULES["t"](self)
        if name not in RULES:
            raise AttributeError(name)
        return lambda *args, **kwargs: RULES[name](self, *args, **kwargs)

    def __len__(self) -> int:
        return len(self.value)


def _of(x: Any) -> Rounded:
    """x as Rounded: Python's numbers and tensors have no error."""
    return x if isinstance(x, Rounded) else Rounded(torch.as_tensor(x, dtype=torch.float64))


def _rounded(value: Tensor, *errors: Tensor, us: float = 1) -> Rounded:
    """The value with these errors and one rounding within so many u of it."""
    return Rounded(value, *errors, us / math.sqrt(3) * value.abs())


def _linear(value: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Rounded]:
    return lambda a, b: _rounded(value(_of(a).value, _of(b).value), _of(a).error, _of(b).error)


def _mul(a: Any, b: Any) -> Rounded:
    a, b = _of(a), _of(b)
    return _rounded(a.value * b.value, a.error * b.value.abs(), a.value.abs() * b.error)


def _div(a: Any, b: Any) -> Rounded:
    a, b = _of(a), _of(b)
    quotient = a.value / b.value
    return _rounded(quotient, a.error / b.value.abs(), quotient.abs() * b.error / b.value.abs())


def _kernel(
    f: Callable[[Tensor], Tensor], slope: Callable[[Tensor, Tensor], Tensor], ulps: float = ULPS
) -> Callable[..., Rounded]:
    """f, of slope f'(x, f(x)); an ulp is up to 2 u."""
    return lambda x: _rounded(f(x.value), slope(x.value, f(x.value)).abs() * x.error, us=2 * ulps)


def _sum(
    x: Rounded,
    dim: Any = None,
    keepdim: bool = False,  # noqa: FBT001, FBT002 torch's
    out: Any = None,
) -> Rounded:
    values, errors = (
        each.reshape(-1) if dim is None else each.movedim(_only(dim), -1)
        for each in (x.value, x.error)
    )
    result = Rounded(values.sum(-1), errors.square().sum(-1).sqrt(), _roundings(values))
    if keepdim:
        result = _exact(torch.unsqueeze)(result, _only(dim))
    return _into(out, result)


def _into(out: Rounded | None, result: Rounded) -> Rounded:
    if out is not None:
        out.value, out.error = result.value, result.error
    return result


def _only(dim: Any) -> int:
    return int(dim[0] if isinstance(dim, list) else dim)


def _roundings(terms: Tensor) -> Tensor:
    """The error of a sum over the last dimension, from the rounding of each partial sum. torch.sum
    adds blocks of 16, then blocks of their sums.
    """
    squares = torch.zeros(terms.shape[:-1], dtype=torch.float64)
    while (n := terms.shape[-1]) > 1:
        block = n if _in_a_row else min(n, 16)
        partial = (
            torch.nn.functional.pad(terms, (0, -n % block)).unflatten(-1, (-1, block)).cumsum(-1)
        )
        squares += partial[..., 1:].square().sum((-1, -2))
        terms = partial[..., -1]
    return (squares / 3).sqrt()


def _mean(x: Rounded, dim: Any = None) -> Rounded:
    summed = _sum(x, dim)
    return _div(summed, x.value.numel() / summed.value.numel())


def _exact(f: Callable[..., Tensor]) -> Callable[..., Rounded]:
    """f where it rounds nothing: errors go the way of the values."""
    return lambda x, *args, **kwargs: Rounded(
        f(x.value, *args, **kwargs), f(x.error, *args, **kwargs).abs()
    )


def _clamp(f: Callable[..., Tensor]) -> Callable[..., Rounded]:
    return lambda x, limit: Rounded(
        f(x.value, limit), torch.where(f(x.value, limit) == x.value, x.error, 0)
    )


def _mm(a: Any, b: Any, out: Any = None) -> Rounded:
    a, b = _of(a), _of(b)
    passed_on = (a.error.square() @ b.value.square() + a.value.square() @ b.error.square()).sqrt()
    roundings = (a.value.unsqueeze(2) * b.value.unsqueeze(0)).movedim(1, 2)
    return _into(out, _rounded(a.value @ b.value, passed_on, _roundings(roundings)))


def _amax(x: Rounded, dim: int, keepdim: bool) -> Rounded:  # noqa: FBT001 - torch's
    return Rounded(x.value.amax(dim, keepdim))  # one of the numbers themselves


_add, _sub = _linear(torch.add), _linear(torch.sub)
RULES: dict[str, Callable[..., Any]] = {
    "add": _add, "sub": _sub, "mul": _mul, "div": _div,
    "exp": _kernel(torch.exp, lambda _, y: y), "log": _kernel(torch.log, lambda x, _: 1 / x),
    "log1p": _kernel(torch.log1p, lambda x, _: 1 / (1 + x)),
    # an exp, a sum and a quotient
    "sigmoid": _kernel(torch.sigmoid, lambda _, y: y * (1 - y), ULPS + 1),
    "square": lambda x: _mul(x, x), "rsqrt": _kernel(torch.rsqrt, lambda x, y: y / (2 * x)),
    "sum": _sum, "mean": _mean, "amax": _amax, "abs": _exact(torch.abs), "neg": _exact(torch.neg),
    "clamp_min": _clamp(torch.clamp_min), "clamp_max": _clamp(torch.clamp_max),
    "masked_fill":
        lambda x, mask, value: Rounded(x.value.masked_fill(_of(mask).value.bool(), value), x.error),
    "gather": _exact(torch.gather), "addcmul": lambda c, a, b: _add(c, _mul(a, b)), "mm": _mm,
    "addmm": lambda c, a, b: _add(c, _mm(a, b)), "t": _exact(torch.t),
    "scatter_add": lambda x, dim, index, source:
        _sub(x, torch.zeros_like(x.value).scatter(dim, index, -_of(source).value)),
    "ones_like": lambda x: Rounded(torch.ones_like(x.value)),
    "lt": lambda x, y: Rounded((x.value < y).double()),
    # of running statistics, which are no result
    "mul_": lambda x, _: x, "add_": lambda x, *_, **__: x,
}  # fmt: skip
for _operator, _rule in {
    "add": _add, "radd": _add, "mul": _mul, "rmul": _mul, "sub": _sub,
    "rsub": lambda a, b: _sub(b, a), "truediv": _div, "neg": RULES["neg"], "lt": RULES["lt"],
}.items():  # fmt: skip
    setattr(Rounded, f"__{_operator}__", lambda self, *other, rule=_rule: rule(self, *other))
    RULES[f"__{_operator}__"] = _rule
