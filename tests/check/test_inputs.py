"""Which inputs are data, which have a gradient that is missing, by their names and their use."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from torch_ref.check import check_gradients
from torch_ref.check.inputs import TARGETS, TRAINED

X = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3)


@pytest.mark.parametrize(
    "name",
    [
        *("t", "ts", "tgt", "target", "targets", "label", "labels", "gt", "truth", "y", "Y", "ys"),
        *("y_true", "ytrue", "y_train", "X", "data", "mask", "masks", "pad_mask", "idx", "ids"),
        *("ind", "indices", "noise", "eps", "epsilon", "adj", "adjacency", "len", "lengths"),
    ],
)
def test_names_of_targets(name: str) -> None:
    assert TARGETS.match(name)
    assert not TARGETS.match(f"q{name}s2")


@pytest.mark.parametrize("name", ["x", "z", "w", "b", "h", "hidden", "two", "table", "tx"])
def test_no_names_of_targets(name: str) -> None:
    assert not TARGETS.match(name)


@pytest.mark.parametrize(
    "name",
    [
        *("w", "W", "b", "B", "k", "v", "U", "V", "u", "theta", "Theta", "alpha", "scale", "shift"),
        *("kernel", "emb", "embedding", "w1", "W_xh", "b_1", "weight", "weights", "bias", "gamma"),
        "beta",
    ],
)
def test_names_of_what_is_trained(name: str) -> None:
    assert TRAINED.match(name)


@pytest.mark.parametrize("name", ["x", "t", "y", "target", "before", "xw"])
def test_no_names_of_what_is_trained(name: str) -> None:
    assert not TRAINED.match(name)


def verdicts(forward: Any, backward: Any, *inputs: Any) -> dict[str, str]:
    return {row.name: row.verdict for row in check_gradients(forward, backward, inputs).rows}


def test_a_loss_trains_what_is_named_so_alone() -> None:
    def of(x: Tensor, other: Tensor) -> Tensor:
        return ((x - other) ** 2).sum()

    def backward(dy: Tensor, x: Tensor, other: Tensor) -> tuple[Tensor, None]:
        return 2 * dy * (x - other), None

    def with_weights(x: Tensor, w: Tensor) -> Tensor:
        return of(x, w)

    assert verdicts(of, backward, X, X + 1) == {"x": "ok", "other": "data"}
    assert verdicts(with_weights, backward, X, X + 1) == {"x": "ok", "w": "missing"}


def test_a_layer_has_targets_by_name_alone() -> None:
    def layer(x: Tensor, other: Tensor) -> Tensor:
        return x * other

    def with_targets(x: Tensor, t: Tensor) -> Tensor:
        return x * t

    def backward(dy: Tensor, _: Tensor, other: Tensor) -> tuple[Tensor, None]:
        return dy * other, None

    assert verdicts(layer, backward, X, X + 2) == {"x": "ok", "other": "missing"}
    assert verdicts(with_targets, backward, X, X + 2) == {"x": "ok", "t": "data"}


def test_one_of_several_that_have_gradients_is_missing_whatever_its_name() -> None:
    def forward(x: Tensor, p: dict[str, Tensor]) -> Tensor:
        return x * p["a"] * p["y"]

    def backward(dy: Tensor, x: Tensor, p: dict[str, Tensor]) -> Any:
        return dy * p["a"] * p["y"], {"a": dy * x * p["y"], "y": None}

    found = verdicts(forward, backward, X, {"a": X + 2, "y": X + 3})
    assert list(found.values()) == ["ok", "ok", "missing"]


def test_data_may_come_first() -> None:
    def forward(t: Tensor, x: Tensor) -> Tensor:
        return t * x

    assert verdicts(forward, lambda dy, t, _: (None, dy * t), X + 2, X) == {"t": "data", "x": "ok"}


def test_the_gradient_of_a_number_may_be_of_any_precision() -> None:
    def backward(dy: Any, x: Any, factor: float) -> Any:
        return dy * factor, np.float32((dy * x).sum())

    found = verdicts(lambda x, factor: x * factor, backward, X.numpy(), 1.5)
    assert found == {"x": "ok", "factor": "ok"}


def test_a_number_needs_no_gradient() -> None:
    def forward(x: Tensor, factor: float) -> Tensor:
        return x * factor

    found = verdicts(forward, lambda dy, _, factor: (dy * factor, None), X, 1.5)
    assert found == {"x": "ok", "factor": "data"}
