"""Runs whose files somebody has replaced: by what lies, by links and FIFOs, by what may not be
read. Nothing else changes.
"""

import errno
import io
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.common import files
from scripts.run import checkpoint
from scripts.training import data
from tests.conftest import ROOT, Call
from tests.run.interruptions import SHORT, at_update, crafted
from tests.runs import newest, unequal

# What a state may not have: (where it is, what is put there, words of the line).
NUMBERS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("learners manual theta", lambda t: t.clone().fill_(float("nan")), "theta is not finite"),
    ("learners manual theta", lambda _: torch.zeros(1).expand(2**40), "theta: (1099511627776,)"),
    (
        "learners manual optimizer buffers",
        lambda _: {f"m{i}": torch.zeros(1) for i in range(9)},
        "buffers has other names",
    ),
    ("learners manual optimizer steps", lambda _: 7, "steps is 7, not 42"),
    ("learners manual losses", lambda _: torch.zeros(3, 4), "losses: (3, 4)"),
    ("learners manual seconds", lambda _: float("nan"), "seconds is nan"),
    ("learners torch optimizer param_groups", lambda _: [], "param_groups has 0 entries, not 1"),
    ("learners torch optimizer param_groups 0 lr", lambda _: 1000.0, "lr is 1000.0, not 3.0"),
    ("learners torch optimizer param_groups 0 lr", lambda _: "fast", "lr is str, not float"),
    ("learners torch model", lambda _: {}, "model has other names"),
    ("comparison", lambda _: None, "is not of a run like this"),
    ("comparison recent", lambda _: {"w9": {}}, "its comparison is of other parameters"),
    ("comparison overall max_abs", lambda _: "x", "Expected `float`, got `str`"),
]


@pytest.mark.parametrize(
    ("where", "change", "words"), NUMBERS, ids=[f"{where}: {words}" for where, _, words in NUMBERS]
)
def test_a_number_that_cannot_be_of_this_run(
    where: str, change: Callable[[Any], Any], words: str, call: Call, whole: Path
) -> None:
    fields = content(newest(whole))
    *way, last = where.split()
    part = fields["state"]
    for key in way:
        part = part[int(key) if key.isdecimal() else key]
    part[last] = change(part[last])
    crafted(newest(whole), fields)
    code, _, error = call("--resume", str(whole), "--epochs", "3")
    assert code == 2
    assert error.startswith("error: the checkpoint of update 42 is not of a run like this (")
    assert words in error


def content(path: Path) -> Any:
    return torch.load(
        io.BytesIO(path.read_bytes()[len(checkpoint._header(b"")) :]), weights_only=True
    )


def test_updates_before_the_first_are_refused(call: Call, whole: Path) -> None:
    fields = content(newest(whole))
    fields["progress"] |= {"updates": -21, "epochs": -1}
    crafted(newest(whole), fields)
    assert (
        "is damaged (it is of update -21): going back to"
        in call("--resume", str(whole), "--epochs", "3").err
    )


def test_what_a_file_says_does_nothing_to_the_terminal(call: Call, whole: Path) -> None:
    fields = content(newest(whole))
    fields["progress"]["stopped"] = "\x1b[2J\x1b[31m rm -rf ~\n\nx\r"
    fields["made_with"] = "torch 9 \x1b[31m\nerror: send"
    crafted(newest(whole), fields)
    code, out, error = call("--resume", str(whole))
    assert code == 0
    assert out == f"nothing is left to do in {whole}: \\x1b[2J\\x1b[31m rm -rf ~\\n\\nx\\r\n"
    assert error.startswith(
        f"note: {newest(whole)} is of torch 9 \\x1b[31m\\nerror: send, here is torch"
    )
    assert error.count("\n") == 1


