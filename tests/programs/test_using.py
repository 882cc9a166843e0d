"""The page on using what was trained, followed in a folder of its own."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from scripts import predict
from scripts.run.config import Config, DataConfig, RunConfig, TrainingConfig
from scripts.training.session import train
from tests.conftest import ROOT, Call
from tests.docs import section
from tests.processes import session
from tests.runs import scalars


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's run, a little shorter, and a mine.csv of three clouds of points."""
    folder = tmp_path_factory.mktemp("using")
    config = RunConfig(out=folder / "runs" / "lecture", board="off", threads=1)
    train(
        Config(
            data=DataConfig(data_dir=ROOT / "data"), training=TrainingConfig(epochs=1), run=config
        )
    )
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, size=(300, 1))
    points = np.hstack(
        [np.cos(2 * labels) + 0.2 * rng.normal(size=(300, 1)), np.sin(2 * labels), labels]
    )
    np.savetxt(folder / "mine.csv", points, delimiter=",", header="a,b,class", comments="")
    return folder


def blocks(title: str, kind: str = "python") -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", section("using", title), flags=re.DOTALL)


def test_a_picture_is_read_as_it_says(followed: Path, call: Call) -> None:
    """Probabilities are of a longer run."""
    (expected,) = blocks("Read a picture", "text")
    picture = ROOT / "docs" / "pictures" / "seven.png"
    out = call(predict, str(followed / "runs" / "lecture"), str(picture), "--verbose").out
    assert [
        line.split("(")[0]
        for line in out.replace(f"{ROOT}/", "").replace(f"{followed}/", "").splitlines()[::3]
    ] == [line.split("(")[0] for line in expected.splitlines()[::3]]
    assert out.splitlines()[1] == expected.splitlines()[1]


@pytest.mark.parametrize("name", ["manual.pt", "torch.pt"])
def test_both_networks_load_what_either_has_learned(name: str, followed: Path) -> None:
    """And they recognize as many test images as the run says."""
    codes = blocks("In PyTorch, and in Python")
    codes[0] = codes[0].replace("manual.pt", name)
    assert [len([line for line in code.splitlines() if line]) for code in codes[:2]] == [4, 4]
    summary = json.loads((followed / "runs/lecture/summary.json").read_text())["engines"]
    count = f"""
from pathlib import Path
from scripts.training import data
test = data.load("mnist", Path({str(ROOT / "data")!r}), 10, torch.device("cpu"), torch.float32).test
answers = [answer(test.images).argmax(dim=1) for answer in (model, network.predict)]
print([int((answer == test.labels).sum()) / 10_000 for answer in answers])
"""
    *printed, accuracies = session("\n".join([*codes, count]), followed).splitlines()
    assert printed == blocks("In PyTorch, and in Python", "text")[0].splitlines()
    assert accuracies == str(2 * [summary[name.removesuffix(".pt")]["test_accuracy"]])


def test_a_csv_is_learned_from(followed: Path) -> None:
    (code,) = blocks("Other data")
    assert len([line for line in code.splitlines() if line]) <= 20
    found = re.fullmatch(r"(\d+) of 60 recognized\n", session(code, followed))
    assert found
    assert int(found[1]) >= 55
    points = scalars(followed / "runs", "mine")["accuracy/validation"]
    assert [epoch for epoch, _ in points] == list(range(1, 31))
    assert points[-1][1] == pytest.approx(int(found[1]) / 60)
