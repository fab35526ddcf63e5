"""Where commands write: looked at before the work, and written whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer

from raftmark.bench.files import replace_file, require_writable


def require_place(output: Path) -> None:
    """Call it wrong usage where a file could not be written, before the work that it is to hold."""
    try:
        require_writable(output)
    except OSError as error:
        raise typer.BadParameter(_refusal(output, error)) from error


def write(output: Path, text: str) -> None:
    """Write a file; end the command, and leave an earlier file as it was, if that cannot be."""
    with explained(output):
        replace_file(output, text)


@contextlib.contextmanager
def explained(output: Path) -> Iterator[None]:
    """Turn an `OSError` over what a command writes into a line that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise  # Not the system's: jinja2 calls a fault in a template an OSError too.
        raise typer.TyperException(_refusal(output, error)) from error


def _refusal(output: Path, error: OSError) -> str:
    return f"cannot write {output}: {error.strerror}; name another place with -o"
