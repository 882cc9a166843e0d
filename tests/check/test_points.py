"""Which points are drawn besides the one given."""

# ruff: noqa: ARG005 - a backward overlooks what it is given

import pytest
import torch
from torch import Generator, Tensor

from torch_ref.check.recognition import recognise
from torch_ref.evidence.points import ALIKE, KINKS, TIES, USUAL, WIDE, ZEROS, Domain, Draws
from torch_ref.forms.subject import Subject
from torch_ref.forms.values import Point

X = torch.linspace(40, 60, 200, dtype=torch.float64).reshape(20, 10)


def subject_of(x: Tensor) -> Subject:
    return Subject(recognise(lambda z, t: z + t, lambda dy, z, t: (dy, dy), (x, 2 * x)))


def drawn(words: str, x: Tensor, domains: dict[str, Domain] | None = None) -> Point:
    for said, ways in Draws(subject_of(x), set(), domains or {}, 0).points():
        if said == words:
            return ways[0]()
    raise LookupError(words)


def test_how_large_they_are() -> None:
    alike, wide, usual = (drawn(words, X)["z"] for words in (ALIKE, WIDE, USUAL))
    assert 40 <= alike.min() < 41
    assert 59 < alike.max() <= 60
    assert wide.std() == pytest.approx(30, rel=0.2)
    assert usual.std() == pytest.approx(1, rel=0.2)
    assert drawn(USUAL, X / 1000)["z"].std() == pytest.approx(0.03, rel=0.2)


def test_numbers_at_which_functions_have_kinks_are_among_them() -> None:
    point = drawn(KINKS, X)["z"]
    assert sorted(point[(point == 0) | (point.abs() == 1)].tolist()) == [-1, 0, 1]
    zero = (drawn(ZEROS, X)["z"] == 0).all(1)
    assert zero.nonzero().tolist() == [[10]]


def test_entries_are_equal_and_shared() -> None:
    point = drawn(TIES, X)
    assert sorted(point["z"].unique()) == [-0.875, -0.375, 0.125, 0.625, 1.125]
    assert torch.equal(point["z"].reshape(-1)[::2], point["t"].reshape(-1)[::2])
    assert not torch.equal(point["z"], point["t"])


def test_a_domain_is_kept_to() -> None:
    for words in (ALIKE, WIDE, USUAL, TIES):
        assert drawn(words, X, {"z": Domain(0)})["z"].min() > 0
        within = drawn(words, X, {"z": Domain(-3, 5)})["z"]
        assert -3 <= within.min() < within.max() <= 5
        assert len(within.unique()) > 100


def test_the_numbers_drawn_are_their_own() -> None:
    before = torch.get_rng_state()
    one, other = (
        [way() for _, ways in Draws(subject_of(X), set(), {}, 7).points() for way in ways]
        for _ in range(2)
    )
    assert all(torch.equal(a["z"], b["z"]) for a, b in zip(one, other, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_domain_may_have_one_end() -> None:
    x = torch.ones(3)
    assert Domain(high=5).draw(lambda x, _: 7 * x, x, Generator()).tolist() == [7, 7, 7]


def test_a_zero_drawn_for_a_positive_input_is_a_one() -> None:
    x = torch.ones(3)
    assert Domain(0).draw(lambda x, _: 0 * x, x, Generator()).tolist() == [1, 1, 1]
