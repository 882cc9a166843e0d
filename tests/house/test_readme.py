"""The examples of README and docs do what they say, and what they name is there."""

import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from manual import activations, initializers, layers, losses, network, optimizers
from manual.network import Network, NetworkSpec
from scripts import compare, train, walkthrough
from scripts.__main__ import programs
from scripts.walk import lecture
from tests.conftest import ROOT, Call
from tests.docs import PAGES, README, anchors, section
from tests.faults import FAULTS
from tests.processes import session
from torch_ref.cases import random
from torch_ref.evidence.report import VERDICTS
from torch_ref.model import build

EVERYTHING = "\n".join(page.read_text() for page in PAGES)
NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"


def test_the_readme_is_a_page() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 200
    assert len(text.split()) <= 1800
    loop = text.splitlines()[:40]
    assert (
        "        dz = f.backward(dy, tape.z[k], tape.y[k])  # dDiv/dz_i = f'(z_i) dDiv/dy_i" in loop
    )
    assert "    loss.backward()" in loop


def examples(page: Path) -> list[tuple[str, str]]:
    """The Python of a page with what it prints; not what belongs in a file of somebody's own."""
    found = re.findall(r"```python\n([^`]*)```(?:\n\n```text\n([^`]*)```)?", page.read_text())
    return [(code, printed) for code, printed in found if "from submission import" not in code]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if examples(page) and page.stem not in {"README", "using"}],
    ids=lambda page: page.name,
)
def test_python_examples_print_what_stands_below_them(page: Path) -> None:
    """All of a page in one session of its own, as a reader would type them; those of the README are
    pasted by test_readme_commands, and what needs a run and data of the reader's own is followed by
    test_using. Other processors round otherwise.
    """
    between = "<end of example>"
    typed = "".join(f"{code}\nprint({between!r})\n" for code, _ in examples(page))
    outputs = session(typed, ROOT).split(f"{between}\n")
    for (code, printed), output in zip(examples(page), outputs, strict=False):
        if "print(recording)" in code:
            assert output == printed
        assert re.sub(NUMBER, "N", output).split() == re.sub(NUMBER, "N", printed).split()
        for got, said in zip(
            re.findall(r"(\d+) /", output), re.findall(r"(\d+) /", printed), strict=True
        ):
            assert abs(int(got) - int(said)) < 100, (
                "another processor may be off by some; more threads are by 136"
            )


def test_both_loops_of_the_readme_give_the_same_bits() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks[:2]:
        exec(block, names)  # noqa: S102 - our own text
    network = Network(NetworkSpec((784, 30, 10), ("sigmoid", "sigmoid")))
    model, x, d = build(network), random((10, 784), torch.float32, 1), torch.eye(10)
    tape = network.forward(x)
    names["backward"](network, losses.HalfSquaredError()(tape.output, d)[1], tape)
    expected = names["backward_of_torch"](model, model(x), d)
    for gradient, of_torch in zip(network.parameters.gradients.values(), expected, strict=True):
        assert torch.equal(gradient.T if gradient.ndim == 2 else gradient, of_torch)


def test_grading_a_submission(monkeypatch: pytest.MonkeyPatch) -> None:
    """The teachers' test passes a right submission and fails a wrong one."""
    (code,) = re.findall(r"```python\n(.*?)```", section("teachers", "Grading"), flags=re.DOTALL)
    submission = SimpleNamespace(
        forward=torch.nn.functional.softplus, backward=lambda dy, z: dy * torch.sigmoid(z)
    )
    monkeypatch.setitem(sys.modules, "submission", submission)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own text
    names["test_softplus"]()
    names["backward"] = lambda dy, _: dy
    with pytest.raises(AssertionError, match="the derivative of softplus\\(x\\) is missing"):
        names["test_softplus"]()


def test_errata_are_those_of_the_walkthrough() -> None:
    found = re.findall(
        r"^(\d+)\. (.*)$",
        re.sub(r"\n +", " ", section("errata", "Errata of the slides")),
        flags=re.MULTILINE,
    )
    assert [f"Slip {n} of the slides, {text}" for n, text in found] == list(lecture.SLIPS.values())


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for path, _, anchor in re.findall(r"\]\((?!http)([^)#]*)(#([^)]*))?\)", text):
        there = page.parent.joinpath(path) if path else page
        assert there.exists(), path
        assert not anchor or anchor in anchors(there.read_text()), anchor
    paths = re.findall(r"`((?:manual|torch_ref|scripts|tests|data|docs|\.ci)/[\w./]*)`", text)
    assert [
        path
        for path in paths
        if not Path(ROOT, path).exists() and not path.startswith("data/FashionMNIST")
    ] == []


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
        "--max-restarts",
    }
    for name in programs():
        program = importlib.import_module(f"scripts.{name}")
        known |= set(re.findall(r"--[a-z][a-z-]*", call(program, "--help").out))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", EVERYTHING)) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_environment_is_activated_before_the_first_command(page: Path) -> None:
    """But for those of make, which need none."""
    text = page.read_text()
    first = re.search(
        r"(?:^|`)(?:python3? -m (?!venv)|torchrun|tensorboard)", text, flags=re.MULTILINE
    )
    assert not first or "source .venv/bin/activate" in text[: first.start()]


