"""A short run of both engines."""

from pathlib import Path
from typing import Any

import pytest

from tests.display.short import run


@pytest.fixture(scope="session")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """With everything on the board."""
    out = tmp_path_factory.mktemp("board")
    return out, run(out)
