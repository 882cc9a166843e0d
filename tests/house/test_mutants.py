"""tests.mutants plants what it says it does."""

from pathlib import Path

from tests.mutants.__main__ import EQUAL, ROOMS, concerned, draw, equal, in_order
from tests.mutants.mutator import Mutant, mutants
from tests.mutants.trials import ROOT, KnownTest

SOURCE = '''"""Text."""

LIMIT = 2.0


def small(x: "float", *, low: float = 0) -> bool:
    """Whether it is."""
    assert x == x
    if not x:
        return True
    return low < x <= abs(-LIMIT, base=x + 1)
'''


def of(source: str) -> list[Mutant]:
    return list(mutants("small.py", source))


def test_each_is_the_file_with_one_place_changed() -> None:
    found = [(each.line, each.function, each.before, each.after) for each in of(SOURCE)]
    last = "abs(-LIMIT, base=x + 1)"
    assert sorted(found) == sorted(
        [
            (3, 0, "2.0", "3.0"),
            (6, 6, "0", "1"),
            (9, 6, "not x", "not not x"),
            (9, 6, "not x", "x"),
            (10, 6, "True", "False"),
            (10, 6, "True", "None"),
            (11, 6, f"low < x <= {last}", f"low <= x <= {last}"),
            (11, 6, f"low < x <= {last}", "None"),
            (11, 6, last, "abs(-LIMIT)"),
            (11, 6, "-LIMIT", "LIMIT"),
            (11, 6, "x + 1", "x - 1"),
            (11, 6, "1", "2"),
        ]
    )
    for each in of(SOURCE):
        compile(each.source, each.file, "exec")
        before, after = SOURCE.splitlines(), each.source.splitlines()
        changed = [
            i for i, pair in enumerate(zip(before, after, strict=True), 1) if len({*pair}) > 1
        ]
        assert changed == [each.line]


def test_a_sample_is_its_seeds() -> None:
    folders, _ = ROOMS["manual"]
    assert draw(folders, "", 20, seed=1) == draw(folders, "", 20, seed=1)
    assert draw(folders, "", 20, seed=1) != draw(folders, "", 20, seed=2)
    assert {each.file for each in draw(folders, "manual/losses", 20, 0)} == {"manual/losses.py"}


def test_tests_that_call_its_function_come_first() -> None:
    inside = next(each for each in of(SOURCE) if each.function)
    outside = next(each for each in of(SOURCE) if not each.function)
    long, short, other = (
        KnownTest(name, seconds, frozenset({("small.py", line)}))
        for name, seconds, line in (("long", 2.0, 6), ("short", 1.0, 6), ("other", 0.5, 9))
    )
    apart = KnownTest("apart", 0.1, frozenset())
    assert in_order(inside, [long, apart, other, short]) == [short, long, apart, other]
    assert in_order(outside, [apart, long, other]) == [other, long, apart]


def test_all_files_have_tests_that_concern_them() -> None:
    for folders, _ in ROOMS.values():
        for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
            for place in concerned(str(path.relative_to(ROOT))):
                assert (ROOT / place).exists()


def test_what_is_equal_in_effect_is_still_there() -> None:
    """A line that has changed since is no longer known to be."""
    for known in EQUAL:
        text = Path(ROOT, known["file"]).read_text()
        assert any(map(equal, mutants(known["file"], text))), known
        assert known["why"]
