"""`python -m scripts.check`: its statuses."""

import pytest

from scripts import check
from tests.conftest import Call

pytestmark = pytest.mark.usefixtures("mine")


@pytest.mark.parametrize(
    "arguments",
    [
        "softplus right --shape 8 5",
        "softplus right --shape 8 5 --reference torch.nn.functional.softplus",
        "softplus right --shape 8 5 --reference torch.nn.Softplus --dtype float32 --seed 3",
        "loss loss_backward --shape 8 5 --shape 8 --labels 5 --reference torch.nn.functional.cross_entropy",
        "log log_backward --shape 4 --between 0.5 2 --reference torch.log",
        "product product_backward --shape 8 5 --shape 5 3 --reference torch.matmul",
    ],
)
def test_status_0_where_all_is_right(arguments: str, call: Call) -> None:
    forward, backward, *options = arguments.split()
    ended = call(check, f"mine.py::{forward}", f"mine.py::{backward}", *options)
    assert ended.status == 0
    assert "ok" in ended.out


def test_status_1_where_a_gradient_is_wrong(call: Call) -> None:
    ended = call(check, "mine.py::softplus", "mine.py::wrong", "--shape", "8", "5")
    assert ended.status == 1
    assert "dz is 2 times too large: divide by 2" in ended.out
