"""Side by side: the source code of any two implementations, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from markupsafe import Markup
from pygments.lexer import Lexer  # type: ignore[import-untyped]
from pygments.lexers.go import GoLexer  # type: ignore[import-untyped]
from pygments.lexers.python import PythonLexer  # type: ignore[import-untyped]
from pygments.token import Token  # type: ignore[import-untyped]

from raftmark.report.findings.analysis import Analysis
from raftmark.report.model import Code, Section, Source

_TOPICS = {
    "election": "One election: from the timer to the request for votes",
    "fan-out": "One fan-out: a message to every peer",
}

# The classes of the style sheet, for the kinds of tokens of which the first that fits counts.
_CLASSES = (
    (Token.Comment, "c"),
    (Token.Literal.String.Doc, "c"),
    (Token.Literal.String, "s"),
    (Token.Literal.Number, "n"),
    (Token.Keyword, "k"),
    (Token.Operator.Word, "k"),
    (Token.Name.Function, "f"),
    (Token.Name.Class, "f"),
    (Token.Name.Decorator, "f"),
)


def section(analysis: Analysis) -> Section | None:
    """Return the section; None if no contender's code could be read, or only one's."""
    codes = {name: code for name, code in analysis.runtimes.items() if code.sources}
    # A form of a contender has its code.
    originals: dict[str, Code] = {}
    for name, code in codes.items():
        if all(code.sources != other.sources for other in originals.values()):
            originals[name] = code
    if len(originals) < 2:
        return None
    return Section(
        "side-by-side",
        "Side by side",
        {
            "contenders": list(originals),
            "excerpts": [
                (_TOPICS.get(topic, topic), columns)
                for topic, columns in _rows({n: c.excerpts for n, c in originals.items()})
            ],
            "components": list(_rows({n: c.sources for n, c in originals.items()})),
        },
    )


def _rows(
    parts: Mapping[str, Mapping[str, tuple[Source, ...]]],
) -> Iterator[tuple[str, dict[str, list[tuple[str, Markup]]]]]:
    """For each part that any contender has: by contender, origins and highlighted texts."""
    for part in dict.fromkeys(part for sources in parts.values() for part in sources):
        yield (
            part,
            {
                name: [(source.origin, highlight(source)) for source in sources.get(part, ())]
                for name, sources in parts.items()
            },
        )


def highlight(source: Source) -> Markup:
    """Return a source text as HTML, its tokens in spans of the classes c, s, n, k and f."""
    lexer: Lexer = GoLexer() if source.origin.endswith(".go") else PythonLexer()
    pieces = []
    for kind, text in lexer.get_tokens(source.text):
        name = next((name for of, name in _CLASSES if kind in of), None)
        escaped = escape(text, quote=False)
        pieces.append(f'<span class="{name}">{escaped}</span>' if name else escaped)
    return Markup("".join(pieces))
