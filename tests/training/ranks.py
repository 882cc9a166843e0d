"""Starts one rank for the tests of several processes."""

import socket

import pytest

from scripts.common import torchrun
from scripts.common.torchrun import DataParallel

SIZES = (2, 3, 4)


def member(monkeypatch: pytest.MonkeyPatch, rank: int, size: int, port: int = 0) -> DataParallel:
    """One of `size` processes on this machine, as torchrun would have started it."""
    for name, value in environment(rank, size, port).items():
        monkeypatch.setenv(name, value)
    processes = torchrun.processes()
    assert isinstance(processes, DataParallel)
    return processes


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    names = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": size,
        "LOCAL_WORLD_SIZE": size,
        "MASTER_PORT": port,
    }
    return {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1"} | {
        name: str(value) for name, value in names.items()
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


AGENT = {"TORCHELASTIC_USE_AGENT_STORE": "True"}
