"""What tests of the checker share."""

import pytest

from tests.conftest import Call


@pytest.fixture
def call(call_afresh: Call) -> Call:
    """As a user's command does it."""
    return call_afresh
