"""The pages that people read, and what is in them."""

import re

from tests.conftest import ROOT

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


def section(page: str, title: str) -> str:
    """What stands under a heading of docs/PAGE.md."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    level, after = re.split(rf"^(#+) {re.escape(title)}\n", text, flags=re.MULTILINE)[1:]
    return re.split(rf"^#{{1,{len(level)}}} ", after, flags=re.MULTILINE)[0]


def anchors(text: str) -> set[str]:
    """Where a link into this page can lead."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
