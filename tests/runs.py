"""What runs of scripts.train leave."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scripts.display.events import RUNS


def events(out: Path, name: str) -> EventAccumulator:
    """All that the events of one engine, or of the comparison, in the run `out` hold."""
    name = RUNS.get(name, name)
    return EventAccumulator(
        str(out / name), size_guidance={"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}
    ).Reload()


def scalars(out: Path, name: str) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value) of each of its points."""
    read = events(out, name)
    return {
        tag: [(point.step, point.value) for point in read.Scalars(tag)]
        for tag in read.Tags()["scalars"]
    }
