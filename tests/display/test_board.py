"""The board as it is read back, as it is served, and as a person sees it in a browser."""

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import torch
from tensorboard.summary.writer.record_writer import RecordWriter

from manual.activations import Activation
from manual.losses import CrossEntropyLoss, HalfSquaredError, Loss
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from scripts.display import insight, pictures
from scripts.display.board import PICTURES, landmarks
from scripts.display.events import EventFiles
from scripts.display.insight import Answers
from scripts.display.tags import CHARTS, FIGURES, by_parameter
from scripts.learners.base import Learner
from scripts.learners.blocks import Block
from scripts.learners.by_hand import ManualLearner
from scripts.learners.in_torch import TorchLearner
from scripts.run.config import Config, DataConfig, NetworkConfig, RunConfig, TrainingConfig
from scripts.training import data, session
from tests.browser import MISSING, Page, browse, coloured, tensorboard, until
from tests.conftest import ROOT
from tests.runs import events, scalars
from torch_ref.compare import Difference

ENGINES = ("manual", "torch")
SHOWN_AS = ("by-hand", "torch")
PICTURES_SHOWN = [
    "pictures/1-weights-of-layer-1",
    "pictures/2-weights-minus-start",
    "pictures/3-mistakes",
    "pictures/4-taken-for",
]
PARAMETERS = ("w1", "b1", "w2", "b2")
SCALARS = {
    "2-loss/train", "2-loss/validation", "1-accuracy/train", "1-accuracy/validation",
    "time/learning-rate",
    "time/epoch-seconds",
    *(f"{what}/{name}" for what in ("6-norm-of-parameter",
        "7-norm-of-gradient") for name in PARAMETERS),
    *(f"{what}/layer{k}" for what in ("8-saturated", "9-dead") for k in (1, 2)),
}  # fmt: skip
RESULTS = {"result/test-accuracy", "result/validation-accuracy", "result/train-seconds"}


