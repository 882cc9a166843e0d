"""scripts.predict: pictures brought to MNIST's form, and what runs say to them."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scripts import predict
from scripts.reading.form import Pixels, bring, read
from scripts.run import folder
from scripts.run.config import Config, DataConfig, RunConfig, TrainingConfig
from scripts.training import data, learned
from scripts.training.session import train
from tests.conftest import ROOT, Call


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lecture's network after two epochs, by hand and in torch.nn."""
    out = tmp_path_factory.mktemp("runs") / "lecture"
    options = RunConfig(out=out, board="off", threads=1)
    train(
        Config(
            data=DataConfig(data_dir=ROOT / "data", train_size=20_000),
            training=TrainingConfig(epochs=2),
            run=options,
        )
    )
    return out


@pytest.fixture
def call(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """`scripts.predict` in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return partial(call, predict)


def digits(mnist: data.Data, run: Path, number: int) -> list[tuple[int, Pixels]]:
    """(true digit, its image (28, 28) of 0..255) of the first test images that the run recognizes
    as they are.
    """
    images, labels = mnist.test.images[: 2 * number], mnist.test.labels[: 2 * number]
    right = learned.load(run, folder.config_of(run)).predict(images).argmax(dim=1) == labels
    chosen = right.nonzero().squeeze(1)[:number].tolist()
    return [(int(labels[i]), images[i].double().reshape(28, 28).numpy() * 255) for i in chosen]


def photograph(digit: Pixels, seed: int) -> Pixels:
    """Dark on bright, of 200 x 260, three times as large and off the middle, with grain, and light
    from a side.
    """
    rng = np.random.default_rng(seed)
    large = (
        np.asarray(
            Image.fromarray(digit.astype(np.uint8)).resize((84, 84), Image.Resampling.BICUBIC)
        )
        / 255
    )
    ink, (y, x) = np.zeros((260, 200)), np.indices((260, 200))
    top, left = rng.integers(0, 260 - 84), rng.integers(0, 200 - 84)
    ink[top : top + 84, left : left + 84] = large
    paper = 215 - 25 * y / 260 + 15 * x / 200
    return np.clip(paper * (1 - ink) + 40 * ink + rng.normal(0, 5, ink.shape), 0, 255)


def save(pixels: Pixels, path: Path) -> Path:
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("inverse", [False, True])
def test_a_photograph_is_read_as_the_digit_on_it(
    suffix: str, run: Path, mnist: data.Data, call: Call, tmp_path: Path, *, inverse: bool
) -> None:
    true = digits(mnist, run, 20)
    for i, (digit, pixels) in enumerate(true):
        picture = photograph(pixels, i)
        save(255 - picture if inverse else picture, tmp_path / f"{i:02}-{digit}{suffix}")
    lines = call(str(run), ".").out.splitlines()[:-1]
    said = [line.split(": ")[1][0] for line in lines]
    assert sum(given == str(digit) for given, (digit, _) in zip(said, true, strict=True)) >= 19
    assert all(line.startswith(f"{i:02}-") for i, line in enumerate(lines))


def test_an_image_of_mnist_is_in_the_form_already(run: Path, mnist: data.Data) -> None:
    """But for those whose faint rim is cut off, and for rounding of where their mass lies."""
    images = mnist.test.images[:500].double().reshape(-1, 28, 28).numpy()
    seen = np.stack([bring(image * 255).seen for image in images])
    assert (
        sum(
            np.array_equal(ours, theirs / theirs.max())
            for ours, theirs in zip(seen, images, strict=True)
        )
        > 300
    )
    network = learned.load(run, folder.config_of(run))
    as_given, as_seen = (
        network.predict(torch.from_numpy(x).float().reshape(-1, 784)).argmax(dim=1)
        for x in (images, seen)
    )
    assert int((as_given != as_seen).sum()) <= 5


@pytest.mark.parametrize("inverse", [False, True])
def test_where_and_how_large_it_is_makes_no_difference(*, inverse: bool) -> None:
    """An L, whose inner edges are soft after scaling."""
    forms = []
    for size, top, left in ((60, 20, 5), (60, 110, 130), (120, 30, 20)):
        picture = np.zeros((260, 200))
        picture[top : top + size, left : left + size // 4] = 200
        picture[top + 3 * size // 4 : top + size, left : left + size // 2] = 200
        forms.append(bring(255 - picture if inverse else picture))
    expected = np.zeros((28, 28))
    expected[3:23, 11:16] = expected[18:23, 11:21] = 1
    for form in forms:
        np.testing.assert_allclose(form.seen, expected, atol=0.2)
    assert forms[1].box == (130, 110, 160, 170)
    how = "dark on bright, so inverted" if inverse else "bright on dark"
    assert (
        forms[1].words == f"200 x 260, {how}; 30 x 60 at 130, 110 cropped, "
        "scaled to 10 x 20, put at 11, 3 of 28 x 28"
    )


def test_a_camera_held_sideways_and_a_transparent_ground(tmp_path: Path) -> None:
    upright = np.full((40, 30), 255.0)
    upright[5:10, 5:20] = 0
    turned = Image.fromarray(np.rot90(upright).astype(np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be shown a quarter turned clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read(tmp_path / "turned.png"), upright)
    alpha = Image.fromarray((255 - upright).astype(np.uint8))
    Image.merge("LA", (Image.new("L", alpha.size), alpha)).save(tmp_path / "clear.png")
    assert np.array_equal(read(tmp_path / "clear.png"), upright)


def test_lines_json_and_the_picture(
    run: Path, mnist: data.Data, call: Call, tmp_path: Path
) -> None:
    ((digit, pixels),) = digits(mnist, run, 1)
    save(pixels, tmp_path / "one.png")
    line, where = call(str(run), "one.png").out.splitlines()
    assert where == f"what the network saw: {run / 'seen.png'}"
    with Image.open(run / "seen.png") as picture:
        assert picture.size == (320, 190)
    (found,) = json.loads(call(str(run), "one.png", "--json").out)
    network = learned.load(run, folder.config_of(run))
    y = (
        network.predict(torch.from_numpy(bring(pixels).seen).float().reshape(1, -1))
        .squeeze(0)
        .tolist()
    )
    assert (found["picture"], found["digit"], found["probabilities"]) == ("one.png", digit, y)
    assert line == f"one.png: {digit} ({found['probability']:.2f})"
    again, form, others, _ = call(str(run), "one.png", "--verbose").out.splitlines()
    assert (again, form.strip()) == (line, found["form"])
    assert [float(p) for p in others.replace(")", "").split()[1::2] for p in [p[1:]]] == sorted(
        (round(p, 2) for i, p in enumerate(y) if i != digit), reverse=True
    )


def test_either_engine_alone_says_the_same(
    run: Path, mnist: data.Data, call: Call, tmp_path: Path
) -> None:
    ((_, pixels),) = digits(mnist, run, 1)
    save(pixels, tmp_path / "one.png")
    alone = shutil.copytree(run, tmp_path / "alone")
    (alone / "manual.pt").unlink()
    assert (
        call("alone", "one.png").out.splitlines()[0]
        == call(str(run), "one.png").out.splitlines()[0]
    )


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        ("", "PICTURE: name one at least"),
        ("nowhere.png", "nowhere.png: cannot be read (No such file or directory)"),
        ("words.png", "words.png: is no picture that can be read"),
        ("cut.png", "cut.png: "),
        ("empty", "empty: no picture is in this folder"),
        ("blank.png", "blank.png: nothing stands out from its border"),
        ("pixel.png", "pixel.png: nothing stands out from its border"),
    ],
)
def test_no_picture_of_a_digit(
    picture: str, says: str, run: Path, mnist: data.Data, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "words.png").write_text("words")
    (tmp_path / "empty").mkdir()
    save(np.full((50, 40), 200.0), tmp_path / "blank.png")
    save(np.full((1, 1), 200.0), tmp_path / "pixel.png")
    whole = save(photograph(digits(mnist, run, 1)[0][1], 0), tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    ended = call(str(run), *picture.split())
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {says}")
    assert ended.err.count("\n") == 1


def test_no_run_that_has_learned_digits(
    run: Path, mnist: data.Data, call: Call, tmp_path: Path
) -> None:
    save(digits(mnist, run, 1)[0][1], tmp_path / "one.png")
    assert call("nowhere", "one.png").err.startswith("error: RUN nowhere: no run is there")
    copy = shutil.copytree(run, tmp_path / "copy")
    for damaged in (b"", (copy / "manual.pt").read_bytes()[:1000], b"words"):
        (copy / "manual.pt").write_bytes(damaged)
        assert call("copy", "one.png").err.startswith(
            "error: copy/manual.pt: is damaged, or not of this run"
        )
    for path in copy.glob("*.pt"):
        path.unlink()
    assert call("copy", "one.png").err == (
        "error: RUN copy: it has not come to its end; go on with  python -m scripts.train --resume "
        "copy\n"
    )
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text(config.replace('"mnist"', '"fashion-mnist"'))
    assert "has learned fashion-mnist" in call("copy", "one.png").err
