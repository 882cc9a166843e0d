"""The data set on disk: read whole or refused, whatever is damaged, killed or full."""

import errno
import gzip
import hashlib
import os
import resource
import shutil
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import BinaryIO

import pytest

from scripts.common import files
from scripts.run.config import DATASETS
from scripts.training import data
from tests import damage
from tests.data.archives import ARCHIVE, EIGHT, LABELS, NAMES, ORIGINAL, load, names
from tests.processes import FORKS, forked


def test_unpacks_without_network_and_leaves_nothing_else(raw: Path) -> None:
    load(raw.parent.parent)
    assert names(raw) == EIGHT
    assert {
        name: hashlib.md5((raw / name).read_bytes(), usedforsecurity=False).hexdigest()
        for name in NAMES
    } == data.MD5["mnist"]


def test_what_digests_are_known_of_are_data_sets() -> None:
    assert data.MD5.keys() < DATASETS.keys()


def test_whole_unpacked_files_need_no_archive_and_nothing_is_written(
    unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder that can only be read, or beside a damaged .gz."""
    (unpacked / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    (unpacked / "t10k-images-idx3-ubyte.gz").unlink()
    monkeypatch.setattr(data, "FileLock", lambda _: pytest.fail("wrote"))
    before = unpacked.stat().st_mtime_ns
    load(unpacked.parent.parent)
    assert unpacked.stat().st_mtime_ns == before


@pytest.mark.parametrize("number", range(len(damage.KINDS)))
def test_damaged_data_is_refused_or_repaired(number: int, tmp_path: Path, mnist: data.Data) -> None:
    """Of each kind one; `python -m tests.torture` does 200."""
    case = damage.case(number)
    assert damage.outcome(case, ORIGINAL, tmp_path, mnist) in {
        "refused",
        "repaired",
        "not needed",
    }, case


def test_an_outcome_of_wrong_data_is_seen(
    tmp_path: Path, mnist: data.Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = data.Data(
        mnist.train, mnist.validation, data.Split(1 - mnist.test.images, mnist.test.labels)
    )
    monkeypatch.setattr(data, "load", lambda *_: wrong)
    assert damage.outcome(damage.case(0), ORIGINAL, tmp_path, mnist) == "trained on"


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_damaged_unpacked_file_is_made_anew(unpacked: Path, name: str) -> None:
    good = (unpacked / name).read_bytes()
    (unpacked / name).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    load(unpacked.parent.parent)
    assert (unpacked / name).read_bytes() == good


def test_dangling_link_in_place_of_a_file_is_replaced(unpacked: Path) -> None:
    place = unpacked / "t10k-labels-idx1-ubyte"
    place.unlink()
    place.symlink_to("nowhere")
    load(unpacked.parent.parent)
    assert not place.is_symlink()


@pytest.mark.parametrize(
    ("contents", "fault"),
    [
        (lambda good: good[:-1], "damaged"),
        (lambda good: good + b"\0x", "damaged"),
        (lambda good: b"\0" + good[1:], "damaged"),
        (lambda _: b"", "damaged"),
        (lambda _: gzip.compress(b"\0" * 10_008), "damaged"),
        (gzip.decompress, "damaged"),
        (None, "missing"),
    ],
    ids=["truncated", "lengthened", "no gz", "empty", "other content", "unpacked", "missing"],
)
def test_archive_that_will_not_do_is_named(
    raw: Path, contents: damage.Change | None, fault: str
) -> None:
    good = (raw / ARCHIVE).read_bytes()
    (raw / ARCHIVE).unlink()
    if contents:
        (raw / ARCHIVE).write_bytes(contents(good))
    with pytest.raises(data.DataError) as caught:
        load(raw.parent.parent)
    message = str(caught.value)
    assert (
        f"{raw / LABELS} is missing, {ARCHIVE} beside it is {fault} and cannot be downloaded "
        "(there is no mirror)" in message
    )
    assert f"put the published {ARCHIVE} there, or name another --data-dir" in message
    assert "\n" not in message
    assert set(names(raw)) <= set(EIGHT)


def test_archive_that_was_packed_anew_will_do(raw: Path) -> None:
    """As Debian does with Fashion-MNIST: what it holds counts."""
    (raw / ARCHIVE).write_bytes(gzip.compress(gzip.decompress((raw / ARCHIVE).read_bytes()), 1))
    load(raw.parent.parent)
    assert names(raw) == EIGHT


@pytest.mark.parametrize("name", [LABELS, ARCHIVE, ".lock"])
def test_folder_in_place_of_a_file_is_named(raw: Path, name: str) -> None:
    (raw / name).unlink(missing_ok=True)
    (raw / name).mkdir()
    with pytest.raises(data.DataError, match=name) as caught:
        load(raw.parent.parent)
    assert "\n" not in str(caught.value)
    assert (raw / name).is_dir()


@pytest.mark.parametrize("where", ["/dev/null", "/proc/data", "x" * 300, "nul\0"])
def test_no_place_for_data_is_named(where: str) -> None:
    with pytest.raises(data.DataError, match="name another --data-dir"):
        load(Path(where))


def test_unreadable_file_is_made_anew_or_named(
    unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the tests: root may read anything."""
    readable, refused = files.opened, {unpacked / LABELS}

    def opened(path: Path) -> BinaryIO:
        if path in refused:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return readable(path)

    monkeypatch.setattr(files, "opened", opened)
    monkeypatch.setattr(os, "access", lambda path, _: path not in refused)
    (unpacked / ARCHIVE).unlink()
    with pytest.raises(data.DataError, match=f"{LABELS} is not readable"):
        load(unpacked.parent.parent)
    shutil.copy(ORIGINAL / ARCHIVE, unpacked)
    monkeypatch.undo()
    load(unpacked.parent.parent)


def test_no_data_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [])
    with pytest.raises(data.DataError, match=r"train-images-idx3-ubyte is missing"):
        load(tmp_path / "new" / "data")
    assert not list(tmp_path.iterdir())


