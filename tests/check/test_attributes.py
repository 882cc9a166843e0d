"""The arrays that an object keeps, and where the gradient of each is."""

import math
from types import SimpleNamespace as Kept
from typing import Any

import numpy as np
import pytest
import torch

from torch_ref.forms.arguments import Arguments
from torch_ref.forms.attributes import (
    CONTAINER,
    Parameters,
    Path,
    arrays,
    get,
    gradient_path,
    name_of,
    put,
)

A = np.ones(2)


def paths(**kept: Any) -> list[str]:
    return [".".join(map(str, path)) for path, _ in arrays(Kept(**kept))]


def test_arrays_of_floats_are_found_two_levels_deep() -> None:
    assert paths(W=A, n=3, s=2.5, t=np.arange(2), name="x", f=math.sin, m=math) == ["W", "s"]
    assert paths(p={"W": A, "i": 1}, q=[A, 2.0], r=Kept(data=A)) == ["p.W", "q.0", "q.1", "r.data"]
    assert paths(p={"l": {"W": A}}, q=[{"W": A}]) == ["p.l.W", "q.0.W"]
    assert paths(p={"l": {"m": {"W": A}}}, q=[[[A]]]) == []
    assert paths(W=torch.ones(2), i=torch.arange(2), h=np.ones(2, np.float16)) == ["W", "h"]
    assert paths(t=(A, A), c=type("Called", (), {"__call__": math.sin, "W": A})()) == []
    assert list(arrays(3)) == []


def test_a_tensors_own_gradient_is_one_of_them() -> None:
    w = torch.ones(2, requires_grad=True)
    assert paths(w=w) == ["w"]
    w.sum().backward()
    assert paths(w=w) == ["w", "w.grad"]
    assert paths(y=2 * w) == ["y"]


def test_a_value_is_read_and_set_at_its_path() -> None:
    owner = Kept(W=1, p={"b": [2, 3]}, q=Kept(data=4))
    assert [get(owner, path) for path in [("W",), ("p", "b", 1), ("q", "data")]] == [1, 3, 4]
    for path in [("W",), ("p", "b", 1), ("q", "data")]:
        put(owner, path, 9)
    assert (owner.W, owner.p, owner.q.data) == (9, {"b": [2, 9]}, 9)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("W",), "W"),
        (("params", "W"), "W"),
        (("W", "data"), "W"),
        (("W", "value"), "W"),
        (("W", "val"), "W"),
        (("layers", 0), "layers"),
        (("layers", 0, "W"), "W"),
        (("data",), ""),
    ],
)
def test_what_is_at_a_path_has_a_name(path: Path, name: str) -> None:
    assert name_of(path) == name


@pytest.mark.parametrize(
    ("path", "candidates", "found"),
    [
        (("W",), [("x",), ("dW",)], ("dW",)),
        (("W",), [("W",)], None),
        (("W",), [("x",), ("y",)], None),
        (("W",), [("W", "grad")], ("W", "grad")),
        (("W",), [("b", "grad"), ("W", "grad")], ("W", "grad")),
        (("W",), [("db",), ("W_grad",)], ("W_grad",)),
        (("W",), [("dw",)], ("dw",)),
        (("W",), [("d",)], None),
        (("W",), [("grads", "b"), ("grads", "W")], ("grads", "W")),
        (("W",), [("Grads", "W")], ("Grads", "W")),
        (("W",), [("cache", "W")], None),
        (("W",), [("cache", "dW")], ("cache", "dW")),
        (("params", "W"), [("grads", "dW")], ("grads", "dW")),
        (("params", "W"), [("cache", "dW"), ("params", "dW")], ("params", "dW")),
        (("params", 0), [("grads", 1), ("grads", 0)], ("grads", 0)),
        (("params", 1), [("cache", 1)], None),
        (("W", "data"), [("W", "grad")], ("W", "grad")),
        (("W", "data"), [("b", "grad"), ("W", "gradient")], ("W", "gradient")),
        (("layers", 0, "W"), [("layers", 1, "dW"), ("layers", 0, "dW")], ("layers", 0, "dW")),
        (("layers", 0, "W"), [("layers", 1, "dW")], None),
        (("layers", 0, "W"), [("dW",)], None),
        (("p", "l", "W"), [("q", "l", "dW")], ("q", "l", "dW")),
        (("layers", 0), [("dW",)], None),
    ],
)
def test_where_the_gradient_of_a_parameter_is(
    path: Path, candidates: list[Path], found: Path | None
) -> None:
    assert gradient_path(path, candidates) == found


@pytest.mark.parametrize("container", sorted(CONTAINER))
def test_where_gradients_are_kept(container: str) -> None:
    assert gradient_path(("W",), [(container, "W")]) == (container, "W")


def test_what_gradients_are_of_becomes_an_input() -> None:
    arguments = Arguments.of(["x"], [A])
    owner = Kept(W=A, b=2.0, x=A, other=A)
    parameters = Parameters(owner, arguments, {"dW": A, "db": 1.0, "dx": A})
    assert list(arguments.leaves) == ["x", "W", "b"]
    parameters.put({"W": torch.zeros(2), "b": torch.tensor(5.0), "x": torch.zeros(2)})
    assert (owner.W.tolist(), owner.b, owner.x.tolist()) == ([0, 0], 5.0, [1, 1])


@pytest.mark.parametrize(
    ("owner", "gradients"), [(None, {"dW": A}), (math, {"dpi": 1.0}), (Kept(W=A), A)]
)
def test_no_object_has_parameters_without_names(owner: Any, gradients: Any) -> None:
    arguments = Arguments.of(["x"], [A])
    Parameters(owner, arguments, gradients).put({})
    assert list(arguments.leaves) == ["x"]
