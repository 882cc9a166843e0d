"""A process that is lost is named with what became of it; and all must have the same options."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed import (  # type: ignore[attr-defined]  # there where gloo is
    DistNetworkError,
    TCPStore,
)

from scripts import train
from scripts.common import torchrun
from scripts.common.processes import Processes
from scripts.common.program import Stopped, UserError
from scripts.common.ranks import fate
from scripts.run.checkpoint import Checkpoints
from scripts.run.config import CHANGEABLE, Config
from scripts.run.progress import Progress
from tests.conftest import ROOT, Call, Ended
from tests.processes import forked, start
from tests.training.ranks import AGENT, environment, free_port, member

STOPPED, KEPT = "stopped: rank 1 of the 2 processes has ended: ", "what was logged is kept"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGKILL, "was ended by signal 9 (Killed)"),
        (signal.SIGSEGV, "was ended by signal 11 (Segmentation fault)"),
        (signal.SIGSTOP, "stands still"),
    ],
)
def test_a_fate(number: signal.Signals, words: str, child: subprocess.Popen[bytes]) -> None:
    assert fate(child.pid) is None
    child.send_signal(number)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
    assert fate(child.pid) == words


def test_the_fate_of_one_that_ended_by_itself() -> None:
    with subprocess.Popen(["/bin/true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert fate(child.pid) == "has ended"
    assert fate(child.pid) == "has ended", "nothing is left of it"


def _meet(port: int, number: signal.Signals | None, connected: bool) -> None:  # noqa: FBT001
    """Rank 1 of 2, in a process of its own, until it is lost."""
    os.environ.update(environment(1, 2, port))
    processes = torchrun.processes()
    with processes.connected(torch.device("cpu")):
        processes.all_reduce_sum(torch.ones(()))
        if number:
            os.kill(os.getpid(), number)
        elif not connected:
            processes.rank_zero_first(lambda: 0)


@pytest.mark.parametrize("connected", [True, False], ids=["collective", "store"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        # its parent may take notice first
        (signal.SIGKILL, r"(was ended by signal 9 \(Killed\)|has ended)"),
        (signal.SIGSTOP, "stands still"),
    ],
)
def test_who_is_lost_is_named(
    connected: bool,  # noqa: FBT001
    number: signal.Signals,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within the time limit, if it stands still."""
    monkeypatch.setattr(torchrun, "REDUCE_TIMEOUT", timedelta(seconds=3))
    for library in ("GLOO", "NCCL"):
        monkeypatch.delenv(f"{library}_SOCKET_IFNAME", raising=False)
    port = free_port()
    process = forked(_meet, port, number, connected)
    process.start()
    other = member(monkeypatch, 0, 2, port)

    def work() -> None:
        with other.connected(torch.device("cpu")):
            assert os.environ["GLOO_SOCKET_IFNAME"].startswith("lo"), "no other machine hears it"
            other.all_reduce_sum(torch.ones(()))
            if connected:
                other.all_reduce_sum(torch.ones(()))
            other.rank_zero_first(lambda: 0)

    try:
        with pytest.raises(Stopped, match=f"^rank 1 of the 2 processes {words}$"):
            work()
    finally:
        process.kill()
        process.join()


def test_where_no_rank_is_lost_alone(agent: TCPStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each misses another; or torchrun, which holds what they say, has ended."""
    first, second = (member(monkeypatch, rank, 2, agent.port)._ranks for rank in (0, 1))
    second.tell("misses another")
    assert first.lost() == second.lost() == "the 2 processes have lost each other"

    def gone(*_: object) -> None:
        raise DistNetworkError

    monkeypatch.setattr(first, "tell", gone)
    assert first.lost() == "torchrun, which started this process, has ended"


def test_others_wait_for_what_the_first_does(
    agent: TCPStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, done = member(monkeypatch, 1, 2, agent.port), list[int]()
    with pytest.raises(Stopped, match="rank 0"):
        second.rank_zero_first(lambda: done.append(1), timedelta(seconds=0.01))
    assert not done


def test_where_the_first_is_lost_one_other_speaks(
    agent: TCPStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torchrun, "ANSWER_TIMEOUT", timedelta(seconds=0.01))
    for rank in (1, 2):
        with member(monkeypatch, rank, 3, agent.port).rank_zero_prints():
            sys.stderr.write(f"rank {rank} speaks\n")
    assert capsys.readouterr() == ("", "rank 1 speaks\n")


SMALL = "--train-size 600 --epochs 2 --compare-every 20 --device cpu --board off"
OPTIONS = (*SMALL.split(), "--data-dir", str(ROOT / "data"))


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("--seed 1", "error: --seed 0 on rank 0, 1 on rank 1: start all with the same\n"),
        (
            "--engines manual",
            "error: --engines manual torch on rank 0, manual on rank 1: start all with the same\n",
        ),
        (
            "--loss cross-entropy",
            (
                "error: --activations sigmoid sigmoid on rank 0, sigmoid identity on rank 1; "
                "--loss half-squared on rank 0, cross-entropy on rank 1: start all with the same\n"
            ),
        ),
        (
            "--batch-size 9",
            (
                f"{STOPPED}error: --batch-size 9: 2 processes cannot share it evenly; use 8 or 10; "
                f"{KEPT}\n"
            ),
        ),
    ],
)
def test_another_value_on_another_rank(
    there: str, said: str, agent: TCPStore, tmp_path: Path, call: Call
) -> None:
    options = (*OPTIONS, "--out", str(tmp_path / "run"))
    other = start(
        train,
        *options,
        *there.split(),
        said=tmp_path / "said",
        environment=AGENT | environment(1, 2, agent.port),
    )
    with pytest.MonkeyPatch.context() as patch:
        member(patch, 0, 2, agent.port)
        ended = call(train, *options)
    other.join(60)
    assert ended == Ended(2 if said.startswith("error") else 1, "", said)
    assert other.exitcode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["said"], "nothing was written"


def test_all_that_decides_is_compared(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compared: set[str] = set()

    def require_equal(_: Processes, values: dict[str, object]) -> None:
        compared.update(values)
        raise UserError("enough")

    monkeypatch.setattr(Processes, "require_equal", require_equal)
    assert call(train, *OPTIONS, "--out", str(tmp_path / "run")).err == "error: enough\n"
    groups = Config().to_dict().values()
    options = {f"--{name.replace('_', '-')}" for group in groups for name in group}
    where = {"--data-dir", "--board", "--out"}
    assert where < {f"--{name.replace('_', '-')}" for name in CHANGEABLE}
    assert compared == (options - where) | {"--resume", "torch"}


def test_a_restart_goes_on_where_the_last_checkpoint_is(
    agent: TCPStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: Call
) -> None:
    """As torchrun --max-restarts starts all anew; without --out the folder is that of before."""
    monkeypatch.chdir(tmp_path)
    member(monkeypatch, 0, 1, agent.port)
    save = Checkpoints.save

    def die(self: Checkpoints, progress: Progress, *rest: Any) -> None:
        if progress.epochs == 2:
            raise ZeroDivisionError
        save(self, progress, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", die)
        with pytest.raises(ZeroDivisionError):
            call(train, *OPTIONS)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    ended = call(train, *OPTIONS)
    assert ended.status == 0
    assert [line.partition(":")[0] for line in ended.out.splitlines() if "Epoch" in line] == [
        "Epoch  2"
    ]
    assert len(list(Path("runs").iterdir())) == 1
