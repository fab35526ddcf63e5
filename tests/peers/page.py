"""The table of docs/peers.md, made of what is kept: `python -m tests.peers.page`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from raftmark.bench.contenders.conformance import LEVELS
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import load_contenders

from .findings import Finding, Findings, read_findings
from .results import Results, every_test, level_reached, read_results

PAGE = ROOT / "docs" / "peers.md"
CONTENDERS = ROOT / "peers" / "contenders.toml"
BEGIN, END = "<!-- made by make test-peers -->\n", "<!-- end of what is made -->\n"


def peers() -> list[str]:
    """Return the names of all peers."""
    return [name for name, spec in load_contenders(CONTENDERS).items() if spec.peer is not None]


def table(kept: Mapping[str, Results], findings: Findings) -> str:
    """Return the results of some peers as Markdown."""
    columns = ["", "asked", "level reached", *LEVELS, "not offered, so not asked"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(_row(peer, results))} |" for peer, results in kept.items()]
    return "\n".join([*lines, "", *_failures(kept, findings)]) + "\n"


def _row(peer: str, results: Results) -> list[str]:
    counts = []
    for level in LEVELS:
        these = [each for each in results.values() if each.level == level]
        counts.append(f"{sum(e.passed for e in these)} of {sum(e.asked for e in these)}")
    lacks: Counter[str] = Counter()
    for each in results.values():
        lacks.update(each.not_offered)
    not_offered = ", ".join(f"{feature} ({n})" for feature, n in sorted(lacks.items()))
    missing = every_test() - results.keys()
    reached = "not all asked" if missing else level_reached(results)
    return [f"`{peer}`", _when(results, len(missing)), reached, *counts, not_offered]


def _when(results: Results, missing: int) -> str:
    """Say how much of the suite was asked, and when."""
    if not results:
        return "not yet"
    days = sorted({each.on for each in results.values()})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    share = f"{len(results)} of {len(results) + missing} tests" if missing else "whole"
    return f"{share}, {when}"


def _failures(kept: Mapping[str, Results], findings: Findings) -> Iterator[str]:
    """Yield those that failed by name, and why where that is known."""
    yield "| failed | on | is | rule | why |"
    yield "|---|---|---|---|---|"
    rows: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for peer, results in kept.items():
        for name, result in results.items():
            whys = Counter(_explained(findings.of(peer, name, each)) for each in result.failed)
            for why, failed in whys.items():
                share = "" if result.asked == 1 else f" {failed} of {result.asked}"
                rows[name, why].append(f"`{peer}`{share}")
    for (name, why), on in sorted(rows.items()):
        yield f"| `{name}` | {', '.join(on)} | {why} |"


def _explained(finding: Finding | None) -> str:
    if finding is None:
        return "not known |  | "
    return f"{finding.whose} | {finding.rule or ''} | {finding.why}"


def with_table(page: str) -> str:
    """Return the page with the table of all that is kept."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    kept = {peer: read_results(peer) for peer in peers()}
    return f"{before}{BEGIN}\n{table(kept, read_findings())}\n{END}{after}"


def write(page: Path = PAGE) -> None:
    """Write the table into the page."""
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
