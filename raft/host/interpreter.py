"""What `hello` tells of the interpreter: how it was built and set, which no version says.

The same release is a quarter faster where its build was optimised, and slower by a half in its
development mode.
"""

import gc
import os
import platform
import shlex
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from typing import Any

from raftmark.raft import node
from raftmark.raft.host.fields import FEATURES, storages
from raftmark.raft.storage import SYNCED_BY


def python(workloads: Iterable[str], runtime: Mapping[str, object]) -> dict[str, Any]:
    """Return what `hello` tells of a program in Python; `runtime` comes besides what is here."""
    offered = storages()
    return {
        "language": "Python",
        # After all imports: an extension that was not built for it turns the GIL on.
        "runtime": {**describe(), **runtime},
        "features": [*offered, *workloads, *FEATURES],
    }


def describe() -> dict[str, Any]:
    """Return the interpreter's name, version, build and settings."""
    return {
        "name": platform.python_implementation(),
        "version": platform.python_version(),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "gc": gc.isenabled(),
        "dev_mode": sys.flags.dev_mode,
        "hash_seed": _hash_seed(),
        "sync": SYNCED_BY,
        "build": _build(),
        # Said of what is unusual only.
        **({} if (node.__file__ or "").endswith(".py") else {"compiled": True}),
    }


def _hash_seed() -> str:
    """Return what the order of sets of strings follows from: a number, or `random`."""
    if not sys.flags.hash_randomization:
        return "0"
    return os.environ.get("PYTHONHASHSEED", "random")


def _build() -> dict[str, Any]:
    arguments = shlex.split(str(sysconfig.get_config_var("CONFIG_ARGS") or ""))
    return {
        "compiler": platform.python_compiler(),
        "pgo": any(each.startswith("--enable-optimizations") for each in arguments),
        "lto": any(each.startswith("--with-lto") for each in arguments),
        "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
        # Without paths, which name places and people.
        "options": [each for each in arguments if each.startswith("--") and "/" not in each],
    }
