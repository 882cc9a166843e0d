"""One HTML file that needs nothing else, made of the files in this folder."""

import html
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

_FOLDER = resources.files(__package__)


def part(name: str) -> str:
    """A file of this folder."""
    return _FOLDER.joinpath(name).read_text(encoding="utf-8")


def one_file(title: str, styles: tuple[str, ...], body: str) -> str:
    """A page of this title, with these style sheets of the folder in it."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n"
        f"<style>\n{''.join(map(part, styles))}</style>\n{body}</html>\n"
    )


def program(scripts: tuple[str, ...], data: Mapping[str, Any]) -> str:
    """These scripts of the folder as an element, in which the data are the constant DATA."""
    constant = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("</", r"<\/")
    return f"<script>\nconst DATA = {constant};\n{''.join(map(part, scripts))}</script>\n"
