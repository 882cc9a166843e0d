"""The walkthrough as a page, in Chromium: its numbers and formulas are those of --format json, and
what is done shows.
"""

import base64
import dataclasses
import json
import math
import random
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.common.print_page_options import PrintOptions
from selenium.webdriver.support.ui import Select

from manual.activations import Activation
from manual.losses import Loss
from manual.network import NetworkSpec
from scripts import walkthrough
from scripts.walk import derivation
from scripts.walk import document as written
from scripts.walk.derivation import Walk
from scripts.walk.example import Example, by_hand
from scripts.walk.mathml import mathml
from scripts.walk.record import Document
from scripts.walk.render import as_json
from tests.browser import MISSING, browse

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")
NETWORKS = 1000
PROBABILITIES = [
    name for name, activation in Activation.named().items() if activation.probabilities
]
ROOMS = "return [...document.querySelectorAll('.room div')].map(room => room.clientHeight)"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium, as large as a projector's picture."""
    with browse("", tmp_path_factory.mktemp("profile"), (1280, 720)) as found:
        yield found.driver


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the lecture's example, on the disk."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    written.walk(walkthrough.Options(format="html", out=path))
    return path.as_uri()


@pytest.fixture
def page(driver: Chrome, address: str) -> Chrome:
    """As it opens."""
    driver.get(address)
    return driver


def drawn(generator: random.Random) -> Example:
    """A network of any form that the page draws, with numbers from -1 to 1."""
    loss = Loss.named()[generator.choice(list(Loss.named()))]()
    several = loss.name == "cross-entropy"
    sizes = (
        generator.randint(1, 4),
        generator.randint(1, 4),
        generator.randint(2 if several else 1, 3),
    )
    last = generator.choice(PROBABILITIES if loss.of_probabilities else list(Activation.named()))
    spec = NetworkSpec(sizes, (generator.choice(list(Activation.named())), last))
    biases = generator.random() < 0.5

    def numbers(*shape: int) -> torch.Tensor:
        return torch.tensor(
            [generator.uniform(-1, 1) for _ in range(math.prod(shape))], dtype=torch.float64
        ).view(shape)

    values = {
        name: numbers(*shape) if biases or name == "w" else torch.zeros(shape, dtype=torch.float64)
        for k, layer in enumerate(spec.layers, start=1)
        for name, shape in ((f"w{k}", (layer.inputs, layer.outputs)), (f"b{k}", (layer.outputs,)))
    }
    if not biases:
        values |= {
            name: torch.zeros_like(value) for name, value in values.items() if name.startswith("b")
        }
    return Example(
        spec,
        values,
        numbers(sizes[0]),
        generator.randrange(sizes[2]),
        loss,
        generator.uniform(0.1, 3),
        biases,
    )


@pytest.fixture(scope="module")
def documents() -> list[Any]:
    """What --format json says of 1,000 random networks; by hand alone, as other tests hold that to
    autograd.
    """
    generator = random.Random(0)  # noqa: S311 - not to be secret
    examples = [drawn(generator) for _ in range(NETWORKS)]
    assert len({example.spec.sizes for example in examples}) == 4 * 4 * 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derivation, "by_autograd", by_hand)
        return [
            json.loads(as_json(Document("", example.given(), Walk(example).sections())))
            for example in examples
        ]


def steps(document: Any) -> dict[str, Any]:
    return {step["name"]: step for section in document["sections"] for step in section["steps"]}


def test_numbers_are_those_of_the_json(page: Chrome, documents: list[Any]) -> None:
    """To 1e-12 of the largest number of their vector or matrix."""
    found = page.execute_script(
        "return arguments[0].map(given => values(given))", [each["given"] for each in documents]
    )
    largest = 0.0
    for document, numbers in zip(documents, found, strict=True):
        expected = {name: step["by_hand"] for name, step in steps(document).items()}
        assert set(numbers) == set(expected)
        for name, value in expected.items():
            array = name.partition("[")[0]
            size = max(
                abs(other) for key, other in expected.items() if key.partition("[")[0] == array
            )
            largest = max(
                largest, abs(numbers[name] - value) / size if size else abs(numbers[name])
            )
    assert largest <= 1e-12  # measured: 1.6e-13


