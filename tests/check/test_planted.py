"""Every wrong gradient is refused, and it is said what is wrong with it."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch

from tests.check.functions import RIGHT, Function
from tests.check.planted import PLANTED, Planted
from tests.check.told import report_of, sheet, told
from torch_ref.check import check_gradients


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
    report = report_of(planted)
    assert not report.ok
    assert planted.verdict in {row.verdict for row in report.rows}, str(report)
    assert planted.says in str(report), str(report)
    assert told(planted.name, report) == sheet()[planted.name]


# One that gets each verdict: what is held against doesn't ask what is wrong.
EACH = {planted.verdict: planted for planted in PLANTED}.values()


@pytest.mark.parametrize("planted", EACH, ids=lambda planted: planted.name)
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
