"""All programs under one name, backprop: listed, started, and named so in what they say."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from scripts import __main__ as backprop
from tests.conftest import ROOT, Call
from tests.interrupts import PROGRAMS


def test_every_program_is_listed(call: Call) -> None:
    ended = call(backprop)
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not re.search(r"\w$", re.sub(r"\n +", " ", ended.out), re.MULTILINE), "a sentence is cut"
    listed = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert (
        listed
        == sorted(
            path.stem
            for path in (ROOT / "scripts").glob("*.py")
            if "def main()" in path.read_text()
        )[1:]
    )
    assert [f"scripts.{name}" for name in listed] == sorted(PROGRAMS), "each of them is interrupted"
    assert call(backprop, "--help") == ended


def test_a_program_is_started_with_its_options(call: Call) -> None:
    refused = call(backprop, "walkthrough", "--format", "pdf").err
    assert refused.startswith("error: --format pdf: choose from text, markdown, json")
    assert call(backprop, "learning-curve", "--seeds", "0").err.startswith("error: --seeds 0")


def test_an_unknown_program(call: Call) -> None:
    ended = call(backprop, "trian", "--lr", "3")
    assert ended.status == 2
    assert ended.err.startswith(
        "error: trian: there is no such program; choose from bench, check, "
    )


def test_the_console_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As installed it calls this main, and its helps say what to type."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"backprop": f"{backprop.__name__}:main"}
    monkeypatch.setattr(
        sys, "argv", [str(Path(sys.executable).with_name("backprop")), "train", "--help"]
    )
    with pytest.raises(SystemExit):
        backprop.main()
    said = capsys.readouterr().out
    assert said.startswith("usage: backprop train [-h] [OPTIONS]")
    assert "\n  backprop train --epochs 1\n" in said
    assert "python -m" not in said
