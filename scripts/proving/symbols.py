"""A tensor whose entries are formulas: torch's functions and methods called on it give formulas.

It lies in a NumPy array, so that views, broadcasting and writing in place are as in torch.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import sympy as sp
import torch

from scripts.proving.algebra import exact, sigma
from scripts.proving.cases import Open, largest, sign


def entrywise(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """A function of each entry."""
    return np.vectorize(function, otypes=[object])


def array(x: Any) -> Any:
    """The entries of a tensor, exact; of anything else the thing itself."""
    if isinstance(x, Symbolic):
        return x.entries
    if isinstance(x, torch.Tensor):
        return x.numpy() if x.dtype in {torch.int64, torch.bool} else entrywise(exact)(x.numpy())
    return exact(x) if isinstance(x, bool | int | float) else x


class Symbolic:
    """Formulas in the shape of a tensor."""

    dtype, device = torch.float64, torch.device("cpu")
    is_cuda = requires_grad = False
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, entries: Any) -> None:
        self.entries = np.asarray(entries, dtype=object)

    @classmethod
    def __torch_function__(cls, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        return call(function.__name__, *args, **(kwargs or {}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return partial(call, name, self)

    @property
    def shape(self) -> torch.Size:
        return torch.Size(self.entries.shape)

    @property
    def ndim(self) -> int:
        return self.entries.ndim

    @property
    def T(self) -> "Symbolic":  # noqa: N802 - torch's name
        return Symbolic(self.entries.T)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> "Symbolic":
        return Symbolic(self.entries[_index(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.entries[_index(index)] = array(value)

    def __bool__(self) -> bool:
        raise Open("it asks for a number: a branch on a value")

    __float__ = __int__ = __index__ = __bool__


def _index(index: Any) -> Any:
    return (
        tuple(map(_index, index))
        if isinstance(index, tuple)
        else array(index)
        if isinstance(index, torch.Tensor)
        else index
    )


def call(name: str, *args: Any, out: Symbolic | None = None, **kwargs: Any) -> Any:
    """What torch's function or method of this name does, exactly: into `out`, or in place where the
    name ends with _.
    """
    plain = name.strip("_") if name.endswith("_") else name
    if plain not in RULES:
        raise Open(f"no rule for torch.{name}")
    try:
        result = RULES[plain](
            *map(array, args), **{key: array(each) for key, each in kwargs.items()}
        )
    except TypeError as error:
        raise Open(f"no rule for torch.{name} with these arguments: {error}") from error
    target = args[0] if name.endswith("_") and not name.startswith("__") else out
    if target is None:
        return Symbolic(result) if isinstance(result, np.ndarray | sp.Basic) else result
    target.entries[...] = result
    return target


def _exp_of(x: Any) -> Any:
    """Looked through for logarithms where there are any, for which SymPy takes long."""
    return sp.exp(x, evaluate=not x.free_symbols or x.has(sp.log))


def _log1p(x: Any) -> Any:
    """Of e^a: -log sigma(-a), whose derivative is a polynomial in sigma."""
    return -sp.log(sigma(-x.args[0])) if isinstance(x, sp.exp) else sp.log(1 + x)


def _least(a: Any, b: Any) -> Any:
    return a if sign(a - b) <= 0 else b


def _most(a: Any, b: Any) -> Any:
    return a if sign(a - b) >= 0 else b


def _shift(
    a: np.ndarray,
    dim: int | None = None,
    keepdim: bool = False,  # noqa: FBT001, FBT002 torch's
) -> Any:
    """The largest of a row, as any number: where it matters which, the proof says so."""
    if dim is None:
        return largest(a.ravel())
    shifts = np.apply_along_axis(largest, dim, a)
    return np.expand_dims(shifts, dim) if keepdim else shifts


# torch's
def _sum(a: np.ndarray, dim: Any = None, keepdim: bool = False) -> Any:  # noqa: FBT001, FBT002
    return a.sum(axis=tuple(dim) if isinstance(dim, list) else dim, keepdims=keepdim)


# torch's
def _mean(a: np.ndarray, dim: Any = None, keepdim: bool = False) -> Any:  # noqa: FBT001, FBT002
    total = _sum(a, dim, keepdim)
    return total / sp.Rational(a.size, np.size(total))


def _var(a: np.ndarray, dim: int, correction: int = 1) -> Any:
    centred = a - _mean(a, dim, keepdim=True)
    return _sum(centred * centred, dim) / (a.shape[dim] - correction)


def _softmax(a: np.ndarray, dim: int) -> Any:
    e = _exp(a - _shift(a, dim, keepdim=True))
    return e / _sum(e, dim, keepdim=True)


def _scatter_add(a: np.ndarray, dim: int, index: np.ndarray, source: np.ndarray) -> np.ndarray:
    result = a.copy()
    for place in np.ndindex(*index.shape):
        target = list(place)
        target[dim] = index[place]
        result[tuple(target)] += source[place]
    return result


def _compare(holds: Callable[[int], bool]) -> Callable[..., Any]:
    return entrywise(lambda x, y: sp.Integer(holds(sign(sp.sympify(x) - y))))


def _where(condition: Any, a: Any, b: Any) -> Any:
    return entrywise(lambda c, x, y: x if c else y)(condition, a, b)


_exp, _log, _relu = (
    entrywise(_exp_of),
    entrywise(sp.log),
    entrywise(lambda x: _most(sp.sympify(x), sp.Integer(0))),
)
_divide = lambda a, b: a / b  # noqa: E731 - of a whole table, see below
RULES: dict[str, Callable[..., Any]] = {
    "neg": lambda a: -a, "abs": entrywise(lambda x: x * sign(x)), "square": lambda a: a * a,
    "exp": _exp, "log": _log, "log1p": entrywise(_log1p), "sqrt": entrywise(sp.sqrt),
    "rsqrt": entrywise(lambda x: 1 / sp.sqrt(x)), "reciprocal": lambda a: 1 / a,
    "sigmoid": entrywise(sigma), "tanh": entrywise(sp.tanh), "relu": _relu, "pow": lambda a,
    b: a**b,
    "add": lambda a, b, alpha=1: a + b * alpha, "sub": lambda a, b, alpha=1: a - b * alpha,
    "rsub": lambda a, b: b - a,
    "mul": lambda a, b: a * b, "div": _divide, "true_divide": _divide, "rdiv": lambda a, b: b / a,
    "mm": lambda a, b: a @ b, "matmul": lambda a, b: a @ b, "addmm": lambda c, a, b: c + a @ b,
    "addcmul": lambda c, a, b, value=1: c + a * b * value, "addcdiv": lambda c, a, b,
    value=1: c + a / b * value,
    "lerp": lambda a, b, weight: a + (b - a) * weight,
    "sum": _sum, "mean": _mean, "var": _var, "amax": _shift, "max": _shift,
    "softmax": _softmax, "log_softmax": lambda a, dim: _log(_softmax(a, dim)),
    "clamp_min": entrywise(_most), "clamp_max": entrywise(_least), "maximum": entrywise(_most),
    "minimum": entrywise(_least),
    "le": _compare(lambda s: s <= 0), "lt": _compare(lambda s: s < 0),
    "ge": _compare(lambda s: s >= 0),
    "gt": _compare(lambda s: s > 0), "eq": _compare(lambda s: s == 0), "where": _where,
    "masked_fill": lambda a, mask, value: _where(mask, value, a),
    "gather": lambda a, dim, index: np.take_along_axis(a, index, dim), "scatter_add": _scatter_add,
    "binary_cross_entropy": lambda y, t, **_: -(t * _log(y) + (1 - t) * _log(1 - y)).sum(),
    "clone": lambda a: a.copy(), "contiguous": lambda a: a.copy(), "detach": lambda a: a,
    "to": lambda a, *_: a.copy(),
    "nan_to_num": lambda a: a.copy(), "copy": lambda _, b: b, "numel": lambda a: a.size,
    "view": lambda a, *shape: a.reshape(*shape), "reshape": lambda a, *shape: a.reshape(*shape),
    "t": lambda a: a.T,
    "transpose": lambda a, i, j: a.swapaxes(i, j), "unsqueeze": np.expand_dims,
    "expand_as": np.broadcast_to,
    "isfinite": lambda _: True, "zero": lambda a: 0 * a, "fill": lambda a, value: 0 * a + value,
    "zeros_like": lambda a: 0 * a, "ones_like": lambda a: 0 * a + 1, "new_ones": lambda _,
    shape: _full(shape, 1),
    "normal": lambda a, **_: a, "uniform": lambda a, *_, **__: a,
}  # fmt: skip
OPERATORS = {
    "add": "add", "radd": "add", "sub": "sub", "rsub": "rsub", "mul": "mul", "rmul": "mul",
    "truediv": "div",
    "rtruediv": "rdiv", "pow": "pow", "neg": "neg", "abs": "abs", "matmul": "matmul",
    "le": "le", "lt": "lt", "ge": "ge", "gt": "gt", "eq": "eq", "iadd": "add_", "isub": "sub_",
    "imul": "mul_",
}  # fmt: skip
for _operator, _rule in OPERATORS.items():
    setattr(Symbolic, f"__{_operator}__", lambda self, *args, rule=_rule: call(rule, self, *args))
    # by this name a tensor's operator comes
    RULES.setdefault(f"__{_operator}__", RULES[_rule.strip("_")])


def _full(shape: Any, value: Any) -> np.ndarray:
    return np.full(
        tuple(shape) if isinstance(shape, tuple | list) else (shape,), exact(value), dtype=object
    )


FACTORIES: dict[str, Callable[..., np.ndarray]] = {
    "zeros": lambda *shape: _full(shape[0] if len(shape) == 1 else shape, 0),
    "empty": lambda *shape: _full(shape[0] if len(shape) == 1 else shape, 0),
    "full": _full,
}


def _function(name: str) -> Callable[..., Any]:
    """Torch's, of symbols too; where it makes a tensor of nothing, to be written into, that is of
    symbols.
    """
    plain = getattr(torch, name)

    def function(*args: Any, **kwargs: Any) -> Any:
        if name in FACTORIES:
            return Symbolic(FACTORIES[name](*args))
        of_symbols = any(isinstance(each, Symbolic) for each in args)
        return call(name, *args, **kwargs) if of_symbols else plain(*args, **kwargs)

    return function


@contextmanager
def on_symbols() -> Iterator[None]:
    """Inside, torch's functions take symbols, also for numbers, which their parser refuses; so does
    math.sqrt.
    """
    functions = {name: _function(name) for name in [*RULES, *FACTORIES] if hasattr(torch, name)}
    plain = math.sqrt
    root = mock.patch(
        "math.sqrt", lambda x: sp.sqrt(x) if isinstance(x, int | sp.Basic) else plain(x)
    )
    with mock.patch.dict(vars(torch), functions), root:
        yield
