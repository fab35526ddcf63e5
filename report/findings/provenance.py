"""Where a run's figures come from: the command, the runtimes and the machine, as texts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from raftmark.bench.design.specification import PROFILES, Specification
from raftmark.bench.runs.forms import Manifest


def command(manifest: Manifest, known: Collection[str]) -> str:
    """Return the command that measures the same cells again, in the same order.

    `known` are the contenders that a run has if none is named.
    """
    specification, seed = manifest.specification, f"--seed {manifest.seed}"
    if manifest.profile not in PROFILES:
        # Not measured by a profile but by a command of its own, which the run is named for.
        return f"raftmark {manifest.profile} --blocks {specification.blocks} {seed}"
    profile = PROFILES[manifest.profile]()
    names = [contender.name for contender in manifest.contenders if not contender.twin]
    twins = [contender.base for contender in manifest.contenders if contender.twin]
    words = ["raftmark bench", f"--profile {manifest.profile}", seed]
    if specification.precision is not None:
        words.append(f"--precision {specification.precision:.3g}")
    elif specification.blocks != profile.blocks:
        words.append(f"--blocks {specification.blocks}")
    if (workloads := _workloads(specification)) != _workloads(profile):
        words.append(f"--workloads {','.join(workloads)}")
    if set(names) != set(known):
        words.append(f"--contenders {','.join(names)}")
    words.append(f"--twin {twins[0]}" if twins else "--no-twin")
    return " ".join(words)


def _workloads(specification: Specification) -> list[str]:
    return list(dict.fromkeys(cell.workload["name"] for cell in specification.cells))


def runtime(hello: Mapping[str, Any]) -> str:
    """Describe the runtime that a contender told of in its answer to `hello`."""
    told = hello.get("runtime", {})
    name, version = str(told.get("name", "")), str(told.get("version", ""))
    # Some call themselves by the name of their language, and repeat it in the version.
    language = str(hello.get("language", ""))
    title = language if name.lower() == language.lower() else name
    parts = [f"{title} {version.removeprefix(name)}".strip()]
    if "gil" in told:
        parts.append("GIL on" if told["gil"] else "GIL off")
    if "gomaxprocs" in told:
        parts.append(f"GOMAXPROCS {told['gomaxprocs']}")
    return ", ".join(part for part in parts if part)


def environment(recorded: Mapping[str, Any]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Arrange what was recorded about the machine as names and texts, by its first level."""
    single = {name: value for name, value in recorded.items() if not isinstance(value, Mapping)}
    several = {group: value for group, value in recorded.items() if group not in single}
    groups = {**several, "others": single}
    return {
        group.replace("_", " "): tuple(_facts(facts)) for group, facts in groups.items() if facts
    }


def _facts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested mappings, each with the path to it in words."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _facts(inner, (*path, str(key)))
    elif isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        for index, inner in enumerate(value, 1):
            yield from _facts(inner, (*path, str(index)))
    else:
        yield _fact(", ".join(path).replace("_", " "), value)


def _fact(name: str, value: Any) -> tuple[str, str]:
    match value:
        case None:
            return name, "unknown"
        case bool():
            return name, "yes" if value else "no"
        case int() if name.endswith(" bytes"):
            return name.removesuffix(" bytes"), f"{value / 2**30:.1f} GiB"
        case list():
            return name, ", ".join(str(inner) for inner in value)
        case _:
            return name, str(value)
