"""The board as it is served, and as a person sees it in a browser."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from scripts.display.tags import CHARTS
from tests.browser import MISSING, Page, browse, coloured, tensorboard, until
from tests.display.short import PICTURES_SHOWN, SHOWN_AS


def get(address: str, route: str, **query: str) -> Any:
    """The JSON that TensorBoard answers."""
    # our own server
    with urlopen(f"{address}data/{route}?{urlencode(query)}", timeout=60) as answer:  # noqa: S310
        return json.load(answer)


@pytest.fixture(scope="module")
def address(short_run: tuple[Path, dict[str, Any]]) -> Iterator[str]:
    """At which TensorBoard shows the short run, all of it."""
    with tensorboard(short_run[0]) as address:
        until(all_tags, address)
        yield address


def test_what_tensorboard_serves(address: str) -> None:
    tags = all_tags(address)
    assert set(get(address, "runs")) == set(tags) == {*SHOWN_AS, "comparison"}, "and no run besides"
    assert set(tags["by-hand"]) == set(tags["torch"])
    for tag in ("1-accuracy/validation", "2-loss/train"):
        manual, reference = (
            get(address, "plugin/scalars/scalars", run=name, tag=tag) for name in SHOWN_AS
        )
        assert [point[1:] for point in manual] == [point[1:] for point in reference]
        assert [step for _, step, _ in manual] == [101, 202]
    (category,) = get(address, "plugin/custom_scalars/layout")["category"]
    assert category["title"].endswith(": identical to the last bit after 202 updates")
    assert {chart["title"]: chart["multiline"]["tag"] for chart in category["chart"]} == CHARTS
    for chart in category["chart"]:
        for tag in chart["multiline"]["tag"]:
            for name in ("comparison",) if tag[0] in "35" else SHOWN_AS:
                shown = get(address, "plugin/custom_scalars/scalars", tag=tag, run=name)[
                    "tag_to_events"
                ]
                assert shown[tag], f"{chart['title']} of {name}"


def all_tags(address: str) -> dict[str, Any]:
    """The scalars by run, once TensorBoard has read the last of them."""
    tags: dict[str, Any] = get(address, "plugin/scalars/tags")
    return (
        tags
        if len(tags) >= 3 and all("result/test-accuracy" in tags[name] for name in SHOWN_AS)
        else {}
    )


@pytest.mark.skipif(
    bool(MISSING),
    reason=f"not installed: {MISSING} (on Debian: apt install chromium chromium-driver)",
)
def test_what_a_person_sees(address: str, tmp_path: Path) -> None:
    with browse(address, tmp_path) as page:
        page.open("timeseries")
        until(has, page, "runs-selector", *SHOWN_AS, "comparison")
        for tag in ("/train", "/validation"):
            until(has, page, "scalar-card", "1-accuracy", tag, *SHOWN_AS)
        until(curve, page)

        page.open("custom_scalars")
        for chart, tags in CHARTS.items():
            until(drawn, page, chart, ("comparison",) if tags[0][0] in "35" else SHOWN_AS)

        page.open("images")
        for tag in PICTURES_SHOWN:
            until(loaded, page, tag, "by-hand")

        page.open("hparams")
        until(
            has,
            page,
            "tf-hparams-table-view",
            *SHOWN_AS,
            "engine",
            "lr",
            "loss",
            "batch size",
            "half-squared",
        )


def has(page: Page, selector: str, *words: str) -> bool:
    """Whether all words stand in one of what the selector finds."""
    return any(all(word in part.text for word in words) for part in page.parts(selector))


def drawn(page: Page, title: str, runs: Sequence[str]) -> bool:
    """Whether a chart has curves in as many colours as it names runs."""
    return any(
        title in part.text
        and all(f"({name})" in part.text for name in runs)
        and len(set(part.lines)) == len(runs)
        for part in page.parts("tf-custom-scalar-multi-line-chart-card")
    )


def loaded(page: Page, tag: str, name: str) -> bool:
    """Whether the picture of a run is there to be seen."""
    return any(
        tag in part.text and name in part.text and part.widths and min(part.widths) > 100
        for part in page.parts("tf-image-loader")
    )


def curve(page: Page) -> bool:
    """Whether the first chart is drawn."""
    return any(coloured(png) for png in page.pictures("scalar-card canvas")[:1])
