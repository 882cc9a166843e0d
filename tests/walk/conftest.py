"""What tests of the walkthrough share."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from scripts import walkthrough
from scripts.walk import document
from scripts.walk.record import Document
from tests.browser import browse


@pytest.fixture(scope="session")
def lecture() -> Document:
    return document.document(walkthrough.Options())


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium, as large as a projector's picture."""
    with browse("", tmp_path_factory.mktemp("profile"), (1280, 720)) as found:
        yield found.driver


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the lecture's example, on the disk."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    document.walk(walkthrough.Options(format="html", out=path))
    return path.as_uri()


@pytest.fixture
def page(driver: Chrome, address: str) -> Chrome:
    """As it opens."""
    driver.get(address)
    return driver
