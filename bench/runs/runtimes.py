"""What contenders ran on, as text: by it, runs of different builds are told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from raftmark.bench.runs.forms import ContenderEntry

# What Go's collector is set to as a rule, and a limit that is none.
_GOGC, _NO_LIMIT = 100, 2**63 - 1
_SYNCED_BY = "fdatasync"


def started(entry: ContenderEntry) -> str:
    """Describe the runtime of a contender, and the variables that it was started with besides."""
    variables = [f"{name}={value}" for name, value in sorted(entry.env.items())]
    return ", ".join([runtime(entry.hello or {}) or "an unknown runtime", *variables])


def runtime(hello: Mapping[str, Any]) -> str:
    """Describe the runtime that a contender told of in its answer to `hello`."""
    told = hello.get("runtime", {})
    name, version = str(told.get("name", "")), str(told.get("version", ""))
    # Some call themselves by the name of their language, and repeat it in the version.
    language = str(hello.get("language", ""))
    title = language if name.lower() == language.lower() else name
    parts = [f"{title} {version.removeprefix(name)}".strip()]
    if told.get("compiled"):
        parts.append("core compiled")
    if "gil" in told:
        parts.append("GIL on" if told["gil"] else "GIL off")
    if "gomaxprocs" in told:
        parts.append(f"GOMAXPROCS {told['gomaxprocs']}")
    if told.get("gogc", _GOGC) != _GOGC:
        parts.append(f"GOGC {told['gogc']}")
    if told.get("gomemlimit", _NO_LIMIT) != _NO_LIMIT:
        parts.append(f"GOMEMLIMIT {told['gomemlimit']}")
    if told.get("dev_mode"):
        parts.append("development mode")
    if told.get("hash_seed", "random") != "random":
        parts.append(f"hash seed {told['hash_seed']}")
    if told.get("sync", _SYNCED_BY) != _SYNCED_BY:
        parts.append(f"disks synced by {told['sync']}")
    if isinstance(build := told.get("build"), Mapping):
        parts += _build(build)
    return ", ".join(part for part in parts if part)


def _build(build: Mapping[str, Any]) -> Iterator[str]:
    """Yield how a runtime was built, as far as it counts: Python's by its names, Go's by flags.

    Of Python it is known what `configure` was asked for. A distribution may optimise by other means
    (Debian does), which nothing tells.
    """
    for key, name in (("pgo", "PGO"), ("lto", "LTO")):
        if key in build:
            yield name if build[key] else f"{name} not configured"
    if build.get("debug"):
        yield "debug build"
    for flag in ("-race", "-msan", "-asan", "-cover", "-gcflags", "-ldflags", "-tags", "-pgo"):
        if value := build.get(flag):
            yield f"{flag}={value}"
    if level := build.get("GOAMD64"):
        yield f"GOAMD64={level}"
