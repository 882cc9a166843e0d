"""What tests of several processes share."""

import pytest
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # there where gloo is

from tests.training.ranks import AGENT


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> TCPStore:
    """A store such as torchrun's agent keeps."""
    for name, value in AGENT.items():
        monkeypatch.setenv(name, value)
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
