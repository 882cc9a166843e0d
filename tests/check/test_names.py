"""The names that the checker knows, of verdicts and of torch's operations, are names of some."""

from collections.abc import Iterable

import pytest

from tests.check.test_changes import SHEET
from torch_ref.check import judging
from torch_ref.diagnosis import changes, derivatives, diagnosis, graph, mutations
from torch_ref.evidence.report import VERDICTS

OPERATIONS = {
    "LINEAR": changes.LINEAR,
    "INDEXED": changes.INDEXED,
    "VIEWS": changes.VIEWS,
    "RIGHT": derivatives.RIGHT,
    "LIKE_OTHERS": derivatives.LIKE_OTHERS,
    "MASKED": derivatives.MASKED,
    "SLOPED": derivatives.SLOPED,
    "REDUCED": derivatives.REDUCED,
    "MASKING": mutations.MASKING,
    "SIGNS": graph.SIGNS,
    "THROUGH": graph.THROUGH,
    "SHOWN": graph.SHOWN,
}


RECORDED = {name for lines in SHEET.parts().values() for name in lines[1].split()}


@pytest.mark.parametrize("names", OPERATIONS.values(), ids=OPERATIONS)
def test_what_is_known_of_operations_is_of_some_that_a_graph_has(names: Iterable[str]) -> None:
    assert [name for name in names if name not in RECORDED] == []


def test_what_is_asked_of_a_verdict_is_one() -> None:
    assert set(VERDICTS) >= judging.NAMELESS | diagnosis.BEFORE_CHANGES
