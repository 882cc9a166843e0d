"""What make installs: whole or not at all, once, and of what is pinned.

The environments made here hold nothing, and need no network.
"""

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PINNED = (ROOT / ".ci" / "requirements.txt").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RANGES = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
# In place of venv: it makes a python that, asked to install, writes down when it begins and ends.
VENV = """
import sys
from pathlib import Path

if __name__ == "__main__":
    python = Path(sys.argv[-1], "bin", "python")
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text('''#!/bin/sh
        touch "${0%/bin/python}/begun-by-$$"
        echo begin >>log
        echo "$@" >>asked
        test ! -e slow || sleep 0.5
        test ! -e broken || exit 3
        echo end >>log
    ''')
    python.chmod(0o755)
"""
TWO = ["begin", "end"] * 2  # what is pinned, and the project itself


class Checkout:
    """A folder in which make makes such environments."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.installed = folder, folder / ".venv" / "installed"
        for name in ("Makefile", "pyproject.toml", ".ci/environment.py", ".ci/requirements.txt"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        (folder / "fakes").mkdir()
        (folder / "fakes" / "venv.py").write_text(VENV)
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, environment: str = ".venv") -> subprocess.Popen[bytes]:
        """Make, in a session of its own."""
        make = shutil.which("make")
        assert make
        with (self.folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [make, f"PYTHON={sys.executable}", f"{environment}/installed"],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(self.folder / "fakes")},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def make(self, environment: str = ".venv") -> tuple[int, str]:
        """Its status and what it says."""
        return self.start(environment).wait(), (self.folder / "said").read_text()

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def start_slow(self) -> subprocess.Popen[bytes]:
        """Make, as far as where something is being installed."""
        (self.folder / "slow").touch()
        process = self.start()
        while self.lines("log") != ["begin"]:
            assert process.poll() is None
        return process

    def begun(self) -> int:
        """How many have installed something in .venv as it is."""
        return len(list((self.folder / ".venv").glob("begun-by-*")))


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    here = Checkout(tmp_path)
    yield here
    for process in here.started:
        process.wait()


def test_two_at_once(checkout: Checkout) -> None:
    """The second waits, and installs nothing."""
    first = checkout.start_slow()
    assert checkout.make()[0] == 0
    assert first.wait() == 0
    assert checkout.lines("log") == TWO


def everybody(make: int) -> None:
    os.killpg(make, signal.SIGKILL)


def the_one_that_locked(make: int) -> None:
    """Pip goes on without it."""
    pgrep = shutil.which("pgrep")
    assert pgrep
    command = [pgrep, "-s", str(make), "-f", "environment.py"]
    found = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    os.kill(int(found.split()[-1]), signal.SIGKILL)


@pytest.mark.parametrize(
    ("kill", "log"), [(everybody, ["begin", *TWO]), (the_one_that_locked, ["begin", "end", *TWO])]
)
def test_killed_and_started_again(
    checkout: Checkout, kill: Callable[[int], None], log: list[str]
) -> None:
    """What is half made is made anew, once nobody is at work in it any more."""
    first = checkout.start_slow()
    kill(first.pid)
    assert first.wait() != 0
    assert not checkout.installed.exists()
    assert checkout.make()[0] == 0
    assert checkout.lines("log") == log
    assert checkout.begun() == 2
    assert checkout.installed.exists()


def test_one_that_failed(checkout: Checkout) -> None:
    """Brought up to date halfway it is not there, until it has been made anew."""
    assert checkout.make()[0] == 0
    os.utime(checkout.installed, (0, 0))
    (checkout.folder / "broken").touch()
    status, said = checkout.make()
    assert status == 2
    assert "Error 3" in said
    assert "Traceback" not in said
    assert not checkout.installed.exists()
    (checkout.folder / "broken").unlink()
    assert checkout.make()[0] == 0
    assert checkout.begun() == 2


def test_what_is_whole_stays(checkout: Checkout) -> None:
    """It is brought up to date as it lies there, and so is one that a user has made."""
    users = checkout.folder / ".venv" / "of-the-user"
    users.parent.mkdir()
    users.touch()
    assert checkout.make()[0] == 0
    assert "up to date" in checkout.make()[1]
    os.utime(checkout.installed, (0, 0))
    assert checkout.make()[0] == 0
    assert checkout.begun() == 4
    assert users.exists()


def test_what_pip_is_asked_for(checkout: Checkout) -> None:
    for name in (".venv", ".venv-lowest", ".venv-newest"):
        assert checkout.make(name)[0] == 0
    here = checkout.folder
    itself = f"--no-deps --no-build-isolation --editable {here}"
    assert [line.removeprefix("-m pip install --quiet ") for line in checkout.lines("asked")] == [
        f"--require-hashes --requirement {here}/.ci/requirements.txt",
        itself,
        " ".join(RANGES).replace(">=", "=="),
        itself,
        " ".join(RANGES),
        itself,
    ]


def test_what_is_pinned() -> None:
    """Of everything one release, within its range, and what its files are."""
    pinned = {}
    for entry in PINNED.replace(" \\\n", "").splitlines()[2:]:
        requirement, *hashes = entry.split(" --hash=sha256:")
        name, release = requirement.split(";")[0].split("==")
        pinned[name] = release.strip()
        assert {len(each.strip()) for each in hashes} == {64}, name
    for wanted in map(Requirement, RANGES):
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)]), wanted
