"""One HTML file that needs nothing else: what stands in this folder, and the data it shows, put together."""

import html
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

FOLDER = resources.files(__package__)


def one_file(name: str, title: str, scripts: tuple[str, ...], data: Mapping[str, Any]) -> str:
    """name.html with its styles and these scripts, in which the data are the constant DATA."""
    styles, program = (
        "\n".join(FOLDER.joinpath(part).read_text(encoding="utf-8") for part in parts)
        for parts in (("page.css", f"{name}.css"), scripts)
    )
    constant = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("</", r"<\/")
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{styles}</style>\n"
        f"{FOLDER.joinpath(f'{name}.html').read_text(encoding='utf-8')}"
        f"<script>\nconst DATA = {constant};\n{program}</script>\n</html>\n"
    )