def test_formulas_are_those_of_the_json(page: Chrome, documents: list[Any]) -> None:
    """In the same order, of the first networks of each loss."""
    some = documents[:100]
    assert {document["given"]["loss"] for document in some} == set(Loss.named())
    said = "return arguments[0].map(given => stepsOf(given, values(given)))"
    for document, found in zip(
        some, page.execute_script(said, [each["given"] for each in some]), strict=True
    ):
        expected = [
            (section["title"], step["name"], step["left"], step["formula"])
            for section in document["sections"]
            for step in section["steps"]
        ]
        assert [
            (step["part"], step["name"], step["left"], step["formula"]) for step in found
        ] == expected


def test_numbers_put_in_are_those_of_the_lectures_json(page: Chrome) -> None:
    document = json.loads(as_json(written.document(walkthrough.Options())))
    found = page.execute_script("return stepsOf(net, values(net))")
    assert len(found) == 27
    for step in found:
        assert step["numbers"] == steps(document)[step["name"]]["numbers"]


@pytest.mark.parametrize(
    "latex",
    [
        r"-\frac{1}{2}~(y_{1}^{(2)} - t_{1})^{2}",
        r"e^{-(-0.5)} + \text{new }w_{11}",
        "[z > 0]",
        r"f_{k}'(z_{i}^{(k)})",
    ],
)
def test_mathml_is_that_of_sheets(latex: str, page: Chrome) -> None:
    assert page.execute_script("return grouped(arguments[0])", latex) == mathml(latex)[6:-7]


def red(page: Chrome) -> list[str]:
    """Names of the gradients in the table that are marked as wrong."""
    return [
        cell.get_attribute("data-name") or ""
        for cell in page.find_elements("css selector", "#parameters .wrong")
    ]


def choose(page: Chrome, name: str, value: str) -> None:
    Select(page.find_element("id", name)).select_by_visible_text(value)


def mistakes() -> list[str]:
    """As the page's script names them."""
    script = resources.files("scripts.pages").joinpath("network.js").read_text()
    return [
        a or b
        for a, b in re.findall(
            r"""^  (?:"([^"]+)"|'([^']+)'): \[`""", script.split("MISTAKES")[1], re.MULTILINE
        )
    ]


@pytest.mark.parametrize("mistake", mistakes())
def test_a_planted_mistake_is_seen_red(mistake: str, page: Chrome) -> None:
    """At once, or in the network that the page then offers; drawn, in the table, and in words."""
    assert red(page) == []
    assert page.find_element("id", "verdict").text == "Every gradient is right."
    choose(page, "mistake", mistake)
    offer = page.find_element("id", "expose")
    if offer.is_displayed():
        assert red(page) == []
        offer.click()
    wrong = red(page)
    assert wrong
    assert f"{len(wrong)} of " in page.find_element("id", "verdict").text
    marked = [text.text for text in page.find_elements("css selector", "#drawing .wrong")]
    assert len(marked) >= len(wrong)
    assert all(text.startswith("✗") for text in marked)
    choose(page, "mistake", "nothing is broken")
    assert red(page) == []


def test_every_operation_is_on_the_page(page: Chrome) -> None:
    script = (
        "return ['activation1', 'activation2', 'loss'].map(id => [...$(id).options].map(option => "
        "option.value))"
    )
    first, second, losses = page.execute_script(script)
    assert set(first) == set(second) == set(Activation.named())
    assert set(losses) == set(Loss.named())


def test_mistakes_are_many(page: Chrome) -> None:
    assert mistakes() == page.execute_script("return Object.keys(MISTAKES)")
    assert len(mistakes()) == 10


def test_no_right_gradient_is_red(page: Chrome, documents: list[Any]) -> None:
    """By finite differences, in 300 networks, however large its numbers; across a kink nothing is
    said.
    """
    script = """
        return arguments[0].map(given => {
            const all = values(given), slopes = differences(given);
            return Object.entries(slopes).filter(
                ([name, {slope, error}]) => Math.abs(all['d' + name] - slope) > error).length;
        })"""
    given = [each["given"] for each in documents[:300]]
    large = [{**each, "x": [10 * x for x in each["x"]]} for each in given]
    assert set(page.execute_script(script, given)) == {0}
    assert set(page.execute_script(script, large)) == {0}


