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
    print(message, file=sys.stderr, flush=True)
