"""`check_gradients` accepts every right gradient, refuses every wrong one and says what is wrong
with it.

Shapes: B = 8 samples, I = 4 inputs, C = 5 columns, all different and none of them 2, so that every
factor has one name.
"""

# ruff: noqa: ARG005 - a wrong backward overlooks what it is given

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from manual.activations import Activation
from manual.layers import Linear
from manual.losses import CrossEntropyLoss, Loss
from torch_ref.check import assert_gradients, check_gradients
from torch_ref.check.recognition import recognise
from torch_ref.forms.subject import Subject
from torch_ref.twins import twin

B, I, C = 8, 4, 5  # noqa: E741 - the lecture's letters
Function = Callable[..., Any]
DRAWS = 3  # of each right function; 200 were tried, none was refused


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def one_hot(t: Any, y: Any) -> Any:
    return np.eye(y.shape[1])[t]


def normalize(x: Any) -> Any:
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


def normalize_backward(dy: Any, x: Any) -> Any:
    y = normalize(x)
    return (dy - dy.mean(0) - y * (dy * y).mean(0)) / np.sqrt(x.var(0) + 1e-5)


def cross_entropy(y: Any, t: Any) -> Any:
    return -np.log(softmax(y)[np.arange(len(t)), t]).mean()


def squared_error(y: Any, t: Any) -> Any:
    return ((y - t) ** 2).mean()


def layer(x: Any, w: Any, b: Any) -> Any:
    return sigmoid(x @ w + b)


def layer_reference(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return torch.sigmoid(x @ w + b)


def delta(dy: Any, x: Any, w: Any, b: Any) -> Any:
    y = layer(x, w, b)
    return dy * y * (1 - y)


def layer_backward(dy: Any, x: Any, w: Any, b: Any) -> Any:
    dz = delta(dy, x, w, b)
    return dz @ w.T, x.T @ dz, dz.sum(0)


# -- right gradients
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """forward, a right backward, a torch reference, and how to draw inputs of a size."""

    forward: Function
    backward: Function
    reference: Function
    inputs: Callable[[np.random.Generator, float], tuple[Any, ...]]


def matrix(rng: np.random.Generator, size: float) -> tuple[Any, ...]:
    return (size * rng.normal(size=(B, C)),)


def numbers(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator, float], tuple[Any, ...]]:
    return lambda rng, size: tuple(size * rng.normal(size=shape) for shape in shapes)


def with_labels(rng: np.random.Generator, size: float) -> tuple[Any, ...]:
    return size * rng.normal(size=(B, C)), rng.integers(0, C, size=B)


def with_zeros(rng: np.random.Generator, size: float) -> tuple[Any, ...]:
    return (size * rng.integers(-2, 3, size=(B, C)).astype(float),)


def probabilities(rng: np.random.Generator, size: float) -> tuple[Any, ...]:  # noqa: ARG001
    return rng.uniform(0.01, 0.99, size=(B, C)), rng.integers(0, 2, size=(B, C)).astype(float)


def clipped_bce(p: Any, t: Any) -> Any:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()


