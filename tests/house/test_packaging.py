"""What is distributed: a wheel holds the three packages and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.conftest import ROOT

PACKAGES = ("manual", "torch_ref", "scripts")
CHECKOUT = (*PACKAGES, "tests", "LICENSE", "README.md", "pyproject.toml")
BUILD = "from setuptools import build_meta; build_meta.build_wheel('dist')"  # as pip does it


def test_wheel(tmp_path: Path) -> None:
    """Built from a clean copy, since to build leaves folders behind."""
    for name in CHECKOUT:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, tmp_path)
    packages = {
        str(path.relative_to(tmp_path))
        for name in PACKAGES
        for path in (tmp_path / name).rglob("*.*")
    }
    done = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    assert packages < names
    about = {name.partition(".dist-info/")[2] for name in names - packages}
    assert about == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
        "top_level.txt",
    }
