"""The figures of tables."""

import math

import pytest

from scripts.common import tables


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_no_number_is_a_dash(value: float | None) -> None:
    assert tables.figure(value) == "-"
