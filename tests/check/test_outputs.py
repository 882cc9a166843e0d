"""The arrays in the arguments of a call and in its output, and a dy made like the output."""

# ruff: noqa: S311 - no secret

import random
from typing import Any

import numpy as np
import pytest
import torch

from torch_ref.forms.arguments import Arguments
from torch_ref.forms.outputs import Output

A = np.arange(6.0).reshape(2, 3)


def of(**values: Any) -> Arguments:
    return Arguments.of(list(values), list(values.values()))


@pytest.mark.parametrize(
    ("values", "leaves"),
    [
        ({"x": A, "n": 3, "mode": "same"}, ["x"]),
        ({"n": 3}, ["n"]),
        ({"x": A, "s": 2.0, "z": 1j}, ["x", "s", "z"]),
        ({"n": 3, "m": 2}, ["n", "m"]),
        ({"i": np.arange(2), "n": 3}, ["i", "n"]),
        ({"v": [1.0, 2.0], "n": 3}, ["v"]),
        ({"p": {"W": A, "b": A[0]}, "x": A}, ["W", "b", "x"]),
        ({"W": A, "p": {"W": A, "W2": A}}, ["W", "p['W']", "W2"]),
        ({"p": {0: A, 1: A}}, ["p[0]", "p[1]"]),
        ({"p": {"W": A}, "q": {"W": A}}, ["W", "q['W']"]),
        ({"p": {"q": A}, "q": A}, ["p['q']", "q"]),
        ({"p": [A, (A, [A])]}, ["p[0]", "p[1][0]", "p[1][1][0]"]),
        ({"flag": True, "x": A}, ["x"]),
    ],
)
def test_which_arrays_are_inputs(values: dict[str, Any], leaves: list[str]) -> None:
    arguments = of(**values)
    assert list(arguments.leaves) == leaves
    assert [leaf for each in arguments.by_argument.values() for leaf in each] == leaves
    assert arguments.kept == []


def test_a_call_is_built_with_other_values() -> None:
    generator = random.Random(0)
    arguments = of(x=A, p={"W": A, "n": 3}, s=2.0, mode="same", generator=generator, k=int)
    point = {name: value + 1 for name, value in arguments.given.items()}
    x, p, s, mode, drawn, kind = arguments.build(point)
    assert x.tolist() == (A + 1).tolist()
    assert p["W"].tolist() == (A + 1).tolist()
    assert (p["n"], s, mode, kind) == (3, 3.0, "same", int)
    assert drawn is not generator
    assert drawn.random() == random.Random(0).random()
    assert arguments.floats == ["x", "W", "s"]
    assert arguments.describe(point) == ("x (2, 3) float64, W (2, 3) float64, s () float64")


def test_what_cannot_be_copied_is_handed_over_as_it_is() -> None:
    stream = (i for i in range(3))
    assert of(x=A, stream=stream).build({"x": torch.ones(2, 3)})[1] is stream


@pytest.mark.parametrize(
    ("result", "y", "single", "scalar"),
    [
        (A, [0, 1, 2, 3, 4, 5], True, False),
        (2.5, [2.5], True, True),
        (3, [3], True, True),
        (np.float64(2), [2], True, True),
        (torch.tensor(2.0), [2], True, True),
        ([1.0, 2.0], [1, 2], True, False),
        ((A, 7.0), [0, 1, 2, 3, 4, 5, 7], False, False),
        ({"a": A[0], "i": np.arange(3)}, [0, 1, 2], False, False),
        (A[0] + 1j, [0, 1, 1, 1, 2, 1], False, False),
        (np.array(1 + 2j), [1, 2], False, False),
        ((A[0], "text", None), [0, 1, 2], False, False),
    ],
)
def test_an_output_is_read(result: Any, y: list[float], *, single: bool, scalar: bool) -> None:
    output = Output.read(result)
    assert output.y.reshape(-1).tolist() == y
    assert (output.single, output.is_scalar) == (single, scalar)
    if single:
        assert output.y.shape == np.shape(result)


@pytest.mark.parametrize(
    ("dtypes", "dtype"),
    [
        ([np.float32, np.float64], torch.float64),
        ([np.float16, np.float16], torch.float32),
        ([np.float32, np.float16], torch.float32),
    ],
)
def test_several_outputs_have_one_dtype(dtypes: list[Any], dtype: torch.dtype) -> None:
    assert Output.read(tuple(A.astype(each) for each in dtypes)).y.dtype == dtype


@pytest.mark.parametrize(
    ("result", "what"),
    [
        (np.arange(3), "int64"),
        (torch.ones(2, dtype=torch.bool), "bool"),
        (None, "None"),
        ("text", "a str"),
        (object(), "a object"),
        ({"a": np.arange(3)}, "a dict"),
    ],
)
def test_an_output_without_floats_is_refused(result: Any, what: str) -> None:
    words = "its output must be floats to have a gradient, an array or tensor of them"
    with pytest.raises(ValueError, match=f"^forward returned {what}: {words}$"):
        Output.read(result)
    with pytest.raises(ValueError, match=f"^the reference returned {what}: {words}$"):
        Output.read(result, whose="the reference")


DY = torch.arange(1.0, 7.0, dtype=torch.float64)


def test_dy_is_typed_as_the_output_is() -> None:
    def handed(result: Any) -> Any:
        return Output.read(result).upstream(DY[: Output.read(result).y.numel()])

    assert handed(A).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert handed(A.astype(np.float32)).dtype == np.float32
    assert handed(torch.ones(2)).tolist() == [1, 2]
    assert type(handed(2.5)) is np.float64
    assert type(handed(np.float32(2.5))) is np.float32
    assert handed([1.0, 2.0]) == [1.0, 2.0]
    assert handed(np.ones(3) + 1j).tolist() == [1 + 2j, 3 + 4j, 5 + 6j]
    nested = handed({"a": A[0], "b": (2.0, torch.ones(2)), "i": np.arange(2), "none": None})
    assert nested["a"].tolist() == [1, 2, 3]
    assert nested["b"][0] == 4
    assert nested["b"][1].tolist() == [5, 6]
    assert nested["i"] is None
    assert nested["none"] is None


@pytest.mark.parametrize(
    ("result", "layout", "strides"),
    [
        (torch.ones(2, 3), "contiguous", (3, 1)),
        (torch.ones(2, 3), "transposed", (1, 2)),
        (torch.ones(2, 3), "expanded", (0, 1)),
        (torch.ones(3), "transposed", (2,)),
        (torch.ones(()), "transposed", ()),
        (np.ones((2, 3), np.float32), "contiguous", (12, 4)),
        (np.ones((2, 3), np.float32), "transposed", (4, 8)),
        (np.ones(3, np.float32), "transposed", (8,)),
    ],
)
def test_dy_is_laid_out_as_is_asked(result: Any, layout: str, strides: tuple[int, ...]) -> None:
    dy = torch.ones(result.shape).reshape(-1)
    found = Output.read(result).upstream(dy, layout)
    assert (found.stride() if isinstance(found, torch.Tensor) else found.strides) == strides
    assert found.tolist() == dy.reshape(result.shape).tolist()


def test_a_list_is_laid_out_as_lists_are() -> None:
    assert Output.read([1.0, 2.0]).upstream(DY[:2], "transposed") == [1.0, 2.0]
