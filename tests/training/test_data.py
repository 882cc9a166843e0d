"""The data set on disk: read whole or refused, whatever is damaged, killed or full; and batches of
it.
"""

import errno
import gzip
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from scripts.common import files
from scripts.learners.blocks import Blocks
from scripts.training import data
from tests import damage
from tests.conftest import ROOT

CPU = torch.device("cpu")
ORIGINAL = ROOT / "data" / "MNIST" / "raw"
NAMES = tuple(data.MD5["mnist"])


def load(root: Path, dataset: str = "mnist") -> data.Data:
    """With few images to train, since most of the time would go to those."""
    return data.load(dataset, root, 10, CPU, torch.float32)


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the four .gz files alone, and nowhere to download from."""
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [])
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in NAMES:
        shutil.copy(ORIGINAL / f"{name}.gz", folder)
    return folder


@pytest.fixture
# with it the original is unpacked
def unpacked(raw: Path, mnist: data.Data) -> Path:  # noqa: ARG001
    """A data folder with all eight files."""
    for name in NAMES:
        shutil.copy(ORIGINAL / name, raw)
    return raw


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


EIGHT = sorted(name + end for name in NAMES for end in ("", ".gz"))


def test_counts(mnist: data.Data) -> None:
    assert [len(mnist.train), len(mnist.validation), len(mnist.test)] == [50_000, 10_000, 10_000]
    assert mnist.train.images.shape == (50_000, 784)
    for split in (mnist.train, mnist.validation, mnist.test):
        assert (float(split.images.min()), float(split.images.max())) == (0, 1)
        assert split.labels.unique().tolist() == list(range(10))
    # the published counts of the digit 0 in the 60,000 and in the 10,000
    assert (mnist.train.labels == 0).sum() + (mnist.validation.labels == 0).sum() == 5923
    assert (mnist.test.labels == 0).sum() == 980


def test_validation_is_the_end_of_the_training_file(mnist: data.Data) -> None:
    with gzip.open(ORIGINAL / "train-labels-idx1-ubyte.gz") as file:
        labels = torch.frombuffer(bytearray(file.read()[8:]), dtype=torch.uint8)
    assert torch.equal(mnist.train.labels, labels[:50_000].long())
    assert torch.equal(mnist.validation.labels, labels[50_000:].long())


def test_pixels_are_divided_by_255(mnist: data.Data) -> None:
    with gzip.open(ORIGINAL / "train-images-idx3-ubyte.gz") as file:
        first = torch.frombuffer(bytearray(file.read(16 + 784)[16:]), dtype=torch.uint8)
    assert torch.equal(mnist.train.images[0], first / 255)


def test_order_is_a_permutation_and_a_pure_function_of_seed_and_epoch() -> None:
    orders = {
        (seed, epoch): data.order(seed, epoch, 1000, CPU) for seed in (0, 1) for epoch in (1, 2)
    }
    for key, order in orders.items():
        assert torch.equal(order.sort().values, torch.arange(1000))
        assert torch.equal(order, data.order(*key, 1000, CPU))
    assert len({tuple(order.tolist()) for order in orders.values()}) == 4


def test_blocks_hold_each_sample_once_with_a_ragged_last_batch() -> None:
    images, targets = torch.arange(23.0).reshape(23, 1), torch.arange(23)
    blocks, indices, seen, places = Blocks(images, targets, 5), data.order(0, 1, 23, CPU), [], set()
    for rows in (indices[:10], indices[10:]):
        block = blocks.fetch(rows)
        assert [len(x) for x, _ in block] == ([5, 5] if len(rows) == 10 else [5, 5, 3])
        for x, t in block:
            assert torch.equal(x[:, 0].long(), t)
            seen += t.tolist()
            places.add(x.data_ptr())
    assert seen == indices.tolist()
    assert len(places) == 3, "the second block lies where the first lay"
    assert blocks.fetch(indices[:10]) is blocks.fetch(indices[13:]), "one place for a size"


@pytest.mark.parametrize(("batch_size", "size"), [(1, 64), (10, 64), (11, 58), (128, 5), (1000, 1)])
def test_a_block_stays_in_the_cache(batch_size: int, size: int) -> None:
    blocks = Blocks(torch.zeros(2000, 1), torch.zeros(2000), batch_size)
    assert blocks.size == size
    assert len(list(blocks.fetch(torch.arange(size * batch_size)))) == size


def test_unpacks_without_network_and_leaves_nothing_else(raw: Path) -> None:
    load(raw.parent.parent)
    assert names(raw) == EIGHT
    assert {
        name: hashlib.md5((raw / name).read_bytes(), usedforsecurity=False).hexdigest()
        for name in NAMES
    } == data.MD5["mnist"]


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


LABELS, ARCHIVE = "t10k-labels-idx1-ubyte", "t10k-labels-idx1-ubyte.gz"


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


def test_files_of_mnist_are_not_taken_for_fashion_mnist(
    unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchvision.datasets.FashionMNIST.mirrors", [])
    unpacked.parent.rename(unpacked.parent.with_name("FashionMNIST"))
    with pytest.raises(data.DataError, match="FashionMNIST/raw/train-images-idx3-ubyte is damaged"):
        load(unpacked.parent.parent, "fashion-mnist")


@pytest.fixture
def kmnist(raw: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archives of MNIST in the place of KMNIST's, whose torchvision is told so."""
    digests = {name: hashlib.md5((raw / f"{name}.gz").read_bytes()) for name in NAMES}  # noqa: S324
    sums = [(f"{name}.gz", digests[name].hexdigest()) for name in NAMES]
    monkeypatch.setattr("torchvision.datasets.KMNIST.resources", sums)
    monkeypatch.setattr("torchvision.datasets.KMNIST.mirrors", [])
    raw.parent.rename(raw.parent.with_name("KMNIST"))
    return raw.parent.with_name("KMNIST") / "raw"


