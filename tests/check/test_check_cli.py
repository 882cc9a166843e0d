"""`python -m scripts.check`: its statuses, its forms, and many submissions at once."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from scripts import check
from tests.conftest import ROOT, Call
from tests.processes import forked

SHADOWED = ("code", "copy", "json", "random", "string", "zipfile")
FORMS = """
import numpy as np
import torch

def inputs():
    return np.random.default_rng(0).normal(size=(4, 3)), 2

def every(x, stride):
    return x[:, ::stride]

def every_backward(dy, x, stride):
    dx = np.zeros_like(x)
    dx[:, ::stride] = dy
    return dx, None

class Layer:
    def __init__(self):
        self.W = np.ones((3, 2))
    def forward(self, x):
        self.x = x
        return x @ self.W
    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T

class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    def backward(ctx, dy):
        return 2 * dy * ctx.saved_tensors[0]

def loss(w):
    return (w**2).sum(), 2 * w

def by_autograd(dy, z):
    print("working")
    z.requires_grad_()
    return torch.autograd.grad(torch.tanh(z), z, dy)

tanh = torch.tanh

def hangs(dy, z):
    while True:
        pass
"""


@pytest.fixture(autouse=True)
def forms(mine: Path) -> None:
    (mine / "forms.py").write_text(FORMS)


@pytest.mark.parametrize(
    "arguments",
    [
        "mine.py::softplus mine.py::right --shape 8 5",
        "mine.py::softplus mine.py::right --shape 8 5 --reference torch.nn.functional.softplus",
        (
            "mine.py::softplus mine.py::right --shape 8 5 --reference torch.nn.Softplus --dtype "
            "float32 --seed 3"
        ),
        (
            "mine.py::loss mine.py::loss_backward --shape 8 5 --shape 8 --labels 5 --reference "
            "torch.nn.functional.cross_entropy"
        ),
        "mine.py::log mine.py::log_backward --shape 4 --between 0.5 2 --reference torch.log",
        (
            "mine.py::product mine.py::product_backward --shape 8 5 --shape 5 3 --reference "
            "torch.matmul"
        ),
        "forms.py::every forms.py::every_backward",
        "forms.py::every forms.py::every_backward --shape 4 5 --argument stride=3",
        "forms.py::Layer --shape 4 3",
        "forms.py::Square --shape 4 3",
        "forms.py::loss --shape 4",
        "forms.py::tanh forms.py::by_autograd --shape 4 --reference forms.py::tanh",
    ],
)
def test_status_0_where_all_is_right(arguments: str, call: Call) -> None:
    ended = call(check, *arguments.split())
    assert ended.status == 0, ended
    assert "ok" in ended.out


def test_status_1_where_a_gradient_is_wrong(call: Call) -> None:
    ended = call(check, "mine.py::softplus", "mine.py::wrong", "--shape", "8", "5")
    assert ended.status == 1
    assert "dz is 2 times too large: divide by 2" in ended.out


def test_json_holds_the_report_alone(call: Call) -> None:
    ended = call(check, "forms.py::tanh", "forms.py::by_autograd", "--shape", "4", "--json")
    report = json.loads(ended.out)
    assert (ended.status, report["ok"], report["autograd"]) == (0, True, True)
    assert report["rows"][0]["verdict"] == "ok"
    assert "working" not in ended.out


def test_autograd_may_be_refused(call: Call) -> None:
    ended = call(check, "forms.py::tanh", "forms.py::by_autograd", "--shape", "4", "--no-autograd")
    assert ended.status == 1
    assert "backward calls torch.autograd: write it by hand" in ended.out
    assert (
        call(check, "mine.py::softplus", "mine.py::right", "--shape", "4", "--no-autograd").status
        == 0
    )


def test_many_submissions_get_a_line_each(mine: Path, call: Call) -> None:
    """Each is a process of its own. What is wrong comes before what could not be judged."""
    (mine / "sub").mkdir()
    for name, backward in {"ada": "right", "bo": "wrong", "cy": "missing"}.items():
        (mine / "sub" / f"{name}.py").write_text(
            f"{(mine / 'mine.py').read_text()}\nbackward = {backward}\n"
        )
    places = ["sub/*.py::softplus", "sub/*.py::backward"]
    ended = call(check, *places, "--shape", "4", "3", "--csv", "marks.csv")
    assert ended.status == 1
    ada, bo, cy = ended.out.splitlines()
    assert ada == "sub/ada.py: 1/1 z=ok"
    assert bo.startswith("sub/bo.py: 0/1 z=factor (dz is 2 times too large")
    assert cy.startswith("sub/cy.py: cannot be loaded: NameError")
    with (mine / "marks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["submission"], row["points"], row["z"], row["autograd"]) for row in rows] == [
        ("sub/ada.py", "1", "ok", "no"),
        ("sub/bo.py", "0", "factor", "no"),
        ("sub/cy.py", "", "", ""),
    ]
    (mine / "sub" / "bo.py").unlink()
    assert call(check, *places, "--shape", "4", "3").status == 2


def test_code_of_numpy_fails_in_the_words_of_numpy(mine: Path, call: Call) -> None:
    (mine / "arrays.py").write_text("import numpy as np\ndef forward(x, w): return np.dot(x, w)\n")
    places = ("arrays.py::forward", "mine.py::product_backward")
    error = call(check, *places, "--shape", "8", "5", "--shape", "4", "3").err
    assert error.startswith("error: ValueError: shapes (8,5) and (4,3) not aligned")


def test_a_submission_is_ended_at_the_limit(call: Call) -> None:
    places = ["forms.py::tanh", "forms.py::hangs", "--shape", "4", "--timeout", "0.3"]
    ended = call(check, *places)
    assert ended == (2, "", "error: forms.py: could not be judged: ended after 0.3 s\n")
    places[0] = "form[s].py::tanh"
    places[1] = "form[s].py::hangs"
    assert call(check, *places) == (2, "forms.py: could not be judged: ended after 0.3 s\n", "")


def test_files_beside_a_submission_are_no_modules_of_python(mine: Path) -> None:
    """Though `python -m` would have it so."""
    for name in SHADOWED:
        (mine / f"{name}.py").write_text(f"raise RuntimeError('{name}')\n")
    options = ["mine.py::softplus", "mine.py::right", "--shape", "3"]
    ended = subprocess.run(
        [sys.executable, "-m", "scripts.check", *options],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")


def many_beside_a_gpu() -> NoReturn:
    """The status of a check of two, where autograd takes itself to have a GPU."""
    with FakeTensorMode():  # it sees to one for tensors that would be there
        torch.empty(1, device="cuda")
    sys.argv = ["check", "its_*.py::forward", "its_*.py::backward", "--shape", "8", "5"]
    sys.argv += ["--reference", "torch.sin"]
    sys.exit(check.main())


def test_many_are_judged_where_there_is_a_gpu(mine: Path) -> None:
    """Autograd begins threads for it, and of a process that has, no fork can use autograd."""
    text = "import torch\ndef forward(z): return torch.sin(z)\n"
    for name in ("a", "b"):
        (mine / f"its_{name}.py").write_text(
            f"{text}def backward(dy, z): return dy * torch.cos(z)\n"
        )
    process = forked(many_beside_a_gpu)
    process.start()
    process.join()
    assert process.exitcode == 0
