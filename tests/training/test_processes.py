"""What one of several processes says, and what all of them hear."""

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # there where gloo is

from scripts import train
from scripts.common import torchrun
from scripts.common.program import Stopped, UserError
from scripts.common.torchrun import DataParallel
from tests.conftest import Call
from tests.processes import forked
from tests.training.ranks import environment, free_port, member


@pytest.mark.parametrize("options", ["--lr 0", "--lr fast", "--batch-size 9"])
def test_one_process_says_what_is_wrong(
    options: str, agent: TCPStore, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    said = []
    for rank in range(2):
        member(monkeypatch, rank, 2, agent.port)
        status, *streams = call(train, *options.split())
        assert status == 2
        said.append(streams)
    assert options.partition(" ")[0] in said[0][1]
    assert (said[0][0], *said[1]) == ("", "", "")


def test_the_others_wait_for_the_first_to_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since torchrun ends all as soon as one has failed."""
    heard: list[tuple[int, str]] = []
    for rank in range(2):
        ranks = SimpleNamespace(
            tell=lambda what, text="", rank=rank: heard.append((rank, f"tells {what}: {text}")),
            hear=lambda of, what, _, rank=rank: heard.append((rank, f"hears {what} of {of}")),
        )
        processes = member(monkeypatch, rank, 2)
        monkeypatch.setitem(vars(processes), "_ranks", ranks)

        def fail(processes: DataParallel = processes) -> None:
            with processes.rank_zero_prints():
                sys.stderr.write("error: it will not do\n")
                sys.exit(2)

        with pytest.raises(SystemExit):
            fail()
    said = "tells end: error: it will not do"
    assert heard == [(0, "tells end: "), (1, said), (1, "hears end of 0")]


def test_an_unexpected_error_of_any_process_is_heard(
    agent: TCPStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        with member(monkeypatch, 1, 2, agent.port).rank_zero_prints():
            assert sys.stderr is not heard
            raise ZeroDivisionError

    monkeypatch.setattr(torchrun, "ANSWER_TIMEOUT", timedelta(seconds=0.01))
    heard = sys.stderr
    with pytest.raises(ZeroDivisionError):
        fail()
    assert sys.stderr is heard


def _meet(scene: str, port: int) -> None:
    """Rank 1 of 2, in a process of its own."""
    os.environ.update(environment(1, 2, port))
    processes = torchrun.processes()
    with processes.connected(torch.device("cpu")):
        processes.all_reduce_sum(torch.ones(()))
        if scene == "other options":
            processes.require_equal({"--seed": 1})
            with pytest.raises(
                UserError, match=r"--lr 3.0 on rank 0, 1.0 on rank 1: start all with the same"
            ):
                processes.require_equal({"--seed": 1, "--lr": 1.0})
        if scene == "disagrees":
            assert not processes.all_agree(yes=True)
            assert processes.rank_zero_first(lambda: "one") == "one"
            assert processes.rank_zero_only(lambda: "one") == "zero"
            gathered = processes.all_gather(torch.tensor([3, 4]))
            assert gathered.tolist() == [1, 2, 3, 4]
            assert processes.own_part(gathered).tolist() == [3, 4]

            def fail() -> None:
                raise UserError("no memory here")

            with pytest.raises(UserError, match="no memory here"):
                processes.rank_zero_first(fail)


@pytest.fixture
def other(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DataParallel]:
    """Rank 0 of 2, connected to rank 1, which plays the scene."""
    port = free_port()
    process = forked(_meet, request.param, port)
    # a test that fails does not hang
    monkeypatch.setattr(torchrun, "REDUCE_TIMEOUT", timedelta(seconds=30))
    process.start()
    try:
        yield member(monkeypatch, 0, 2, port)
    finally:
        process.join(60)
        assert process.exitcode == 0


@pytest.mark.parametrize("other", ["disagrees"], indirect=True)
def test_what_one_meets_all_hear(other: DataParallel) -> None:
    with other.connected(torch.device("cpu")):
        assert os.environ["GLOO_SOCKET_IFNAME"].startswith("lo")
        assert int(other.all_reduce_sum(torch.ones(()))) == 2
        assert not other.all_agree(yes=False)
        assert other.rank_zero_first(lambda: "zero") == "zero"
        assert other.rank_zero_only(lambda: "zero") == "zero"
        gathered = other.all_gather(torch.tensor([1, 2]))
        assert gathered.tolist() == [1, 2, 3, 4]
        assert other.own_part(gathered).tolist() == [1, 2]
        with pytest.raises(UserError, match="no memory here"):
            other.rank_zero_first(lambda: None)


@pytest.mark.parametrize("other", ["other options"], indirect=True)
def test_options_are_compared(other: DataParallel) -> None:
    with other.connected(torch.device("cpu")):
        other.all_reduce_sum(torch.ones(()))
        other.require_equal({"--seed": 1})
        with pytest.raises(
            UserError, match=r"--lr 3.0 on rank 0, 1.0 on rank 1: start all with the same"
        ):
            other.require_equal({"--seed": 1, "--lr": 3.0})


@pytest.mark.parametrize(
    ("name", "value"), [("RANK", "a"), ("RANK", None), ("WORLD_SIZE", ""), ("LOCAL_RANK", "-1")]
)
def test_what_torchrun_left_behind_is_named(
    name: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, given in environment(0, 2, 0).items():
        monkeypatch.setenv(each, given)
    monkeypatch.delenv(name)
    if value is not None:
        monkeypatch.setenv(name, value)
    with pytest.raises(
        UserError, match=f"^{name} is {value or 'not set'} though TORCHELASTIC_RUN_ID is set"
    ):
        torchrun.processes()


@pytest.mark.parametrize("other", ["leaves"], indirect=True)
def test_a_process_that_ends_ends_the_others_with_one_line(other: DataParallel) -> None:
    def work() -> None:
        with other.connected(torch.device("cpu")):
            other.all_reduce_sum(torch.ones(()))
            other.all_reduce_sum(torch.ones(()))

    with pytest.raises(Stopped, match=r"^rank 1 of the 2 processes has ended$"):
        work()
