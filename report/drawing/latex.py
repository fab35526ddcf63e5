"""Text as LaTeX: escaping, and tables in the style of booktabs."""

from __future__ import annotations

from collections.abc import Sequence

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{NO-BREAK SPACE}": "~",
    "\N{MULTIPLICATION SIGN}": r"\ensuremath{\times}",
    "\N{ALMOST EQUAL TO}": r"\ensuremath{\approx}",
    "\N{MICRO SIGN}": r"\textmu{}",
    "\N{GREEK SMALL LETTER MU}": r"\textmu{}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{MINUS SIGN}": r"\ensuremath{-}",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\n": " ",
}

_FIRST_ACCENTED = "\N{LATIN CAPITAL LETTER A WITH GRAVE}"
_LAST_ACCENTED = "\N{LATIN SMALL LETTER Y WITH DIAERESIS}"


def escape(text: object) -> str:
    """Return a text so that LaTeX prints it as it is.

    A character that pdfLaTeX's usual fonts do not have is printed as its code point.
    """
    # Two hyphens in a row would become a dash.
    pieces = str(text).split("--")
    return "-{}-".join("".join(map(_character, piece)) for piece in pieces)


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii() and character.isprintable():
        return character
    if _FIRST_ACCENTED <= character <= _LAST_ACCENTED:
        return character
    return rf"\texttt{{U+{ord(character):04X}}}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str | None = None) -> str:
    """Return a table of cells that are LaTeX already; the first column is left-aligned."""
    lines = [
        rf"\begin{{tabular}}{{{_columns(head, align)}}}",
        *(r"\toprule", _row(head), r"\midrule"),
        *map(_row, rows),
        *(r"\bottomrule", r"\end{tabular}"),
    ]
    return "\n".join(lines)


def long_table(
    caption: str,
    head: Sequence[str],
    groups: Sequence[Sequence[Sequence[str]]],
    align: str | None = None,
) -> str:
    """Return a table of groups of rows, with a caption; all is LaTeX already.

    It may go on over pages, but a group stays on one.
    """
    lines = [
        rf"\begin{{longtable}}{{{_columns(head, align)}}}",
        rf"\caption{{{caption}}}\\",
        *(r"\toprule", _row(head), r"\midrule", r"\endfirsthead"),
        *(r"\toprule", _row(head), r"\midrule", r"\endhead"),
        *(r"\bottomrule", r"\endfoot"),
        "\n\\addlinespace\n".join(
            "\n".join([*(_row(row) + "*" for row in group[:-1]), _row(group[-1])])
            for group in groups
        ),
        r"\end{longtable}",
    ]
    return "\n".join(lines)


def _columns(head: Sequence[str], align: str | None) -> str:
    return f"@{{}}{align or 'l' + 'r' * (len(head) - 1)}@{{}}"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
