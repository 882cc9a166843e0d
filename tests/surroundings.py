"""What surrounds every test: one thread unless it asks for more, no GPU unless it names it, and the
real MNIST, read once. A plugin of pytest, which conftest.py loads where tests run.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest
import torch

from scripts.run.config import TRAINING_IMAGES
from scripts.training import data
from tests.conftest import ROOT

Load: TypeAlias = Callable[[str, Path, int, torch.device, torch.dtype], data.Data]


@pytest.fixture(autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """The number of CPU threads: 1, or what `@pytest.mark.parametrize("threads", ...,
    indirect=True)` says.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(getattr(request, "param", 1))
    yield torch.get_num_threads()
    torch.set_num_threads(before)


@cache
def read_once(load: Load) -> data.Data:
    """MNIST in float32 on the CPU."""
    return load("mnist", ROOT / "data", TRAINING_IMAGES, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def mnist() -> data.Data:
    """MNIST in float32 on the CPU."""
    return data.load("mnist", ROOT / "data", TRAINING_IMAGES, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session", autouse=True)
def on_the_cpu() -> Iterator[None]:
    """`--device auto` means the CPU, where there is a GPU too: a test that wants it names it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


@pytest.fixture(scope="session", autouse=True)
def at_hand() -> Iterator[None]:
    """All runs in this process have MNIST from memory."""
    from_disk = data.load

    def load(
        dataset: str, root: Path, size: int, device: torch.device, dtype: torch.dtype
    ) -> data.Data:
        asked = (dataset, root.absolute(), device.type, dtype)
        if asked != ("mnist", (ROOT / "data").resolve(), "cpu", torch.float32):
            return from_disk(dataset, root, size, device, dtype)
        whole = read_once(from_disk)
        images, labels = whole.train.images[:size], whole.train.labels[:size]
        return data.Data(data.Split(images, labels), whole.validation, whole.test)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", load)
        yield