def test_who_pastes_every_page_names_no_run_twice() -> None:
    """--out has to be a new folder."""
    named = re.findall(r"^python -m scripts\.train .*--out (\S+)", EVERYTHING, re.MULTILINE)
    assert named
    assert sorted(named) == sorted(set(named))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_prose_is_120_columns_wide(page: Path) -> None:
    """At most; tables and what is pasted or printed have no room to break."""
    prose = re.sub(
        r"^ *```.*?^ *```|^\|.*?$|^ *!\[.*?$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    assert [line for line in prose.splitlines() if len(line) > 120] == []


def test_names_of_the_slide_table_are_there() -> None:
    """Paths, classes, and methods of classes."""
    modules = [activations, initializers, layers, losses, network, optimizers]
    classes = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type)
    }
    names = re.findall(r"`([A-Z]\w+)(?:\.(\w+))?`", section("students", "From slide to code"))
    assert len(names) > 5
    assert [name for name, _ in names if name not in classes] == []
    assert [
        f"{name}.{method}"
        for name, method in names
        if method and not hasattr(classes[name], method)
    ] == []


def test_every_slide_has_its_code_and_its_test() -> None:
    """Of the table; the tests are there."""
    _, _, *rows = re.findall(r"^\|.*\|$", section("students", "From slide to code"), re.MULTILINE)
    assert len(rows) > 10
    for row in rows:
        _slide, _formula, code, named = re.split(r" ?(?<!\\)\| ?", row)[1:-1]
        assert "`" in code, row
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", named)
        assert tests, row
        for path, name in tests:
            assert f"\ndef {name}(" in (ROOT / "tests" / path).read_text(), name


def test_layout_names_every_module() -> None:
    (layout,) = re.findall(r"## Layout\n\n```text\n(.*?)```", README.read_text(), flags=re.DOTALL)
    parts = re.split(r"^(\w+)/", layout, flags=re.MULTILINE)
    rooms = dict(zip(parts[1::2], parts[2::2], strict=True))
    for room in ("manual", "torch_ref", "scripts"):
        modules = {path.stem for path in (ROOT / room).glob("*.py")} - {"__init__", "__main__"}
        assert modules - set(re.findall(r"\w+", rooms[room])) == set()


def test_as_many_faults_are_planted_as_it_says() -> None:
    assert f"plant {len(FAULTS)} wrong formulas" in section("identical", 'What "identical" means')
    assert f"plant {len(FAULTS)} wrong formulas" in section("students", "Break a line")
    assert f"{len(FAULTS)} [planted mistakes]" in README.read_text()


def test_every_verdict_has_its_row() -> None:
    """Of the table that says where to look for a mistake."""
    cells = re.findall(
        r"^\| (`.*?) \|", section("checking", "What the verdicts mean"), flags=re.MULTILINE
    )
    said = re.findall(r"`([^`]+)`", " ".join(cells))
    assert sorted(said) == sorted(VERDICTS)


def test_the_activation_to_add() -> None:
    """Held against its twin nn.LeakyReLU to the last bit."""
    code, _formulas = re.findall(
        r"```py\n(.*?)```", section("engineers", "Adding an activation"), flags=re.DOTALL
    )
    names: dict[str, object] = {}
    # not a subclass of Activation, so that no other test meets it
    stand_in = "import torch\nfrom torch import Tensor\nfinal = lambda cls: cls\n"
    stand_in += "class Activation:\n    def __init_subclass__(cls, **facts): pass\n"
    exec(stand_in + code, names)  # noqa: S102
    f = names["LeakyReLU"]()  # type: ignore[operator]
    z = torch.linspace(-3, 3, 25).requires_grad_()
    expected = torch.nn.LeakyReLU()(z)
    expected.sum().backward()
    y = f.forward(z.detach())
    assert torch.equal(y, expected.detach())
    assert z.grad is not None
    assert torch.equal(f.backward(torch.ones_like(y), z.detach(), y), z.grad)


def test_what_is_seen_of_a_broken_line(
    monkeypatch: pytest.MonkeyPatch, call: Call, tmp_path: Path
) -> None:
    """dw twice as large: what the students' page shows of the comparison and of an epoch, up to how
    a processor rounds.
    """
    right = layers.Linear.backward

    def doubled(self: layers.Linear, dz: torch.Tensor, saved: layers.Saved) -> None:
        right(self, dz, saved)
        self.dw.mul_(2)

    monkeypatch.setattr(layers.Linear, "backward", doubled)
    compared, trained = re.findall(
        r"```text\n(.*?)```", section("students", "Break a line"), flags=re.DOTALL
    )
    ended = call(compare, "--network", "784", "30", "10", "--dtype", "float32", "--device", "cpu")
    assert ended.status == 1
    assert (
        re.sub(NUMBER, "N", ended.out + ended.err).split() == re.sub(NUMBER, "N", compared).split()
    )
    options = ["--epochs", "1", "--train-size", "5000", "--board", "off", "--data-dir"]
    ended = call(train, *options, str(ROOT / "data"), "--out", str(tmp_path / "run"))
    out = re.sub(NUMBER, "N", ended.out)
    for line in re.sub(NUMBER, "N", trained).splitlines():
        assert " ".join(line.split()) in [" ".join(each.split()) for each in out.splitlines()]


@pytest.mark.parametrize(
    ("page", "title", "options"),
    [("students", "Backpropagation with numbers", []), ("proof", "Derivations", ["--derive"])],
)
def test_what_is_shown_of_the_walkthrough(
    page: str, title: str, options: list[str], call: Call
) -> None:
    (shown,) = re.findall(r"```text\n(.*?)(?: *\.\.\.\n)?```", section(page, title), re.DOTALL)
    assert shown in call(walkthrough, *options).out


def test_pictures() -> None:
    """Those shown are those of the folder, and small."""
    shown = {
        page.parent / path
        for page in PAGES
        for path in re.findall(r"\[[^]]+\]\(([^)]+\.(?:png|svg))\)", page.read_text())
    }
    assert shown == set(Path(ROOT, "docs", "pictures").iterdir())
    assert max(path.stat().st_size for path in shown) < 200_000
