"""Where commands write to: tables on standard output, what is going on on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_NO_WIDTH = 100_000


def console(file: TextIO) -> Console:
    """Return a console that writes to a file."""
    from rich.console import Console

    # Where there is no terminal there is no width to keep to.
    width = None if file.isatty() else _NO_WIDTH
    # What is shown is data: a name in brackets is no markup, and one in colons no picture.
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False)


def say(message: str) -> None:
    """Tell what is going on, on standard error."""
    print(harmless(message), file=sys.stderr, flush=True)


def harmless(text: str) -> str:
    """Return a text whose characters are all shown: one that steers a terminal as its escape.

    What contenders wrote, and what somebody's run says, may have any.
    """
    return "".join(
        each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text
    )
