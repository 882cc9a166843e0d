"""Processes in which tests run, in copies of the tree in which a mutant is planted.

What each test calls is heard once, where nothing is planted: of a mutant those tests run that call
the function that it is in, the shortest first.
"""

import json
import os
import resource
import shutil
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.mutants.mutator import Mutant

ROOT = Path(__file__).parents[2]
PACKAGES = ("manual", "torch_ref", "scripts", "tests")
OPTIONS = (
    "-x", "-q", "-n0", "--tb=short", "-p", "no:cacheprovider",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
    # one that waits for ever, which costs no processor, has failed
    "-o", "faulthandler_timeout=200", "-o", "faulthandler_exit_on_timeout=true",
)  # fmt: skip
SAID, HEARD = "said", "heard.json"  # files in a copy: what pytest prints, and what tests call
PATIENCE = 3  # times the seconds of the processor that the tests take by themselves, and 30
Place = tuple[str, int]  # a function: its file and its first line


@dataclass(frozen=True)
class KnownTest:
    """A test, the seconds it takes, and the functions of the project that it calls."""

    name: str
    seconds: float
    calls: frozenset[Place]


class Listener:
    """A plugin of pytest that writes down what each test calls, fixtures of its own included."""

    def __init__(self) -> None:
        self.heard: dict[str, tuple[float, list[Place]]] = {}
        self._called: set[Any] = set()  # code
        self._shared: dict[str, set[Any]] = {}  # by fixtures that serve many tests

    def _trace(self, frame: Any, _event: str, _arg: object) -> None:
        self._called.add(frame.f_code)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Iterator[None]:
        """The whole of a test."""
        self._called, before = set(), time.process_time()
        sys.settrace(self._trace)
        found = yield
        sys.settrace(None)
        for name in item.fixturenames:
            self._called |= self._shared.get(name, set())
        self.heard[item.nodeid] = time.process_time() - before, sorted(self._places())
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """A fixture, which may serve other tests too."""
        before, self._called = self._called, set()
        found = yield
        if fixturedef.scope != "function":
            self._shared[fixturedef.argname] = self._called
        self._called = before | self._called
        return found

    def _places(self) -> set[Place]:
        here = f"{Path.cwd()}/"
        return {
            (code.co_filename.removeprefix(here), code.co_firstlineno)
            for code in self._called
            if code.co_filename.startswith(here)
        }

    def pytest_sessionfinish(self) -> None:
        """All that was heard."""
        Path(HEARD).write_text(json.dumps(self.heard))


def copied(folder: Path) -> Path:
    """A copy of the tree in which files may be changed; what no test changes is linked."""
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name in PACKAGES:
            shutil.copytree(path, folder / path.name)
        elif path.name != ".git":
            (folder / path.name).symlink_to(path)
    return folder


class Trial(ABC):
    """Tests that run in a process of their own, in a copy of the tree."""

    @abstractmethod
    def start(self, folder: Path) -> int:
        """The process."""

    @abstractmethod
    def end(self, folder: Path, status: int) -> None:
        """It has ended, and left the folder."""

    @property
    def seconds(self) -> float:
        """When it has had its time, on anybody's clock: others may be at work here."""
        return float("inf")


class Hearing(Trial):
    """All tests of some files, where nothing is planted."""

    def __init__(self, files: tuple[str, ...]) -> None:
        self.files, self.tests = files, list[KnownTest]()

    def start(self, folder: Path) -> int:
        return start(self.files, folder, listener=Listener())

    def end(self, folder: Path, status: int) -> None:
        """ValueError if one fails."""
        if status:
            said = (folder / SAID).read_text()[-2000:]
            raise ValueError(f"{' '.join(self.files)}: fails without a mutant\n{said}")
        found = json.loads((folder / HEARD).read_text())
        self.tests = [
            KnownTest(name, seconds, frozenset((file, line) for file, line in calls))
            for name, (seconds, calls) in found.items()
        ]


class Planted(Trial):
    """A mutant, and the tests that may notice."""

    def __init__(self, mutant: Mutant, tests: list[KnownTest]) -> None:
        self.mutant, self._names = mutant, tuple(test.name for test in tests)
        self._limit = 30 + PATIENCE * int(sum(test.seconds for test in tests))
        self.lived = False

    def start(self, folder: Path) -> int:
        path = folder / self.mutant.file
        self._before = path.read_text()  # those at work on the tree change it meanwhile
        path.write_text(self.mutant.source)
        return start(self._names, folder, seconds=self._limit)

    def end(self, folder: Path, status: int) -> None:
        (folder / self.mutant.file).write_text(self._before)
        self.lived = status == 0

    @property
    def seconds(self) -> float:
        return 10 * self._limit


T = TypeVar("T", bound=Trial)


def side_by_side(trials: Sequence[T], folders: Sequence[Path]) -> Iterator[T]:
    """Each as it ends; as many at once as there are folders."""
    waiting, free = list(reversed(trials)), list(folders)
    running: dict[int, tuple[T, Path, float]] = {}
    while waiting or running:
        while waiting and free:
            trial, folder = waiting.pop(), free.pop()
            running[trial.start(folder)] = trial, folder, time.monotonic() + trial.seconds
        time.sleep(0.05)
        for process, (trial, folder, end) in list(running.items()):
            status = ended(process, end)
            if status is not None:
                del running[process]
                free.append(folder)
                trial.end(folder, status)
                yield trial


def start(
    tests: tuple[str, ...], folder: Path, *, listener: Listener | None = None, seconds: int = -1
) -> int:
    """A process in which these tests run until the first fails, or until they have had as many
    seconds of the processor.
    """
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.setsid()
        os.chdir(folder)
        os.environ["PYTHONPATH"] = sys.path[0] = str(folder)
        for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
            del sys.modules[name]
        said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(said, stream)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        status = pytest.main([*OPTIONS, *tests], plugins=[listener] if listener else [])
    finally:
        sys.stdout.flush()
        os._exit(status)


def ended(process: int, end: float) -> int | None:
    """The status of a process, None while it runs; one that has had its time is ended, and what it
    has started with it.
    """
    if time.monotonic() > end:
        os.killpg(process, signal.SIGKILL)
    found, status = os.waitpid(process, 0 if time.monotonic() > end else os.WNOHANG)
    if not found:
        return None
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    return status
