"""How numbers are held against each other, and how what was found is written down."""

import json
import math

import pytest
import torch
from torch import Tensor

from torch_ref.evidence.report import Report, Row
from torch_ref.evidence.trials import (
    Trial,
    brackets,
    common_factor,
    first,
    fits,
    furthest,
    index,
    is_wrong,
    largest,
    noise,
)


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_what_differs_by_more_than_the_tolerance_is_wrong() -> None:
    actual = tensor(1.0, 1.25, 1.5, math.inf, math.nan, math.nan, 1.0, math.inf)
    expected = tensor(1.0, 1.0, 1.0, math.inf, math.nan, 1.0, math.nan, -math.inf)
    wrong = [False, False, True, False, False, True, True, True]
    assert is_wrong(actual, expected, 0.25).tolist() == wrong


def test_a_guess_fits_at_every_trial_or_not() -> None:
    one, other = tensor(1, 2), tensor(3, 4)
    assert fits([one, other], [one, other + 0.1], 0.1001)
    assert not fits([one, other], [one, other + 0.2], 0.1)
    assert not fits([one], [one.reshape(2, 1)], 1.0)


def test_a_trial_is_wrong_where_a_gradient_is_another() -> None:
    x, other = tensor(1, 2), tensor(1, 2.5)

    def trial(x: Tensor, actual: Tensor | None) -> Trial:
        return Trial({"x": x}, x, x, {"x": actual}, {}, {}, {"x": x})

    assert trial(x, other).is_wrong
    assert not trial(x, x.clone()).is_wrong
    assert not trial(x, None).is_wrong


def test_a_common_factor() -> None:
    g = [tensor(1, 2), tensor(-4)]
    assert common_factor([3 * each for each in g], g, 1e-9) == pytest.approx(3)
    assert common_factor([-0.5 * each for each in g], g, 1e-9) == pytest.approx(-0.5)
    assert common_factor([tensor(3, 6), tensor(-11)], g, 1e-9) is None
    assert common_factor([3 * g[0] + 0.2, 3 * g[1]], g, 0.1) is not None, "as far as 0.3 is nothing"
    assert common_factor([0 * each for each in g], g, 1e-9) is None
    assert common_factor(g, [0 * each for each in g], 1e-9) is None
    assert common_factor([tensor(math.nan, 6), tensor(-12)], g, 1e-9) is None
    assert common_factor(g, [tensor(math.inf, 6), tensor(-12)], 1e-9) is None
    tiny = [tensor(7e-9)]
    assert common_factor([2 * tiny[0]], tiny, 1e-9) is None, "no larger than eight tolerances"
    assert common_factor([2 * tiny[0]], tiny, 0.8e-9) == pytest.approx(2)


def test_the_largest_finite_number() -> None:
    assert largest([tensor(1, -3), tensor(2, math.inf, math.nan)]) == 3
    assert largest([tensor(math.nan)]) == 0


@pytest.mark.parametrize(("x", "expected"), [(tensor(-4, 2), 2.5), (tensor(0, 0), 10)])
def test_the_size_of_the_terms_of_a_gradient(x: Tensor, expected: float) -> None:
    trial = Trial({"x": x}, tensor(2, -1), tensor(-5, 1), {}, {}, {}, {})
    assert noise(trial, "x") == expected


def test_places() -> None:
    assert index(7, torch.Size((2, 3, 4))) == (0, 1, 3)
    assert index(0, torch.Size(())) == ()
    assert brackets((1, 2)) == " at [1, 2]"
    assert brackets(()) == ""
    assert first(torch.tensor([[False, False], [True, True]])) == (1, 0)
    assert furthest(tensor(1, 5, 3), tensor(1, 1, 8)) == (2,)
    assert furthest(tensor(1, math.nan, 3), tensor(1, 1, 8)) == (1,)


REPORT = Report(
    [
        Row("x", (2, 3), 1e-9, 0.000123, 2.0, "ok", 1.5),
        Row("w", (), math.nan, math.nan, math.inf, "factor"),
    ],
    {"w": "dw is 2 times too large", "v": "dw is 2 times too large", "forward": "it differs"},
    ["x was drawn"],
    autograd=True,
)


def test_a_report_as_text() -> None:
    assert str(REPORT).splitlines() == [
        "input  shape   max abs  max rel  ulp  of torch's  verdict",
        "x      (2, 3)  1e-09    0.00012  2    1.5         ok",
        "w      ()      -        -        inf  -           factor",
        "dw is 2 times too large",
        "it differs",
        "note: x was drawn",
    ]
    without = Report([Row("x", (3,), 0, 0, 0, "ok")], {})
    assert str(without).splitlines() == [
        "input  shape  max abs  max rel  ulp  verdict",
        "x      (3,)   0        0        0    ok",
    ]
    assert without.ok
    assert not REPORT.ok


def test_a_report_as_json() -> None:
    text = REPORT.as_json()
    assert text.startswith('{\n  "ok"')
    assert json.loads(text) == {
        "ok": False,
        "rows": [
            {
                "name": "x",
                "shape": [2, 3],
                "max_abs": 1e-9,
                "max_rel": 0.000123,
                "max_ulp": 2.0,
                "verdict": "ok",
                "of_torch": 1.5,
            },
            {
                "name": "w",
                "shape": [],
                "max_abs": None,
                "max_rel": None,
                "max_ulp": "inf",
                "verdict": "factor",
                "of_torch": None,
            },
        ],
        "diagnosis": REPORT.diagnosis,
        "notes": ["x was drawn"],
        "autograd": True,
    }
