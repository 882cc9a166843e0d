"""Which gradients a result of backward holds, or why that can't be told, as it stands in
returned.txt; and what arrays, numbers and lists are.

`python -m tests.check.test_returned` writes that file anew; read what has changed in it.
"""

from collections import OrderedDict, namedtuple
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from torch_ref.forms import values
from torch_ref.forms.arguments import Arguments
from torch_ref.forms.returned import gradients
from torch_ref.forms.values import Leaf

SHEET = Path(__file__).with_name("returned.txt")
Pair = namedtuple("Pair", "w b")  # noqa: PYI024 - as people write it


def a(*shape: int, of: float = 0.5) -> Any:
    """An array of one number, by which it is known again."""
    return np.full(shape, float(of))


X, W, B, T = a(2, 3), a(3, 4), a(4), np.arange(2)
DX, DY, DW, DB = a(2, 3, of=1), a(2, 3, of=2), a(3, 4, of=2), a(4, of=3)
# inputs by name -> results
RETURNED: list[tuple[dict[str, Any], list[Any]]] = [
    (
        {"x": X},
        [
            None, DX, a(6, of=1), 2.0, [DX], (DX,), (None,),
            {"x": DX}, {"dx": DX}, {"grad": DX}, {"dw": 1.0},
            {"dx": DX, "dw": 1.0}, {"dx": None, "dw": 1.0}, {"dx": DX, "y": None},
            [[1.0, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]], [[1.0, 2], [3]], [1.0, 2.0],
            (DX, None),
            (None, DX), (DX, DY), [], (), "text", torch.ones(2, 3),
            torch.ones(2, 3, dtype=torch.int64), np.ones((2, 3), np.float32), a(2, 3) + 1j,
            np.array(["a"]), object(),
        ],
    ),
    (
        {"x": X, "w": W, "b": B},
        [
            (DX, DW, DB), [DX, DW, DB],
            (DW, DB), (DB, DX), DW, a(9), (None, None, None),
            (None, DW, None), {"dw": DW, "db": DB}, {"W": DW},
            (DX, DW, DB, None), (DX, DW, DB, a(9)),
            {"dx": DX, "w": DW, "grad_b": DB, "loss": 7.0},
            (a(4, 3, of=2), DX, DB), {"p": 1.0, "q": 2.0}, (DX,), 2.0,
        ],
    ),
    ({"x": X, "y": X + 1}, [DX, (DX, DY), (DX,), a(2), [a(3)]]),
    (
        {"x": X, "t": T},
        [DX, (DX, None), (DX,), {"dx": DX, "t": None},
         {"dx": DX, "dt": a(2)}, (DX, a(2, of=2))],
    ),
    ({"x": X, "s": 2.0}, [(DX, 3.0), DX, (DX, None), (DX,), 3.0]),
    ({"s": 2.0}, [3.0, (3.0,), [3.0], np.float64(3), a(1, of=3), torch.tensor(3.0)]),
    ({"v": [1.0, 2.0]}, [[3.0, 4.0], (3.0, 4.0), [[3.0, 4.0]], ([3.0, 4.0],), a(2, of=3), [3, 4]]),
    (
        {"x": X, "p": {"w": W, "b": B}},
        [
            (DX, {"w": DW, "b": DB}), (DX, {"dw": DW}),
            (DX, [DW, DB]), (DX, DW, DB),
            {"dx": DX, "dp": {"w": DW}}, {"dx": DX, "dw": DW, "db": DB},
            {"dx": DX, "p": [DW, None]}, (DX, None), ({"w": DW}, DX),
            (DX, {"w": DW, "z": a(9)}), (DX, 5.0), {"w": DW},
        ],
    ),
    (
        {"p": [W, [B, T]]},
        [[DW, [DB, None]], [DW, DB], ([DW, [DB]],),
         {"p": [DW, [DB]]}, DW, DB, a(9)],
    ),
    ({"p": Pair(W, B)}, [Pair(DW, DB), (DW, DB), (Pair(DW, None),)]),
    ({"z": a(2) + 1j}, [a(2, of=1) + 2j, a(2, of=1), torch.ones(2, dtype=torch.complex128).conj()]),
    ({"x": X, "n": 3, "w": W}, [(DX, None, DW), (DX, DW)]),
]  # fmt: skip


