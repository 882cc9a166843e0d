"""The way through a check: which points are tried, for how long, and what comes of those that
fail.
"""

# ruff: noqa: ARG001, ARG005 - a wrong backward overlooks what it is given

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from torch_ref.check import Report, check_gradients, checker

X = torch.linspace(0.5, 2, 12, dtype=torch.float64).reshape(3, 4)


def twice(x: Any) -> Any:
    return 2 * x


def points(backward: Any) -> tuple[Report, int]:
    """A report, and at how many points backward was called."""
    seen = set[str]()

    def counted(dy: Any, x: Any) -> Any:
        seen.add(str(x.tolist()))
        return backward(dy, x)

    return check_gradients(twice, counted, X, twice), len(seen)


def test_what_is_being_done_is_said_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert points(lambda dy, x: 2 * dy)[0].ok
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(checker, "PROGRESS", -1.0)
    assert points(lambda dy, x: 2 * dy)[0].ok
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "checking: inputs in the range of those given, after 0 s"
    assert all(line.startswith("checking: inputs ") for line in said)


def test_a_fault_seen_at_two_points_is_enough_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report, many = points(lambda dy, x: 3 * dy)
    monkeypatch.setattr(checker, "LONG", -1.0)
    quick, few = points(lambda dy, x: 3 * dy)
    assert quick.diagnosis == report.diagnosis
    assert (few, many) == (3, 9)
    assert points(lambda dy, x: 2 * dy)[1] == many


def raising(error: Exception) -> Report:
    def backward(dy: Tensor, x: Tensor) -> Tensor:
        if (x < 0).any():
            raise error
        return 2 * dy

    return points(backward)[0]


def test_a_backward_that_raises_where_forward_does_not_is_wrong() -> None:
    report = raising(ValueError("too small"))
    assert report.diagnosis == {
        "backward": "backward raises ValueError (too small) at inputs with equal entries, where "
        "forward gives finite numbers"
    }


def test_a_backward_may_assert_where_it_holds() -> None:
    assert raising(AssertionError("too small")).ok


def test_a_whole_argument_may_be_named_as_data() -> None:
    def forward(x: Tensor, tables: dict[str, Tensor]) -> Tensor:
        return x * tables["a"] * tables["b"]

    def backward(dy: Tensor, x: Tensor, tables: dict[str, Tensor]) -> tuple[Tensor, None]:
        return dy * tables["a"] * tables["b"], None

    given = {"x": X, "tables": {"a": X + 1, "b": X + 2}}
    report = check_gradients(forward, backward, given, data="tables")
    assert report.ok
    assert {row.name: row.verdict for row in report.rows}["x"] == "ok"


@pytest.mark.parametrize("shape", [(), (1, 3), (2, 3)])
def test_a_dy_of_any_number_of_rows(shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.7)
    assert check_gradients(twice, lambda dy, x: 2 * dy, x).ok
