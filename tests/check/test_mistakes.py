"""Each mistake of tests/check/mistakes/ is refused and named, each right backward of its kind
accepted.
"""

import pytest

from tests.check.mistakes import MISTAKES, Mistake
from tests.check.planted import CHANGED, Changed
from tests.check.told import OUT_OF_SIGHT, WRONG, Wrong, report_of, sheet, told
from tests.checkers import JUDGES
from tests.conftest import ROOT
from torch_ref.check import check_gradients
from torch_ref.evidence.report import DATA, OK, VERDICTS

each = pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)


@each
def test_it_is_refused_and_named(mistake: Mistake) -> None:
    report = report_of(mistake)
    assert not report.ok
    assert mistake.says in " ".join(report.diagnosis.values()), report
    assert told(mistake.name, report) == sheet()[mistake.name]
    assert {row.verdict for row in report.rows} <= {*VERDICTS, OK, DATA}


@each
def test_the_right_one_is_accepted(mistake: Mistake) -> None:
    report = check_gradients(mistake.forward, mistake.right, mistake.inputs, mistake.reference)
    assert report.ok, report


@pytest.mark.parametrize("changed", CHANGED, ids=lambda changed: changed.name)
def test_a_place_that_is_changed_is_named(changed: Changed) -> None:
    assert told(changed.name, report_of(changed)) == sheet()[changed.name]


def test_the_sheet_has_no_others() -> None:
    names = [each.name for each in WRONG]
    assert list(sheet()) == names + [name + OUT_OF_SIGHT for name in names]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_what_is_told_by_the_slopes_alone(wrong: Wrong) -> None:
    report = report_of(wrong, out_of_sight=True)
    name = wrong.name + OUT_OF_SIGHT
    assert told(name, report) == sheet()[name]


@pytest.mark.parametrize("judge", JUDGES)
def test_other_checkers_tell_a_usual_mistake_too(judge: str) -> None:
    usual = next(mistake for mistake in MISTAKES if mistake.name == "gelu without the density")
    assert JUDGES[judge](usual, usual.right)
    assert not JUDGES[judge](usual, usual.wrong)


def test_the_page_tells_of_as_many() -> None:
    assert f"The same {len(MISTAKES)} backwards" in (ROOT / "docs" / "checking.md").read_text()
