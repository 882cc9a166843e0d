"""Each operation of manual/, or of a user's own, with the proof of its family."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from manual.activations import Activation
from manual.initializers import Initializer
from manual.layers import Layer
from manual.losses import Loss
from manual.operation import Operation
from manual.optimizers import Optimizer
from scripts.checking.loading import Loader
from scripts.common.program import UserError
from scripts.prove import Options
from scripts.proving.claims import Verdict
from scripts.proving.operations import NETWORKS, activation, layer, lemma, loss, network
from scripts.proving.updates import initializer, optimizer

FAMILIES: dict[type[Operation], Callable[[Any], Iterator[Verdict]]] = {
    Activation: activation, Loss: loss, Layer: layer, Optimizer: optimizer,
    Initializer: initializer,
}  # fmt: skip


def prove(options: Options) -> int:
    """Print each verdict as it comes; 1 where one is a refutation."""
    found = Counter[str]()
    seconds = 0.0
    for verdict in of_users(options.operation) if options.operation else everything():
        print(shown(verdict))
        found[verdict.verdict] += 1
        seconds += verdict.seconds
    print(
        f"proven: {found['proven']}, refuted: {found['refuted']}, open: {found['open']}, in "
        f"{seconds:.0f} s"
    )
    return 1 if found["refuted"] else 0


def everything() -> Iterator[Verdict]:
    """The verdicts on each operation of manual/, and on whole networks."""
    yield lemma()
    for family, proof in FAMILIES.items():
        for cls in family.named().values():
            yield from proof(cls)
    for each in NETWORKS:
        yield network(*each)


def of_users(places: tuple[str, ...]) -> Iterator[Verdict]:
    """The verdicts on classes in a user's files."""
    loader = Loader()
    for place in places:
        cls = loader.named(place)
        proof = next(
            (FAMILIES[family] for family in (Activation, Loss, Layer) if _is_a(cls, family)), None
        )
        if proof is None:
            raise UserError(
                f"--operation {place}: must be a class of the family Activation, Loss or Layer of "
                "manual/, with a name"
            )
        yield from proof(cls)


def _is_a(cls: Any, family: type[Operation]) -> bool:
    return (
        isinstance(cls, type)
        and issubclass(cls, family)
        and cls is not family
        and hasattr(cls, "name")
    )


def shown(verdict: Verdict) -> str:
    """A verdict in a line, and one for cases and remarks where there are any."""
    lines = [f"{verdict.verdict:8} {verdict.what}: {verdict.claim} ({verdict.seconds:.1f} s)"]
    if verdict.cases:
        lines.append(f"cases: {verdict.cases}")
    if verdict.remark:
        lines.append(verdict.remark)
    return "\n         ".join(lines)
