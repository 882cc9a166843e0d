"""How a backward may be called, the likeliest first, by the names of its parameters and what
forward returned, as it stands in plans.txt; and of what a gradient of a name may be.

`python -m tests.check.test_plans` writes that file anew; read what has changed in it.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torch_ref.forms import binding
from torch_ref.forms.binding import Plan, matching, named, plans, stripped

SHEET = Path(__file__).with_name("plans.txt")
ARRAY = np.ones((2, 3))
# what forward returned: an array y, a number s, a cache c that is no array, several in a dict d
PARTS = {"y": ARRAY, "s": np.float64(2), "c": object(), "d": {"a": ARRAY, "b": ARRAY}}
# the inputs of forward; what it returned; the parameters of backward, some of them with a default
CALLS = """
x | y | dy x
x | y | x dy
x | y | dy
x | y | grad
x | y | something
x | y | x
x | y | x something
x | y | something x
x | y | something other
x | y | dy cache
x | y | dy x eps=
x | y | dy x eps= axis=
x | y | dy eps= x=
x | y | dy y
x | y | dy out x
x | y | x y dy
x | y | dy x y
x | y | x out
x | y | ctx dy
x | y | ctx g1 g2
x | y | *all
x | y | dy *all
x | y |
x | y | dy x w
x | y | err x
x | y | g h
x | y | p q
x w | y | dy x w
x w | y | x w dy
x w | y | dy w x
x w | y | dy w
x w | y | dy
x w | y | w
x w | y | x w
x w | y | dA x w
x w | y | dy x w y
x w | y | a b c
x w | y | a b c d
x w | y | a b c=
x w | y | x w z=
dy x | y | g dy x
x dx | y | grad x dx
x cache | y | dy x cache
x | s | dy x
x | s | x
x | s | y
x | s |
x | s | out x
x | s | x out
x | s | dout
x | s | grad_output
x t | s | x t
x t | s | t x
x t | s | y t
x t | s | probs t
x t | s | a b
x t | s | a b c
x t | s | dloss x t
x | y c | dy cache
x | y c | dout c
x | y c | cache dy
x | y c | a b
x | y c | dy x
x | y c | dy x cache
x | y c | dy ctx_
x | y c | dy saved
x | y c | saved_tensors dy
x | y c | dy
x | y c | cache
x | y y | dy cache
x | y y | dy x
x | y y | dy1 dy2 x
x | y y | dy1 dy2
x | y y | dh dc x
x | y y | dh dc cache
x | y y | ctx g1 g2
x | y y | a b
x | y y | a b c
x | y y | dy y
x | y y | dy
x | y c c | dy cache
x | y y c | dy cache
x | y y c | dh dc cache
x | y y c | dh dc state
x | y y c | a b c
x | y y c | dh cache dc
x | s c | dy cache
x | s c | cache
x | s c | dloss cache
x | s y | dy x
x | s y | x
x | d | dy x
x | d c | dy cache
x | d c | dy x
x | y d | dy d
x | y d | dy cache
x w b | y | dout x w b
x w b | y c | dout cache
x w b | y c | dout cache x
x w b | y | _dy x w b
x w b | y | upstream x w b
x w b | y | y_bar x w b
x w b | y | v x w b
"""


def taking(parameters: str) -> Callable[..., Any]:
    """A function of these parameters: name, name= with a default, *name."""

    def function() -> None:
        """Nobody calls it."""

    kinds = inspect.Parameter
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            kinds(name[1:], kinds.VAR_POSITIONAL)
            if name.startswith("*")
            else kinds(
                name.removesuffix("="),
                kinds.POSITIONAL_OR_KEYWORD,
                default=0 if name.endswith("=") else kinds.empty,
            )
            for name in parameters.split()
        ]
    )
    return function


def plain(plan: Plan) -> str:
    slots = " ".join(
        str(which) if kind == "input" else kind if which is None else f"{kind}[{which}]"
        for kind, which in plan.slots
    )
    return f"({slots})" + ("" if plan.outputs is None else f" of {plan.outputs}")


def line(call: str) -> str:
    """The call, and its plans."""
    inputs, result, parameters = (part.strip() for part in call.split("|"))
    parts = tuple(PARTS[part] for part in result.split())
    found = plans(
        taking(parameters),
        inputs.split(),
        parts if len(parts) > 1 else parts[0],
        scalar=result[0] == "s",
    )
    return f"{call.strip()}: {', '.join(map(plain, found)) or 'none'}"


def sheet() -> list[str]:
    return [line(call) for call in CALLS.strip().splitlines()]


@pytest.mark.parametrize("wanted", SHEET.read_text().splitlines())
def test_the_ways_to_call_a_backward_are_those_of_the_sheet(wanted: str) -> None:
    assert line(wanted.split(":", maxsplit=1)[0]) == wanted


def test_the_sheet_has_no_others() -> None:
    calls = [wanted.split(":")[0] for wanted in SHEET.read_text().splitlines()]
    assert calls == [call.strip() for call in CALLS.strip().splitlines()]


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("dW", ["dW", "W"]),
        ("dw1", ["dw1", "w1"]),
        ("d_w", ["d_w", "w", "_w"]),
        ("grad_W", ["grad_W", "W", "rad_W"]),
        ("grads_W", ["grads_W", "W", "rads_W"]),
        ("gradW", ["gradW", "W", "radW"]),
        ("gradient_W", ["gradient_W", "W", "radient_W"]),
        ("gradients_W", ["gradients_W", "W", "radients_W"]),
        ("W_gradients", ["W_gradients", "W"]),
        ("W_grad", ["W_grad", "W"]),
        ("W_grads", ["W_grads", "W"]),
        ("Wgrad", ["Wgrad", "W"]),
        ("W_gradient", ["W_gradient", "W"]),
        ("dL_dW", ["dL_dW", "W", "L_dW"]),
        ("dLdW", ["dLdW", "W", "LdW"]),
        ("dloss_dW", ["dloss_dW", "W", "loss_dW"]),
        ("dJ_dW", ["dJ_dW", "W", "J_dW"]),
        ("dE_dW", ["dE_dW", "W", "E_dW"]),
        ("delta_W", ["delta_W", "W", "elta_W"]),
        ("nabla_w", ["nabla_w", "w"]),
        ("g_w", ["g_w", "w", "_w"]),
        ("gW", ["gW", "W"]),
        ("W", ["W"]),
        ("d", ["d"]),
        ("DW", ["DW", "W"]),
        ("weight", ["weight"]),
    ],
)
def test_of_what_a_gradient_of_this_name_may_be(name: str, of: list[str]) -> None:
    assert stripped(name) == of


@pytest.mark.parametrize(
    ("name", "wanted", "found"),
    [
        ("dW", ["w", "W"], "W"),
        ("dw", ["w", "W"], "w"),
        ("dW", ["w", "b"], "w"),
        ("d_W1", ["W_1", "b"], "W_1"),
        ("dW", ["w", "w_"], None),
        ("dx", ["w"], None),
        ("x", ["x"], "x"),
        ("dx", ["dx", "x"], "dx"),
        ("grad_weight", ["weight", "bias"], "weight"),
        ("d", ["x"], None),
    ],
)
def test_which_input_a_gradient_belongs_to(name: str, wanted: list[str], found: str | None) -> None:
    assert matching(name, wanted) == found


@pytest.mark.parametrize(
    ("parameters", "inputs", "names"),
    [
        ("z", ARRAY, ["z"]),
        ("z w", (ARRAY, ARRAY), ["z", "w"]),
        ("z w", [ARRAY, ARRAY], ["z", "w"]),
        ("z", [1.0, 2.0], ["z"]),
        ("ctx z", ARRAY, ["z"]),
        ("z w", ARRAY, ["z"]),
        ("z", (ARRAY, ARRAY), ["x1", "x2"]),
        ("*all", ARRAY, ["x"]),
        ("*all", (ARRAY, ARRAY), ["x1", "x2"]),
        ("z w", {"w": 1.0, "z": 2.0}, ["z", "w"]),
        ("z w", {"a": 1.0, "b": 2.0}, ["a", "b"]),
        ("z w", {"w": 1.0}, ["w"]),
    ],
)
def test_the_names_of_inputs(parameters: str, inputs: Any, names: list[str]) -> None:
    found, values = named(taking(parameters), inputs)
    assert found == names
    if isinstance(inputs, dict):
        assert values == [inputs[name] for name in names]
    elif len(names) > 1:
        assert all(one is other for one, other in zip(values, inputs, strict=True))
    else:
        assert values == [inputs]


@pytest.mark.parametrize("inputs", [(), []])
def test_some_input_is_needed(inputs: Any) -> None:
    with pytest.raises(ValueError, match=r"^no inputs: give one array or tensor at least$"):
        named(taking("x"), inputs)


NAMES = {
    "CACHE": "cache caches saved saved_tensors ctx context tape mem memory residual residuals "
    "intermediate intermediates tmp fwd fwd_state state aux store _cache cache2 Cache",
    "UPSTREAM": "dy dout dA d_out dL_dy g g_out grad grads grad_output up upstream err error accum "
    "cot cotangent v outgrad out_grad out_gradient y_grad y_bar _dy d",
    "OUTPUT": "y ys out output outputs result y_hat yhat a A AL h H s p prob probs act activation "
    "pred predictions",
}
NO_NAMES = {
    "CACHE": "x w y dy cached_x memo statement xcache",
    "UPSTREAM": "x w y z out target u G",
    "OUTPUT": "x w b dy out2 hidden z ah sp",
}


@pytest.mark.parametrize("kind", NAMES)
def test_what_names_stand_for(kind: str) -> None:
    pattern = getattr(binding, kind)
    assert [name for name in NAMES[kind].split() if not pattern.match(name)] == []
    assert [name for name in NO_NAMES[kind].split() if pattern.match(name)] == []


if __name__ == "__main__":
    SHEET.write_text("\n".join(sheet()) + "\n")
