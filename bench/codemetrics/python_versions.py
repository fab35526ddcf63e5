"""Which version of Python a text takes that the running interpreter cannot read.

Only for the words of a message: what is counted is read by the interpreter's own parser.
"""

from __future__ import annotations

import io
import itertools
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence

_Version = tuple[int, int]
_FORMATTED = re.compile(r"(?i)(f|fr|rf)(?=[\"'])")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def version_needed(text: str, error: str) -> str | None:
    """Say which newer Python a text takes; None where nothing tells that it is for a newer one.

    `error` is what the running one's parser says of it.
    """
    running = sys.version_info[:2]
    found = [each for each in _signs(text, error) if each[0] > running]
    if not found:
        return None
    (major, minor), what, line = max(found, key=lambda each: each[0])
    return (
        f"needs Python {major}.{minor} or later ({what}, line {line}), and this is "
        f"{running[0]}.{running[1]}: run raftmark on that to have it counted"
    )


def _signs(text: str, error: str) -> Iterator[tuple[_Version, str, int]]:
    """What no older version knows: the version that brought it, what it is, and its line."""
    tokens = _tokens(text)
    begins = True  # a statement
    for place, token in enumerate(tokens[:-2]):
        word, line, following = token.string, token.start[0], tokens[place + 1 : place + 3]
        names = [each.string for each in following if each.type == tokenize.NAME]
        quoted = following[0].start == token.end and following[0].string[:1] in {'"', "'"}
        if token.type == tokenize.NAME:
            if word == "type" and begins and following[0].type == tokenize.NAME:
                yield (3, 12), "`type` statement", line
            if word == "lazy" and begins and names[:1] in (["import"], ["from"]):
                yield (3, 15), "lazy import", line
            if word in {"def", "class", "type"} and [t.string for t in following[1:]] == ["["]:
                defaults = "=" in _outermost(tokens[place + 2 :], until="]")
                yield (
                    ((3, 13), "default of a type parameter", line)
                    if defaults
                    else ((3, 12), "type parameters", line)
                )
            if word == "except" and "," in _outermost(tokens[place:], until=":"):
                yield (3, 14), "`except` of several without brackets", line
            if word.lower() in {"t", "tr", "rt"} and quoted:
                yield (3, 14), "t-string", line
            if word.lower() in {"f", "fr", "rf"} and quoted:
                yield (3, 12), "f-string with line ends or quotes within", line
        elif token.type == tokenize.STRING and _FORMATTED.match(word):
            plain = word.replace("{{", "").replace("}}", "")
            inside = re.findall(r"\{([^{}]*)\}?", plain)
            if plain.count("{") != plain.count("}") or any(c in i for i in inside for c in "\\#"):
                yield (3, 12), "f-string with quotes, backslashes or comments within", line
        begins = token.type in {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}
        begins = begins or token.type in {tokenize.ENCODING, tokenize.COMMENT} or word in {":", ";"}
    if "unpacking cannot be used in" in error:
        found = re.search(r"line (\d+)", error)
        yield (3, 15), "unpacking in a comprehension", int(found[1]) if found else 1


def _tokens(text: str) -> Sequence[tokenize.TokenInfo]:
    """The tokens up to where the running version knows no more."""

    def known() -> Iterator[tokenize.TokenInfo]:
        try:
            yield from tokenize.generate_tokens(io.StringIO(text).readline)
        except (SyntaxError, tokenize.TokenError):
            return

    return list(known())


def _outermost(tokens: Sequence[tokenize.TokenInfo], *, until: str) -> list[str]:
    """The texts up to the one that ends it, but not those in brackets within."""
    depth = 1 if tokens and tokens[0].string in _BRACKETS else 0
    inside: list[str] = []
    for token in itertools.islice(tokens, 1, None):
        if token.string == until and depth <= (until == "]"):
            break
        depth += _BRACKETS.get(token.string, 0)
        if depth == (until == "]"):
            inside.append(token.string)
    return inside
