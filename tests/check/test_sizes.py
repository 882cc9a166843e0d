"""Inputs of other sizes than those given."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torch_ref.check import check_gradients
from torch_ref.check.recognition import recognise
from torch_ref.evidence.sizes import Sizes, _share
from torch_ref.forms.subject import Subject

ALONE = "dx is right at the sizes given, but not at others (x (5, 5)):"
X = np.random.default_rng(0).normal(size=(4, 3))


def mean(x: Any) -> Any:
    return (x**2).mean()


def test_a_size_that_is_written_as_number_is_told() -> None:
    report = check_gradients(mean, lambda dy, x: dy * 2 * x / 12, X)
    assert report.ok
    assert report.notes == [
        "at other sizes (x (5, 5)) dx is 2.083 times the right one: is a size written as number?"
    ]
    assert check_gradients(mean, lambda dy, x: dy * 2 * x / x.size, X).notes == []


def test_sizes_that_may_only_change_one_at_a_time() -> None:
    def forward(x: Any) -> Any:
        assert x.shape[0] == 4 or x.shape[1] == 3
        return mean(x)

    notes = check_gradients(forward, lambda dy, x: dy * 2 * x / 12, X).notes
    assert [note.split(" dx")[0] for note in notes] == [
        "at other sizes (x (5, 3))",
        "at other sizes (x (4, 4))",
    ]


def test_a_forward_of_one_size_alone() -> None:
    def forward(x: Any) -> Any:
        assert x.shape == (4, 3)
        return mean(x)

    assert check_gradients(forward, lambda dy, x: dy * 2 * x / 12, X).notes == []


def cosines(rows: int | None = None) -> Callable[[Any, Any], Any]:
    """The backward of a sine, of so many rows."""

    def backward(dy: Any, x: Any) -> Any:
        dx = np.zeros_like(x)
        for i in range(len(x) if rows is None else rows):
            dx[i] = dy[i] * np.cos(x[i])
        return dx

    return backward


@pytest.mark.parametrize("shape", [(4, 5), (4, 3)])
def test_a_shape_that_is_written_as_numbers_is_told(shape: tuple[int, int]) -> None:
    rows, columns = shape

    def backward(dy: Any, x: Any) -> Any:
        return (dy * np.cos(x))[:rows, :columns]

    report = check_gradients(np.sin, backward, X)
    assert report.ok
    assert report.notes == [
        f"at other sizes (x (5, 5)) dx has shape {shape}: is a size written as number?"
    ]


@pytest.mark.parametrize(
    ("elsewhere", "verdict", "says"),
    [
        (
            cosines(4),
            "sizes",
            f"{ALONE} got 0, expected 1.1 at [4, 0]",
        ),
        (
            lambda dy, x: cosines()(dy, x).reshape(-1),
            "sizes",
            f"{ALONE} it has shape (25,) there",
        ),
        (
            lambda *_: np.ones((9, 9)),
            "sizes",
            f"{ALONE} it has shape (9, 9) there",
        ),
        (
            lambda dy, x: cosines()(dy, x) * (1 + x),
            "sizes",
            f"{ALONE} got -1.969, expected -1.389 at [3, 3]",
        ),
        (
            lambda dy, x: np.where(x > 0, cosines()(dy, x), 0),
            "sizes",
            f"{ALONE} got 0, expected -1.426 at [1, 2]",
        ),
        (
            lambda dy, x: cosines()(dy, x).T,
            "transposed",
            "dx is transposed (not at the given inputs, but at others: x (5, 5))",
        ),
    ],
)
def test_what_is_right_at_the_sizes_given_alone(
    elsewhere: Callable[[Any, Any], Any], verdict: str, says: str
) -> None:
    def backward(dy: Any, x: Any) -> Any:
        return (cosines() if x.shape == X.shape else elsewhere)(dy, x)

    report = check_gradients(np.sin, backward, X)
    assert report.diagnosis == {"x": says}
    assert report.rows[0].verdict == verdict
    assert check_gradients(np.sin, cosines(), X).ok


def test_where_two_inputs_are_of_other_sizes_is_told() -> None:
    def backward(dy: Any, x: Any, w: Any) -> Any:
        return dy @ w.T, (3 if len(x) > 4 else 1) * x.T @ dy

    notes = check_gradients(np.matmul, backward, (X, X.T[:, :2])).notes
    assert notes[0] == (
        "at other sizes (x1 (5, 5), x2 (5, 3)) dx2 is 3 times the right one: is a size written as "
        "number?"
    )


def test_squares_are_tried_with_one_side_longer() -> None:
    """The height of an image is its width as well."""

    def forward(images: Any, weights: Any) -> Any:
        return images.sum(2) @ weights

    def backward(dy: Any, images: Any, weights: Any) -> Any:
        return (dy @ weights.T)[:, :, None] + 0 * images, images.sum(2).T @ dy

    given = np.ones((4, 5, 5)), np.ones((5, 3))
    subject = Subject(recognise(forward, backward, given))
    sizes = Sizes(subject, subject.given, set(), {})
    free = sizes.groups().free
    assert {tuple(sorted(group)) for group in sizes.squares(list(free))} == {
        (("images", 1), ("weights", 0)),
        (("images", 2),),
    }


def test_groups_of_axes_share_an_input() -> None:
    assert _share(frozenset({("x", 0), ("w", 1)}), frozenset({("x", 1)}))
    assert not _share(frozenset({("x", 0)}), frozenset({("w", 1)}))
