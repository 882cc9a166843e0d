"""What is distributed: the three packages and nothing else."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.conftest import ROOT

PACKAGES = ("manual", "torch_ref", "scripts")
CHECKOUT = (*PACKAGES, "tests", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml")
BUILD = """
from setuptools import build_meta  # as pip does it

build_meta.build_sdist("dist")
build_meta.build_wheel("dist")
"""


def test_wheel_and_source_distribution(tmp_path: Path) -> None:
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
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as packed_too:
        files = [each.name.partition("/")[2] for each in packed_too if each.isfile()]
    there = {name for name in files if not name.startswith("backprop_by_hand.egg-info/")}
    about = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    assert there == packages | about
