"""The proof proves manual/, and is trusted because it refutes what is wrong."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from manual.activations import ReLU, Softmax
from manual.losses import BinaryCrossEntropy, CrossEntropyLoss
from manual.network import Network, NetworkSpec
from manual.operation import Operation
from manual.optimizers import Adam
from scripts import prove
from scripts.proving import everything
from scripts.proving.algebra import exact, vanishes
from scripts.proving.claims import Verdict
from scripts.proving.operations import NETWORKS, activation, loss, network
from scripts.proving.updates import optimizer
from tests.conftest import ROOT, Call
from tests.faults import FAULTS, Fault

# Faults that are no other formula, or are not in manual/: the other tests notice them, the proof
# cannot.
UNSEEN = {
    "tanh: 1 - f^2 rounded twice": "the same number before it is rounded",
    "linear: another order of summation": "likewise",
    "relu: a nan does not pass": "a nan is no number",
    "softplus: log(1 + e^z) as it stands, which overflows": (
        "the same function of real numbers, which do not overflow"
    ),
    "softmax: e^z without the shift, which overflows": "likewise",
    "softmax: the shift by the largest of the whole batch": "likewise",
    "cross-entropy: log p of softmax as it stands, which underflows": "likewise",
    "binary cross-entropy of logits: log(1 + e^y) as it stands, which overflows": "likewise",
    "losses: (3, 1) is broadcast against (3,)": "a shape that is to be refused",
    "network: one stale tape for all": "the first forward is right",
    "parameters: views packed, with hardly a gap": "a layout",
    "parameters: views on 16-byte boundaries": "likewise",
    **{fault.what: "not in manual/" for fault in FAULTS if fault.what.startswith("recording")},
}
OF_CLASSES = [
    fault
    for fault in FAULTS
    if isinstance(fault.owner, type) and fault.owner.__module__.startswith("manual.")
]
SLOW = {BinaryCrossEntropy}  # 7 seconds, and 6 for the last of NETWORKS
# softplus differentiates by z, not y
SMALL = NetworkSpec((2, 2, 1), ("softplus", "sigmoid"), "default"), "half-squared", 1


def of_family(owner: Any) -> Iterator[Verdict]:
    """Whatever is proven of a class, of a family's every class, or of networks."""
    if owner is Network:
        yield network(*SMALL)
        return
    for family, proof in everything.FAMILIES.items():
        for cls in family.named().values():
            if owner in {cls, family} or (
                owner.__name__ == "BatchNorm1d" and cls.__name__ == "FrozenBatchNorm1d"
            ):
                yield from proof(cls)


@pytest.mark.parametrize("family", everything.FAMILIES, ids=lambda family: family.__name__)
def test_every_operation_is_proven(family: type[Operation]) -> None:
    for cls in set(family.named().values()) - SLOW:
        verdicts = list(everything.FAMILIES[family](cls))
        assert {each.verdict for each in verdicts} == {"proven"}, verdicts


@pytest.mark.parametrize("row", NETWORKS[:-1], ids=lambda row: "-".join(row[0].activations))
def test_networks_are_proven(row: Any) -> None:
    assert network(*row).verdict == "proven"


@pytest.mark.parametrize("fault", OF_CLASSES, ids=lambda fault: fault.what)
def test_faults_are_refuted(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        fault.owner, fault.attribute, fault.make(getattr(fault.owner, fault.attribute))
    )
    verdicts = {each.verdict for each in of_family(fault.owner)}
    assert verdicts == {"proven"} if fault.what in UNSEEN else "refuted" in verdicts, verdicts


def test_the_pages_figures() -> None:
    page = (ROOT / "docs" / "proof.md").read_text()
    assert (
        f"formula, {len(FAULTS) - len(UNSEEN)} of {len(FAULTS)}; the other {len(UNSEEN)} are"
        in page
    )
    said = {line.rpartition(" (")[0] for line in page.splitlines() if line.startswith("proven ")}
    shown = chain(
        activation(Softmax),
        activation(ReLU),
        loss(CrossEntropyLoss),
        optimizer(Adam),
        [network(*NETWORKS[0])],
    )
    assert said == {everything.shown(each).splitlines()[0].rpartition(" (")[0] for each in shown}