def test_a_data_set_of_which_the_archives_md5_alone_is_known(
    kmnist: Path, mnist: data.Data
) -> None:
    read = load(kmnist.parent.parent, "kmnist")
    assert torch.equal(read.test.images, mnist.test.images)
    assert torch.equal(read.test.labels, mnist.test.labels)
    whole = (kmnist / LABELS).read_bytes()
    (kmnist / LABELS).write_bytes(whole[:-1] + b"x")
    load(kmnist.parent.parent, "kmnist")
    assert (kmnist / LABELS).read_bytes() == whole


def test_its_archives_are_held_to_that_md5(kmnist: Path) -> None:
    load(kmnist.parent.parent, "kmnist")
    (kmnist / ARCHIVE).write_bytes(gzip.compress(b"others"))
    with pytest.raises(
        data.DataError,
        match=f"{LABELS} is damaged, {ARCHIVE} beside it is damaged and cannot be downloaded",
    ):
        load(kmnist.parent.parent, "kmnist")


WORKER = """
import sys
from pathlib import Path
import torch
from scripts.training import data

root, hangs = Path(sys.argv[1]), len(sys.argv) > 2
if hangs:
    Path.replace = lambda *_: (print("unpacking", flush=True), sys.stdin.read())
print("ready", flush=True)
sys.stdin.readline()
images = data.load("mnist", root, 10, torch.device("cpu"), torch.float32)
print(int(images.test.labels.sum()), flush=True)
"""


def test_processes_at_once_one_of_them_killed_while_it_unpacks(raw: Path, mnist: data.Data) -> None:
    """The killed one has the lock and an unfinished file; two more start; then it is killed."""
    root, before = str(raw.parent.parent), names(raw)
    command = [sys.executable, "-c", WORKER, root]
    pipes = partial(
        subprocess.Popen, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with (
        pipes([*command, "hangs"]) as hanging,
        pipes(command) as one,
        pipes(command) as other,
        ExitStack() as killed,
    ):
        for process in (hanging, one, other):
            killed.callback(process.kill)  # before its pipes are waited for
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            process.stdin.write("go\n")
            process.stdin.flush()
            if process is hanging:
                assert process.stdout.readline() == "unpacking\n"
        (unfinished,) = files.leftovers(raw, "train-images-idx3-ubyte")
        assert names(raw) == sorted([".lock", unfinished.name, *before])
        assert one.poll() is other.poll() is None
        hanging.send_signal(signal.SIGKILL)
        for process in (one, other):
            printed, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            assert int(printed) == int(mnist.test.labels.sum())
    assert names(raw) == EIGHT


class Garbage(BaseHTTPRequestHandler):
    """Answers what is no HTTP."""

    def do_GET(self) -> None:
        self.wfile.write(b"garbage\r\n")

    def log_message(self, *_: object) -> None:
        pass


class Files(SimpleHTTPRequestHandler):
    """The original files, silently."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator["Serve"]:
    server = Serve()
    yield server
    server.close()


class Serve:
    """Mirrors on this machine."""

    def __init__(self) -> None:
        self._servers: list[ThreadingHTTPServer] = []

    def __call__(self, handler: object) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


def test_missing_and_damaged_archives_are_downloaded(
    raw: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first mirror that has them."""
    mirrors = ["http://127.0.0.1:1/", serve(Garbage), serve(partial(Files, directory=ORIGINAL))]
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", mirrors)
    (raw / ARCHIVE).write_bytes(b"damaged")
    (raw / "train-labels-idx1-ubyte.gz").unlink()
    load(raw.parent.parent)
    assert names(raw) == EIGHT
    for archive in (ARCHIVE, "train-labels-idx1-ubyte.gz"):
        assert (raw / archive).read_bytes() == (ORIGINAL / archive).read_bytes()


@pytest.mark.parametrize("mirror", ["nobody", "garbage", "damaged"])
def test_download_that_fails_is_said(
    mirror: str, raw: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "mirror"
    damaged.mkdir()
    (damaged / ARCHIVE).write_bytes(b"damaged")
    address = {
        "nobody": lambda: "http://127.0.0.1:1/",
        "garbage": lambda: serve(Garbage),
        "damaged": lambda: serve(partial(Files, directory=damaged)),
    }[mirror]()
    reason = {"nobody": "Connection refused", "garbage": "garbage", "damaged": "corrupted"}[mirror]
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [address])
    (raw / ARCHIVE).unlink()
    with pytest.raises(
        data.DataError,
        match=rf"{ARCHIVE} beside it is missing and cannot be downloaded \(.*{reason}",
    ):
        load(raw.parent.parent)
    assert set(names(raw)) == set(EIGHT) - {LABELS, ARCHIVE}
