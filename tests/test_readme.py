"""The README's examples do what it says, and what it names is there."""

import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from manual import activations, initializers, layers, losses, network, optimizers
from scripts import bench, check, compare, learning_curve, reproduce, train, walkthrough
from scripts.walk import lecture
from tests.conftest import ROOT, Call
from tests.faults import FAULTS

README = (ROOT / "README.md").read_text()


def test_python_examples_print_what_stands_below_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one session, as a reader would type them. Other processors round otherwise, so numbers may differ a little."""
    monkeypatch.chdir(ROOT)
    examples = re.findall(r"```python\n([^`]*)```\n\n```text\n([^`]*)```", README)
    assert len(examples) == 3
    number = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
    names: dict[str, object] = {}
    for code, printed in examples:
        output = StringIO()
        with redirect_stdout(output):
            exec(code, names)  # noqa: S102 - our own text
        assert re.sub(number, "N", output.getvalue()).split() == re.sub(number, "N", printed).split()
        for got, said in zip(re.findall(r"(\d+) /", output.getvalue()), re.findall(r"(\d+) /", printed), strict=True):
            assert abs(int(got) - int(said)) < 100


def test_grading_a_submission(monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's test passes a right submission and fails a wrong one."""
    section = README.split("## Grading\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    submission = SimpleNamespace(forward=torch.nn.functional.softplus, backward=lambda dy, z: dy * torch.sigmoid(z))
    monkeypatch.setitem(sys.modules, "submission", submission)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own text
    names["test_softplus"]()
    names["backward"] = lambda dy, _: dy
    with pytest.raises(AssertionError, match="the derivative of softplus\\(x\\) is missing"):
        names["test_softplus"]()


def test_errata_are_those_of_the_walkthrough() -> None:
    section = README.split("## Errata of the slides\n")[1].split("\n## ")[0]
    found = re.findall(r"^(\d+)\. (.*)$", re.sub(r"\n +", " ", section), flags=re.MULTILINE)
    assert [f"Slip {n} of the slides, {text}" for n, text in found] == list(lecture.SLIPS.values())


@pytest.mark.parametrize("page", ["README.md", ".ci/CONTRIBUTING.md"])
def test_links_and_paths_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    headings = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    }
    for path, _, anchor in re.findall(r"\]\((?!http)([^)#]*)(#([^)]*))?\)", text):
        assert (ROOT / page).parent.joinpath(path).exists(), path
        assert not anchor or anchor in headings, anchor
    paths = re.findall(r"`((?:manual|torch_ref|scripts|tests|data|\.ci)/[\w./]*)`", text)
    assert len(paths) > 5
    assert [path for path in paths if not Path(ROOT, path).exists() and not path.startswith("data/FashionMNIST")] == []


def test_options_are_options_of_a_program(call: Call) -> None:
    known = {
        "--logdir",
        "--loss",
        "--standalone",
        "--nproc-per-node",
        "--nnodes",
        "--rdzv-backend",
        "--rdzv-endpoint",
        "--rdzv-id",
    }
    for program in (bench, check, compare, learning_curve, reproduce, train, walkthrough):
        known |= set(re.findall(r"--[a-z][a-z-]*", call(program, "--help").out))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README)) <= known


def test_names_of_the_slide_table_are_there() -> None:
    """Paths, classes, and methods of classes."""
    section = README.split("## From slide to code\n")[1].split("\n## ")[0]
    modules = [activations, initializers, layers, losses, network, optimizers]
    classes = {name: value for module in modules for name, value in vars(module).items() if isinstance(value, type)}
    names = re.findall(r"`([A-Z]\w+)(?:\.(\w+))?`", section)
    assert len(names) > 5
    assert [name for name, _ in names if name not in classes] == []
    assert [f"{name}.{method}" for name, method in names if method and not hasattr(classes[name], method)] == []


def test_layout_names_every_module() -> None:
    (layout,) = re.findall(r"## Layout\n\n```text\n(.*?)```", README, flags=re.DOTALL)
    parts = re.split(r"^(\w+)/", layout, flags=re.MULTILINE)
    rooms = dict(zip(parts[1::2], parts[2::2], strict=True))
    for room in ("manual", "torch_ref", "scripts"):
        modules = {path.stem for path in (ROOT / room).glob("*.py")} - {"__init__"}
        assert modules - set(re.findall(r"\w+", rooms[room])) == set()


def test_as_many_faults_are_planted_as_it_says() -> None:
    assert f"plant {len(FAULTS)} wrong formulas" in README


def test_the_activation_to_add() -> None:
    """The README's ELU, held against its twin nn.ELU."""
    section = README.split("## Adding an activation\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    names: dict[str, object] = {}
    # not a subclass of Activation, so that no other test meets it
    exec("import torch\nfrom torch import Tensor\nfinal = lambda cls: cls\nActivation = object\n" + code, names)  # noqa: S102
    elu = names["ELU"]()  # type: ignore[operator]
    z = torch.linspace(-3, 3, 25, dtype=torch.float64).requires_grad_()
    expected = torch.nn.ELU()(z)
    expected.sum().backward()
    y = elu.forward(z.detach())
    torch.testing.assert_close(y, expected.detach(), rtol=0, atol=1e-15)
    torch.testing.assert_close(elu.backward(torch.ones_like(y), z.detach(), y), z.grad, rtol=0, atol=1e-15)


def test_pictures() -> None:
    """Those shown are those of the folder, and small."""
    shown = {ROOT / path for path in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)}
    assert shown == set(Path(ROOT, ".ci", "pictures").iterdir())
    assert max(path.stat().st_size for path in shown) < 200_000