def test_the_pages_own_operation(own: Any, call: Call) -> None:
    page = (ROOT / "docs" / "proof.md").read_text()
    (code,) = re.findall(r"```py\n(.*?)```", page, flags=re.DOTALL)
    ended = call(prove, "--operation", f"{own(code)}::Swish")
    assert ended.status == 1
    refutation = next(line for line in ended.out.splitlines() if " by hand, " in line)
    assert refutation in page


def test_whatever_is_not_refuted_is_listed() -> None:
    names = {fault.what for fault in FAULTS}
    assert UNSEEN.keys() <= names
    assert names - {fault.what for fault in OF_CLASSES} <= UNSEEN.keys()


SWISH = """
import torch
from manual.activations import Activation

class Swish(Activation, name="swish of a test"):
    def forward(self, z):
        return z * torch.sigmoid(z)

    def backward(self, dy, z, y):
        return dy * (torch.sigmoid(z) + {})
"""
LEAKY = """
import torch
from manual.activations import Activation

class Leaky(Activation, name="leaky of a test"):
    def forward(self, z):
        return torch.where(z > 0, z, z * 0.01)

    def backward(self, dy, z, y):
        return torch.where({}, dy, dy * {})
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Any]:
    """Writes a file of a user's; its class leaves the family when the test is over."""
    before = {family: family.named() for family in everything.FAMILIES}

    def write(source: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text(source)
        return str(path)

    yield write
    for family, classes in before.items():
        family._classes = classes


@pytest.mark.parametrize(
    ("source", "name", "status", "said"),
    [
        (
            SWISH.format("y * (1 - torch.sigmoid(z))"),
            "Swish",
            0,
            "proven   activation swish of a test",
        ),
        (
            SWISH.format("y * torch.sigmoid(z)"),
            "Swish",
            1,
            "dDiv/dz_11 at g_11 = 2.92, z_11 = -0.84: ",
        ),
        (LEAKY.format("z > 0", "0.01"), "Leaky", 0, "z = 0: no derivative; by definition 1/100"),
        (LEAKY.format("z >= 0", "0.01"), "Leaky", 0, "z = 0: no derivative; by definition 1"),
        (LEAKY.format("z > 0", "0.1"), "Leaky", 1, "0.292 by hand, 0.0292 right"),
        (SWISH.format("torch.special.erfcx(z)"), "Swish", 0, "open     activation swish of a test"),
        (SWISH.format("(1 if z.sum() > 0 else 2)"), "Swish", 0, "a branch on a value"),
        (SWISH.format("z[3]"), "Swish", 1, "it fails: IndexError"),
        ("Swish = 3", "Swish", 2, "must be a class of the family Activation, Loss or Layer"),
        ("from manual.optimizers import SGD as Swish", "Swish", 2, "must be a class of the family"),
    ],
)
def test_an_operation_of_a_users(
    source: str, name: str, status: int, said: str, own: Any, call: Call
) -> None:
    ended = call(prove, "--operation", f"{own(source)}::{name}")
    assert ended.status == status
    assert said in ended.out + ended.err


def test_what_is_not_equal_is_not_proven() -> None:
    x, y = sp.symbols("x y", real=True)
    for wrong in (
        sp.sqrt(x**2) - x,
        sp.log(x**2) - 2 * sp.log(x),
        sp.tanh(x) - sp.tanh(y),
        x - y,
        sp.exp(x + y) - sp.exp(x),
    ):
        assert not vanishes(wrong)
    assert vanishes(sp.log(1 + sp.exp(x)) - x - sp.log(1 + sp.exp(-x)))
    assert not vanishes(sp.log(1 + sp.exp(x)) - x - sp.log(1 + sp.exp(-x)) + 1)
    assert vanishes(sp.sqrt(x**2 + 1) ** 3 - (x**2 + 1) * sp.sqrt(x**2 + 1))


@pytest.mark.parametrize("number", [1 / 3, 0.1, 2 / 7, 1e-300, 9.999999960041972e-13])
def test_a_float_is_the_simplest_fraction_that_rounds_to_it(number: float) -> None:
    assert float(exact(number)) == number
    assert exact(1 / 3) == sp.Rational(1, 3)
