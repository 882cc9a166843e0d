"""A run before it trains: what its options are resolved to, and the folder that it gets."""

import os
import re
from pathlib import Path

import pytest

from scripts.common.program import UserError
from scripts.run import folder
from scripts.run.config import Config, NetworkConfig, RunConfig, TrainingConfig
from scripts.run.resolve import choose_threads, resolve
from tests.conftest import ROOT, Call


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder(tmp_path: Path, call: Call) -> None:
    tmp_path.chmod(0o500)
    ended = call("--out", str(tmp_path / "run"))
    assert ended.status == 2
    assert "cannot be written" in ended.err


def test_a_folder_in_place_of_which_a_file_has_come_is_named(tmp_path: Path) -> None:
    out = tmp_path / "file"
    out.touch()
    with pytest.raises(UserError) as refused:
        folder.make(Config(run=RunConfig(out=out)))
    assert str(refused.value) == f"--out {out}: File exists; name another"


def test_runs_started_in_one_minute_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        ended = call(
            "--epochs", "1", "--train-size", "10", "--board", "off",
            "--data-dir", str(ROOT / "data"),
        )  # fmt: skip
    assert ended.status == 0
    folders = list((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all(
        re.fullmatch(r"\d{4}-\d{4}-train-size10-epochs1(-2)?", folder.name) for folder in folders
    )


def test_a_network_of_a_hundred_layers_gets_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = folder.make(resolve(Config(network=NetworkConfig(sizes=(784, *[30] * 99, 10)))))
    assert out.is_dir()
    assert "-784x30x30x" in out.name


def test_activations_of_a_config() -> None:
    def activations(sizes: tuple[int, ...], given: tuple[str, ...], loss: str) -> tuple[str, ...]:
        config = Config(
            network=NetworkConfig(sizes=sizes, activations=given),
            training=TrainingConfig(loss=loss),
        )
        return resolve(config).network.activations

    assert activations((784, 30, 20, 10), ("tanh",), "mse") == ("tanh", "tanh", "tanh")
    assert activations((784, 30, 10), ("tanh",), "cross-entropy") == ("tanh", "identity")
    assert activations((784, 30, 10), ("tanh", "sigmoid"), "cross-entropy") == ("tanh", "sigmoid")


def test_threads_of_a_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are cores that this process may use, where they are worth their while."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 5})
    assert choose_threads((784, 30, 10), 10) == 1
    assert choose_threads((784, 30, 10), 10_000) == 3
    assert resolve(Config(run=RunConfig(threads=1))).run.threads == 1