def run(out: Path, **options: Any) -> dict[str, Any]:
    """The summary of two epochs of 101 updates, the last of 3 samples, of both engines."""
    config = Config(
        data=DataConfig(data_dir=ROOT / "data", train_size=1003),
        training=TrainingConfig(epochs=2),
        run=RunConfig(out=out, compare_every=30, threads=1, **options),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train", "--epochs", "2"])
        session.train(config)
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """With everything on the board."""
    out = tmp_path_factory.mktemp("board")
    return out, run(out)


def test_scalars(short_run: tuple[Path, dict[str, Any]]) -> None:
    """The step of every one is the number of updates."""
    out, summary = short_run
    manual, reference, comparison = (scalars(out, name) for name in (*ENGINES, "comparison"))
    assert set(manual) == set(reference) == SCALARS | RESULTS
    for tag, points in manual.items():
        assert [step for step, _ in points] == ([202] if tag in RESULTS else [101, 202]), tag
        if "seconds" not in tag:
            assert points == reference[tag]
    of_manual = summary["engines"]["manual"]
    assert manual["1-accuracy/validation"][-1][1] == pytest.approx(
        of_manual["validation_accuracy"], abs=1e-7
    )
    assert sum(value for _, value in manual["time/epoch-seconds"]) == pytest.approx(
        of_manual["train_seconds"], rel=1e-5
    )
    assert manual["time/learning-rate"] == [(101, 3), (202, 3)]
    for name in RESULTS:
        assert manual[name][0][1] == pytest.approx(
            of_manual[name.removeprefix("result/").replace("-", "_")], rel=1e-6
        )

    apart = {
        f"{what}/difference-{figure}"
        for what in ("3-gradient", "5-parameters")
        for figure in FIGURES.values()
    }
    assert set(comparison) == apart | {"3-gradient/size", "5-parameters/size"}, (
        "and nothing by name of what is equal"
    )
    assert comparison["3-gradient/difference-ulp"] == [
        (step, 0) for step in (30, 60, 90, 120, 150, 180)
    ]
    assert comparison["5-parameters/difference-largest"] == [(101, 0), (202, 0)]
    assert all(size > 0 for _, size in comparison["3-gradient/size"])


def test_what_differs_is_shown_by_name() -> None:
    equal, apart = Difference(), Difference(max_abs=2e-8, max_rel=1e-7, max_ulp=1, bitwise=False)
    values = by_parameter({"w1": equal, "w2": apart}, {"w1": equal})
    assert values == {
        f"4-gradient-by-name/w2-difference-{word}": getattr(apart, figure)
        for figure, word in FIGURES.items()
    }


def test_histograms_pictures_and_texts(short_run: tuple[Path, dict[str, Any]]) -> None:
    out, summary = short_run
    for name in ENGINES:
        read = events(out, name)
        assert set(read.Tags()["histograms"]) == {
            f"{what}/{name}" for what in ("weights", "gradients") for name in PARAMETERS
        }
        histograms = read.Histograms("weights/w1")
        assert [point.step for point in histograms] == [101, 202]
        assert histograms[0].histogram_value.num == 784 * 30
    read = events(out, "manual")
    assert read.Tags()["images"] == PICTURES_SHOWN
    assert [[point.step for point in read.Images(tag)] for tag in PICTURES_SHOWN] == [
        [0, 101, 202],
        [101, 202],
        [202],
        [202],
    ]
    assert not events(out, "torch").Tags()["images"], "of what is the same once"
    read = events(out, "comparison")
    texts = {
        tag: read.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0].decode()
        for tag in ("1-verdict", "2-command", "3-config")
    }
    assert texts["2-command"].strip() == "python -m scripts.train --epochs 2"
    assert json.loads(texts["3-config"])["training"]["lr"] == 3
    first, *others = texts["1-verdict"].splitlines()
    assert first == "**identical to the last bit after 202 updates**"
    accuracy = f"{summary['engines']['manual']['test_accuracy']:.2%}"
    assert any(
        line.replace("|", " ").split() == ["test", "accuracy", accuracy, accuracy]
        for line in others
    )


@pytest.mark.parametrize("level", ["scalars", "off"])
def test_less_of_it(level: str, tmp_path: Path, short_run: tuple[Path, dict[str, Any]]) -> None:
    summary = run(tmp_path, board=level)
    _, full = short_run
    for engine in ENGINES:
        assert (
            summary["engines"][engine]["test_accuracy"] == full["engines"][engine]["test_accuracy"]
        )
    if level == "off":
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {
            ".lock",
            "checkpoints",
            "config.json",
            "manual.pt",
            "summary.json",
            "torch.pt",
        }
    else:
        read = events(tmp_path, "manual")
        assert set(read.Tags()["scalars"]) == SCALARS | RESULTS
        assert not read.Tags()["histograms"]
        assert not read.Tags()["images"]


def test_one_engine_alone_with_batch_normalization(tmp_path: Path) -> None:
    """Layer 1 has no activation, and its picture and histograms no bias; the learner stays in
    training.
    """
    config = Config(
        data=DataConfig(data_dir=ROOT / "data", train_size=500),
        network=NetworkConfig(batch_norm=True),
        training=TrainingConfig(epochs=1, loss="cross-entropy"),
        run=RunConfig(engines=("torch",), out=tmp_path),
    )
    session.train(config)
    read = events(tmp_path, "torch")
    assert {"9-dead/layer2", "6-norm-of-parameter/gamma2", "7-norm-of-gradient/w3"} <= set(
        read.Tags()["scalars"]
    )
    assert not {"9-dead/layer1", "9-dead/layer3", "6-norm-of-parameter/b1"} & set(
        read.Tags()["scalars"]
    )
    assert {"2-command/text_summary", "custom_scalars__config__"} <= set(read.Tags()["tensors"])


