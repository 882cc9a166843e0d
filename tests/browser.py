"""TensorBoard as a person meets it: its server on a free port of 127.0.0.1, and Chromium without a
window to look at it.
"""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from matplotlib.image import imread
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import Select

T = TypeVar("T")

PROGRAMS = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
# of what a page is looked at with
MISSING = ", ".join(name for name, path in PROGRAMS.items() if not path)
PATIENCE = 60  # seconds until something that has to come is given up
SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip

# Much of the page lies in shadow trees, which an ordinary selector does not enter.
READ = """
    const inside = root => [...root.querySelectorAll('*')].flatMap(
        e => [e, ...e.shadowRoot ? inside(e.shadowRoot) : []]);
    const all = e => [...inside(e), ...e.shadowRoot ? inside(e.shadowRoot) : []];
    const own = e =>
        [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('');
    return inside(document).filter(e => e.matches(arguments[0])).map(e => ({
        text: [e, ...all(e)].filter(x => !x.matches('style, script')).map(own).filter(Boolean)
            .join(' '),
        lines: all(e).filter(x => x.matches('path.line') && x.getAttribute('d'))
            .map(x => x.getAttribute('stroke')),
        widths: all(e).filter(x => x.matches('img')).map(x => x.naturalWidth),
    }));
"""


class Part(NamedTuple):
    """Of a page: its words, the colours of the lines drawn in it, and the widths of the pictures
    loaded.
    """

    text: str
    lines: list[str]
    widths: list[int]


def until(look: Callable[..., T], *arguments: object) -> T:
    """What `look` returns, as soon as that is something."""
    end = time.monotonic() + PATIENCE
    while not (seen := look(*arguments)):
        assert time.monotonic() < end, f"{look.__name__}{arguments} saw nothing in {PATIENCE} s"
        time.sleep(0.1)
    return seen


@contextmanager
def tensorboard(logdir: Path) -> Iterator[str]:
    """The address at which TensorBoard shows `logdir`, while it does."""
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        logdir.name,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    with subprocess.Popen(
        command, cwd=logdir.parent, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stderr
            said = []
            for line in process.stderr:
                said.append(line)
                if address := re.search(r"http://127\.0\.0\.1:\d+/", line):
                    yield address[0]
                    break
            else:
                raise AssertionError("".join(said))
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with its data server


class Page:
    """A page of TensorBoard in a browser of its own."""

    def __init__(self, address: str, driver: webdriver.Chrome) -> None:
        self.address, self.driver = address, driver

    def resize(self, width: int, height: int) -> None:
        """The page itself, without the window's frame."""
        frame = (
            "return [window.outerWidth - window.innerWidth, window.outerHeight - "
            "window.innerHeight]"
        )
        right, top = self.driver.execute_script(frame)
        self.driver.set_window_size(width + right, height + top)

    def open(self, tab: str) -> None:
        """One of its tabs, loaded anew."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}#{tab}")

    def parts(self, selector: str) -> list[Part]:
        """All that the selector finds."""
        return [Part(**part) for part in self.driver.execute_script(READ, selector)]

    def pictures(self, selector: str) -> list[bytes]:
        """A PNG of each that the selector finds outside of shadow trees."""
        return [
            found.screenshot_as_png for found in self.driver.find_elements("css selector", selector)
        ]


def coloured(png: bytes) -> bool:
    """Whether there is more in a picture than shades of grey."""
    colours = imread(io.BytesIO(png))[..., :3]
    return bool((colours.max(axis=2) - colours.min(axis=2)).max() > 0.1)


@contextmanager
def browse(address: str, profile: Path, size: tuple[int, int] = (1500, 1100)) -> Iterator[Page]:
    """A browser with nothing remembered, its profile in the empty folder `profile`."""
    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAMS["chromium"] or ""
    for switch in (*SWITCHES, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"):
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=Service(PROGRAMS["chromedriver"]))
    # seconds; on a busy machine a long script takes more than the 30 it has by itself
    driver.set_script_timeout(120)
    try:
        yield Page(address, driver)
    finally:
        driver.quit()


def choose(page: webdriver.Chrome, name: str, value: str) -> None:
    """An option of a control by its words."""
    Select(page.find_element("id", name)).select_by_visible_text(value)
