"""python -m tests.pictures (make pictures): those of README and docs, and docs/lecture.ipynb, from
a run made for them.

Options are those of scripts.train. Chromium and its driver have to be there.
"""

import html
import io
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from markdown_it import MarkdownIt
from nbclient import NotebookClient
from PIL import Image

from scripts import page as page_program
from scripts import walkthrough
from scripts.common.program import UserError, status
from scripts.pages import digit as drawn
from scripts.walk import document as written
from scripts.walk.notebook import as_notebook
from tests.browser import MISSING, Page, browse, choose, coloured, tensorboard, until
from tests.conftest import ROOT

CLOSE = "[aria-label='Close side pane']"
COLOURS = 256
AT = 16  # the step shown: of dw1[1,1]
FOLDER = ROOT / "docs" / "pictures"
NOTEBOOK = """
    <style>
        body { margin: 0; padding: 10px 24px; font: 15px/1.45 "DejaVu Sans", sans-serif;
               color: #1b222c }
        pre { margin: 4px 0; font: 12px/1.4 "DejaVu Sans Mono", monospace; white-space: pre-wrap }
        .code { background: #f5f7fa; border: 1px solid #d5dae1; border-left: 4px solid #2f6fb5;
                padding: 8px 10px }
        img { max-width: 100% }
    </style>
"""
TERMINAL = """
    <style>
        body { margin: 0; background: #1e1e1e }
        pre { margin: 0; padding: 16px; color: #d4d4d4;
              font: 12px/1.35 "DejaVu Sans Mono", monospace }
    </style>
"""


def main() -> int:
    """Status 0 with the pictures in FOLDER, 2 where there is nothing to take them with."""
    return status(lambda: take(sys.argv[1:]))


def take(options: list[str]) -> None:
    """Train, then look at what that left."""
    if MISSING:
        raise UserError(
            f"not installed: {MISSING} (on Debian: apt install chromium chromium-driver)"
        )
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "runs", "1126-1553-lecture")
        command = [sys.executable, "-m", "scripts.train", "--out", str(out), *options]
        printed = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        typed = shlex.join(["python", "-m", "scripts.train", *options])
        terminal = Path(scratch, "terminal.html")
        said = html.escape(f"$ {typed}\n{printed.replace(f'{out.parent.parent}/', '')}")
        terminal.write_text(f"{TERMINAL}<pre>{said}</pre>")
        FOLDER.mkdir(exist_ok=True)
        with tensorboard(out.parent) as address, browse(address, Path(scratch, "profile")) as page:
            page.driver.get(terminal.as_uri())
            page.resize(950, 300)
            # as long as the text
            page.resize(
                950, page.driver.execute_script("return document.documentElement.scrollHeight")
            )
            save(page, "terminal")
            photograph(page)
            lesson(page, Path(scratch))
            digit(page, out)
            notebook(page, Path(scratch))


def photograph(page: Page) -> None:
    """The tabs of the board, each once all that it shows is there."""
    page.resize(1400, 900)
    page.driver.get(f"{page.address}?smoothing=0#timeseries")
    until(lambda: page.driver.find_elements("css selector", CLOSE))
    page.driver.find_element("css selector", CLOSE).click()
    until(lambda: not page.driver.find_elements("css selector", CLOSE))
    until(lambda: [coloured(png) for png in page.pictures("scalar-card canvas")[:4]] == [True] * 4)
    save(page, "time-series")

    page.open("custom_scalars&_smoothingWeight=0")
    until(
        lambda: (
            [
                len(set(chart.lines))
                for chart in page.parts("tf-custom-scalar-multi-line-chart-card")
            ]
            == [2, 2, 1, 1, 2, 2]
        )
    )
    save(page, "custom-scalars")

    page.open("images")
    until(
        lambda: (
            [min(image.widths, default=0) > 0 for image in page.parts("tf-image-loader")]
            == [True] * 4
        )
    )
    save(page, "images")


def window(page: Page, width: int, height: int) -> None:
    """Make the picture as large, whatever the window has around it."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def lesson(page: Page, folder: Path) -> None:
    """The walkthrough's page at a step, and a sheet."""
    written.walk(walkthrough.Options(format="html", out=folder / "page.html"))
    page.driver.get((folder / "page.html").as_uri())
    window(page, 1280, 720)
    choose(page.driver, "mistake", "f' forgotten")
    for _ in range(AT):
        page.driver.find_element("id", "next").click()
    save(page, "page")
    options = walkthrough.Options(
        sizes=(3, 4, 2),
        activations=("tanh", "sigmoid"),
        exercise=True,
        format="html",
        out=folder / "sheet.html",
    )
    written.walk(options)
    page.driver.get((folder / "sheet.html").as_uri())
    window(page, 800, 1110)
    save(page, "sheet")


def digit(page: Page, run: Path) -> None:
    """What the trained network makes of a digit."""
    drawn.write(page_program.Options(run))
    page.driver.get((run / "digit.html").as_uri())
    window(page, 1280, 800)
    save(page, "digit")


def notebook(page: Page, folder: Path) -> None:
    """Run it, keep it with its outputs, and show where it trains."""
    cells = nbformat.reads(as_notebook(written.document(walkthrough.Options())), as_version=4)
    at = {"metadata": {"path": str(folder)}}
    NotebookClient(
        cells, timeout=600, record_timing=False, coalesce_streams=True, resources=at
    ).execute()
    nbformat.write(cells, FOLDER.parent / "lecture.ipynb")
    shown = folder / "notebook.html"
    shown.write_text(NOTEBOOK + "".join(cell_html(cell) for cell in cells.cells[-7:-2]))
    page.driver.get(shown.as_uri())
    window(page, 960, 900)
    save(page, "notebook")


def cell_html(cell: Any) -> str:
    """A cell as Jupyter shows it, with the end of what it printed and its pictures."""
    if cell.cell_type == "markdown":
        return str(MarkdownIt().render(cell.source))
    parts = [f"<pre class=code>{html.escape(cell.source)}</pre>"]
    for output in cell.outputs:
        data = output.get("data", {})
        text = output.get("text") or data.get("text/plain", "")
        image = data.get("image/png")
        lines = "\n".join(text.splitlines()[-6:])
        parts.append(
            f'<img src="data:image/png;base64,{image}">'
            if image
            else f"<pre>{html.escape(lines)}</pre>"
        )
    return "".join(parts)


def save(page: Page, name: str) -> None:
    """A PNG of the window, in the few colours that it has."""
    window = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
    window.quantize(COLOURS).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
