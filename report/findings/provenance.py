"""Where a run's figures come from: the command, the runtimes and the machine, as texts."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from raftmark.bench.design.specification import PROFILES, Specification
from raftmark.bench.experiment.environment import machine
from raftmark.bench.runs.forms import Manifest, Trial
from raftmark.bench.tracking.plans import Plan


def command(manifest: Manifest, known: Collection[str], plan: Plan | None = None) -> str:
    """Return the command that measures the same cells again.

    `known` are the contenders that a run has if none is named; `plan` is a comparison's.
    """
    specification, asked = manifest.specification, manifest.asked
    options: dict[str, object] = {}
    revisions: list[str] = []
    if plan is not None:
        name = "compare"
        # The files as they are, which are no commit, are what is compared if none is named.
        revisions = [plan.base_commit or plan.base, *filter(None, [plan.head_commit])]
        options |= {"--contenders": ",".join(plan.labels)}
        options |= {"--margin": f"{100 * plan.margin:g}"}
        options |= {"--blocks": specification.blocks, "--seed": manifest.seed}
    elif manifest.profile not in PROFILES:
        # Not measured by a profile but by a command of its own, which the run is named for.
        name = manifest.profile
        options |= {"--blocks": specification.blocks, "--seed": manifest.seed}
    else:
        name = "bench"
        profile = PROFILES[manifest.profile]()
        options |= {"--profile": manifest.profile, "--seed": manifest.seed}
        if specification.precision is not None:
            options["--precision"] = f"{specification.precision:.3g}"
        elif specification.blocks != profile.blocks:
            options["--blocks"] = specification.blocks
        if {*(workloads := _workloads(specification))} != {*_workloads(profile)}:
            options["--workloads"] = ",".join(workloads)
        if {*(cells := _ids(specification))} != {
            cell.id for cell in profile.cells if cell.workload["name"] in workloads
        }:
            options["--cells"] = ",".join(cells)
        names = [contender.name for contender in manifest.contenders if not contender.twin]
        if asked.table is not None or set(names) != set(known):
            options["--contenders"] = ",".join(names)
        twins = [contender.base for contender in manifest.contenders if contender.twin]
        options |= {"--twin": twins[0]} if twins else {"--no-twin": None}
    words = ["raftmark", name, *revisions]
    for option, value in options.items():
        words += [option] if value is None else [option, str(value)]
    if (elsewhere := asked.elsewhere) is not None:
        words += ["--hosts", "ray", "--spread", elsewhere.spread, *["--pack"] * elsewhere.pack]
    for python in asked.python:
        words += ["--python", python]
    for variable, value in asked.env.items():
        words += ["--env", f"{variable}={value}"]
    if asked.table is not None:
        words += ["--contenders-file", asked.table]
    # What a run says is no command yet: each word stays one word in a shell.
    return shlex.join(words)


def report_command(manifest: Manifest, runs: Sequence[str]) -> str:
    """Return the command that makes the report of these runs again, of which this is the last."""
    table = manifest.asked.table
    words = ["raftmark", "report", *runs]
    return shlex.join(words if table is None else [*words, "--contenders-file", table])


def cautions(manifest: Manifest) -> list[str]:
    """Say what about the circumstances a reader has to know before quoting a figure."""
    found = []
    machines = [manifest.environment, *(each.environment for each in manifest.resumptions)]
    names = list(dict.fromkeys(machine(each) for each in machines))
    if len(names) > 1:
        found.append(f"The run was begun on one machine and resumed on another: {'; '.join(names)}")
    for entry in manifest.contenders:
        if entry.env and not entry.twin:
            spelled = ", ".join(f"{name}={value}" for name, value in entry.env.items())
            found.append(f"{entry.label} was started with variables of its own: {spelled}")
    return found


def time_over(manifest: Manifest, trials: Sequence[Trial]) -> float | None:
    """Return how many seconds a run may take, if they were over with its last trial.

    None where it has as long as it needs, where it was resumed, or where it ended before.
    """
    budget_s = manifest.specification.budget_s
    if budget_s is None or manifest.resumptions or not trials:
        return None
    begun = datetime.fromisoformat(manifest.started_at)
    ends = (
        datetime.fromisoformat(trial.started_at) + timedelta(seconds=trial.duration_s)
        for trial in trials
    )
    # The next trial would have begun somewhat later than the last one ended.
    return budget_s if (max(ends) - begun).total_seconds() > 0.98 * budget_s else None


def _workloads(specification: Specification) -> list[str]:
    return list(dict.fromkeys(cell.workload["name"] for cell in specification.cells))


def _ids(specification: Specification) -> list[str]:
    return [cell.id for cell in specification.cells]


def surroundings(
    manifest: Manifest, clocks_ns: Sequence[int] = ()
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Arrange the environment of a run, and what was another one when it was resumed.

    `clocks_ns` are the uncertainties of hosts' clocks in those trials whose nodes had several.
    """
    found = environment(manifest.environment)
    if clocks_ns:
        usual_ms, worst_ms = statistics.median(clocks_ns) / 1e6, max(clocks_ns) / 1e6
        told = (
            "clocks of hosts, known to within",
            f"{usual_ms:.2g} ms of each other, {worst_ms:.2g} ms in the worst of "
            f"{len(clocks_ns)} trials",
        )
        found["hosts"] = (*found.get("hosts", ()), told)
    before = manifest.environment
    for resumption in manifest.resumptions:
        now = resumption.environment
        changed = {key: now[key] for key in now if key != "load" and now[key] != before.get(key)}
        for group, facts in environment(changed).items():
            found[f"{group}, when resumed at {resumption.at}"] = facts
        before = now
    return found


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