def get(address: str, route: str, **query: str) -> Any:
    """The JSON that TensorBoard answers."""
    # our own server
    with urlopen(f"{address}data/{route}?{urlencode(query)}", timeout=60) as answer:  # noqa: S310
        return json.load(answer)


@pytest.fixture(scope="module")
def address(short_run: tuple[Path, dict[str, Any]]) -> Iterator[str]:
    """At which TensorBoard shows the short run, all of it."""
    with tensorboard(short_run[0]) as address:
        until(all_tags, address)
        yield address


def test_what_tensorboard_serves(address: str) -> None:
    tags = all_tags(address)
    assert set(get(address, "runs")) == set(tags) == {*SHOWN_AS, "comparison"}, "and no run besides"
    assert set(tags["by-hand"]) == set(tags["torch"])
    for tag in ("1-accuracy/validation", "2-loss/train"):
        manual, reference = (
            get(address, "plugin/scalars/scalars", run=name, tag=tag) for name in SHOWN_AS
        )
        assert [point[1:] for point in manual] == [point[1:] for point in reference]
        assert [step for _, step, _ in manual] == [101, 202]
    (category,) = get(address, "plugin/custom_scalars/layout")["category"]
    assert category["title"].endswith(": identical to the last bit after 202 updates")
    assert {chart["title"]: chart["multiline"]["tag"] for chart in category["chart"]} == CHARTS
    for chart in category["chart"]:
        for tag in chart["multiline"]["tag"]:
            for name in ("comparison",) if tag[0] in "35" else SHOWN_AS:
                shown = get(address, "plugin/custom_scalars/scalars", tag=tag, run=name)[
                    "tag_to_events"
                ]
                assert shown[tag], f"{chart['title']} of {name}"


def all_tags(address: str) -> dict[str, Any]:
    """The scalars by run, once TensorBoard has read the last of them."""
    tags: dict[str, Any] = get(address, "plugin/scalars/tags")
    return (
        tags
        if len(tags) >= 3 and all("result/test-accuracy" in tags[name] for name in SHOWN_AS)
        else {}
    )


@pytest.mark.skipif(
    bool(MISSING),
    reason=f"not installed: {MISSING} (on Debian: apt install chromium chromium-driver)",
)
def test_what_a_person_sees(address: str, tmp_path: Path) -> None:
    with browse(address, tmp_path) as page:
        page.open("timeseries")
        until(has, page, "runs-selector", *SHOWN_AS, "comparison")
        for tag in ("/train", "/validation"):
            until(has, page, "scalar-card", "1-accuracy", tag, *SHOWN_AS)
        until(curve, page)

        page.open("custom_scalars")
        for chart, tags in CHARTS.items():
            until(drawn, page, chart, ("comparison",) if tags[0][0] in "35" else SHOWN_AS)

        page.open("images")
        for tag in PICTURES_SHOWN:
            until(loaded, page, tag, "by-hand")

        page.open("hparams")
        until(
            has,
            page,
            "tf-hparams-table-view",
            *SHOWN_AS,
            "engine",
            "lr",
            "loss",
            "batch size",
            "half-squared",
        )


def has(page: Page, selector: str, *words: str) -> bool:
    """Whether all words stand in one of what the selector finds."""
    return any(all(word in part.text for word in words) for part in page.parts(selector))


def drawn(page: Page, title: str, runs: Sequence[str]) -> bool:
    """Whether a chart has curves in as many colours as it names runs."""
    return any(
        title in part.text
        and all(f"({name})" in part.text for name in runs)
        and len(set(part.lines)) == len(runs)
        for part in page.parts("tf-custom-scalar-multi-line-chart-card")
    )


def loaded(page: Page, tag: str, name: str) -> bool:
    """Whether the picture of a run is there to be seen."""
    return any(
        tag in part.text and name in part.text and part.widths and min(part.widths) > 100
        for part in page.parts("tf-image-loader")
    )


