"""python -m tests.pictures (make pictures): the README's pictures of the board and of the terminal, from a run made for them.

Options are those of scripts.train. Chromium and its driver have to be there.
"""

import html
import io
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from scripts.harness.program import UserError, status
from tests.browser import MISSING, Page, browse, coloured, tensorboard, until
from tests.conftest import ROOT

CLOSE = "[aria-label='Close side pane']"
COLOURS = 256
FOLDER = ROOT / "docs" / "pictures"
TERMINAL = """
    <style>
        body { margin: 0; background: #1e1e1e }
        pre { margin: 0; padding: 16px; color: #d4d4d4; font: 12px/1.35 "DejaVu Sans Mono", monospace }
    </style>
"""


def main() -> int:
    """Status 0 with the pictures in FOLDER, 2 where there is nothing to take them with."""
    return status(lambda: take(sys.argv[1:]))


def take(options: list[str]) -> None:
    """Train, then look at what that left."""
    if MISSING:
        raise UserError(f"not installed: {MISSING} (on Debian: apt install chromium chromium-driver)")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "runs", "1126-1553-lecture")
        command = [sys.executable, "-m", "scripts.train", "--out", str(out), *options]
        printed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        typed = shlex.join(["python", "-m", "scripts.train", *options])
        terminal = Path(scratch, "terminal.html")
        said = html.escape(f"$ {typed}\n{printed.replace(f'{out.parent.parent}/', '')}")
        terminal.write_text(f"{TERMINAL}<pre>{said}</pre>")
        FOLDER.mkdir(exist_ok=True)
        with tensorboard(out.parent) as address, browse(address, Path(scratch, "profile")) as page:
            page.driver.get(terminal.as_uri())
            page.resize(950, 300)
            page.resize(950, page.driver.execute_script("return document.documentElement.scrollHeight"))  # as long as the text
            save(page, "terminal")
            photograph(page)


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
        lambda: [len(set(chart.lines)) for chart in page.parts("tf-custom-scalar-multi-line-chart-card")] == [2, 2, 1, 1, 2, 2]
    )
    save(page, "custom-scalars")

    page.open("images")
    until(lambda: [min(image.widths, default=0) > 0 for image in page.parts("tf-image-loader")] == [True] * 4)
    save(page, "images")


def save(page: Page, name: str) -> None:
    """A PNG of the window, in the few colours that it has."""
    window = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
    window.quantize(COLOURS).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
