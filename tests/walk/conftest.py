"""What tests of the walkthrough share."""

import pytest

from scripts import walkthrough
from scripts.walk import document
from scripts.walk.record import Document


@pytest.fixture(scope="session")
def lecture() -> Document:
    return document.document(walkthrough.Options())
