"""The environment variables that contenders start with, and those that they are built with.

A variable can divide a figure by eight (`PYTHONASYNCIODEBUG`), and nobody remembers having set it.
So contenders inherit what `KEPT` lists and nothing else; everything more is asked for, by their
entry in the contenders' table or with `--env`, and what was asked for is kept with the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from raftmark.bench.contenders.places import CACHE

_LEAVES_NONE, _LEAVES_IN = "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"

KEPT = {
    "PATH": "programs are found by it",
    "HOME": "runtimes and Go's tools keep their caches below it",
    "TMPDIR": "files for a moment go there, and it may be the only place for them",
    "LD_LIBRARY_PATH": "an interpreter may not start without its own library",
    "DYLD_LIBRARY_PATH": "the same on macOS",
    "LANG": "what is written to standard error is text in it",
    "LC_ALL": "the same",
    "LC_CTYPE": "the same",
    _LEAVES_IN: "where bytecode is left is the user's to say; it changes a start, and no figure",
    "RAFTMARK_RUN": "a contender that outlives its harness is found by it",
    "TZ": "times in messages are read with those of the harness",
}
"""What every program inherits, and why: without it programs are not found, or not understood."""

KEPT_FOR_BUILDS = {
    **dict.fromkeys(
        ("GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOVCS"),
        "where modules come from, whose content is pinned",
    ),
    **dict.fromkeys(
        ("GOPATH", "GOMODCACHE", "GOCACHE", "CARGO_HOME", "RUSTUP_HOME", "XDG_CACHE_HOME"),
        "where tools and their caches lie",
    ),
    **dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        "how the network is reached",
    ),
    **dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR"), "whom the network is trusted from"),
}
"""What builds inherit besides: how to get at sources and tools, nothing that changes programs."""

_MATTERS = re.compile(
    "PYTHON.*|GO[A-Z0-9]+|CGO_.*|MALLOC_.*|GLIBC_TUNABLES|LD_(?!LIBRARY_PATH).*|DYLD_(?!LIBRARY_PATH).*"
    "|(OPENBLAS|OMP|MKL|BLIS|VECLIB|NUMEXPR)_.*|UV_(?:THREADPOOL_SIZE|USE_IO_URING)|ASAN_.*|TSAN_.*"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class NotAsked(ValueError):
    """What was given to `--env` is no variable; the message says how to write one."""


def clean(more: Mapping[str, str] = {}) -> dict[str, str]:
    """Return the environment of a program that is measured: what is kept, and `more`."""
    return {**_kept(KEPT), **_bytecode(), **more}


def for_builds(more: Mapping[str, str] = {}) -> dict[str, str]:
    """Return the environment in which a program is built: what is kept, and `more`."""
    return {**_kept(KEPT), **_kept(KEPT_FOR_BUILDS), **more}


def withheld() -> list[str]:
    """Return the variables that are set here, change how a runtime works, and are not inherited."""
    kept = KEPT.keys() | KEPT_FOR_BUILDS.keys() | {_LEAVES_NONE}
    return sorted(name for name in os.environ.keys() - kept if _MATTERS.fullmatch(name))


def read_asked(asked: Iterable[str]) -> dict[str, str]:
    """Read what `--env` was given: `NAME=VALUE`, or `NAME` for the value that it has here.

    Raises `NotAsked` for anything else.
    """
    found = {}
    for each in asked:
        name, given, value = each.partition("=")
        if not _NAME.fullmatch(name) or "\0" in value:
            raise NotAsked(f"{each!a} is no variable: write it as NAME=VALUE, or as NAME")
        if not given and name not in os.environ:
            raise NotAsked(f"{name} is not set here: give it a value as {name}=VALUE")
        found[name] = value if given else os.environ[name]
    return found


def _kept(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _bytecode() -> dict[str, str]:
    """Let Python leave its bytecode in the cache, where it is to leave none beside sources.

    Without any, a program compiles all of itself whenever it starts, which takes most of a start.
    """
    elsewhere = os.environ.get(_LEAVES_NONE) and _LEAVES_IN not in os.environ
    return {_LEAVES_IN: str(CACHE / "bytecode")} if elsewhere else {}
