"""python -m scripts.prove: the functions of manual/ run on symbols, and proven."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from manual.activations import Activation
from manual.initializers import Initializer
from manual.layers import Layer
from manual.losses import Loss
from manual.operation import Operation
from manual.optimizers import Optimizer
from scripts.checking.loading import Loader
from scripts.harness import command_line
from scripts.harness.program import UserError, status
from scripts.proving.claims import Verdict
from scripts.proving.operations import NETWORKS, activation, layer, lemma, loss, network
from scripts.proving.updates import initializer, optimizer

EXAMPLES = {
    "everything in manual/": "",
    'an operation of your own, such as a class Swish(Activation, name="swish")': "--operation mine.py::Swish",
}
FAMILIES: dict[type[Operation], Callable[[Any], Iterator[Verdict]]] = {
    Activation: activation, Loss: loss, Layer: layer, Optimizer: optimizer, Initializer: initializer,
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Prove that each operation is its formula, and backward the derivative of forward, by running manual/ on symbols.

    Proven: for all numbers, in exact arithmetic, at the shapes named. Open: not decided. Refuted: with numbers at which it
    fails, and status 1. Rounding, overflow and layout are the tests' business.
    """

    operation: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FILE::CLASS")] = ()
    """path/to/file.py::Class, an Activation, Loss or Layer of your own, instead of manual/'s; once for each."""


def main() -> int:
    """Status 0, 1 where something is refuted, 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.prove", EXAMPLES)
    return status(lambda: prove(options))


def prove(options: Options) -> int:
    """Print each verdict as it comes; 1 where one is a refutation."""
    found = Counter[str]()
    seconds = 0.0
    for verdict in of_users(options.operation) if options.operation else everything():
        print(shown(verdict))
        found[verdict.verdict] += 1
        seconds += verdict.seconds
    print(f"proven: {found['proven']}, refuted: {found['refuted']}, open: {found['open']}, in {seconds:.0f} s")
    return 1 if found["refuted"] else 0


def everything() -> Iterator[Verdict]:
    """Of each operation of manual/, and of whole networks."""
    yield lemma()
    for family, proof in FAMILIES.items():
        for cls in family.named().values():
            yield from proof(cls)
    for each in NETWORKS:
        yield network(*each)


def of_users(places: tuple[str, ...]) -> Iterator[Verdict]:
    """Of classes in files of the user's."""
    loader = Loader()
    for place in places:
        cls = loader.named(place)
        proof = next((FAMILIES[family] for family in (Activation, Loss, Layer) if _is_a(cls, family)), None)
        if proof is None:
            raise UserError(
                f"--operation {place}: must be a class of the family Activation, Loss or Layer of manual/, with a name"
            )
        yield from proof(cls)


def _is_a(cls: Any, family: type[Operation]) -> bool:
    return isinstance(cls, type) and issubclass(cls, family) and cls is not family and hasattr(cls, "name")


def shown(verdict: Verdict) -> str:
    """A line, and one for cases and remarks where there are any."""
    lines = [f"{verdict.verdict:8} {verdict.what}: {verdict.claim} ({verdict.seconds:.1f} s)"]
    if verdict.cases:
        lines.append(f"cases: {verdict.cases}")
    if verdict.remark:
        lines.append(verdict.remark)
    return "\n         ".join(lines)


if __name__ == "__main__":
    sys.exit(main())
