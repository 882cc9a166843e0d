"""What tests of the checker share."""

from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import Call, Ended
from tests.processes import start


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Runs a program in a process in which nothing has run, as it begins: it forks, and once
    autograd has begun threads, for a GPU or one that other tests feign, no fork can use it.
    """
    numbers = count()

    def run(program: ModuleType, *options: str) -> Ended:
        said = tmp_path / f"said{next(numbers)}"
        process = start(program, *options, said=said)
        process.join()
        assert process.exitcode is not None
        return Ended(process.exitcode, (said / "out").read_text(), (said / "err").read_text())

    return run
