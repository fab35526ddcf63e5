"""Where things lie: the project's files, what is built of them, and where programs are started.

In a checkout that is the checkout, with what is built in its `.cache`. Where the package is
installed, its own directory has the same rooms as a checkout has, and what is built goes to the
user's cache, one directory for each version.
"""

from __future__ import annotations

import os
import tempfile
from importlib import metadata
from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parents[2]
"""What the paths of the contenders' table are relative to."""

IN_CHECKOUT = (ROOT / "Makefile").is_file()

VERSION = metadata.version("raftmark")

CACHE = ROOT / ".cache" if IN_CHECKOUT else platformdirs.user_cache_path("raftmark") / VERSION

_MEASURED_WITH = ("go", "uvloop")


def start_directory() -> Path:
    """Return a directory in which `python -m raftmark…` finds this package, whatever the Python.

    A checkout is one. An installed package lies beside those that were built for its own Python
    only, so it gets a directory in the cache that holds nothing but a link to it.
    """
    if IN_CHECKOUT:
        return ROOT
    directory = CACHE / "package"
    link = directory / "raftmark"
    if not link.is_symlink() or link.readlink() != ROOT:
        directory.mkdir(parents=True, exist_ok=True)
        # Replaced whole: another harness may be starting a program from here.
        with tempfile.TemporaryDirectory(dir=CACHE) as new:
            os.symlink(ROOT, Path(new) / "raftmark")
            os.replace(Path(new) / "raftmark", link)
    return directory


def how_to_install(extra: str) -> str:
    """Return the command that installs what only some need: an extra of pyproject.toml."""
    if IN_CHECKOUT:
        return "'make setup'" if extra in _MEASURED_WITH else "'make setup-test'"
    return f"pip install 'raftmark[{extra}]'"
