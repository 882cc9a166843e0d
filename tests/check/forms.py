"""The forms in which people have their code, on which the checker is tried."""

# ruff: noqa: ARG005 - functions in the forms of others

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Given = dict[str, Any]  # arguments of check_gradients
FORMS: dict[str, Callable[[float], Given]] = {}


def form(make: Callable[[float], Given]) -> Callable[[float], Given]:
    """make(c): what to give; the gradients are c times the right ones."""
    FORMS[make.__name__] = make
    return make


def normal(*shape: int) -> Any:
    return np.random.default_rng(list(shape)).normal(size=shape)


@form
def functions(c: float) -> Given:
    return {
        "forward": np.tanh,
        "backward": lambda dy, x: c * dy * (1 - np.tanh(x) ** 2),
        "inputs": normal(3, 4),
    }


@form
def out_and_cache(c: float) -> Given:
    def forward(x: Any, w: Any) -> Any:
        return x @ w, (x, w)

    def backward(dout: Any, cache: Any) -> Any:
        x, w = cache
        return c * dout @ w.T, x.T @ dout

    return {"forward": forward, "backward": backward, "inputs": (normal(5, 4), normal(4, 3))}


class Layer:
    """As courses write it: the input is kept, gradients are left in attributes."""

    def __init__(self, c: float) -> None:
        self.c, self.W, self.b = c, normal(4, 3), normal(3)

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy: Any) -> Any:
        self.dW, self.db = self.x.T @ dy, self.c * dy.sum(0)
        return dy @ self.W.T


@form
def a_layer(c: float) -> Given:
    return {"forward": Layer(c), "inputs": normal(5, 4)}


@form
def methods_of_a_layer(c: float) -> Given:
    layer = Layer(c)
    return {"forward": layer.forward, "backward": layer.backward, "inputs": normal(5, 4)}


class KeepsNothing(Layer):
    """backward is given the input again."""

    def backward(self, dy: Any, x: Any) -> Any:  # type: ignore[override]
        self.dW, self.db = self.c * x.T @ dy, dy.sum(0)
        return dy @ self.W.T


@form
def a_layer_that_keeps_nothing(c: float) -> Given:
    return {"forward": KeepsNothing(c), "inputs": normal(5, 4)}


class SquaredError:
    """A loss as an object."""

    def __init__(self, c: float) -> None:
        self.c = c

    def forward(self, y: Any, t: Any) -> Any:
        return ((y - t) ** 2).sum()

    def backward(self, y: Any, t: Any) -> Any:
        return 2 * self.c * (y - t)


@form
def a_loss_as_an_object(c: float) -> Given:
    return {"forward": SquaredError(c), "inputs": (normal(3, 2), normal(2, 3).T)}


class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, c: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.c = c
        return x.exp()

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return ctx.c * dy * x.exp(), None


@form
def an_autograd_function(c: float) -> Given:
    return {"forward": Exp, "inputs": (torch.from_numpy(normal(3, 2)), c)}


