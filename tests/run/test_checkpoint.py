"""Checkpoints: a run that is stopped, killed or damaged goes on to the same bits, events and
summary, or says what to do.
"""

import io
import json
import os
import random
import resource
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from tensorboard.summary.writer import event_file_writer

from manual.losses import HalfSquaredError
from manual.optimizers import Optimizer
from scripts import train
from scripts.common import files
from scripts.display.events import EventFiles
from scripts.learners.base import Learner
from scripts.learners.blocks import Block
from scripts.learners.by_hand import ManualLearner
from scripts.learners.in_torch import TorchLearner
from scripts.learners.parts import prepare
from scripts.run import checkpoint, folder
from scripts.run.config import Config
from scripts.run.resolve import resolve
from scripts.training import data
from scripts.training.loop import Loop
from tests import torture
from tests.cases import batches
from tests.conftest import Call
from tests.torture import newest, unequal

OPTIONS = [
    "",
    "--optimizer adam --lr 0.01 --batch-norm --decay all --weight-decay 1e-3",
    "--engines torch --momentum 0.9 --lr 1",
]
# 21 updates an epoch; without histograms and pictures, which nothing here looks at and which take
# most of the time
SHORT = (
    "--epochs 2 --train-size 203 --compare-every 7 --checkpoint-every 9 --threads 1 --board scalars"
)


# Event files of one second are read in the order of their numbers as text: two processes never
# start within one, tests do.
UID = event_file_writer.AtomicCounter(10**6)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def small(mnist: data.Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images to load and to evaluate, so that runs take a tenth of a second."""

    def first(split: data.Split, n: int) -> data.Split:
        return data.Split(split.images[:n], split.labels[:n])

    def load(_: str, __: Path, size: int, *___: object) -> data.Data:
        return data.Data(
            first(mnist.train, size), first(mnist.validation, 200), first(mnist.test, 200)
        )

    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(event_file_writer, "_global_uid", UID)


@pytest.fixture
def call(call: Call) -> Call:
    """`scripts.train` in this process."""
    return partial(call, train)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for runs that many tests need."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def uninterrupted(call: Call, runs: Path) -> Callable[[str], Path]:
    """A run of SHORT and these of OPTIONS that nothing has befallen: made once, to be read or
    copied.
    """

    def made(options: str) -> Path:
        out = runs / str(OPTIONS.index(options))
        if not (out / folder.SUMMARY).exists():
            assert call(*SHORT.split(), *options.split(), "--out", str(out))[0] == 0
        return out

    return made


@pytest.fixture
def whole(uninterrupted: Callable[[str], Path], tmp_path: Path) -> Path:
    """An uninterrupted run of SHORT, the test's own."""
    return shutil.copytree(uninterrupted(""), tmp_path / "whole")


def at_update(monkeypatch: pytest.MonkeyPatch, number: int, event: Callable[[], object]) -> None:
    """Let `event` happen in the block of updates that reaches `number`."""
    update = Loop.update

    def updated(self: Loop, block: Block) -> None:
        before = self.progress.updates
        update(self, block)
        if before < number <= self.progress.updates:
            event()

    monkeypatch.setattr(Loop, "update", updated)


def die() -> None:
    raise Killed


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


@pytest.mark.parametrize("seed", range(3))
def test_damage_anywhere_is_noticed(seed: int, whole: Path) -> None:
    content = newest(whole).read_bytes()
    path, chance = whole / "damaged", random.Random(seed)  # noqa: S311 - no secret
    for _ in range(10):
        path.write_bytes(torture.damaged(content, chance))
        with pytest.raises(ValueError, match="sha256"):
            checkpoint.read(path)
    for end in (0, 1, len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match="sha256"):
            checkpoint.read(path)


def test_damaged_checkpoint_is_named_and_the_one_before_is_used(
    call: Call, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    (out / "summary.json").unlink()
    broken = newest(out)
    broken.write_bytes(broken.read_bytes()[:-1])
    code, _, error = call("--resume", str(out))
    assert code == 0
    older = out / "checkpoints" / "000000036.checkpoint"
    assert (
        error
        == f"{broken} is damaged (its contents do not match their sha256): going back to {older}\n"
    )
    assert unequal(out, whole) == []


def test_every_checkpoint_damaged(call: Call, whole: Path) -> None:
    for path in (whole / "checkpoints").iterdir():
        path.write_bytes(b"")
    code, _, error = call("--resume", str(whole))
    assert code == 2
    assert error.endswith(
        "every checkpoint is damaged; remove this folder to train from the beginning\n"
    )
    assert error.count("is damaged (") == 2
    shutil.rmtree(whole / "checkpoints")
    assert call("--resume", str(whole))[0] == 0


def crafted(path: Path, contents: object) -> None:
    torch.save(contents, path)
    payload = path.read_bytes()
    path.write_bytes(checkpoint._header(payload) + payload)


@pytest.mark.parametrize("contents", [[], {}, {"progress": 1}, torch.zeros(3), None])
def test_something_else_with_a_good_digest(contents: object, tmp_path: Path) -> None:
    crafted(tmp_path / "it", contents)
    with pytest.raises(ValueError, match="not of a run's state"):
        checkpoint.read(tmp_path / "it")


def test_a_state_of_another_network_with_a_good_digest(call: Call, whole: Path) -> None:
    (whole / "summary.json").unlink()
    payload = newest(whole).read_bytes()[len(checkpoint._header(b"")) :]
    found = torch.load(io.BytesIO(payload), weights_only=True)
    found["state"]["learners"]["manual"]["theta"] = torch.zeros(())
    crafted(newest(whole), found)
    code, _, error = call("--resume", str(whole))
    assert code == 2
    assert "is not of a run like this" in error


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--lr 2 --seed 3", "--seed 3 (0 there), --lr 2.0 (3.0 there): the run in"),
        ("--sizes 784 20 10", "--sizes 784 20 10 (784 30 10 there)"),
        ("--batch-norm", "--batch-norm True (False there)"),
        ("--engines manual", "--engines manual (manual torch there)"),
        ("--compare-every 8", "--compare-every 8 (7 there)"),
        ("--threads 2", "--threads 2 (1 there)"),
        ("--dtype float64", "--dtype float64 (float32 there)"),
        ("--epochs 1", "--epochs 1: epoch 2 has begun already; give 2 or more"),
        ("--out elsewhere", "--out elsewhere: --resume"),
    ],
)
def test_what_may_not_change(options: str, named: str, call: Call, whole: Path) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    code, _, error = call("--resume", str(whole), *options.split())
    assert code == 2
    assert named in error
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_config_changed_by_hand_is_noticed(call: Call, whole: Path) -> None:
    path = whole / "config.json"
    path.write_text(path.read_text().replace('"lr": 3.0', '"lr": 5.0'))
    code, _, error = call("--resume", str(whole))
    assert code == 2
    assert "--lr 5.0 (3.0 there)" in error


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"data": 3}',
        b'{"data": {}, "network": {}, "training": {}, "run": {"resume": "x"}}',
    ],
    ids=["empty", "object", "array", "not utf-8", "deep", "number", "resume"],
)
def test_damaged_config(content: bytes, call: Call, whole: Path) -> None:
    (whole / "config.json").write_bytes(content)
    code, _, error = call("--resume", str(whole))
    assert code == 2
    assert error.startswith(f"error: --resume {whole}: {whole / 'config.json'} is damaged (")
    assert error.count("\n") == 1


