"""The digit page of a trained run, in Chromium: it reads what MNIST's test images draw, and learns
what is drawn.
"""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains

from manual.activations import Activation
from manual.network import Network, NetworkSpec
from scripts import page
from scripts.pages import digit
from scripts.run.config import Config, DataConfig, RunConfig, TrainingConfig
from scripts.training import data, learned, session
from tests.browser import MISSING, browse
from tests.conftest import ROOT
from torch_ref.cases import random
from torch_ref.model import build, copy_to_network

in_chromium = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")
EVERY = 10  # with 1, the whole test set, the same holds (half a minute)

# Each image of bytes on the paper, and what is read from there.
THROUGH_THE_CANVAS = """
    const images = bytes(arguments[0]);
    return range(images.length / 784).map(i => {
        show(images.subarray(784 * i, 784 * (i + 1)));
        return answers(forward({...net, x: seen()}));
    });
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An epoch by hand."""
    out = tmp_path_factory.mktemp("run") / "it"
    config = Config(
        data=DataConfig(data_dir=ROOT / "data"),
        training=TrainingConfig(epochs=1),
        run=RunConfig(out=out, engines=("manual",), threads=1, board="off"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train"])
        session.train(config)
    return out


@pytest.fixture(scope="module")
def driver(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """With the page of that run."""
    digit.write(page.Options(run))
    with browse("", tmp_path_factory.mktemp("profile"), (1280, 720)) as found:
        found.driver.get((run / "digit.html").as_uri())
        yield found.driver


@in_chromium
def test_test_images_are_read_from_the_canvas(driver: Chrome, run: Path, mnist: data.Data) -> None:
    """Drawn ten times as large, every EVERY-th: almost all as they were, to the last of 255 levels,
    with the same answers.
    """
    images, labels = mnist.test.images[::EVERY], mnist.test.labels[::EVERY]
    answers = []
    for part in images.split(1000):
        drawn = base64.b64encode((part * 255).round().to(torch.uint8).numpy().tobytes()).decode()
        answers += driver.execute_script(THROUGH_THE_CANVAS, drawn)
    expected, found = learned.load(run, digit.config_of(run)).predict(images), torch.tensor(answers)
    same = (found - expected).abs().amax(dim=1) <= 1e-5
    assert same.double().mean() >= 0.99
    correct, reached = ((y.argmax(dim=1) == labels).double().mean() for y in (found, expected))
    assert correct >= reached - 0.01


@in_chromium
def test_the_slope_of_the_image_is_backwards(driver: Chrome, run: Path, mnist: data.Data) -> None:
    """Both in float64, up to the order of their sums: float32 keeps few digits of 1 - y for a y
    near 1.
    """
    trained = learned.load(run, digit.config_of(run))
    network = Network(trained.spec, dtype=torch.float64)
    copy_to_network(build(trained).double(), network)
    x, t = mnist.test.images[:1].double(), torch.eye(10, dtype=torch.float64)[[4]]
    tape = network.forward(x)
    expected = network.input_gradient(tape.output - t, tape)[0]
    script = (
        "const it = {...net, x: arguments[0], t: arguments[1]};"
        "return RULES.back(it.w1, backward(it, forward(it)).dz1)"
    )
    found = driver.execute_script(script, x[0].tolist(), t[0].tolist())
    found = torch.tensor(found, dtype=torch.float64)
    assert torch.allclose(found, expected, rtol=0, atol=1e-13 * float(expected.abs().max()))


@in_chromium
def test_a_drawn_digit_is_read(driver: Chrome) -> None:
    """With the mouse: a stroke from top to bottom is a 1, and 20 pixels long."""
    driver.find_element("id", "clear").click()
    assert driver.find_element("id", "answer").text == "Nothing is there yet"
    paper = driver.find_element("id", "paper")
    ActionChains(driver).move_to_element_with_offset(
        paper, 10, -90
    ).click_and_hold().move_by_offset(-20, 180).release().perform()
    assert driver.find_element("id", "answer").text == "It reads a 1"
    drawn = driver.execute_script("return seen()")
    inked = [i for i, ink in enumerate(drawn) if ink]
    assert max(inked) // 28 - min(inked) // 28 == 19


@in_chromium
def test_an_update_learns_what_it_should_have_been(driver: Chrome) -> None:
    """The example of a 4, taken for a 9."""
    driver.refresh()
    answer = driver.find_element("id", "answer")
    assert answer.text == "It reads a 4"
    divs = []
    for button in ("learn", "often"):
        divs.append(float(driver.find_element("id", "div").text))
        driver.find_element("id", button).click()
    divs.append(float(driver.find_element("id", "div").text))
    assert divs[0] > divs[1] > divs[2]
    assert answer.text == "It reads a 9"
    driver.find_element("id", "again").click()
    assert answer.text == "It reads a 4"
    assert driver.execute_script("return document.documentElement.scrollWidth") == 1280
    assert driver.get_log("browser") == []


def test_a_batch_normalization_becomes_part_of_the_layer_before() -> None:
    network = Network(
        NetworkSpec((6, 5, 4, 3), ("tanh", "relu", "identity"), batch_norm=True),
        dtype=torch.float64,
    )
    for i, buffer in enumerate(network.buffers.values()):
        buffer.copy_(random(tuple(buffer.shape), torch.float64, i).abs() + 0.1)
    for i, value in enumerate(network.parameters.values.values()):
        value.copy_(random(tuple(value.shape), torch.float64, 10 + i))
    x = y = random((7, 6), torch.float64, 20)
    for (w, b), name in zip(digit.affine(network), network.spec.activations, strict=True):
        y = Activation.named()[name]().forward(y @ w + b)
    assert torch.allclose(y, network.predict(x), rtol=1e-13, atol=1e-13)