def test_steps_by_key(page: Chrome) -> None:
    """Each lights what its formula names; later numbers are not there yet."""
    body = page.find_element("tag name", "body")
    body.send_keys(Keys.ARROW_RIGHT)
    assert page.find_element("id", "where").text == "1 of 27: Forward, layer 1 (tanh)"
    assert len(page.find_elements("css selector", "#drawing .glow")) == 2
    assert len(page.find_elements("css selector", "#drawing circle.lit")) == 3
    assert page.find_elements("css selector", "#drawing .gradient") == []
    body.send_keys(Keys.ARROW_RIGHT)
    said = page.find_element("id", "formula").text
    assert "slides: -0.09, -0.019" in said
    assert "Slip 1 of the slides" in said
    body.send_keys(Keys.ARROW_LEFT)
    assert page.find_element("id", "where").text.startswith("1 of 27")
    body.send_keys(Keys.HOME)
    assert page.find_element("id", "where").text == "All at once"
    assert len(page.find_elements("css selector", "#drawing .gradient")) == 6 + 6


def test_all_follow_a_number(page: Chrome) -> None:
    """Typed or dragged; what the slides say of other numbers goes."""
    field = page.find_element("css selector", "input[data-name='w1[1,1]']")
    field.clear()
    field.send_keys("0.5")
    assert page.execute_script("return net.w1") == [[0.5, -0.3], [-0.4, 0.6]]
    numbers = page.execute_script("return values(net)")
    assert numbers["z1[1]"] == pytest.approx(0.39)
    cell = page.find_element("css selector", "td[data-name='dw1[1,1]']")
    # a minus
    assert cell.text.replace("−", "-") == f"{numbers['dw1[1,1]']:.6f}".rstrip("0")  # noqa: RUF001
    assert "Slip" not in page.find_element("id", "all").text
    label = page.find_element("css selector", "#drawing .given[data-of='x[2]']")
    ActionChains(page).drag_and_drop_by_offset(label, 30, 0).perform()
    assert page.execute_script("return net.x[1]") == pytest.approx(0.7)
    page.find_element("id", "again").click()
    assert page.execute_script("return net === DATA.given")


def test_updates_and_forms(page: Chrome) -> None:
    """Learning makes Div small; every form that the controls offer has numbers."""
    page.find_element("id", "often").click()
    assert "by 100 updates" in page.find_element("id", "fallen").text
    assert page.execute_script("return values(net).div") < 0.02
    assert len(str(page.find_element("id", "line").get_attribute("points")).split()) == 101
    for size, value in (("size0", "4"), ("size1", "4"), ("size2", "3")):
        choose(page, size, value)
    page.find_element("id", "biases").click()
    assert len(page.find_elements("css selector", "#parameters tr")) == 4 + (16 + 4) + (12 + 3) + 3
    for name in Loss.named():
        choose(page, "loss", name)
        assert page.find_element("id", "warning").text == ""
        assert page.execute_script("return Object.values(values(net)).every(Number.isFinite)")
        assert red(page) == []


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_nothing_is_wider_than_the_window(width: int, height: int, page: Chrome) -> None:
    """The largest network as well; on a projector the drawing and the step need no scrolling."""
    window = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)
    page.find_element("tag name", "body").send_keys(Keys.ARROW_RIGHT)
    for size, value in (("size0", "4"), ("size1", "4"), ("size2", "3")):
        assert page.execute_script("return document.documentElement.scrollWidth") == width
        choose(page, size, value)
    outside = """
        const frame = document.getElementById('drawing').getBoundingClientRect();
        return [...document.querySelectorAll('#drawing text, #drawing circle')].filter(each => {
            const box = each.getBoundingClientRect();
            return box.left < frame.left || box.right > frame.right
                || box.top < frame.top || box.bottom > frame.bottom;
        }).map(each => each.textContent)"""
    page.find_element("id", "overview").click()
    assert page.execute_script(outside) == []
    if width == 1280:
        assert (
            page.execute_script(
                "return document.getElementById('step').getBoundingClientRect().bottom"
            )
            <= height
        )
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


