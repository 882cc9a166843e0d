"""Folders of data."""

import shutil
from pathlib import Path

import pytest

from scripts.training import data
from tests.data.archives import NAMES, ORIGINAL


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
