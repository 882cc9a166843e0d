"""Files that are missing or of another data set are downloaded, or it is said why not."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from scripts.training import data
from tests.data.archives import ARCHIVE, EIGHT, LABELS, NAMES, ORIGINAL, load, names


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
