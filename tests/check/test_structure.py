"""What an array seems to be besides numbers, and others of its kind."""

import math

import pytest
import torch
from torch import Generator, Tensor

from torch_ref.evidence.structure import Structure, of_its_kind, structure

ROTATION = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
EXAMPLES: dict[str, tuple[object, Structure]] = {
    "plain": ([[0.5, 1.5], [2.0, -1.0]], Structure("")),
    "a number": (3.0, Structure("")),
    "with a nan": ([1.0, math.nan], Structure("")),
    "one entry": ([[3.0]], Structure("constant")),
    "ones": ([[1.0, 1.0], [1.0, 1.0]], Structure("constant")),
    "one-hot rows": ([[0.0, 1, 0], [1, 0, 0]], Structure("one-hot", 1)),
    "one-hot columns": ([[0.0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]], Structure("one-hot", 0)),
    "a one-hot vector": ([0.0, 1, 0], Structure("one-hot", 0)),
    "two of sum 1": ([0.25, 0.75], Structure("")),
    "shares of rows": ([[0.25, 0.75], [0.5, 0.5]], Structure("shares", 1)),
    "shares of columns": ([[0.25, 0.5], [0.75, 0.5], [0.0, 0.0]], Structure("shares", 0)),
    "nearly shares": ([[0.250004, 0.75], [0.5, 0.5]], Structure("shares", 1)),
    "hardly shares": ([[0.25002, 0.75], [0.5, 0.5]], Structure("")),
    "shares below 0": ([[1.25, -0.25], [0.5, 0.5]], Structure("")),
    "one column of sum 1 each": ([[1.0], [1.0], [0.5]], Structure("")),
    "binary": ([[1.0, 1], [0, 1], [0, 0]], Structure("binary")),
    "signs": ([1.0, -1, -1], Structure("signs")),
    "integers": ([0.0, 3, -2], Structure("integers")),
    "a rotation": (ROTATION.tolist(), Structure("orthogonal")),
    "nearly a rotation": ((ROTATION * (1 + 3e-6)).tolist(), Structure("orthogonal")),
    "hardly a rotation": ((ROTATION * (1 + 3e-5)).tolist(), Structure("")),
    "two rotations": ([ROTATION.tolist(), ROTATION.T.tolist()], Structure("orthogonal")),
    "definite": ([[2.0, 1.5], [1.5, 3]], Structure("definite")),
    "symmetric": ([[1.0, 2.5], [2.5, 1]], Structure("symmetric")),
    "a graph": ([[0.0, 1, 1], [1, 0, 0], [1, 0, 0]], Structure("binary")),
    "hardly symmetric": ([[1.0, 2.5], [2.5002, 1]], Structure("")),
}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_kind_and_axis(name: str, dtype: torch.dtype) -> None:
    values, expected = EXAMPLES[name]
    assert structure(torch.tensor(values, dtype=dtype)) == expected


def test_what_follows_from_a_kind() -> None:
    every = {kind.kind for _, kind in EXAMPLES.values()}
    assert {kind for kind in every if Structure(kind).is_data} == every - {"", "constant"}
    fragile = {"shares", "orthogonal", "definite", "symmetric"}
    assert {kind for kind in every if Structure(kind).is_fragile} == fragile
    assert Structure("shares", 1).keeps(0)
    assert not Structure("shares", 1).keeps(1)
    assert Structure("binary").keeps(1)
    assert not Structure("orthogonal").keeps(0)
    assert not Structure("definite").keeps(0)
    assert not Structure("symmetric").keeps(0)


def drawn(values: object, dtype: torch.dtype = torch.float64) -> Tensor:
    return of_its_kind(torch.tensor(values, dtype=dtype), Generator().manual_seed(0))


KEPT = [
    name
    for name, (_, kind) in EXAMPLES.items()
    if kind.kind in {"one-hot", "shares", "binary", "signs", "orthogonal", "definite", "symmetric"}
]


@pytest.mark.parametrize("name", KEPT)
def test_others_of_a_kind_are_of_it(name: str) -> None:
    values, kind = EXAMPLES[name]
    other = drawn(values)
    assert structure(other) == kind
    assert other.shape == torch.tensor(values).shape
    if kind.kind not in {"one-hot", "signs"}:  # few of them, which may be drawn again
        assert not torch.equal(other, torch.tensor(values, dtype=torch.float64))


def test_what_is_drawn_lies_in_the_range_of_what_is_given() -> None:
    x = torch.linspace(2, 6, 200, dtype=torch.float64)
    other = of_its_kind(x, Generator().manual_seed(0))
    assert 2 <= other.min() < 2.1
    assert 5.9 < other.max() <= 6


@pytest.mark.parametrize(
    ("constant", "low", "high"), [(4.0, 2.0, 6.0), (-4.0, -6.0, -2.0), (0.0, -1.0, 1.0)]
)
def test_a_constant_hints_at_a_scale(constant: float, low: float, high: float) -> None:
    other = drawn([constant] * 200)
    assert low <= other.min() < low + 0.1 * (high - low)
    assert high - 0.1 * (high - low) < other.max() <= high


def test_a_matrix_is_as_large_as_the_one_given() -> None:
    for matrix in ([[20.0, 15], [15, 30]], [[10.0, 25], [25, 10]]):
        other = drawn(matrix)
        assert other.abs().max() <= 100
        assert other.abs().max() > 3
    assert drawn([[20.0, 15], [15, 30]]).abs().max() == pytest.approx(30)


def test_what_is_not_finite_stays() -> None:
    other = drawn([1.0, math.inf, 2.0, math.nan, 5.0])
    assert other.isfinite().tolist() == [True, False, True, False, True]
    assert other[1] == math.inf
    assert 1 <= other[0] <= 5
    assert drawn([math.nan, math.nan]).isnan().all()


def test_the_dtype_stays_and_the_seed_decides() -> None:
    assert drawn([0.5, 1.5, 3.0], torch.float32).dtype == torch.float32
    assert torch.equal(drawn([0.5, 1.5, 3.0]), drawn([0.5, 1.5, 3.0]))
