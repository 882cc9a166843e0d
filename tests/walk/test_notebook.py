"""The notebook is one, runs from a clean environment, and shows the lecture's numbers; so does its
copy in docs/.
"""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from scripts import walkthrough
from scripts.walk import document as written
from scripts.walk.notebook import as_notebook
from tests.conftest import ROOT, Call

DIGITS = ("-0.1123, -0.0382", "-0.0408, -0.0139", "-0.0197", "0.0105", "[True, True]", "(True, {})")


def executed(notebook: Any, folder: Path) -> Any:
    """Each cell run in a new process that stands in `folder`."""
    return NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(folder)}}
    ).execute()


def printed(notebook: Any) -> str:
    outputs = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    return "".join(
        output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs
    )


def test_it_runs(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One epoch on some of the images; the whole run is the copy's."""
    path = tmp_path / "lecture.ipynb"
    assert call(walkthrough, "--format", "notebook", "--out", str(path)).status == 0
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        cell.source = cell.source.replace("EPOCHS = 30", "EPOCHS = 1").replace("50_000", "5_000")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    said = printed(executed(notebook, tmp_path))
    assert [digits for digits in DIGITS if digits not in said] == []
    assert int(re.findall(r"Epoch 0: (\d+) / 10000", said)[0]) > 5000


def test_the_copy_is_of_this_notebook_and_has_all_outputs() -> None:
    copy = nbformat.read(ROOT / "docs" / "lecture.ipynb", as_version=4)
    nbformat.validate(copy)
    here = nbformat.reads(as_notebook(written.document(walkthrough.Options())), as_version=4)
    assert [cell.source for cell in copy.cells] == [cell.source for cell in here.cells]
    said = printed(copy)
    assert [digits for digits in DIGITS if digits not in said] == []
    assert int(re.findall(r"Epoch 29: (\d+) / 10000", said)[0]) > 9400