class Module(nn.Module):
    def __init__(self, c: float) -> None:
        super().__init__()
        self.c, self.w = c, nn.Parameter(torch.from_numpy(normal(4)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = Exp.apply(x * self.w, self.c)
        return y


@form
def a_module(c: float) -> Given:
    return {"forward": Module(c), "inputs": torch.from_numpy(normal(3, 4))}


@form
def loss_and_gradient(c: float) -> Given:
    return {"forward": lambda w: ((w**2).sum(), 2 * c * w), "inputs": normal(3, 2)}


@form
def a_backward_without_dy(c: float) -> Given:
    return {
        "forward": lambda w: (w**2).sum(),
        "backward": lambda w: 2 * c * w,
        "inputs": normal(3, 2),
    }


@form
def loss_and_gradients_by_name(c: float) -> Given:
    return {"forward": lambda w: ((w**2).sum(), {"dw": 2 * c * w}), "inputs": normal(3, 2)}


@form
def names_in_another_order(c: float) -> Given:
    return {
        "forward": lambda x, w: x * w,
        "backward": lambda w, dy, x: (c * dy * w, dy * x),
        "inputs": (normal(3, 2), normal(2, 3).T),
    }


@form
def the_output_by_its_name(c: float) -> Given:
    return {
        "forward": np.tanh,
        "backward": lambda dy, y: c * dy * (1 - y**2),
        "inputs": normal(3, 2),
    }


@form
def a_loss_with_names_in_another_order(c: float) -> Given:
    return {
        "forward": lambda y, t: ((y - t) ** 2).sum(),
        "backward": lambda t, y: 2 * c * (y - t),
        "inputs": (normal(3, 2), normal(2, 3).T),
    }


@form
def a_generator_of_random_numbers(c: float) -> Given:
    """Which is handed over as it was each time."""
    return {
        "forward": lambda x, rng: x * rng.normal(size=x.shape),
        "backward": lambda dy, x, rng: c * dy * rng.normal(size=x.shape),
        "inputs": (normal(3, 2), np.random.default_rng(0)),
    }


@form
def tuple_of_outputs(c: float) -> Given:
    return {
        "forward": lambda x: (2 * x, x**2),
        "backward": lambda d, x: c * (2 * d[0] + d[1] * 2 * x),
        "inputs": normal(3, 2),
    }


@form
def dict_of_outputs(c: float) -> Given:
    return {
        "forward": lambda x: {"y": x**2},
        "backward": lambda d, x: c * d["y"] * 2 * x,
        "inputs": normal(3, 2),
    }


@form
def dict_of_parameters(c: float) -> Given:
    parameters = {"W1": normal(4, 3), "more": [{"b1": normal(3)}]}
    return {
        "forward": lambda x, p: x @ p["W1"] + p["more"][0]["b1"],
        "backward": lambda dy, x, p: (
            dy @ p["W1"].T,
            {"W1": x.T @ dy, "more": [{"b1": c * dy.sum(0)}]},
        ),
        "inputs": (normal(5, 4), parameters),
    }


@form
def arguments_that_are_no_arrays(c: float) -> Given:
    def forward(x: Any, power: int, mode: str) -> Any:
        return x**power if mode == "power" else x

    return {
        "forward": forward,
        "backward": lambda dy, x, power, mode: c * dy * power * x ** (power - 1),
        "inputs": (normal(3, 2), 3, "power"),
    }


@form
def gradients_by_name(c: float) -> Given:
    return {"forward": lambda x, w: x @ w, "backward": lambda dy, x,
        w: {"dx": dy @ w.T, "grad_w": c * x.T @ dy},
            "inputs": (normal(5, 4), normal(4, 3))}  # fmt: skip


@form
def nested_lists(c: float) -> Given:
    return {
        "forward": lambda x: 2 * np.asarray(x),
        "backward": lambda dy, x: (2 * c * dy).tolist(),
        "inputs": ([[0.1, 0.2], [0.3, 0.5]],),
    }


@form
def lists_of_several_lengths(c: float) -> Given:
    return {
        "forward": lambda x, w: np.asarray(x) * w[0],
        "backward": lambda dy, x, w: ((c * dy * w[0]).tolist(), [float(dy @ x)]),
        "inputs": ([0.1, 0.2], [0.3]),
    }


@form
def an_input_that_is_not_used(c: float) -> Given:
    x = torch.from_numpy(normal(3, 2))
    return {"forward": lambda x, _: Exp.apply(x, c), "inputs": (x, 2 * x)}


@form
def bfloat16(c: float) -> Given:
    return {
        "forward": torch.tanh,
        "backward": lambda dy, x: c * dy * (1 - torch.tanh(x) ** 2),
        "inputs": torch.from_numpy(normal(4, 3)).bfloat16(),
        "reference": torch.tanh,
    }


@form
def complex_numbers(c: float) -> Given:
    z = torch.complex(torch.from_numpy(normal(3, 2)), torch.from_numpy(normal(2, 3)).T.contiguous())
    return {
        "forward": lambda z: z * z,
        "backward": lambda dy, z: c * dy * (2 * z).conj(),
        "inputs": z,
    }


@form
def one_hot_columns(c: float) -> Given:
    def forward(z: Any, t: Any) -> Any:
        return -(t * np.log(np.exp(z) / np.exp(z).sum(0))).sum() / z.shape[1]

    def backward(dy: Any, z: Any, t: Any) -> Any:
        return c * dy * (np.exp(z) / np.exp(z).sum(0) - t) / z.shape[1], None

    return {
        "forward": forward,
        "backward": backward,
        "inputs": (normal(3, 5), np.eye(3)[:, [0, 2, 1, 1, 0]]),
    }


@form
def signs_as_targets(c: float) -> Given:
    """Whose square is 1: true of no other numbers."""
    return {"forward": lambda s, t: np.maximum(0, 1 - t * s) ** 2,
            "backward": lambda dy, s, t: (c * dy * 2 * np.where(t * s < 1, s - t, 0), None),
            "inputs": (normal(6), np.sign(normal(7)[1:]))}  # fmt: skip


@form
def a_domain_that_forward_asserts(c: float) -> Given:
    def forward(p: Any) -> Any:
        assert ((p > 0) & (p < 1)).all()
        return np.log(p / (1 - p))

    return {
        "forward": forward,
        "backward": lambda dy, p: c * dy / (p * (1 - p)),
        "inputs": np.array([[0.2, 0.7], [0.1, 0.9]]),
    }


@form
def a_size_written_as_number(c: float) -> Given:
    """Right at the sizes given."""
    t = np.array([0, 1, 2, 0], np.uint8)
    return {"forward": lambda z, t: -z[np.arange(len(z)), t],
            "backward": lambda dy, z, t: (-c * dy[:, None] * np.eye(3)[t], None),
            "inputs": (normal(4, 3), t)}  # fmt: skip


@form
def float32_inside(c: float) -> Given:
    return {"forward": lambda x: torch.tanh(x.float()).to(x.dtype),
            "backward": lambda dy, x: (c * dy * (1 - torch.tanh(x.float()) ** 2)).to(x.dtype),
            "inputs": torch.from_numpy(normal(3, 4)).float(), "reference": torch.tanh}  # fmt: skip
