"""What a run says: lines for a person, summary.json for programs."""

import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manual.network import NetworkSpec
from scripts.harness.comparison import Comparison
from scripts.harness.learners import Learner
from scripts.harness.loop import Epoch, Score
from scripts.harness.tables import columns


def layers(spec: NetworkSpec) -> str:
    """The network for a person: of each layer k = 1..N what it gives for a batch of B, its parameters, and their number."""
    lines, total = [("", "layer", "activation", "output", "parameters", "")], 0
    for k, step in enumerate(spec.layers, start=1):
        count = sum(map(math.prod, step.shapes.values()))
        parameters = ", ".join(f"{name}{k} {shape}" for name, shape in step.shapes.items())
        lines.append((str(k), step.layer.name, step.activation, f"(B, {step.outputs})", parameters, f"{count:,}"))
        total += count
    return columns([*lines, ("", "total", "", "", "", f"{total:,}")], right={5})


def epoch_line(epoch: Epoch, *, compared: bool) -> str:
    """After each epoch, in the lecture's words: Epoch {j}: {correct} / {n}."""
    scores = "   ".join(
        f"{name} {score.correct} / {score.n}, loss {score.loss:.4f}" for name, score in epoch.validation.items()
    )
    line = f"Epoch {epoch.number:2}: {scores}"
    if compared:
        gradient = f"{epoch.gradient.max_abs:.2g} ({epoch.gradient.max_ulp:.2g} ulp)"
        line += f"   gradient difference {gradient}, drift {epoch.drift.max_abs:.2g}"
    return line


def summarize(
    learners: Sequence[Learner], validation: Mapping[str, Score], test: Mapping[str, Score], comparison: Comparison | None
) -> dict[str, Any]:
    """The contents of summary.json; what needs both engines is null where one trained alone."""
    engines = {
        learner.name: {
            "test_accuracy": test[learner.name].accuracy,
            "validation_accuracy": validation[learner.name].accuracy,
            "train_seconds": learner.seconds,
        }
        for learner in learners
    }
    kernels = {learner.name: learner.kernels for learner in learners}
    summary: dict[str, Any] = {"engines": engines, "kernels": kernels, "gradients": None, "parameters": None, "speedup": None}
    if comparison:
        drift, gradient = comparison.drift(), comparison.overall
        summary["gradients"] = {
            "compared_steps": comparison.steps,
            "max_abs": gradient.max_abs,
            "max_rel": gradient.max_rel,
            "max_ulp": gradient.max_ulp,
            "bitwise_steps": comparison.bitwise_steps,
        }
        summary["parameters"] = {"max_abs": drift.max_abs, "bitwise": drift.bitwise}
        summary["speedup"] = engines["torch"]["train_seconds"] / engines["manual"]["train_seconds"]
    return summary


def table(summary: Mapping[str, Any], out: Path, *, board: bool = True) -> str:
    """The end of a run for a person, and where its logs are, for TensorBoard if that was given any."""
    lines = [f"{'':24}" + "".join(f"{name:>12}" for name in summary["engines"])]
    for title, key, form in (("test accuracy", "test_accuracy", ".2%"), ("seconds of training", "train_seconds", ".1f")):
        lines.append(f"{title:24}" + "".join(f"{engine[key]:>12{form}}" for engine in summary["engines"].values()))
    if summary["speedup"] is not None:
        gradients, parameters = summary["gradients"], summary["parameters"]
        manual, reference = (summary["kernels"][name] for name in ("manual", "torch"))
        lines.append(f"by hand ({manual}) is {summary['speedup']:.1f} times as fast as torch.nn ({reference})")
        lines.append(
            f"gradients: largest difference {gradients['max_abs']:.2g} ({gradients['max_ulp']:.2g} ulp) in "
            f"{gradients['compared_steps']} comparisons, {gradients['bitwise_steps']} of them equal to the last bit"
        )
        equal = "identical to the last bit" if parameters["bitwise"] else f"up to {parameters['max_abs']:.2g} apart"
        lines.append(f"final parameters: {equal}")
    here, all_runs = shlex.quote(str(out)), shlex.quote(str(out.parent))
    view = f"logs in {out}: view them with  tensorboard --logdir {here}  (all runs: --logdir {all_runs})"
    lines.append(view if board else f"what was learned is in {out}")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation (of a sample, by n - 1); None for that of one value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
