"""The figures of a row: how far a gradient is off, in its own dtype, and beside torch's own."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from torch_ref.check.errors import Errors
from torch_ref.evidence import points
from torch_ref.evidence.trials import Trial

NAN = math.nan
E = torch.tensor([1.0, -2.0, 4.0], dtype=torch.float64)


def trial(actual: Tensor | None, drawn: str = "", expected: Tensor = E) -> Trial:
    return Trial({"x": E}, E, E, {}, {"x": actual}, {}, {"x": expected}, drawn=drawn)


def errors(dtype: torch.dtype, *trials: Trial, low: Any = None) -> Errors:
    """Of these trials; low: torch's own gradient in that dtype."""
    reference = None if low is None else SimpleNamespace(low=lambda *_: low)
    subject = SimpleNamespace(given={"x": E.to(dtype)})
    made = object.__new__(Errors)
    made._known = SimpleNamespace(subject=subject, reference=reference)  # type: ignore[assignment]
    made.main = list(trials)
    return made


def by(*steps: float) -> Tensor:
    return E + torch.tensor(steps, dtype=torch.float64)


@pytest.mark.parametrize(
    ("dtype", "trials", "figures"),
    [
        (torch.float64, [trial(by(0, 0, 1))], (1.0, 0.25, 2.0**50)),
        (torch.float32, [trial(by(0, 0, 1))], (1.0, 0.25, 2.0**21)),
        (torch.float32, [trial(by(0, 0, 1)), trial(by(0, 2, 0))], (2.0, 0.5, 2.0**22)),
        (torch.float32, [trial(E), trial(by(9, 9, 9), points.TIES)], (0.0, 0.0, 0.0)),
        (torch.float32, [trial(E), trial(by(9, 9, 9), points.ZEROS)], (0.0, 0.0, 0.0)),
        (torch.float32, [trial(None), trial(by(0, 0, 1))], (1.0, 0.25, 2.0**21)),
        (torch.float32, [trial(E), trial(by(0, NAN, 0)), trial(E)], (NAN, NAN, NAN)),
        (torch.float32, [trial(E), trial(E[:2])], (NAN, NAN, NAN)),
        (torch.float16, [trial(by(0, 0, 1))], (1.0, 0.25, 2.0**8)),
        (torch.float16, [trial(by(0, 0, 1)), trial(by(0, -2, 0))], (2.0, 0.5, 2.0**9)),
        (torch.float16, [trial(E + 1, "", 0 * E)], (5.0, 5.0, 5 * 2.0**10)),
        (torch.float16, [trial(E, "", E + 2.0**-20)], (0.0, 0.0, 0.0)),
    ],
)
def test_how_far_off(
    dtype: torch.dtype, trials: list[Trial], figures: tuple[float, float, float]
) -> None:
    assert errors(dtype, *trials).figures("x") == pytest.approx(figures, rel=0, abs=0, nan_ok=True)


HALF = {"x": by(0, 0.5, 0)}


@pytest.mark.parametrize(
    ("dtype", "actual", "low", "times"),
    [
        (torch.float32, by(0, 0, 1), HALF, 2.0),
        (torch.float32, by(0, 0, -0.125), HALF, 0.25),
        (torch.float64, by(0, 0, 1), HALF, NAN),
        (torch.float32, None, HALF, NAN),
        (torch.float32, E[:2], HALF, NAN),
        (torch.float32, by(0, 0, 1), None, NAN),
        (torch.float32, by(0, 0, 1), {}, NAN),
        (torch.float32, by(0, 0, 1), {"x": E}, NAN),
    ],
)
def test_how_many_times_as_far_off_as_torch(
    dtype: torch.dtype, actual: Tensor | None, low: dict[str, Tensor] | None, times: float
) -> None:
    found = errors(dtype, trial(actual), low=low).of_torch("x")
    assert found == pytest.approx(times, rel=0, abs=0, nan_ok=True)
