"""The README's examples do what it says."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_python_examples_print_what_stands_below_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one session, as a reader would type them. Other processors round otherwise, so numbers may differ a little."""
    monkeypatch.chdir(ROOT)
    sections = [README.split(f"## {title}\n")[1].split("\n## ")[0] for title in ("In Python", "Check your own backward")]
    examples = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", "".join(sections), flags=re.DOTALL)
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


def test_files_of_the_slide_table_exist() -> None:
    section = README.split("## From slide to code\n")[1].split("\n## ")[0]
    paths = re.findall(r"`((?:manual|tests|scripts|torch_ref)/\w+\.py)`", section)
    assert paths
    assert all(Path(ROOT, path).is_file() for path in paths)


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
    """Those shown are those that `make pictures` takes, and small."""
    shown = {ROOT / path for path in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)}
    assert shown == set(Path(ROOT, ".ci", "pictures").iterdir())
    assert max(path.stat().st_size for path in shown) < 200_000
