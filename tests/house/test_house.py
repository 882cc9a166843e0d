"""What the code may not do, where no import shows it: call kernels with which torch does the work,
run what a file says.
"""

import ast
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from manual.activations import Activation, Sigmoid
from manual.network import Network, NetworkSpec
from manual.operation import Operation
from manual.optimizers import Optimizer
from tests.cases import ACTIVATIONS, LOSSES
from tests.conftest import ROOT
from torch_ref.cases import random, random_targets

FORBIDDEN = ("backward", "native_batch_norm", "_softmax")


class Listener(TorchDispatchMode):
    """Hears the name of every kernel called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: set[str] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.called.add(str(func))
        return func(*args, **(kwargs or {}))


def forbidden(work: Callable[[], object]) -> list[str]:
    with Listener() as listener:
        work()
    assert listener.called, "nothing was heard"
    return [name for name in listener.called if any(word in name for word in FORBIDDEN)]


@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_ready_made_derivative(activation: str, loss_name: str) -> None:
    def step() -> None:
        network = Network(NetworkSpec((6, 5, 4), (activation, activation)))
        loss = LOSSES[loss_name]()
        tape = network.forward(random((7, 6), torch.float32, seed=1))
        _, dy = loss(tape.output, random_targets(loss, (7, 4), torch.float32, seed=2))
        grad = network.backward(dy, tape)
        for optimizer in Optimizer.named().values():
            optimizer(0.1).step(network.parameters.theta, grad)

    assert forbidden(step) == []


def test_the_listener_hears_what_is_forbidden() -> None:
    z = torch.zeros(2, 3)
    assert forbidden(lambda: torch.softmax(z, dim=1)) == ["aten._softmax.default"]
    assert forbidden(lambda: torch.sigmoid(z.clone().requires_grad_()).sum().backward()) == [
        "aten.sigmoid_backward.default"
    ]


def families() -> list[type[Operation]]:
    return list(Operation.__subclasses__())


@pytest.mark.parametrize("family", families(), ids=lambda family: family.__name__)
def test_a_class_is_abstract_or_final(family: type[Operation]) -> None:
    assert len(family.named()) > 0
    for operation in family.named().values():
        assert getattr(operation, "__final__", False), f"{operation.__name__} is not @final"
        assert operation.__bases__ == (family,), f"{operation.__name__} is not under its family"


def test_a_class_has_a_name_of_its_own() -> None:
    with pytest.raises(TypeError, match="Sigmoid2: 'sigmoid' is the name of Sigmoid already"):
        type("Sigmoid2", (Activation,), {}, name="sigmoid")
    with pytest.raises(TypeError, match="Cube needs a name: class Cube"):
        type("Cube", (Activation,), {})
    with pytest.raises(TypeError, match="Cube: its family knows no 'kink'"):
        type("Cube", (Activation,), {}, name="cube", kink=(0.0,))
    assert Activation.named()["sigmoid"] is Sigmoid


def test_manual_stays_small() -> None:
    lengths = {
        path.name: len(path.read_text().splitlines()) for path in (ROOT / "manual").glob("*.py")
    }
    assert max(lengths.values()) <= 250, lengths
    assert sum(lengths.values()) - lengths["lecture.py"] <= 1150, lengths


CODE = [
    path for folder in ("manual", "torch_ref", "scripts") for path in (ROOT / folder).rglob("*.py")
]
WRITTEN = [
    *(
        path
        for folder in (".ci", "manual", "torch_ref", "scripts", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".html", ".css", ".js"}
    ),
    *(ROOT / name for name in (".ci/run", "Makefile", "pyproject.toml")),
]
UNSAFE_NAMES = {"eval", "exec", "compile", "__import__", "system", "popen", "unsafe_load"}
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
UNSAFE_ARGUMENTS = {("weights_only", False), ("shell", True), ("allow_pickle", True)}


def test_lines_have_100_columns() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{n}"
        for path in WRITTEN
        for n, line in enumerate(path.read_text().splitlines(), start=1)
        if len(line.expandtabs(4)) > 100
    ]
    assert long == []
    assert len(WRITTEN) > 200


def test_files_have_at_most_400_lines() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in WRITTEN}
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def unsafe(source: str) -> list[str]:
    """Where it would run what a file or a user says, or listen to other machines; comments can't
    switch this off.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in UNSAFE_NAMES:
                found.append(name)
            case ast.Attribute(value=ast.Name(id="os" | "yaml"), attr=name) if name in UNSAFE_NAMES:
                found.append(name)
            case ast.Import(names=names):
                found += [
                    alias.name for alias in names if alias.name.split(".")[0] in UNSAFE_MODULES
                ]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in UNSAFE_MODULES:
                found.append(module)
            case ast.keyword(arg=str(name), value=ast.Constant(value=value)) if (
                name,
                value,
            ) in UNSAFE_ARGUMENTS:
                found.append(name)
            # what is looked for
            case ast.Constant(value="0.0.0.0" | "--bind_all" as value):  # noqa: S104
                found.append(value)
    return found


def test_no_code_runs_what_a_file_says_or_listens_to_other_machines() -> None:
    found = {path.name: unsafe(path.read_text()) for path in CODE}
    assert {name: words for name, words in found.items() if words} == {}
    assert len(found) > 50


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "exec(text)",
        "os.system('ls')",
        "import pickle",
        "from pickle import loads",
        "torch.load(path, weights_only=False)",
        "subprocess.run('ls', shell=True)",
        "np.load(path, allow_pickle=True)",
        "server.bind('0.0.0.0')",
    ],
)
def test_what_is_unsafe_is_seen(source: str) -> None:
    assert len(unsafe(source)) == 1


def test_tensorboard_listens_to_this_machine_alone() -> None:
    lines = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if "tensorboard " in line
    ]
    assert lines == ["\t$(BIN)/tensorboard --logdir runs --host 127.0.0.1"]


def test_files_of_text_are_in_utf_8() -> None:
    """Whatever the locale says."""
    for path in (ROOT / "scripts").rglob("*.py"):
        for call in (
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ):
            name, words = getattr(call.func, "attr", ""), ast.unparse(call)
            if name in {"write_text", "read_text"} or (name == "open" and "newline" in words):
                assert "encoding" in words, f"{path}: {words}"