def curve(page: Page) -> bool:
    """Whether the first chart is drawn."""
    return any(coloured(png) for png in page.pictures("scalar-card canvas")[:1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("identity", []),
        ("sigmoid", [0, 1]),
        ("tanh", [-1, 1]),
        ("relu", [0]),
        ("softplus", [0]),
        ("softmax", [0, 1]),
    ],
)
def test_limits(name: str, expected: list[float]) -> None:
    assert insight.limits(Activation.named()[name]()).tolist() == expected


def learners(activations: tuple[str, str]) -> Iterator[Learner]:
    network = Network(NetworkSpec((2, 3, 2), activations))
    network.parameters.values["w1"].copy_(torch.tensor([[1.0, -1, 2.8], [1, -1, 0]]))
    network.parameters.values["b1"].zero_()
    for kind in (ManualLearner, TorchLearner):
        yield kind(network, HalfSquaredError(), SGD(1.0))


def test_outputs_that_stand_still() -> None:
    """Of three ReLU units one lives for both images, one for none, one for one of them; tanh leaves
    no dead one.
    """
    images = torch.tensor([[1.0, 1], [0, 1]])
    for learner in learners(("relu", "identity")):
        still = insight.saturation(learner, NetworkSpec((2, 3, 2), ("relu", "identity")), images)
        assert still == {"8-saturated/layer1": 3 / 6, "9-dead/layer1": pytest.approx(1 / 3)}
    for learner in learners(("tanh", "identity")):  # 0.96 and 0.76, likewise negative, 0.993 and 0
        still = insight.saturation(learner, NetworkSpec((2, 3, 2), ("tanh", "identity")), images)
        assert still == {"8-saturated/layer1": pytest.approx(1 / 6), "9-dead/layer1": 0}


def test_norms() -> None:
    x, t = torch.tensor([[1.0, 2], [3, 4]]), torch.eye(2)
    manual, reference = learners(("tanh", "identity"))
    for learner in (manual, reference):
        before = learner.parameters()["w2"].clone()
        learner.train(Block(x, t, len(x)))
        norms = insight.norms(learner)
        assert set(norms) == {
            f"{what}/{name}"
            for what in ("6-norm-of-parameter", "7-norm-of-gradient")
            for name in PARAMETERS
        }
        step = learner.parameters()["w2"] - before
        assert norms["7-norm-of-gradient/w2"] == pytest.approx(float(step.norm()), rel=1e-5), (
            "lr is 1"
        )
        assert norms["6-norm-of-parameter/w2"] == pytest.approx(
            float(learner.parameters()["w2"].norm())
        )
    assert insight.norms(manual) == insight.norms(reference)
    for name, value in manual.parameters().items():
        assert torch.equal(value, reference.parameters()[name])