def described(value: Any) -> str:
    """An array by its shape and its first number, what is nested as it is."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {described(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(described, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, np.ndarray | np.generic | Tensor):
        array = np.asarray(value.resolve_conj() if isinstance(value, Tensor) else value)
        kind = type(value).__name__.removeprefix("ndarray")
        number = array.reshape(-1)[0]
        if array.dtype.kind in "fiuc":
            number = complex(number) if array.dtype.kind == "c" else float(number)
        dtype = "" if array.dtype == np.float64 else str(array.dtype)
        return f"{kind}{list(array.shape)}{dtype} of {number}".strip()
    return "an object" if type(value) is object else repr(value)


def line(inputs: dict[str, Any], result: Any) -> str:
    try:
        found, notes = gradients(result, Arguments.of(list(inputs), list(inputs.values())))
    except ValueError as error:
        return f"   {described(result)} -> ValueError: {error}"
    told = {name: g if g is None else g.numpy() for name, g in found.items()}
    return f"   {described(result)} -> {described(told)}" + "".join(f"; {note}" for note in notes)


def sheet() -> list[str]:
    lines = []
    for inputs, results in RETURNED:
        lines += [f"== {described(inputs)}", *(line(inputs, result) for result in results)]
    return lines


@pytest.mark.parametrize("i", range(sum(1 + len(results) for _, results in RETURNED)))
def test_what_is_found_is_that_of_the_sheet(i: int) -> None:
    assert sheet()[i] == SHEET.read_text().splitlines()[i]


def test_the_sheet_has_no_others() -> None:
    assert len(SHEET.read_text().splitlines()) == len(sheet())


# -- what arrays, numbers and lists are


class Arraylike:
    """What NumPy can read."""

    shape = (2,)

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.ones(2)


SPARSE = torch.eye(2).to_sparse()
KINDS: list[tuple[Any, str]] = [
    (torch.ones(2), "array numeric"),
    (SPARSE, ""),
    (np.ones(2), "array numeric"),
    (np.float32(1), "array numeric"),
    (np.ones(2, bool), "array numeric"),
    (np.ones(2, np.uint8), "array numeric"),
    (np.ones(2, complex), "array numeric"),
    (np.array(["a"]), ""),
    (np.array([None]), ""),
    (Arraylike(), "array numeric"),
    (Arraylike, ""),
    (1, "number numeric"),
    (1.5, "number numeric"),
    (1j, "number numeric"),
    (True, ""),
    ("a", ""),
    (None, ""),
    ([1.0, 2.0], "list numeric"),
    ([1.0, 2], "list numeric"),
    ([1, 2], ""),
    ([[1.0], [2.0]], "list numeric"),
    ([[1.0], [2.0, 3.0]], ""),
    ([1.0, "a"], ""),
    ([1.0, True], ""),
    ([], ""),
    ((1.0, 2.0), "list numeric"),
    ([1.0, 1j], "list numeric"),
    ([np.float64(1)], ""),
    ({"a": 1.0}, ""),
]


@pytest.mark.parametrize(("value", "kinds"), KINDS, ids=lambda value: type(value).__name__)
def test_what_a_value_is(value: Any, kinds: str) -> None:
    tests = {
        "array": values.is_array,
        "number": values.is_number,
        "list": values.is_number_list,
        "numeric": values.is_numeric,
    }
    assert [name for name, test in tests.items() if test(value)] == kinds.split()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (torch.ones(2), "torch"),
        (np.ones(2), "numpy"),
        (np.float64(1), "numpy"),
        ([1.0], "list"),
        ((1.0,), "list"),
        (1.0, "number"),
        (1j, "number"),
    ],
)
def test_a_value_is_handed_over_as_its_kind(value: Any, kind: str) -> None:
    leaf = Leaf.of("x", value)
    assert leaf.kind == kind
    handed = leaf.hand_over(leaf.value)
    assert values.kind_of(handed) == kind
    assert np.array_equal(handed, np.asarray(value))
    if kind == "torch":
        handed += 1
        assert leaf.value.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.ones(2, np.float16), torch.float16),
        (np.ones(2, np.longdouble), torch.float64),
        (np.ones(2, np.uint8), torch.uint8),
        (np.ones(2, np.uint16), torch.int64),
        (np.ones(2, np.int32), torch.int32),
        (np.ones(2, bool), torch.bool),
        (np.ones((2, 3)).T, torch.float64),
        (SPARSE, torch.float32),
        (1, torch.int64),
        ([1.0], torch.float64),
    ],
)
def test_a_value_is_read_as_a_tensor(value: Any, dtype: torch.dtype) -> None:
    tensor = values.read(value, "x")
    assert tensor.dtype == dtype
    assert tensor.layout == torch.strided
    assert tensor.is_contiguous()
    assert tensor.shape == (tuple(value.shape) if hasattr(value, "shape") else np.shape(value))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a", "x is a str: an array of numbers or a tensor is wanted"),
        (None, "x is None: an array of numbers or a tensor is wanted"),
        ([[1.0], [2.0, 3.0]], "x is a list: an array of numbers or a tensor is wanted"),
        (np.array([None]), "x is a ndarray: an array of numbers or a tensor is wanted"),
        (
            np.ma.masked_array([1.0], [True]),
            "x is a masked array: give the array and its mask as two inputs",
        ),
        (np.ones((0, 3)), "x has shape (0, 3): give at least one entry"),
    ],
)
def test_what_holds_no_numbers_is_refused(value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        Leaf.of("x", value)
    assert str(refused.value) == says
    if "entry" not in says:
        with pytest.raises(ValueError, match=r"^the table is"):
            Leaf.of("x", value, "the table")


def test_nested_values_are_rebuilt_as_they_are() -> None:
    nested = OrderedDict(a=[1, (2, 3)], b=Pair(4, [5.0, 6.0]), c=MappingProxyType({"d": 7}))
    found = values.rebuilt(nested, lambda value: [value] if isinstance(value, list) else -value)
    assert found == {"a": [-1, (-2, -3)], "b": Pair(-4, [[5.0, 6.0]]), "c": {"d": -7}}
    assert type(found) is OrderedDict
    assert type(found["b"]) is Pair
    assert list(values.parts(nested)) == [1, 2, 3, 4, 5.0, 6.0, 7]


def test_what_only_its_author_can_make_is_left_plain() -> None:
    class Odd(list[int]):
        def __init__(self) -> None:
            super().__init__([1, 2])

    assert type(values.rebuilt(Odd(), lambda value: -value)) is list


if __name__ == "__main__":
    SHEET.write_text("\n".join(sheet()) + "\n")
