"""A matplotlib figure as SVG that lives inside an HTML page.

A figure drawn for a page differs from one drawn for paper, and this module makes up for it: it
takes its colours from the page's CSS, so that it follows light and dark mode; its text is text in
the page's font; its ids are its own, however many figures share the page; it tells a screen reader
what it shows; whatever belongs to a contender says so, and every marker carries its figures; and
it is small, because a tenth of a pixel is enough.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"

Tips = Sequence[tuple[str, Sequence[str]]]
"""For each group of markers, in the order of drawing: whose they are, and the text of each."""

_REFERENCE = re.compile(r"url\(#([^)]*)\)|^#(.*)")
_FONT_FAMILY = re.compile(r"font-family: [^;]*;?")
_NUMBER = re.compile(r"-?\d+\.\d+")
# What says nothing: space between elements, empty groups, turns by nothing, invisible shapes.
_NEEDLESS = (
    (re.compile(r">\s+<"), "><"),
    (re.compile(r' transform="rotate\(-?0 [^"]*"'), ""),
    (re.compile(r'<path [^>]*style="fill: none"[^>]*/>'), ""),
    (re.compile(r"<g ?/>"), ""),
)
_NEEDLESS_STYLE = re.compile(r" ?stroke-(?:linejoin: round|linecap: butt|linecap: square);?")

ET.register_namespace("", SVG)
ET.register_namespace("xlink", XLINK)


def to_svg(
    figure: Figure,
    *,
    name: str,
    description: str,
    colours: Mapping[str, str],
    tips: Tips = (),
) -> Markup:
    """Render a figure for inlining.

    `name` prefixes every id and must be unique in the page. `description` is what a screen reader
    says. `colours` maps the hexadecimal colours used in the figure to CSS, such as `var(--ink)`.
    Artists whose gid is `series:NAME` or `tips:NAME` are marked as the contender's; the markers of
    the latter get `tips`. The same figure gives the same text every time.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())
    # The first is not needed, the second would style the whole page.
    for unwanted in ("metadata", "defs[{*}style]"):
        for child in root.findall(f"{{{SVG}}}{unwanted}"):
            root.remove(child)
    _mark(root, tips)
    _own_ids(root, name)
    for element in root.iter():
        if "style" in element.attrib:
            element.set("style", _page_style(element.attrib["style"], colours))
        _round(element)
    _hoist_styles(root)

    _, _, width, height = root.attrib["viewBox"].split()
    root.attrib.pop("version", None)
    root.set("width", width)
    root.set("height", height)
    root.set("role", "img")
    root.set("aria-label", description)
    # The text is trusted: every label passed through ElementTree, which escapes it.
    text = ET.tostring(root, encoding="unicode", short_empty_elements=True)
    for needless, instead in _NEEDLESS:
        text = needless.sub(instead, text)
    return Markup(text)


def marker_svg(marker: str, colour: str, filled: bool = True) -> Markup:
    """Draw a matplotlib marker as a small inline SVG, for legends and tables in HTML."""
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    # Markers are at most 2 units across, y upwards.
    commands = " ".join(_commands(path))
    fill = colour if filled else "none"
    return Markup(
        '<svg class="marker" viewBox="-0.9 -0.9 1.8 1.8" aria-hidden="true">'
        '<path d="{}" style="fill: {}; stroke: {}; stroke-width: 0.2"/></svg>'
    ).format(commands, fill, colour)


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


def _mark(root: ET.Element, tips: Tips) -> None:
    groups = iter(tips)
    for element in root.iter():
        kind, _, contender = element.attrib.get("id", "").partition(":")
        if kind not in {"series", "tips", "label"}:
            continue
        del element.attrib["id"]
        if contender:
            element.set("data-contender", contender)
        if kind == "label":
            element.set("class", "label")
        if kind == "tips":
            element.set("class", "tips")
            owner, texts = next(groups)
            markers = list(element.iter(f"{{{SVG}}}use"))
            if owner != contender or len(markers) != len(texts):
                raise ValueError(f"{len(texts)} figures of {owner!r} for {len(markers)} markers")
            for marker, text in zip(markers, texts, strict=True):
                ET.SubElement(marker, f"{{{SVG}}}title").text = text


def _own_ids(root: ET.Element, name: str) -> None:
    """Keep only the ids that something refers to, short and with the name in front."""
    short: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        new = short.setdefault(found[1] or found[2], f"{name}-{len(short)}")
        return f"url(#{new})" if found[1] else f"#{new}"

    for element in root.iter():
        for attribute in (f"{{{XLINK}}}href", "clip-path"):
            if attribute in element.attrib:
                element.set(attribute, _REFERENCE.sub(renamed, element.attrib[attribute]))
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in short:
            element.set("id", short[own])


def _page_style(style: str, colours: Mapping[str, str]) -> str:
    for colour, css in colours.items():
        style = style.replace(colour, css)
    return _NEEDLESS_STYLE.sub("", _FONT_FAMILY.sub("", style)).strip()


def _round(element: ET.Element) -> None:
    for attribute in ("d", "x", "y", "width", "height", "transform"):
        if attribute in element.attrib and "viewBox" not in element.attrib:
            rounded = _NUMBER.sub(_tenths, element.attrib[attribute])
            element.set(attribute, " ".join(rounded.split()))


def _tenths(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _hoist_styles(root: ET.Element) -> None:
    """Say once what all markers of a group have in common."""
    for parent in root.iter(f"{{{SVG}}}g"):
        styles = {child.attrib.get("style") for child in parent}
        if (
            len(parent) > 1
            and len(styles) == 1
            and None not in styles
            and "style" not in parent.attrib
        ):
            parent.set("style", str(styles.pop()))
            for child in parent:
                del child.attrib["style"]
