"""The walkthrough as a page, in Chromium: its numbers and formulas are those of --format json, and
what is done shows.
"""

import json
import math
import random
import re
from importlib import resources
from typing import Any

import pytest
import torch
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

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
from tests.browser import MISSING, choose

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")
NETWORKS = 1000
PROBABILITIES = [
    name for name, activation in Activation.named().items() if activation.probabilities
]


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