SAME_NUMBERS = "Math.random = (i => () => (i = 16807 * i % 2147483647) / 2147483647)(1)"
LABELS = "return [...document.querySelectorAll('#drawing text')].map(label => label.textContent)"
OVERLAPPING = """
    const all = [...document.querySelectorAll('#drawing text')]
        .map(label => [label.textContent, label.getBoundingClientRect()]);
    return all.flatMap(([one, a], i) => all.slice(i + 1).filter(([, b]) =>
        Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2
    ).map(([other]) => [one, other]))"""
WIDER_THAN_ITS_CIRCLE = """
    return [...document.querySelectorAll('#drawing circle')].flatMap(circle => {
        const {left, right} = circle.getBoundingClientRect();
        const labels = [circle.nextElementSibling, circle.nextElementSibling.nextElementSibling];
        return labels.filter(label => label.matches('.inside')).filter(label => {
            const box = label.getBoundingClientRect();
            return box.left < left + 3 || box.right > right - 3;
        }).map(label => label.textContent);
    })"""


@pytest.mark.parametrize("mistake", ["nothing is broken", "f' forgotten"])
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_labels_have_their_letters_and_are_apart(
    width: int, height: int, mistake: str, page: Chrome
) -> None:
    """Also where wrong gradients are marked."""
    window = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)
    page.execute_script(SAME_NUMBERS)
    choose(page, "mistake", mistake)
    for sizes, biases in (("221", False), ("342", True), ("443", True)):
        for k, size in enumerate(sizes):
            choose(page, f"size{k}", size)
        if page.find_element("id", "biases").is_selected() != biases:
            page.find_element("id", "biases").click()
        said = page.execute_script(LABELS)
        for letter, expected in {"z": 1, "y": 1, "dy": 1, "dz": 1, "b": int(biases)}.items():
            found = [text for text in said if text.removeprefix("✗ ").startswith(f"{letter} ")]
            assert len(found) == expected * (int(sizes[1]) + int(sizes[2])), letter
        assert page.execute_script(OVERLAPPING) == []
        assert page.execute_script(WIDER_THAN_ITS_CIRCLE) == []
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_is_one_small_file_and_prints_on_two_pages(page: Chrome) -> None:
    path = Path(page.current_url.removeprefix("file://"))
    text = path.read_text()
    assert path.stat().st_size <= 400_000
    assert re.findall(r"""(?:src|href)=|url\(|@import|fetch\(|https?://""", text) == []
    assert page.get_log("browser") == []
    assert pages(page) <= 2


def test_an_exercise_prints_on_a_sheet_and_its_solution_on_two(
    driver: Chrome, tmp_path: Path
) -> None:
    """On A4 and on letter, with room of 8 mm and more to write in, and the drawing not cut off."""
    path = tmp_path / "it.html"
    for sizes, last, loss in (
        ((2, 2, 1), "sigmoid", "half-squared"),
        ((3, 4, 2), "softmax", "cross-entropy-of-probabilities"),
    ):
        options = walkthrough.Options(
            sizes=sizes, activations=("tanh", last), loss=loss, format="html", out=path
        )
        for exercise, most in ((True, 1), (False, 2)):
            written.walk(dataclasses.replace(options, exercise=exercise))
            driver.get(path.as_uri())
            assert max(pages(driver, *paper) for paper in ((21.0, 29.7), (21.59, 27.94))) <= most
            if exercise:
                rooms = driver.execute_script(ROOMS)
                assert len(rooms) == sum(
                    step.name != "old_div" for step in written.document(options).steps()
                )
                assert min(rooms) >= 8 * 96 / 25.4
                assert driver.find_element("tag name", "header").text.endswith(
                    "Name _________________________________"
                )


def pages(page: Chrome, width: float = 21.0, height: float = 29.7) -> int:
    """On which it prints, by the paper's size in cm."""
    options = PrintOptions()
    options.page_width, options.page_height = width, height
    return len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(page.print_page(options))))