NUMPY: dict[str, Case] = {
    "sigmoid": Case(
        sigmoid, lambda dy, z: dy * sigmoid(z) * (1 - sigmoid(z)), torch.sigmoid, matrix
    ),
    "tanh": Case(np.tanh, lambda dy, z: {"dx": dy * (1 - np.tanh(z) ** 2)}, torch.tanh, matrix),
    "relu": Case(lambda z: np.maximum(z, 0), lambda dy, z: dy * (z > 0), torch.relu, matrix),
    "relu at its kink": Case(
        lambda z: np.maximum(z, 0), lambda dy, z: (dy * (z > 0),), torch.relu, with_zeros
    ),
    "leaky relu": Case(
        lambda z: np.where(z > 0, z, 0.01 * z),
        lambda dy, z: np.where(z > 0, dy, 0.01 * dy),
        nn.LeakyReLU(0.01),
        matrix,
    ),
    "abs": Case(np.abs, lambda dy, z: dy * np.sign(z), torch.abs, with_zeros),
    "clip": Case(
        lambda z: np.clip(z, -1, 1),
        lambda dy, z: dy * (np.abs(z) < 1),
        lambda z: z.clamp(-1, 1),
        matrix,
    ),
    "softplus": Case(
        lambda z: np.logaddexp(0, z),
        lambda dy, z: dy * sigmoid(z),
        nn.Softplus(threshold=40),
        matrix,
    ),
    "softmax": Case(
        softmax,
        lambda dy, z: softmax(z) * (dy - (dy * softmax(z)).sum(1, keepdims=True)),
        nn.Softmax(dim=1),
        matrix,
    ),
    "log": Case(
        np.log,
        lambda dy, x: dy / x,
        torch.log,
        lambda rng, size: (size * rng.uniform(0.1, 2, (B, C)),),
    ),
    "row maximum": Case(
        lambda z: z.max(1),
        lambda dy, z: dy[:, None] * (z == z.max(1, keepdims=True)),
        lambda z: z.amax(1),
        matrix,
    ),
    "layer": Case(layer, layer_backward, layer_reference, numbers((B, I), (I, C), (C,))),
    "square layer": Case(layer, layer_backward, layer_reference, numbers((4, 4), (4, 4), (4,))),
    "normalization": Case(
        normalize,
        normalize_backward,
        lambda x: nn.functional.batch_norm(x, None, None, training=True),
        matrix,
    ),
    "mse": Case(
        squared_error,
        lambda dy, y, t: {"y": dy * 2 * (y - t) / y.size, "t": None},
        nn.MSELoss(),
        numbers((B, C), (B, C)),
    ),
    "cross-entropy": Case(
        cross_entropy,
        lambda dy, y, t: dy * (softmax(y) - one_hot(t, y)) / len(t),
        nn.functional.cross_entropy,
        with_labels,
    ),
    "binary cross-entropy": Case(
        clipped_bce,
        lambda dy, p, t: (dy * (p - t) / (p * (1 - p)) / p.size, None),
        nn.functional.binary_cross_entropy,
        probabilities,
    ),
}