def test_config_of_a_wrong_type(call: Call, whole: Path) -> None:
    path = whole / "config.json"
    path.write_text(path.read_text().replace('"epochs": 2', '"epochs": "2"'))
    assert "Expected `int`, got `str` - at `$.training.epochs`" in call("--resume", str(whole))[2]


def test_no_run_there(call: Call, tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "nowhere"):
        code, _, error = call("--resume", str(out))
        assert code == 2
        assert error.startswith(f"error: --resume {out}: no run is there")


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
    monkeypatch.setattr(torture, "RUN", (*torture.RUN, "--board", "scalars"))
    assert call(*torture.OPTIONS, *torture.RUN, "--out", str(tmp_path / "expected")).status == 0
    chance = random.Random(0)  # noqa: S311 no secret
    moment, found = torture.kill(tmp_path / "expected", tmp_path, chance, unpacking=False)
    assert moment in {"writing a checkpoint", "between checkpoints"}
    assert found == []


# Numbers going wrong


def learner(engine: str) -> Learner:
    return {"manual": ManualLearner, "torch": TorchLearner}[engine](*prepare(resolve(Config())))


@pytest.mark.parametrize("engine", ["manual", "torch"])
def test_a_trace_is_a_step(engine: str, mnist: data.Data) -> None:
    one, other = learner(engine), learner(engine)
    targets = HalfSquaredError().targets(mnist.train.labels, 10, torch.float32)
    for x, t in batches(torch.arange(50), 10, mnist.train.images, targets):
        one.train(Block(x, t, 10))
        names = [name for name, _ in other.trace(x, t)]
    assert len(set(names)) == len(names) > 10
    a, b = one.state(), other.state()
    assert (
        torch.equal(a["theta"], b["theta"])
        if engine == "manual"
        else all(torch.equal(a["model"][name], b["model"][name]) for name in a["model"])
    )


@pytest.mark.parametrize("update", [7, 21, 25])
def test_the_first_tensor_to_go_wrong_is_named(
    update: int, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An update that leaves a nan in the bias of layer 2, also when it is the last of an epoch or
    before a checkpoint.
    """
    step = Optimizer.named()["sgd"].step

    def poisoned(self: Optimizer, theta: torch.Tensor, grad: torch.Tensor) -> None:
        step(self, theta, grad)
        if self.steps == update:
            theta[-16] = torch.nan  # where b2 begins, 10 of 16

    monkeypatch.setattr(Optimizer.named()["sgd"], "step", poisoned)
    out = tmp_path / "out"
    code, _, error = call(*SHORT.split(), "--out", str(out))
    assert code == 1
    assert f"in update {update}, b2 of layer 2 after the update: 1 of 10 entries nan" in error
    assert error.count("\n") == 1
    assert "a smaller --lr may help" in error
    assert int(newest(out).stem) < update
