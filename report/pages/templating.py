"""What all pages have in common: how templates are read, and how a page looks."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_STATIC = Path(__file__).with_name("static")


def templates() -> Environment:
    """Return the templates of pages: what is said in them is escaped, what is missing an error."""
    return Environment(
        loader=PackageLoader("raftmark.report.pages"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def static(pattern: str) -> Markup:
    """Read the style sheets or the scripts of a pattern, the page's own first, then of sections.

    They are the project's own, so they are trusted.
    """
    files = sorted(_STATIC.glob(pattern), key=lambda file: (file.stem != "report", file.name))
    return Markup("".join(file.read_text(encoding="utf-8") for file in files))
