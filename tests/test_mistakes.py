"""Each mistake of tests/mistakes.py is refused and named, each right backward of its kind accepted."""

import pytest

from tests.mistakes import MISTAKES, Mistake
from torch_ref.check import check_gradients

each = pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)


@each
def test_it_is_refused_and_named(mistake: Mistake) -> None:
    report = check_gradients(mistake.forward, mistake.wrong, mistake.inputs, mistake.reference)
    assert not report.ok
    assert mistake.says in " ".join(report.diagnosis.values()), report


@each
def test_the_right_one_is_accepted(mistake: Mistake) -> None:
    report = check_gradients(mistake.forward, mistake.right, mistake.inputs, mistake.reference)
    assert report.ok, report
