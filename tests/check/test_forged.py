"""Submissions that would have a wrong gradient pass, or none judge them: a status is the truth, or
2.
"""

import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from scripts import check
from scripts.checking.messages import Described, Examined
from scripts.checking.submission import Apart, Remote
from scripts.common.ranks import fate
from tests.check.forms import FORMS
from tests.conftest import Call
from tests.processes import forked
from torch_ref.check.checker import Check
from torch_ref.check.inputs import Asked
from torch_ref.check.recognition import recognise
from torch_ref.forms.subject import Subject

HEAD = """
import atexit, os, sys, threading, time
import numpy as np
import torch
import torch.nn.functional as F
import torch_ref.check.checker, torch_ref.evidence.report
import scripts.checking.submission, scripts.checking.verdict

def forward(z):
    return np.logaddexp(0, z)

def backward(dy, z):
    return dy * 0
"""
RIGHT = "def backward(dy, z):\n return dy / (1 + np.exp(-z))\n"
LIAR = """
class Liar(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func.__name__ in ('isfinite', 'abs', 'sub', '__sub__', 'eq', 'ne', 'gt', 'lt'):
            return torch.zeros(8, 5, dtype=torch.float64)
        return super().__torch_function__(func, types, args, kwargs or {})
def forward(z):
    return F.softplus(z)
def backward(dy, z):
    return (dy * 0).as_subclass(Liar)
"""
FORGED = (
    "from torch_ref.evidence.report import Report, Row\n"
    "forged = Report([Row('z', (8, 5), 0, 0, 0, 'ok')], {})\n"
)
MANY_LINES = "def backward(dy, z):\n for _ in range(20000): print('ok  ok  ok')\n return dy * 0\n"

WRONG = 3  # a status; 1 is that of an error
ASIDE = ("ok  ok  ok", "checking: ")  # a file prints it; what takes long is told

CASES = {  # what the file does -> (its text, the status)
    "wrong": ("", 1),
    "ends the process": ("def backward(dy, z): os._exit(0)\n", 2),
    "ends the process when it is loaded": ("os._exit(0)\n", 2),
    "exits": ("def backward(dy, z): sys.exit(0)\n", 2),
    "ends it at the end": ("atexit.register(lambda: os._exit(0))\n", 1),
    "patches sys.exit": ("def leave(*_): raise SystemExit(0)\nsys.exit = leave\n", 1),
    "patches os._exit": ("os._exit = lambda *_: None\n", 1),
    "raises what is no Exception": ("def backward(dy, z): raise KeyboardInterrupt\n", 2),
    "says that all is right": (
        FORGED + "scripts.checking.verdict.check_gradients = lambda *a, **k: forged\n",
        2,
    ),
    "patches the report": ("torch_ref.evidence.report.Report.ok = True\n", 1),
    "patches the checker": (
        FORGED + "torch_ref.check.checker.Check.report = lambda *_: forged\n",
        2,
    ),
    "patches the reference": ("F.softplus = lambda z: z * 0\ndef forward(z): return z * 0\n", 2),
    "patches torch": (
        "torch.Tensor.isfinite = lambda t: torch.ones_like(t, dtype=torch.bool)\n",
        1,
    ),
    "returns what lies": (LIAR, 2),
    "prints a lot": (MANY_LINES, 1),
    "closes stdout": ("def backward(dy, z):\n sys.stdout.close(); return dy * 0\n", 1),
    "forks": ("os.fork()\n", 1),
    "takes all memory": ("def backward(dy, z): return np.ones(10**12)\n", 2),
    "has an alarm": (
        "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.1)\ntime.sleep(9)\n",
        2,
    ),
    "right, with a thread that never ends": (
        RIGHT + "threading.Thread(target=time.sleep, args=(3600,)).start()\n",
        0,
    ),
    "right, with gradients off": (RIGHT + "torch.set_grad_enabled(False)\n", 0),
    "right, elsewhere": (RIGHT + "os.chdir('/'); sys.path.clear()\n", 0),
}


@pytest.mark.parametrize("case", CASES)
def test_a_verdict_is_true_or_none(case: str, mine: Path, call: Call) -> None:
    text, status = CASES[case]
    (mine / "sub.py").write_text(HEAD + text)
    options = ["--shape", "8", "5", "--reference", "torch.nn.functional.softplus"]
    ended = call(check, "sub.py::forward", "sub.py::backward", *options)
    assert ended.status == status, ended
    assert ("ok" in ended.out) == (status == 0)
    errors = [line for line in ended.err.splitlines() if not line.startswith(ASIDE)]
    assert len(errors) == (status == 2), errors