def ours() -> Iterator[tuple[str, Case]]:
    """Our own operations; their backward overwrites dy."""
    for name, activation in Activation.named().items():
        f = activation()
        yield (
            f"our {name}",
            Case(f.forward, lambda dy, z, f=f: f.backward(dy, z, f.forward(z)), twin(f), matrix),
        )
    for name, kind in Loss.named().items():
        loss = kind()
        inputs = numbers((B, C), (B, C))
        if kind is CrossEntropyLoss:
            inputs = with_labels
        elif kind.of_probabilities:
            inputs = probabilities
        yield (
            f"our {name}",
            Case(
                lambda y, t, loss=loss: loss(y, t)[0],
                lambda dy, y, t, loss=loss: (dy * loss(y, t)[1], None),
                twin(loss),
                inputs,
            ),
        )

    def backward(dz: Tensor, x: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        linear = Linear(w, b, torch.empty_like(w), torch.empty_like(b))
        linear.backward(dz, (x,))
        return linear.input_gradient(dz, (x,)), linear.dw, linear.db  # type: ignore[return-value]

    def forward(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return Linear(w, b, w, b).forward(x)[0]

    yield (
        "our linear",
        Case(forward, backward, lambda x, w, b: x @ w + b, numbers((B, I), (I, C), (C,))),
    )


OURS = dict(ours())
RIGHT = NUMPY | OURS


def draw(name: str, dtype: str, seed: int) -> tuple[Any, ...]:
    """Inputs of a right function, of sizes from 0.1 to 30."""
    rng = np.random.default_rng(seed)
    arrays = RIGHT[name].inputs(rng, float(rng.choice([0.1, 1, 1, 5, 30])))
    arrays = tuple(array.astype(dtype) if array.dtype.kind == "f" else array for array in arrays)
    return tuple(torch.from_numpy(array) for array in arrays) if name in OURS else arrays


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("referenced", [True, False], ids=["autograd", "differences"])
@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_are_accepted(name: str, dtype: str, *, referenced: bool) -> None:
    case = RIGHT[name]
    domain = (0.0, 1.0) if name == "binary cross-entropy" else None
    for seed in range(DRAWS):
        reference = case.reference if referenced else None
        assert_gradients(
            case.forward,
            case.backward,
            draw(name, dtype, seed),
            reference,
            domain=domain,
            seed=seed,
        )


# -- wrong gradients
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planted:
    """A wrong backward of one of the right functions, the verdict it should get and a phrase of its
    diagnosis.
    """

    name: str
    function: str
    backward: Function
    verdict: str
    says: str


def replaced(which: int, change: Callable[[Any, tuple[Any, ...]], Any]) -> Function:
    """The right backward of a layer with one of its gradients changed."""

    def backward(dy: Any, *inputs: Any) -> tuple[Any, ...]:
        gradients = list(layer_backward(dy, *inputs))
        gradients[which] = change(gradients[which], (dy, *inputs))
        return tuple(gradients)

    return backward


def scaled(factor: Callable[[Any], float]) -> Function:
    return lambda dy, y, t: {"y": factor(y) * dy * 2 * (y - t) / y.size, "t": None}


def spoiled(value: float) -> Function:
    def backward(dy: Any, z: Any) -> Any:
        dz = dy * sigmoid(z) * (1 - sigmoid(z))
        dz[1, 2] = value
        return dz

    return backward


def other_layer(dz: Function) -> Function:
    """A layer's backward from another delta."""

    def backward(dy: Any, x: Any, w: Any, b: Any) -> tuple[Any, ...]:
        d = dz(dy, x, w, b)
        return d @ w.T, x.T @ d, d.sum(0)

    return backward


def in_float32(backward: Function) -> Function:
    """The same, rounded on the way."""
    return lambda dy, *inputs: backward(
        dy.astype(np.float32), *(x.astype(np.float32) for x in inputs)
    )


def relu_mask(mask: Callable[[Any], Any]) -> Function:
    return lambda dy, z: dy * mask(z)


def right_sigmoid(dy: Any, z: Any) -> Any:
    return dy * sigmoid(z) * (1 - sigmoid(z))


def last_sample(dy: Any, x: Any, w: Any, b: Any) -> Any:
    return delta(dy, x, w, b)[-1]


PLANTED = [
    Planted(
        "sum for mean over the batch",
        "cross-entropy",
        lambda dy, y, t: dy * (softmax(y) - one_hot(t, y)),
        "factor",
        "8 times too large: divide by 8 (B, the number of samples: summed where it should be "
        "averaged)",
    ),
    Planted(
        "twice averaged",
        "cross-entropy",
        lambda dy, y, t: dy * (softmax(y) - one_hot(t, y)) / len(t) ** 2,
        "factor",
        "(1/B, the",
    ),
    Planted(
        "averaged over columns, too",
        "cross-entropy",
        lambda dy, y, t: dy * (softmax(y) - one_hot(t, y)) / y.size,
        "factor",
        "multiply by 5 (1/C, the number of columns",
    ),
    Planted(
        "sign",
        "cross-entropy",
        lambda dy, y, t: dy * (one_hot(t, y) - softmax(y)) / len(t),
        "factor",
        "the sign is turned",
    ),
    Planted(
        "label not subtracted",
        "cross-entropy",
        lambda dy, y, t: dy * softmax(y) / len(t),
        "term",
        "of softmax - target only the softmax",
    ),
    Planted(
        "averaged over the batch alone",
        "mse",
        scaled(lambda y: y.shape[1]),
        "factor",
        "divide by 5 (C, the number of columns: summed",
    ),
    Planted(
        "no average",
        "mse",
        scaled(lambda y: y.size),
        "factor",
        "divide by 40 (B*C, the number of samples times",
    ),
    Planted(
        "averaged once too often",
        "mse",
        scaled(lambda y: 1 / y.size),
        "factor",
        "multiply by 40 (1/(B*C), the",
    ),
    Planted(
        "the 2 forgotten", "mse", scaled(lambda y: 0.5), "factor", "the 2 of the derivative of"
    ),
    Planted("the 2 twice", "mse", scaled(lambda y: 2), "factor", "a 2 too many"),
    Planted(
        "an odd factor",
        "mse",
        scaled(lambda y: 0.3),
        "factor",
        "the gradient of y is 3.3333 times too small: multiply by 3.3333",
    ),
    Planted("half the sum", "mse", scaled(lambda y: len(y) / 2), "factor", "divide by 4 (B/2, the"),
    Planted(
        "sign and sum",
        "mse",
        scaled(lambda y: -len(y)),
        "factor",
        "of the wrong sign and 8 times too large: divide by -8 (-B, the",
    ),
    Planted(
        "dy ignored in a loss",
        "mse",
        lambda dy, y, t: (2 * (y - t) / y.size, None),
        "dy ignored",
        "ignores dy",
    ),
    Planted(
        "dy ignored",
        "sigmoid",
        lambda dy, z: sigmoid(z) * (1 - sigmoid(z)),
        "dy ignored",
        "ignores dy",
    ),
    Planted(
        "f' missing: sigmoid",
        "sigmoid",
        lambda dy, z: dy,
        "f' missing",
        "dz: the derivative of sigmoid(z) is missing",
    ),
    Planted(
        "f' missing: tanh",
        "tanh",
        lambda dy, z: dy,
        "f' missing",
        "dx: the derivative of tanh(x) is missing",
    ),
    Planted(
        "f' missing: softplus",
        "softplus",
        lambda dy, z: dy,
        "f' missing",
        "dz: the derivative of softplus(z) is missing",
    ),
    Planted(
        "f' missing in a layer",
        "layer",
        other_layer(lambda dy, x, w, b: dy),
        "f' missing",
        "db, dw and dx: the derivative of sigmoid((x @ w) + b) is missing",
    ),
    Planted(
        "f' twice: sigmoid",
        "sigmoid",
        lambda dy, z: dy * (sigmoid(z) * (1 - sigmoid(z))) ** 2,
        "f' twice",
        "sigmoid(z) is applied twice",
    ),
    Planted(
        "f' twice: tanh", "tanh", lambda dy, z: dy * (1 - np.tanh(z) ** 2) ** 2, "f' twice", "twice"
    ),
    Planted(
        "f' twice: softplus", "softplus", lambda dy, z: dy * sigmoid(z) ** 2, "f' twice", "twice"
    ),
    Planted(
        "f' twice in a layer",
        "layer",
        other_layer(lambda dy, x, w, b: delta(delta(dy, x, w, b), x, w, b)),
        "f' twice",
        "sigmoid((x @ w) + b) is applied twice",
    ),
    Planted(
        "z for y: sigmoid",
        "sigmoid",
        lambda dy, z: dy * z * (1 - z),
        "z for y",
        "z (1 - z), the input in the place of the output, stands where y (1 - y) belongs",
    ),
    Planted(
        "z for y: tanh",
        "tanh",
        lambda dy, z: dy * (1 - z**2),
        "z for y",
        "1 - z^2, the input in the place of the output, stands where 1 - y^2",
    ),
    Planted(
        "y for z: sigmoid",
        "sigmoid",
        lambda dy, z: right_sigmoid(dy, sigmoid(z)),
        "y for z",
        "sigmoid(z) is taken at its output",
    ),
    Planted(
        "y for z: softplus",
        "softplus",
        lambda dy, z: dy * sigmoid(np.logaddexp(0, z)),
        "y for z",
        "softplus(z) is taken at its output",
    ),
    Planted(
        "diagonal of softmax",
        "softmax",
        lambda dy, z: dy * softmax(z) * (1 - softmax(z)),
        "diagonal",
        "only the diagonal",
    ),
    Planted(
        "softmax as a linear map",
        "softmax",
        lambda dy, z: dy,
        "f' missing",
        "dz: the derivative of softmax(z) is missing",
    ),
    Planted(
        "mask always 1",
        "relu",
        lambda dy, z: dy * (np.maximum(z, 0) >= 0),
        "mask",
        "the mask is missing",
    ),
    Planted(
        "mask upside down",
        "relu",
        relu_mask(lambda z: z < 0),
        "mask",
        "the mask of relu(z) is upside down",
    ),
    Planted("mask too narrow", "relu", relu_mask(lambda z: z > 0.5), "mask", "zero at"),
    Planted("mask too wide", "relu", relu_mask(lambda z: z > -0.5), "mask", "not zero at"),
    Planted(
        "mask of dy",
        "relu",
        lambda dy, z: dy * (dy > 0) * (z > 0),
        "mask",
        "asks for dy > 0 besides",
    ),
    Planted("f'(0) = 1", "relu", relu_mask(lambda z: z >= 0), "kink", "only at a kink"),
    Planted(
        "abs' (0) = 1", "abs", lambda dy, z: np.where(z >= 0, dy, -dy), "kink", "only at a kink"
    ),
    Planted("zero", "sigmoid", lambda dy, z: np.zeros_like(z), "zero", "zero everywhere"),
    Planted("dw zero", "layer", replaced(1, lambda g, _: 0 * g), "zero", "dw is zero everywhere"),
    Planted(
        "dw of the right shape by reshape",
        "layer",
        replaced(1, lambda g, _: g.T.reshape(g.shape)),
        "transposed",
        "reshaped where .T",
    ),
    Planted(
        "dw transposed", "layer", replaced(1, lambda g, _: g.T), "transposed", "dw is transposed"
    ),
    Planted(
        "square dw transposed",
        "square layer",
        replaced(1, lambda g, _: g.T),
        "transposed",
        "dw is transposed",
    ),
    Planted(
        "dx and dw exchanged",
        "square layer",
        lambda dy, *a: [layer_backward(dy, *a)[i] for i in (1, 0, 2)],
        "exchanged",
        "dx is the gradient of w",
    ),
    Planted(
        "dx and db exchanged",
        "layer",
        lambda dy, *a: [layer_backward(dy, *a)[i] for i in (2, 1, 0)],
        "exchanged",
        "db is the gradient of x",
    ),
    Planted(
        "dw averaged",
        "layer",
        replaced(1, lambda g, a: g / len(a[0])),
        "factor",
        "dw is 8 times too small: multiply by 8 (1/B",
    ),
    Planted(
        "dw transposed and averaged",
        "layer",
        replaced(1, lambda g, a: g.T / len(a[0])),
        "transposed",
        "and 0.125 times that (1/B, the",
    ),
    Planted(
        "db not summed",
        "layer",
        replaced(2, lambda _, a: delta(*a)),
        "batch sum",
        "a row for each sample",
    ),
    Planted(
        "db of the first sample",
        "layer",
        replaced(2, lambda _, a: delta(*a)[0]),
        "batch sum",
        "first sample alone",
    ),
    Planted(
        "db of the last sample",
        "layer",
        replaced(2, lambda _, a: last_sample(*a)),
        "batch sum",
        "last sample alone",
    ),
    Planted(
        "db averaged",
        "layer",
        replaced(2, lambda g, a: g / len(a[0])),
        "factor",
        "averaged where it should be summed",
    ),
    Planted(
        "db over the wrong axis",
        "square layer",
        replaced(2, lambda _, a: delta(*a)[:4].sum(1)),
        "wrong axis",
        "db is summed over axis 1",
    ),
    Planted(
        "db with keepdims", "layer", replaced(2, lambda g, _: g[None]), "shape", "reshape them"
    ),
    Planted(
        "dx without a column",
        "layer",
        replaced(0, lambda g, _: g[:, 1:]),
        "shape",
        "has shape (8, 3), but x has (8, 4)",
    ),
    Planted(
        "nan", "sigmoid", spoiled(np.nan), "nan or inf", "nan at 1 of 40 entries, first at [1, 2]"
    ),
    Planted(
        "inf",
        "sigmoid",
        spoiled(-np.inf),
        "nan or inf",
        "infinite at 1 of 40 entries, first at [1, 2]",
    ),
    Planted("one entry", "sigmoid", spoiled(0.1), "wrong", "is wrong at 1 of 40 entries"),
    Planted(
        "float32: sigmoid",
        "sigmoid",
        in_float32(right_sigmoid),
        "lower precision",
        "in lower precision",
    ),
    Planted(
        "float32: layer",
        "layer",
        in_float32(layer_backward),
        "lower precision",
        "in lower precision",
    ),
    Planted(
        "rounded",
        "tanh",
        lambda dy, z: (dy * (1 - np.tanh(z) ** 2)).astype(np.float32).astype(float),
        "lower precision",
        "as if float32",
    ),
    Planted(
        "float16",
        "tanh",
        lambda dy, z: (dy * (1 - np.tanh(z) ** 2)).astype(np.float16).astype(float),
        "lower precision",
        "as if float16",
    ),
    Planted(
        "mean of dy not subtracted",
        "normalization",
        lambda dy, x: normalize_backward(dy, x) + dy.mean(0) / np.sqrt(x.var(0) + 1e-5),
        "term",
        "mean(x) is taken as a constant",
    ),
    Planted(
        "statistics taken as constants",
        "normalization",
        lambda dy, x: dy / np.sqrt(x.var(0) + 1e-5),
        "two mistakes",
        "mean(x) is taken as a constant: the gradient of x through it is missing; and",
    ),
    Planted(
        "batch mean summed",
        "normalization",
        lambda dy, x: len(x) * normalize_backward(dy, x),
        "factor",
        "divide by 8 (B, the",
    ),
]


def torchs(planted: Planted) -> Function:
    """The same fault in a function of torch tensors."""

    def backward(dy: Any, *inputs: Any) -> Any:
        result = planted.backward(np.asarray(dy), *(x.numpy() for x in inputs))
        if isinstance(result, dict):
            return {
                key: value if value is None else torch.as_tensor(value)
                for key, value in result.items()
            }
        gradients = result if isinstance(result, tuple | list) else (result,)
        return tuple(value if value is None else torch.as_tensor(value) for value in gradients)

    return backward


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_fault_is_caught_and_named(planted: Planted) -> None:
    case = RIGHT[planted.function]
    arrays = case.inputs(np.random.default_rng(0), 1.0)
    report = check_gradients(case.forward, planted.backward, arrays, case.reference)
    assert not report.ok
    assert planted.verdict in {row.verdict for row in report.rows}, str(report)
    assert planted.says in str(report), str(report)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_fault_is_caught_whatever_it_is_held_against(planted: Planted) -> None:
    case = RIGHT[planted.function]
    arrays = case.inputs(np.random.default_rng(1), 1.0)
    names = {"tanh": "x", "abs": "x"}.get(planted.function) or inspect.signature(
        case.forward
    ).parameters
    named = dict(zip(names, map(torch.from_numpy, arrays), strict=False))
    assert not check_gradients(case.reference, torchs(planted), named, case.reference).ok
    if planted.verdict == "kink" or (
        planted.verdict == "lower precision" and planted.name != "float16"
    ):
        # finite differences prove neither: any slope between is right, and they are no more precise
        # than float32
        return
    assert not check_gradients(case.forward, planted.backward, arrays).ok


# -- the report and its edges
# -----------------------------------------------------------------------------------------


def relu(z: Any) -> Any:
    return np.maximum(z, 0)


def test_an_error_that_the_given_input_does_not_show_is_found() -> None:
    report = check_gradients(
        relu, lambda dy, z: dy, np.random.default_rng(0).random((B, C)), torch.relu
    )
    assert "not at the given inputs, but at random ones of both signs" in report.diagnosis["z"]


def test_inputs_are_drawn_where_forward_holds() -> None:
    """Probabilities stay between 0 and 1, where the logarithm ends, though forward clips them;
    domain says so by hand.
    """
    (p, t) = probabilities(np.random.default_rng(0), 1.0)
    backward = NUMPY["binary cross-entropy"].backward
    assert check_gradients(clipped_bce, backward, (p, t)).ok
    assert check_gradients(clipped_bce, backward, (p, t), domain={"p": (0.0, 1.0)}).ok
    assert not check_gradients(clipped_bce, backward, (p, t), domain={"p": (-1.0, 2.0)}).ok


def test_the_assertion_carries_the_report() -> None:
    with pytest.raises(
        AssertionError, match=r"(?s)input  shape .*dz is 2 times too large: divide by 2"
    ):
        assert_gradients(
            sigmoid, lambda dy, z: 2 * right_sigmoid(dy, z), np.ones((B, C)), torch.sigmoid
        )


def test_the_assertion_has_the_arguments_of_the_check() -> None:
    assert (
        inspect.signature(assert_gradients).parameters
        == inspect.signature(check_gradients).parameters
    )


def test_missing_parentheses_are_quoted_as_they_are() -> None:
    report = check_gradients(sigmoid, lambda dy, z: dy - sigmoid(z), np.ones((B, C)), torch.sigmoid)
    assert (
        "parentheses are missing: dy - y stands where dy (y (1 - y)) belongs"
        in report.diagnosis["z"]
    )


def test_a_call_that_had_to_wait_is_not_taken_for_a_slow_forward(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 0.001, 1.0, 2.0])
    monkeypatch.setattr(
        "torch_ref.forms.subject.time", SimpleNamespace(perf_counter=lambda: next(clock))
    )
    subject = Subject(recognise(sigmoid, right_sigmoid, np.ones((B, C))))
    for _ in range(2):
        subject.forward(subject.given)
    assert subject.seconds == 0.001


def test_a_factor_is_named_after_a_size_only_where_it_varies_with_it() -> None:
    """2 is B as well, and 3 is C: but a number stays what it is where the sizes are others."""
    inputs = np.ones((2, 3)), np.random.default_rng(0).normal(size=(2, 3))
    two = check_gradients(squared_error, scaled(lambda y: 2), inputs, nn.MSELoss()).diagnosis["y"]
    assert "a 2 too many" in two
    assert "samples" not in two
    batch = check_gradients(squared_error, scaled(len), inputs, nn.MSELoss()).diagnosis["y"]
    assert "2 times too large: divide by 2 (B, the number of samples" in batch


def test_forward_that_is_not_the_reference_is_said() -> None:
    y, t = np.ones((B, C)), np.random.default_rng(0).normal(size=(B, C))
    report = check_gradients(
        lambda y, t: B * squared_error(y, t), scaled(lambda y: 1), (y, t), nn.MSELoss()
    )
    assert "its output is 8 times the reference everywhere" in report.diagnosis["forward"]
    assert "backward is not the gradient of forward either (y)" in report.diagnosis["forward"]
    report = check_gradients(np.tanh, right_sigmoid, np.ones((B, C)), torch.sigmoid)
    assert "its output differs" in report.diagnosis["forward"]


def test_nan_in_float32_alone_is_said() -> None:
    z = np.full((B, C), 100, dtype=np.float32)
    report = check_gradients(smooth_relu, lambda dy, z: dy * np.exp(z) / (1 + np.exp(z)), z)
    assert "in float64 it is right" in report.diagnosis["z"]


def smooth_relu(z: Any) -> Any:
    return np.logaddexp(0, z)


def test_functions_that_take_float32_alone_are_checked_in_it() -> None:
    w = torch.randn(C, 3, generator=torch.Generator().manual_seed(0))
    x = torch.randn(B, C, generator=torch.Generator().manual_seed(1))
    for reference in (None, lambda x: x @ w.to(x.dtype)):
        report = check_gradients(lambda x: x @ w, lambda dy, x: dy @ w.T, x, reference)
        assert report.ok
        assert "does not take float64" in str(report)
        assert not check_gradients(lambda x: x @ w, lambda dy, x: dy @ w.T * 1.01, x, reference).ok


def test_inputs_are_handed_over_as_copies() -> None:
    def backward(dy: Any, z: Any) -> Any:
        np.multiply(dy, z > 0, out=dy)
        z[:] = 0
        return dy

    z = np.random.default_rng(0).normal(size=(B, C))
    before = z.copy()
    assert_gradients(relu, backward, z, torch.relu)
    assert np.array_equal(z, before)


def test_an_exception_says_which_call_raised_it() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        check_gradients(relu, lambda dy, z: 1 // 0, np.ones((B, C)))
    assert raised.value.__notes__ == ["raised by backward, called with z (8, 5) float64"]


@pytest.mark.parametrize(
    ("forward", "backward", "inputs", "says"),
    [
        (relu, lambda dy, z: None, np.ones(3), "does it lack a return"),
        (relu, lambda dy, z: (dy, dy), np.ones(3), r"2 gradients for 1 inputs \(z\)"),
        (relu, lambda dy, z: {"w": dy}, np.ones(3), "a gradient of w; the inputs are z"),
        (
            squared_error,
            lambda dy, y, t: np.ones(2),
            (np.ones(3), np.ones(3)),
            "None where no gradient is wanted",
        ),
        (relu, lambda dy, z: (None,), np.ones(3), "nothing to check"),
        (lambda z: z > 0, lambda dy, z: dy, np.ones(3), "forward returned bool"),
        (lambda z: "text", lambda dy, z: dy, np.ones(3), "forward returned a str"),
        (relu, lambda dy, z: dy, np.ones((0, 3)), r"input z has shape \(0, 3\)"),
        (relu, lambda dy, z: dy, "text", "no input is an array of numbers"),
        (
            relu,
            lambda dy, z: dy,
            np.ma.array([1.0], mask=[True]),
            "z is a masked array: give the array and its mask",
        ),
        (relu, 3, np.ones(3), "backward is a int"),
        (relu, lambda dy, z: dy, (), "no inputs"),
    ],
)
def test_what_cannot_be_checked_is_refused(
    forward: Function, backward: Function, inputs: Any, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        check_gradients(forward, backward, inputs)


def test_a_nan_is_found_by_finite_differences_too() -> None:
    report = check_gradients(sigmoid, spoiled(np.nan), np.ones((B, C)))
    assert report.rows[0].verdict == "nan or inf"


def test_one_wrong_entry_of_many_is_found_without_a_reference() -> None:
    def backward(dy: Any, z: Any) -> Any:
        dz = right_sigmoid(dy, z)
        dz[31, 7] *= 1.01
        return dz

    x = np.random.default_rng(0).normal(size=(40, 30))
    assert check_gradients(sigmoid, right_sigmoid, x).ok
    assert "at [31, 7]" in check_gradients(sigmoid, backward, x).diagnosis["z"]


@pytest.mark.parametrize("size", [30, 1e4])
@pytest.mark.parametrize("referenced", [True, False])
def test_a_right_gradient_is_accepted_where_it_vanishes(size: float, *, referenced: bool) -> None:
    z = size * torch.randn(B, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for name, inputs in {
        "our cross-entropy": (z, z.argmax(1)),
        "our sigmoid": (z.abs(),),
        "our softmax": (z.float(),),
    }.items():
        case = RIGHT[name]
        assert_gradients(
            case.forward, case.backward, inputs, case.reference if referenced else None
        )