def test_looking_changes_nothing() -> None:
    """Batch normalization is looked at with its running statistics, which stay, and trains on with
    the batch's.
    """
    x, t = torch.tensor([[1.0, 2], [3, 4], [0, 1]]), torch.eye(2)[[0, 1, 0]]
    spec = NetworkSpec((2, 3, 2), ("tanh", "identity"), batch_norm=True)
    network = Network(spec)
    manual, reference = (
        ManualLearner(network, HalfSquaredError(), SGD(1.0)),
        TorchLearner(network, HalfSquaredError(), SGD(1.0)),
    )
    for learner in (manual, reference):
        learner.train(Block(x, t, len(x)))
        with torch.no_grad():
            answer = learner.predict(x[:1])
            insight.saturation(learner, spec, x)
            first, second = learner.outputs(x[:1]), learner.outputs(x[:1])
        assert [y.shape for y in first] == [(1, 3), (1, 3), (1, 2)]
        assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
        assert torch.equal(first[-1], answer)
        learner.train(Block(x, t, len(x)))
    for name, value in manual.parameters().items():
        # its sums round otherwise
        torch.testing.assert_close(value, reference.parameters()[name], rtol=1e-4, atol=1e-6)
    for mine, its in zip(manual.outputs(x), reference.outputs(x), strict=True):
        torch.testing.assert_close(mine, its.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", [HalfSquaredError(), CrossEntropyLoss()])
def test_answers(loss: Loss) -> None:
    """Of logits a softmax, of a squared error the outputs as they are."""
    split = data.Split(torch.tensor([[1.0, 1], [0, 1], [-2, 0]]), torch.tensor([0, 1, 1]))
    for learner in learners(("tanh", "identity")):
        y = learner.predict(split.images).detach()
        p = torch.softmax(y, dim=1) if loss.of_logits else y
        answers = insight.answers(learner, loss, split.images, split.labels)
        assert torch.equal(answers.given, y.argmax(dim=1))
        torch.testing.assert_close(answers.probability, p.amax(dim=1), rtol=1e-6, atol=0)
        assert torch.equal(answers.true, split.labels)


def test_picture_of_the_first_layer() -> None:
    """Pixel for pixel where the image has it: red for the largest weight, blue for its negative,
    white for 0.
    """
    w = torch.zeros(784, 3)
    w[28 * 5 + 7, 0], w[0, 2] = 2.0, -2.0
    picture = pictures.first_layer(w)
    assert picture.dtype == torch.uint8
    red, blue = (picture[:, 4 + 2 * 5, 4 + 2 * 7], picture[:, 4, 4 + 2 * 60])
    assert red[0] > 90 > red[2]
    assert blue[2] > 90 > blue[0]
    assert (picture < 200).any(dim=0).sum() == 2 * 4
    assert pictures.first_layer(torch.zeros(784, 120)).min() > 240, "nothing learned is no error"


def test_figures_name_the_mistakes() -> None:
    answers = Answers(
        torch.tensor([3, 1, 2, 5]), torch.tensor([0.9, 0.8, 0.7, 0.99]), torch.tensor([3, 2, 2, 6])
    )
    figure = pictures.worst_mistakes(torch.rand(4, 784), answers)
    assert [ax.get_title().splitlines()[0] for ax in figure.axes if ax.get_title()] == [
        "true 6, said 5",
        "true 2, said 1",
    ]
    assert pictures.worst_mistakes(
        torch.rand(2, 784), Answers(*(values[[0, 2]] for values in answers))
    ), "none is no error"
    cells = {
        text.get_position(): text.get_text()
        for text in pictures.confusion(answers, 10).axes[0].texts
    }
    assert cells == {(3, 3): "1", (2, 2): "1", (1, 2): "1", (5, 6): "1"}, (
        "across: given, down: true"
    )


def test_writers_that_fail_say_nothing_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their error reaches the caller; one that fails long after another, whose error is on its way,
    is waited for.
    """
    said: list[object] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    late = threading.Event()

    def write(self: RecordWriter, _: bytes) -> None:
        if "/torch/" in str(self._writer.filename):
            late.wait()
        raise OSError("no room")

    threads = set(threading.enumerate())
    board = EventFiles(tmp_path, Config())
    threads = set(threading.enumerate()) - threads
    monkeypatch.setattr(RecordWriter, "write", write)
    for engine in ENGINES:
        board.scalars(engine, {"2-loss/train": 1.0}, 1)
    timer = threading.Timer(0.3, late.set)
    timer.start()
    with pytest.raises(OSError, match="no room"):
        board.close()
    timer.join()
    for thread in threads:
        thread.join(10)
    assert said == []
    assert threading.excepthook == said.append


@pytest.mark.parametrize("epochs", [1, 2, 9, 10, 30, 1000])
def test_landmarks(epochs: int) -> None:
    """With the picture before training no more than TensorBoard keeps."""
    assert {1, epochs} <= landmarks(epochs)
    assert len(landmarks(epochs)) + 1 <= PICTURES
