"""Every command that stands in README and docs works: found by reading them and run here, the long
ones made shorter.
"""

import dataclasses
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from scripts import presets, train
from scripts.benchmark.case import quick_grid
from scripts.experiments import trials
from scripts.proving import everything
from scripts.proving.operations import lemma
from tests.conftest import ROOT, Call
from tests.docs import PAGES, README, section
from tests.programs.test_bench import report

SHORTER = {
    "scripts.bench": "--device auto",
    "scripts.check": "",
    "scripts.compare": "--dtype float32",
    "scripts.ladder": "",
    "scripts.learning_curve": "--epochs 1 --batch-size 500 --train-sizes 1000 2000 --seeds 1",
    "scripts.page": "",
    "scripts.predict": "",
    "scripts.prove": "",
    "scripts.reproduce": "--only lecture --seeds 1",
    "scripts.runs": "",
    "scripts.train": "--epochs 1 --train-size 96 --board scalars",
    "scripts.walkthrough": "",
}
# Not run here, but by other tests or `make check`; that they are there has to do.
ELSEWHERE = {
    "pytest",
    "tests.checkers",
    "tests.pictures",
    "tests.torture",
    "venv",
    "lint-imports",
    "mypy",
    "pip",
    "ruff",
}


def commands() -> list[str]:
    """Lines of sh, and in the text what begins with a program's name: `make train`."""
    pages = "\n".join(page.read_text() for page in PAGES)
    blocks = re.findall(r"```sh\n(.*?)```", pages, flags=re.DOTALL)
    text = re.sub(r"```.*?```", "", pages, flags=re.DOTALL)
    inline = re.findall(
        r"`((?:make|source|git|pip|python3?|backprop|tensorboard|torchrun) [^`]+)`", text
    )
    found = [*chain.from_iterable(map(str.splitlines, blocks)), *inline]
    return list(
        dict.fromkeys(re.sub("^backprop ", "python -m scripts.", command) for command in found)
    )


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in, with what make and the programs look for: data/, environments that are
    up to date, my_layer.py.
    """
    for name in ("Makefile", "pyproject.toml", ".ci/requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in (".venv", ".venv-lowest", ".venv-newest"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "installed").touch()
    for name in ("data", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (layer,) = re.findall(
        r"`my_layer.py`:\n\n```py\n(.*?)```",
        section("checking", "From the shell, and a class"),
        re.DOTALL,
    )
    (tmp_path / "my_layer.py").write_text(layer)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of my_layer.py
    return tmp_path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no option makes short: nothing is measured, one claim proven, a published figure takes
    an epoch, no pool starts.
    """
    monkeypatch.setattr(everything, "everything", lambda: iter([lemma()]))
    monkeypatch.setattr("scripts.experiments.ladder.climb", lambda *_: None)
    monkeypatch.setattr("scripts.experiments.search.search", lambda *_: None)
    monkeypatch.setattr("scripts.benchmark.run.run", lambda *_, **__: report(*quick_grid()))
    figure = presets.PRESETS["lecture"]
    config = dataclasses.replace(
        figure.config,
        training=dataclasses.replace(figure.config.training, epochs=1, batch_size=500),
    )
    monkeypatch.setitem(presets.PRESETS, "lecture", dataclasses.replace(figure, config=config))
    monkeypatch.setattr(trials, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("command", commands())
def test_command(command: str, call: Call, call_afresh: Call) -> None:
    for program, *options in programs(shlex.split(command)):
        if program in {"scripts.page", "scripts.predict"}:  # of the run that the line before makes
            call(train, "--out", options[0], *SHORTER["scripts.train"].split())
        if program not in ELSEWHERE:
            run = call_afresh if program == "scripts.check" else call
            ended = run(importlib.import_module(program), *options, *SHORTER[program].split())
            assert ended.status == 0, ended.err


def programs(words: list[str]) -> Iterator[list[str]]:
    """Our programs with their options that a command comes to, and those of ELSEWHERE; others are
    held to take its options.
    """
    match Path(words[0]).name, *words[1:]:
        case "make", *targets:
            dry = [words[0], "-n", "--no-print-directory", *targets]
            recipe = subprocess.run(dry, capture_output=True, text=True, check=True).stdout
            assert recipe
            for line in re.findall(r"^(?!echo ).+", recipe, re.MULTILINE):
                yield from programs(shlex.split(line))
        case "awk", *_:  # of `make help`
            assert subprocess.run(
                words, capture_output=True, text=True, check=True
            ).stdout.startswith("make help")
        case "python" | "python3", "-m", module, *options:
            assert importlib.util.find_spec(module)
            yield [module, *options]
        case "torchrun", *options:
            given = get_args_parser().parse_args(options)
            assert given.module
            yield [given.training_script, *given.training_script_args]
        case "source", *environment:  # which the first `make` made
            assert environment == [".venv/bin/activate"]
            assert Path(sys.prefix, *Path(environment[0]).parts[1:]).exists()
        case "git", *rest:
            assert rest == ["checkout", "manual"]
        case "tensorboard", *options:  # as tests/browser.py starts it
            assert options[::2] in (["--logdir"], ["--logdir", "--host"])
        case program, *_:
            assert Path(sys.executable).with_name(program).exists()
            yield [program]


def test_commands_are_found() -> None:
    """Of each kind one."""
    found = commands()
    for command in (
        "make train",
        "python -m scripts.compare",
        "torchrun --standalone --nproc-per-node 2 -m scripts.train",
    ):
        assert command in found
    assert len(found) > 20


def test_the_readme_as_pasted_into_a_shell(checkout: Path) -> None:
    """Its blocks in order in one shell, what takes a minute or more made shorter, and what they
    print.
    """
    for room in ("manual", "torch_ref", "scripts"):
        (checkout / room).symlink_to(ROOT / room)
    # of the environment, beside the mark that it is up to date
    for part in Path(sys.executable).parent.parent.iterdir():
        if part.name != "installed":
            (checkout / ".venv" / part.name).symlink_to(part)
    shorter = {
        "make train": 'make train ARGS="--epochs 1 --train-size 96 --board off"',
        "make test": "make -n test",
    }
    script, expected, python = ["set -e"], [], ""
    pages = README.read_text().split("## Layout\n")[0]
    for kind, block in re.findall(r"```(sh|python|text)\n(.*?)```", pages, flags=re.DOTALL):
        if kind == "sh":
            script += [shorter.get(line, line) for line in block.splitlines()]
        elif kind == "python":
            python += block  # one session, as the blocks are one after another
        elif "seconds of training" not in block:  # of the run that is shorter here
            expected += block.splitlines()
    script.append(f"python - <<'END'\n{python}\nEND")
    shell = shutil.which("bash")
    assert shell
    ran = subprocess.run(
        [shell], input="\n".join(script), cwd=checkout, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.splitlines()[-len(expected) :]
    counts, said = (
        [int(count) for line in lines for count in re.findall(r"(\d+) /", line)]
        for lines in (printed, expected)
    )
    assert [re.sub(r"\d+ /", "N /", line) for line in printed] == [
        re.sub(r"\d+ /", "N /", line) for line in expected
    ]
    # another processor may be off by some; more threads are by 136
    assert max(abs(a - b) for a, b in zip(counts, said, strict=True)) < 100