DECLARED = """
import dataclasses
import torch
from scripts.checking import submission
from scripts.checking.messages import Answer, Described, Numbers, Question
from torch_ref.check.checker import Check
from torch_ref.evidence.report import Report, Row

def forward(x, w):
    return x @ w

def backward(dy, x, w):
    return dy @ w.T, w * 0

def says(*verdicts):
    rows = [Row(name, (), 0, 0, 0, verdict) for name, verdict in zip("xwb", verdicts)]
    wrong = {row.name: "wrong" for row in rows if row.verdict != "ok"}
    Check.report = lambda *_: Report(rows, wrong)

def declares(name, dtype):
    of, answer = Described.of, submission._answer
    def declared(form):
        was = of(form)
        value = Numbers.of(was.leaves["w"].value.tensor().to(dtype))
        w = dataclasses.replace(was.leaves["w"], value=value)
        return Described(
            ["x", name], [{"leaf": "x"}, {"leaf": name}], {"x": was.leaves["x"], name: w},
            {"x": ["x"], name: [name]}, False, 2,
        )
    def answered(subject, question):
        point = {"x": question.point["x"], "w": question.point[name]}
        found = answer(subject, Question(point, question.dy, question.layout))
        of_x = {key: g for key, g in found.gradients.items() if key == "x"}
        return Answer(found.y, found.single, of_x | {name: None}) if of_x else found
    Described.of, submission._answer = declared, answered

"""


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("", 1, "sub.py: 1/2 x=ok w=zero (dw is zero everywhere, where the reference is not)"),
        ("says('ok', 'ok')", 2, "by its numbers dw is zero everywhere"),
        (
            "import os; says('ok', 'ok'); submission._answer = lambda *_: os._exit(0)",
            2,
            "could not be judged: its process left before it had answered",
        ),
        # so that it could have no gradient
        ("says('ok', 'ok'); declares('w', torch.int64)", 2, "was given other inputs"),
        # so that differences could count for less
        ("says('ok', 'ok'); declares('w', torch.float16)", 2, "was given other inputs"),
        # as it might be in an honest one: the table says so
        ("says('ok', 'ok'); declares('targets', torch.float64)", 0, "sub.py: 1/1 x=ok"),
        # points for what is wrong, and for what isn't there
        ("says('wrong', 'ok', 'ok')", 1, "sub.py: 0/3 x=wrong w=zero b=not-checked (wrong)"),
    ],
)
def test_what_is_called_right_is_looked_at(
    text: str, status: int, said: str, mine: Path, call: Call
) -> None:
    (mine / "sub.py").write_text(DECLARED + text)
    ended = call(
        check,
        *("sub*.py::forward", "sub*.py::backward", "--shape", "8", "5", "--shape", "5", "3"),
        *("--reference", "torch.matmul"),
    )
    assert said in ended.out
    assert ended.out.count("could not be judged") == (status == 2)
    assert ended.status == status


def from_outside(name: str, factor: float) -> bool:
    """Whether a form is right by what its process answers; in a process in which nothing has run,
    as `call` has it.
    """
    judge = forked(_judge_form, name, factor)
    judge.start()
    judge.join()
    assert judge.exitcode in {0, WRONG}
    return judge.exitcode == 0


def _judge_form(name: str, factor: float) -> NoReturn:
    given = FORMS[name](factor)

    def examine() -> tuple[Examined, Subject]:
        subject = Subject(recognise(given["forward"], given.get("backward"), given["inputs"]))
        return Examined(form=Described.of(subject.form)), subject

    with Apart(examine, 60) as submission:
        described = submission.receive(Examined).form
        assert described
        form = Remote(submission, described)
        report = Check(form, given.get("reference"), seed=0).report(Asked(set(), {}))
    sys.exit(0 if report.ok else WRONG)


@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_judged_from_outside(name: str) -> None:
    assert from_outside(name, 1.0)
    if name != "a_domain_that_forward_asserts":  # its own process alone can say what is wrong there
        assert not from_outside(name, 2.0)


def _judge(told: Path) -> None:
    """Of a submission that tells its process and never ends."""

    def examine() -> tuple[Examined, None]:
        told.write_text(str(os.getpid()))
        while True:
            time.sleep(1)

    with Apart(examine, 600) as submission:
        submission.receive(Examined)


def test_a_submission_ends_with_its_judge(tmp_path: Path) -> None:
    """However that ends."""
    told, deadline = tmp_path / "told", time.monotonic() + 60
    judge = forked(_judge, told)
    judge.start()
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    judge.kill()
    judge.join()
    while fate(int(told.read_text())) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_differences_within_backward_are_told(mine: Path, call: Call) -> None:
    text = (
        "def backward(dy, z):\n h = 1e-6; return dy * (forward(z + h) - forward(z - h)) / (2 * h)\n"
    )
    (mine / "sub.py").write_text(HEAD + text)
    ended = call(check, "sub.py::forward", "sub.py::backward", "--shape", "8", "5")
    assert "note: backward calls forward 2 times: are these finite differences?" in ended.out