def test_full_disk_is_said_and_nothing_half_written_is_left(raw: Path) -> None:
    """The system ends the file after 10 MB, as a full disk would."""
    before = names(raw)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, limits[1]))
    try:
        with pytest.raises(data.DataError, match=r"cannot be unpacked there.*make room"):
            load(raw.parent.parent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(raw) == before
    load(raw.parent.parent)


def test_folder_that_can_only_be_read_is_named(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(data, "FileLock", refuse)
    with pytest.raises(
        data.DataError,
        match=f"{raw}: mnist cannot be unpacked there .*Read-only.*: make it writable",
    ):
        load(raw.parent.parent)


def test_folder_of_an_old_torchvision_is_refused(raw: Path) -> None:
    (raw.parent / "processed").mkdir()
    with pytest.raises(data.DataError, match=r"processed.*remove"):
        load(raw.parent.parent)


def unpack(root: Path, pipe: Connection, *, hangs: bool) -> None:
    """In a process of its own: unpacks, or holds the first file that it has unpacked."""

    def hang(*_: object) -> None:
        pipe.send("unpacking")
        pipe.recv()

    if hangs:
        setattr(Path, "replace", hang)  # noqa: B010 - mypy refuses the plain assignment
    pipe.send("ready")
    pipe.recv()
    pipe.send(int(load(root).test.labels.sum()))


def test_processes_at_once_one_of_them_killed_while_it_unpacks(raw: Path, mnist: data.Data) -> None:
    """The killed one has the lock and an unfinished file; two more start; then it is killed."""
    root, before = raw.parent.parent, names(raw)
    (hanging, of_hanging), *others = [started(root, hangs=hangs) for hangs in (True, False, False)]
    try:
        for _, pipe in ((hanging, of_hanging), *others):
            assert heard(pipe) == "ready"
            pipe.send("go")
            if pipe is of_hanging:
                assert heard(pipe) == "unpacking"
        (unfinished,) = files.leftovers(raw, "train-images-idx3-ubyte")
        assert names(raw) == sorted([".lock", unfinished.name, *before])
        assert all(process.is_alive() for process, _ in others)
        hanging.kill()
        for process, pipe in others:
            assert heard(pipe) == int(mnist.test.labels.sum())
            process.join(60)
            assert process.exitcode == 0
    finally:
        for process, _ in ((hanging, of_hanging), *others):
            process.kill()
    assert names(raw) == EIGHT


def started(root: Path, *, hangs: bool) -> tuple[ForkServerProcess, Connection]:
    """A process that runs `unpack`, and the pipe to it."""
    ours, its = FORKS.Pipe()
    process = forked(partial(unpack, hangs=hangs), root, its)
    process.start()
    return process, ours


def heard(pipe: Connection) -> object:
    """What a process says next, within a minute."""
    assert pipe.poll(60)
    return pipe.recv()
