"""A matplotlib figure as SVG that lives inside an HTML page.

A figure drawn for a page differs from one drawn for paper in four ways, and this module makes up
for all of them: it takes its colours from the page's CSS, so that it follows light and dark mode;
its text is text in the page's font; its ids are its own, however many figures share the page; and
it tells a screen reader what it shows.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"

_REFERENCE = re.compile(r"(url\(#|^#)")
_FONT_FAMILY = re.compile(r"font-family: [^;]*;?")

ET.register_namespace("", SVG)
ET.register_namespace("xlink", XLINK)


def to_svg(figure: Figure, *, name: str, description: str, colours: Mapping[str, str]) -> Markup:
    """Render a figure for inlining.

    `name` prefixes every id and must be unique in the page. `description` is what a screen reader
    says. `colours` maps the hexadecimal colours used in the figure to CSS, such as `var(--ink)`.
    The same figure gives the same text every time.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())
    # The first is not needed, the second would style the whole page.
    for unwanted in ("metadata", "defs[{*}style]"):
        for child in root.findall(f"{{{SVG}}}{unwanted}"):
            root.remove(child)
    for element in root.iter():
        _own_ids(element, name)
        if "style" in element.attrib:
            element.set("style", _page_style(element.attrib["style"], colours))

    _, _, width, height = root.attrib["viewBox"].split()
    root.attrib.pop("version", None)
    root.set("width", width)
    root.set("height", height)
    root.set("role", "img")
    root.set("aria-label", description)
    # The text is trusted: every label passed through ElementTree, which escapes it.
    return Markup(ET.tostring(root, encoding="unicode"))


def marker_svg(marker: str, colour: str) -> Markup:
    """Draw a matplotlib marker as a small inline SVG, for legends and tables in HTML."""
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    # Markers are at most 2 units across, y upwards.
    commands = " ".join(_commands(path))
    return Markup(
        '<svg class="marker" viewBox="-0.8 -0.8 1.6 1.6" aria-hidden="true">'
        '<path d="{}" style="fill: {}"/></svg>'
    ).format(commands, colour)


def _commands(path: Path) -> list[str]:
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    found = []
    for points, code in path.iter_segments(simplify=False):
        if code == Path.CLOSEPOLY:
            found.append("Z")
            continue
        flipped = [
            f"{coordinate if index % 2 == 0 else -coordinate:.3f}"
            for index, coordinate in enumerate(points.tolist())
        ]
        found.append(letters[code] + " ".join(flipped))
    return found


def _own_ids(element: ET.Element, name: str) -> None:
    for attribute, value in element.attrib.items():
        if attribute == "id":
            element.set(attribute, f"{name}-{value}")
        elif attribute in {f"{{{XLINK}}}href", "clip-path"}:
            element.set(attribute, _REFERENCE.sub(rf"\1{name}-", value))


def _page_style(style: str, colours: Mapping[str, str]) -> str:
    for colour, css in colours.items():
        style = style.replace(colour, css)
    return _FONT_FAMILY.sub("", style)
