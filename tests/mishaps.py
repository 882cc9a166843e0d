"""What befalls real runs at random moments: each mishap says when or what it was, and in which ways
the run is not in the end as one that nothing befell.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from scripts.run import folder
from tests.runs import reached, unequal

ROOT = Path(__file__).parent.parent
OPTIONS = ("--threads", "1", "--device", "cpu")
TRAIN = (sys.executable, "-m", "scripts.train", *OPTIONS)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
PAIR = (sys.executable, *TORCHRUN, "--max-restarts", "1", "-m", "scripts.train", *OPTIONS)
# A checkpoint every 4 updates, so that many a kill falls into the writing of one.
RUN = ("--epochs", "2", "--train-size", "1003", "--compare-every", "10", "--checkpoint-every", "4")
OF_TWO = ("--train-size", "1004")
UPDATES = 2 * 101
A_DAY = 86400
ANOTHER_DAY = """
import runpy, sys, time
now, shift = time.time, int(sys.argv.pop(1))
time.time = lambda: now() + shift
runpy.run_module("scripts.train", run_name="__main__", alter_sys=True)
"""
# a user's, where root would be let in everywhere
RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
Outcome: TypeAlias = tuple[str, list[str]]
Mishap: TypeAlias = Callable[[Path, Path, random.Random], Outcome]


def train(*options: str, command: Sequence[str] = TRAIN) -> None:
    """A run in a process of its own, which has to end well."""
    finished = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr


def go_on(out: Path, command: Sequence[str] = TRAIN, options: Sequence[str] = RUN) -> None:
    """To the end of a run, or from its beginning where there is nothing of it."""
    if (out / folder.CONFIG).exists():
        train("--resume", str(out), command=command)
    else:
        train(*options, "--out", str(out))


def killed(out: Path, chance: random.Random, data: Path | None = None) -> str:
    """Begin a run and kill it; when that was. `data`: packed there, so that it unpacks them."""
    where = ("--data-dir", str(data)) if data else ()
    with started((*TRAIN, *RUN, *where, "--out", str(out))) as process:
        update = chance.randrange(UPDATES)
        while process.poll() is None:
            if (data / "MNIST/raw/.lock").exists() if data else reached(out) >= update:
                break
            time.sleep(0.001)
        time.sleep(chance.random() * (0.5 if data else 0.02))
        process.kill()
    return "after its end" if process.returncode == 0 else moment(out, data)


def started(command: Sequence[str], **streams: Any) -> subprocess.Popen[Any]:
    """Of which nobody hears, but for these streams."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=ROOT, **(silent | streams))


def moment(out: Path, data: Path | None) -> str:
    """What the process was at when it was killed, as far as its files show."""
    if data and (data / "MNIST/raw/.lock").exists():
        return "unpacking the data"
    if not (out / folder.CONFIG).exists():
        return "starting"
    if any(out.glob("checkpoints/.*.unfinished")):
        return "writing a checkpoint"
    return "between checkpoints"


def kill(expected: Path, scratch: Path, chance: random.Random) -> Outcome:
    """SIGKILL; a fifth of the time while it unpacks its data."""
    out, data = scratch / "out", None
    if chance.random() < 0.2:
        data = scratch / "data"
        shutil.copytree(ROOT / "data", data, ignore=shutil.ignore_patterns("*-ubyte"))
    when = killed(out, chance, data)
    go_on(out, options=(*RUN, *(("--data-dir", str(data)) if data else ())))
    return when, unequal(out, expected)


def clock(expected: Path, scratch: Path, chance: random.Random) -> Outcome:
    """SIGKILL, and then the clock is a day back, or ahead."""
    out, shift = scratch / "out", chance.choice((-A_DAY, A_DAY))
    killed(out, chance)
    go_on(out, (sys.executable, "-c", ANOTHER_DAY, str(shift), *OPTIONS))
    return f"{shift:+d} s", unequal(out, expected)


def rank(expected: Path, scratch: Path, chance: random.Random) -> Outcome:
    """SIGKILL to one of two processes; torchrun starts both anew."""
    out, number = scratch / "out", chance.randrange(2)
    with started((*PAIR, *RUN, *OF_TWO, "--out", str(out))) as process:
        update = chance.randrange(-1, UPDATES)
        while process.poll() is None and reached(out) < update:
            time.sleep(0.001)
        while process.poll() is None:
            if pids := ranks(process.pid, number):
                os.kill(pids[0], signal.SIGKILL)
                break
    found = [] if process.returncode == 0 else [f"torchrun ended with {process.returncode}"]
    return f"rank {number}", found or unequal(out, expected)


def ranks(torchrun: int, number: int) -> list[int]:
    """The processes of this rank."""
    listed = subprocess.run(
        ["/bin/ps", "-o", "pid=", "--ppid", str(torchrun)], capture_output=True, check=False
    )
    pids = map(int, listed.stdout.split())
    name = f"RANK={number}".encode()
    return [pid for pid in pids if name in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")]


def permission(expected: Path, scratch: Path, chance: random.Random) -> Outcome:
    """SIGKILL, and then a right is missing: a line says so and nothing is changed, or all goes
    well without it.
    """
    out = scratch / "out"
    killed(out, chance)
    what, found = "nothing was there yet", []
    if (out / folder.CONFIG).exists():
        path = chance.choice(sorted([out, *out.rglob("*")]))
        mode, left = path.stat().st_mode, chance.choice((0o000, 0o333, 0o555))
        before, number = contents(out), os.open(path, os.O_RDONLY)
        os.fchmod(number, mode & left)
        ended = subprocess.run(
            [*(RIGHTS if os.geteuid() == 0 else ()), *TRAIN, "--resume", str(out)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        os.fchmod(number, mode)  # by now it may have another name
        os.close(number)
        what = f"status {ended.returncode}"
        if ended.returncode not in {0, 2}:
            found.append(what)
        if ended.returncode == 2 and (ended.stderr.count("\n") != 1 or "damaged" in ended.stderr):
            found.append("no line that helps")
        if ended.returncode == 2 and contents(out) != before:
            found.append("something was changed")
        if found:
            found.append(f"{path.relative_to(out)} {mode & left & 0o777:o}: {ended.stderr!r}")
    go_on(out)
    return what, [*found, *unequal(out, expected)]


def contents(out: Path) -> dict[str, bytes]:
    """Of all files of a run but its lock."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != folder.LOCK)
    return {str(path): path.read_bytes() for path in files}


def stream(expected: Path, scratch: Path, chance: random.Random) -> Outcome:
    """What it says is read no longer, finds no room, or has nowhere to go."""
    out, name = scratch / "out", chance.choice(("stdout", "stderr"))
    kind = chance.choice(("unread", "full", "none"))
    closed = ("/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh") if kind == "none" else ()
    with Path("/dev/full").open("wb") as full:
        given: dict[str, Any] = {
            "unread": subprocess.PIPE,
            "full": full,
            "none": subprocess.DEVNULL,
        }
        process = started((*closed, *TRAIN, *RUN, "--out", str(out)), **{name: given[kind]})
    with process:
        update = chance.randrange(UPDATES)
        while process.poll() is None and reached(out) < update:
            time.sleep(0.001)
        for reader in (process.stdout, process.stderr):
            if reader:
                reader.close()
    go_on(out)
    what = f"{kind} {name}: status {process.returncode}"
    found = [] if process.returncode in {0, 1, 2} else ["no status of ours"]
    return what, [*found, *unequal(out, expected)]
