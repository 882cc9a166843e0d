"""A run that is stopped or killed goes on to the same bits, events and summary."""

import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from scripts import train
from scripts.common import files
from scripts.display.events import EventFiles
from scripts.run import checkpoint, folder
from tests import mishaps
from tests.conftest import Call
from tests.processes import start
from tests.run.interruptions import OPTIONS, SHORT, Killed, at_update, die
from tests.runs import newest, reached, unequal


@pytest.mark.parametrize("update", [1, 20, 21, 40])
@pytest.mark.parametrize("options", OPTIONS)
def test_a_killed_run_goes_on_to_the_same_bits(
    options: str, update: int, call: Call, uninterrupted: Callable[[str], Path], tmp_path: Path
) -> None:
    expected, out = uninterrupted(options), tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        at_update(patch, update, die)
        with pytest.raises(Killed):
            call(*SHORT.split(), *options.split(), "--out", str(out))
    assert not (out / "summary.json").exists()
    assert call("--resume", str(out))[0] == 0
    assert unequal(out, expected) == []
    assert json.loads((out / "config.json").read_text())["run"]["out"] == str(out)


def test_events_are_in_their_files_before_a_checkpoint_says_so(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[str] = []

    def note(owner: type, name: str) -> None:
        method = getattr(owner, name)

        def noted(*args: Any) -> None:
            done.append(name)
            method(*args)

        monkeypatch.setattr(owner, name, noted)

    for owner, name in (
        (EventFiles, "flush"),
        (EventFiles, "scalars"),
        (checkpoint.Checkpoints, "save"),
    ):
        note(owner, name)
    call(*SHORT.split(), "--out", str(tmp_path / "out"))
    events = done[1:]  # the checkpoint of update 0
    assert events.count("save") == 6
    assert all(events[i - 1] == "flush" for i, name in enumerate(events) if name == "save")


def test_what_differs_is_seen(call: Call, tmp_path: Path, whole: Path) -> None:
    other = tmp_path / "other"
    assert call(*SHORT.split(), "--seed", "1", "--out", str(other))[0] == 0
    found = unequal(other, whole)
    assert any("theta" in line for line in found)
    assert any("summary" in line for line in found)
    assert any("events" in line for line in found)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("update", [5, 21, 42])
def test_a_signal_stops_after_a_checkpoint_and_says_how_to_go_on(
    number: signal.Signals, code: int, update: int, call: Call, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        at_update(patch, update, lambda: os.kill(os.getpid(), number))
        got, _, error = call(*SHORT.split(), "--out", str(out))
    assert got == code
    assert error.count("\n") == 1
    assert error.endswith(f"go on with  python -m scripts.train --resume {out}\n")
    assert call("--resume", str(out))[0] == 0
    assert unequal(out, whole) == []


def test_a_second_signal_ends_at_once(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("still here")

    at_update(monkeypatch, 20, twice)
    code, _, error = call(*SHORT.split(), "--out", str(tmp_path / "out"))
    assert (code, error) == (130, "interrupted: what was logged is kept\n")
    assert newest(tmp_path / "out").name == "000000018.checkpoint"


def test_killed_before_there_is_a_checkpoint(call: Call, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint.Checkpoints, "save", lambda *_: die())
        with pytest.raises(Killed):
            call(*SHORT.split(), "--out", str(out))
    assert call("--resume", str(out))[0] == 0
    assert unequal(out, whole) == []


def test_killed_in_the_middle_of_a_write(call: Call, whole: Path, tmp_path: Path) -> None:
    """What is half written lies beside, and is gone after the next checkpoint."""
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:

        def kill() -> None:
            patch.setattr(Path, "replace", lambda *_: die())
            patch.setattr(Path, "unlink", lambda *_, **__: None)  # nobody tidies up after a kill

        at_update(patch, 20, kill)
        with pytest.raises(Killed):
            call(*SHORT.split(), "--out", str(out))
    assert len(files.leftovers(out / "checkpoints", "000000021.checkpoint")) == 1
    assert call("--resume", str(out))[0] == 0
    assert unequal(out, whole) == []
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == [
        "000000036.checkpoint",
        "000000042.checkpoint",
    ]


def test_a_finished_run_says_so_and_takes_more_epochs(
    call: Call, whole: Path, tmp_path: Path
) -> None:
    files = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    code, printed, _ = call("--resume", str(whole))
    assert code == 0
    assert (
        printed
        == f"nothing is left to do in {whole}: all of its 2 epochs are done; --epochs may be more\n"
    )
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == files
    longer = tmp_path / "longer"
    assert call(*SHORT.split(), "--epochs", "3", "--out", str(longer))[0] == 0
    assert call("--resume", str(whole), "--epochs", "3")[0] == 0
    assert unequal(whole, longer) == []


@pytest.mark.parametrize("update", [3, 22, 30])
def test_the_stopping_rule_is_the_same_after_a_kill(
    update: int, call: Call, tmp_path: Path
) -> None:
    options = [*SHORT.split(), "--epochs", "4", "--stop-below", "100"]
    expected, out = tmp_path / "expected", tmp_path / "out"
    _, said, _ = call(*options, "--out", str(expected))
    with pytest.MonkeyPatch.context() as patch:
        at_update(patch, update, die)
        with pytest.raises(Killed):
            call(*options, "--out", str(out))
    _, said_then, _ = call("--resume", str(out))
    stopped = next(line for line in said.splitlines() if line.startswith("stopped after epoch 2"))
    assert stopped in said_then.splitlines()
    assert unequal(out, expected) == []
    assert (
        call("--resume", str(out), "--epochs", "9")[1]
        == f"nothing is left to do in {out}: {stopped}\n"
    )


@pytest.mark.parametrize("limit", [50_000, 2000], ids=["checkpoint", "events"])
def test_full_disk(limit: int, call: Call, whole: Path, tmp_path: Path) -> None:
    """No file can grow beyond the limit, as on a full disk: a line, and what was kept goes on to
    the same bits.
    """
    out, (soft, hard) = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        at_update(patch, 20, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard)))
        try:
            code, _, error = call(*SHORT.split(), "--out", str(out))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    way = f"python -m scripts.train --resume {out}"
    assert error == (
        f"error: {out}: File too large; its checkpoints are whole, and when it can be written "
        f"again go on with  {way}\n"
    )
    assert newest(out).name == "000000018.checkpoint"
    assert not list((out / "checkpoints").glob(".*"))
    assert call("--resume", str(out))[0] == 0
    assert unequal(out, whole) == []


def test_folder_removed_in_mid_run(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    at_update(monkeypatch, 20, lambda: shutil.rmtree(out))
    code, _, error = call(*SHORT.split(), "--out", str(out))
    assert (code, error) == (2, f"error: {out} is gone: nothing more can be kept there\n")
    assert not out.exists()


def test_one_process_at_a_time(call: Call, whole: Path) -> None:
    (whole / "summary.json").unlink()
    with FileLock(whole / folder.LOCK):
        code, _, error = call("--resume", str(whole))
    assert code == 2
    assert (
        error
        == f"error: {whole}: another process is training this run; wait for its end, or stop it\n"
    )


def test_a_process_killed_while_it_writes_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """A real one, by SIGKILL; tests.torture does this many times."""
    monkeypatch.undo()  # a real process has all images
    expected, out = tmp_path / "expected", tmp_path / "out"
    options = (*mishaps.OPTIONS, *mishaps.RUN, "--board", "scalars")
    assert call(*options, "--out", str(expected)).status == 0
    process = start(train, *options, "--out", str(out), said=tmp_path / "said")
    while process.exitcode is None and reached(out) < 100:
        time.sleep(0.001)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert call("--resume", str(out)).status == 0
    assert unequal(out, expected) == []
