"""Reads a page into a tree of elements, by the standard library's HTML parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "hr", "img", "input", "source"}


@dataclass
class Element:
    """An element: its tag, attributes, and what is in it, in order."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    content: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, with runs of ordinary white space made one space."""
        pieces = [inner if isinstance(inner, str) else inner.text for inner in self.content]
        return " ".join(" ".join(pieces).split())

    @property
    def children(self) -> list[Element]:
        return [inner for inner in self.content if isinstance(inner, Element)]

    def every(self, *tags: str, of_class: str | None = None) -> Iterator[Element]:
        """All elements within, in the page's order, optionally of some tags or of a class."""
        for child in self.children:
            if (not tags or child.tag in tags) and (
                of_class is None or of_class in child.attributes.get("class", "").split()
            ):
                yield child
            yield from child.every(*tags, of_class=of_class)


Page = Element


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("page")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self.open.append(self.open[-1].children[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].content.append(element)

    def handle_endtag(self, tag: str) -> None:
        closed = self.open.pop()
        assert closed.tag == tag, f"<{closed.tag}> is closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def read_page(text: str) -> Page:
    """Read a page. AssertionError if an element is closed by another one's end tag."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [reader.root], "an element is not closed"
    return reader.root
