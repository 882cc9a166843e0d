"""What a run says: lines for a person, summary.json for programs."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manual.network import NetworkSpec
from scripts.common.command_line import option, pasted
from scripts.common.program import printable
from scripts.common.tables import columns, figure, finite, markdown
from scripts.display.board import Verdict
from scripts.learners.base import Learner
from scripts.learners.comparison import Comparison, Wrong
from scripts.run.past import drift
from scripts.run.progress import Epoch, Score

FIGURES = (
    ("test accuracy", "test_accuracy", ".2%"),
    ("seconds of training", "train_seconds", ".1f"),
)
LONG = 0.5  # s of training: in less, the first updates, where memory is taken, weigh too much
MOST_ULP = 1e6  # ulp: a difference as large as this is better given as max |difference|


def layers(spec: NetworkSpec) -> str:
    """The network as a table: of each layer k = 1..N the shape of its output, its parameters, and
    their number.
    """
    lines, total = [("", "layer", "activation", "output", "parameters", "")], 0
    for k, step in enumerate(spec.layers, start=1):
        count = sum(map(math.prod, step.shapes.values()))
        parameters = ", ".join(f"{name}{k} {shape}" for name, shape in step.shapes.items())
        lines.append(
            (
                str(k),
                step.layer.name,
                step.activation,
                f"(B, {step.outputs})",
                parameters,
                f"{count:,}",
            )
        )
        total += count
    return columns([*lines, ("", "total", "", "", "", f"{total:,}")], right={5})


def epoch_line(epoch: Epoch) -> str:
    """After each epoch, in the lecture's words: Epoch {j}: {correct} / {n}."""
    scores = "   ".join(
        f"{name} {score.correct} / {score.n}, loss {score.loss:.4f}"
        for name, score in epoch.validation.items()
    )
    line = f"Epoch {epoch.number:2}: {scores}"
    if epoch.gradient:
        line += f"   gradient difference {_apart(epoch.gradient.max_abs, epoch.gradient.max_ulp)}"
    elif epoch.drift:
        line += "   gradients not compared"
    return f"{line}, drift {epoch.drift.max_abs:.2g}" if epoch.drift else line


def summarize(
    learners: Sequence[Learner],
    validation: Mapping[str, Score],
    test: Mapping[str, Score],
    comparison: Comparison | None,
) -> dict[str, Any]:
    """The contents of summary.json. Null: what needs both engines where one trained alone,
    `gradients` where none were compared, `wrong` where none was, and `speedup` where one was or
    training was too short for it.
    """
    engines = {
        learner.name: {
            "test_accuracy": test[learner.name].accuracy,
            "validation_accuracy": validation[learner.name].accuracy,
            "train_seconds": learner.seconds,
        }
        for learner in learners
    }
    kernels = {learner.name: learner.kernels for learner in learners}
    unknown = dict.fromkeys(("gradients", "parameters", "wrong", "speedup"))
    summary: dict[str, Any] = {"engines": engines, "kernels": kernels} | unknown
    if comparison:
        drift, gradient = comparison.drift(), comparison.overall
        if comparison.steps:
            figures = {
                "max_abs": gradient.max_abs,
                "max_rel": gradient.max_rel,
                "max_ulp": gradient.max_ulp,
            }
            steps = {"compared_steps": comparison.steps, "bitwise_steps": comparison.bitwise_steps}
            summary["gradients"] = steps | finite(figures)
        summary["parameters"] = finite({"max_abs": drift.max_abs}) | {"bitwise": drift.bitwise}
        if comparison.wrong:
            summary["wrong"] = dataclasses.asdict(comparison.wrong)
        elif min(learner.seconds for learner in learners) >= LONG:
            summary["speedup"] = (
                engines["torch"]["train_seconds"] / engines["manual"]["train_seconds"]
            )
    return summary


def table(summary: Mapping[str, Any], out: Path, *, board: bool = True) -> str:
    """The results of a run as a table, and where its logs are; for TensorBoard if there is a
    `board`.
    """
    lines = [f"{'':24}" + "".join(f"{name:>12}" for name in summary["engines"])]
    for title, key, form in FIGURES:
        lines.append(
            f"{title:24}"
            + "".join(f"{engine[key]:>12{form}}" for engine in summary["engines"].values())
        )
    if summary["parameters"]:
        lines += [*_compared(summary), f"final parameters: {drift(summary['parameters'])}"]
    view, every = pasted(*option("--logdir", out)), pasted(*option("--logdir", out.parent))
    where = f"{printable(str(out))}: view them with  tensorboard {view}  (all runs: {every})"
    lines.append(f"logs in {where}" if board else f"what was learned is in {printable(str(out))}")
    return "\n".join(lines)


def _compared(summary: Mapping[str, Any]) -> list[str]:
    """How fast by hand is, or what is wrong with it, and how close its gradients were."""
    gradients, wrong = summary["gradients"], summary["wrong"]
    by_hand, in_torch = (summary["kernels"][name] for name in ("manual", "torch"))
    speed = f"speed: not compared, for training took less than {LONG:g} s"
    if summary["speedup"]:
        speed = (
            f"by hand ({by_hand}) is {summary['speedup']:.1f} times as fast as torch.nn "
            f"({in_torch})"
        )
    close = "gradients: not compared, for --compare-every is more than the updates made"
    if gradients:
        close = (
            f"gradients: largest difference {_apart(gradients['max_abs'], gradients['max_ulp'])} "
            "in "
            f"{gradients['compared_steps']} comparisons, {gradients['bitwise_steps']} of them "
            "equal to the last bit"
        )
    return [str(Wrong(**wrong)) if wrong else speed, close]


def verdict(summary: Mapping[str, Any], updates: int) -> Verdict:
    """The same as `table`, for the board."""
    engines = {
        "by hand" if name == "manual" else name: engine
        for name, engine in summary["engines"].items()
    }
    lines = [["", *engines]]
    for title, key, form in (("validation accuracy", "validation_accuracy", ".2%"), *FIGURES):
        lines.append([title, *(format(engine[key], form) for engine in engines.values())])
    paragraphs, sentence = [], ""
    if parameters := summary["parameters"]:
        sentence = (
            f"{'WRONG gradient' if summary['wrong'] else drift(parameters)} after {updates:,} "
            "updates"
        )
        paragraphs = [f"**{sentence}**", *_compared(summary)]
    return Verdict(sentence, "\n\n".join([*paragraphs, markdown(lines)]))


def _apart(max_abs: float | None, max_ulp: float | None) -> str:
    """A difference, with its ulp where it is of the size of rounding."""
    return figure(max_abs) + (
        f" ({figure(max_ulp)} ulp)" if max_ulp is not None and max_ulp < MOST_ULP else ""
    )


def plus_minus(mean: float, sd: float | None) -> str:
    """Both, as of `spread`, in two decimals."""
    return f"{mean:.2f}" if sd is None else f"{mean:.2f} ± {sd:.2f}"


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation (of a sample, by n - 1); None for that of one value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