def test_what_tells_the_kernels_how_to_work_is_noted(
    call: Call, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    error = call("--resume", str(whole)).err
    assert error.startswith(f"note: {newest(whole)} is of torch")
    kernels = torch.backends.cpu.get_cpu_capability()
    assert error.endswith(f" {kernels}, MKL_CBWR=COMPATIBLE: the bits may become others\n")


def test_all_that_tells_the_kernels_how_to_work_is_documented() -> None:
    page = (ROOT / "docs/identical.md").read_text()
    assert [name for name in checkpoint.KERNEL_VARIABLES if name not in page] == []


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def folder_(path: Path) -> None:
    path.unlink()
    path.mkdir()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


@pytest.mark.parametrize("change", [fifo, device, sparse])
def test_what_is_no_checkpoint_is_passed_over(
    change: Callable[[Path], None], call: Call, whole: Path
) -> None:
    change(newest(whole))
    code, _, error = call("--resume", str(whole), "--epochs", "3")
    assert code == 0, error
    assert f"{whole}/checkpoints/000000042.checkpoint is damaged (" in error
    assert newest(whole).name == "000000063.checkpoint"


def test_a_folder_in_place_of_a_checkpoint_is_refused(call: Call, whole: Path) -> None:
    folder_(newest(whole))
    code, _, error = call("--resume", str(whole), "--epochs", "3")
    assert code == 2
    assert "000000042.checkpoint cannot be read (it is no regular file): mend that" in error


@pytest.mark.parametrize("change", [fifo, device, folder_])
def test_what_is_no_config_is_refused(
    change: Callable[[Path], None], call: Call, whole: Path
) -> None:
    change(whole / "config.json")
    code, _, error = call("--resume", str(whole))
    assert (code, error.count("\n")) == (2, 1)
    assert f"{whole}/config.json cannot be read (" in error


def test_no_link_is_written_through(call: Call, whole: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in (
        ".config.json.unfinished",
        "checkpoints/.000000063.checkpoint.unfinished",
        ".lock",
    ):
        (whole / name).unlink(missing_ok=True)
        (whole / name).symlink_to(victim)
    for path in (whole / "summary.json", newest(whole), whole / "manual.pt"):
        shutil.copy(path, tmp_path / path.name)
        path.unlink()
        path.hardlink_to(tmp_path / path.name)
    before = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    call("--resume", str(whole), "--epochs", "3")
    assert victim.read_text() == "precious"
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("seconds", [-86400, 0, 86400])
def test_curves_do_not_depend_on_the_clock(
    seconds: float, call: Call, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is moved before the run goes on, and goes on once more."""
    out = tmp_path / "out"
    now = time.time
    with monkeypatch.context() as patch:
        at_update(patch, 20, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert call(*SHORT.split(), "--out", str(out)).status == 143
        patch.setattr(time, "time", lambda: now() + seconds)
        at_update(patch, 30, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert call("--resume", str(out)).status == 143
    assert call("--resume", str(out)).status == 0
    assert unequal(out, whole) == []


def test_names_of_unfinished_files_cannot_be_guessed(tmp_path: Path) -> None:
    assert files.unfinished(tmp_path / "x") != files.unfinished(tmp_path / "x")


@pytest.mark.parametrize("name", ["t10k-labels-idx1-ubyte", "t10k-labels-idx1-ubyte.gz"])
def test_a_fifo_of_data_is_not_waited_for(name: str, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (ROOT / "data/MNIST/raw").glob("*.gz"):
        shutil.copy(path, raw)
    (raw / name).unlink(missing_ok=True)
    os.mkfifo(raw / name)
    if name.endswith(".gz"):
        assert data._content("mnist", raw / name) is None
    else:
        data._unpack("mnist", raw)
        assert (raw / name).is_file()


# Rights. Whoever runs the tests: root may read anything.


def refuse(patch: pytest.MonkeyPatch, *paths: Path) -> None:
    """Let the system refuse to open or list these."""

    def checked(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **named: Any) -> Any:
            if Path(path) in paths:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return function(path, *arguments, **named)

        return call

    patch.setattr(os, "open", checked(os.open))
    patch.setattr(os, "listdir", checked(os.listdir))


@pytest.mark.parametrize("what", ["config.json", "checkpoints", "checkpoints/000000042.checkpoint"])
def test_what_may_not_be_read_is_not_damaged(
    what: str, call: Call, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    refuse(monkeypatch, whole / what)
    code, _, error = call("--resume", str(whole), "--epochs", "3")
    assert code == 2
    assert f"{whole / what} cannot be read (Permission denied)" in error
    assert "damaged" not in error
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("closed", [".", "checkpoints", "by-hand"])
def test_a_run_that_may_not_be_written_stays_as_it_is(
    closed: str, call: Call, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != whole / closed and access(path, mode)
    )
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    code, _, error = call("--resume", str(whole), "--epochs", "3")
    assert (code, error) == (
        2,
        (
            f"error: {whole / closed} cannot be written: make it a folder of yours; nothing was "
            "changed\n"
        ),
    )
    code, out, _ = call("--resume", str(whole))
    assert (code, out.startswith(f"nothing is left to do in {whole}: ")) == (0, True)
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before
