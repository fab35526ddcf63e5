"""Writes docs/runs.md, how ratios moved from run to run: `python docs/runs.py`.

It is of the quiet runs that docs/runs keeps in short, whatever they ran on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median

from raftmark.bench.analysis.distributions import normal_quantile
from raftmark.bench.analysis.metrics import THROUGHPUT
from raftmark.bench.analysis.statistics import CONFIDENCE, between_runs, median_interval
from raftmark.bench.exports.kept import Kept, load

_PAGE = Path(__file__).resolve().parent / "runs.md"
_TIMES = "\N{MULTIPLICATION SIGN}"
_BEGIN, _END = "<!-- made by docs/runs.py -->\n", "<!-- end of what is made -->\n"

_NAMES = {"go": "Go", "threading": "threads", "multiprocessing": "processes", "asyncio": "asyncio"}
_COMPARED = ("go", "threading", "multiprocessing")
_CELLS = {
    "replicate-w1": "in one program, one at a time",
    "replicate-w64": "in one program, 64",
    "replicate-w1-tcp": "as deployed, one at a time",
    "replicate-w64-tcp": "as deployed, 64",
}


def main() -> None:
    """Write the table where the page has room for it."""
    before, _, rest = _PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.write_text(f"{before}{_BEGIN}{made(load())}{_END}{after}", encoding="utf-8")


def made(runs: Sequence[Kept]) -> str:
    """Return the table, a column for each run and a row for each pair, and what all agree on."""
    quiet = [run for run in runs if run.quiet]
    lines = [*_table(quiet), "", "In every run:", "", *_agreed(quiet)]
    return "".join(f"{line}\n" for line in lines)


def _agreed(runs: Sequence[Kept]) -> Iterator[str]:
    """Say of every two in a cell who was ahead in all of the runs, where somebody was."""
    for one in _COMPARED:
        for cell, where in _CELLS.items():
            logarithms = [math.log(median(_ratios(run, cell, one, "asyncio"))) for run in runs]
            ahead, behind = _NAMES[one], "asyncio"
            if max(logarithms) < 0:
                ahead, behind = behind, ahead
            if min(logarithms) > 0 or max(logarithms) < 0:
                yield f"- {where}: {ahead} ahead of {behind}"


def _table(runs: Sequence[Kept]) -> Iterator[str]:
    began = [datetime.fromisoformat(run.started_at) for run in runs]
    heads = (f"{each.day} {each:%b}, {each:%H:%M}" for each in began)
    yield f"| commands per second | {' | '.join(heads)} | over runs | from run to run |"
    yield f"|---|{'---:|' * (len(runs) + 2)}"
    yield f"| CPython | {' | '.join(_python(run) for run in runs)} | | |"
    for one in _COMPARED:
        for cell, where in _CELLS.items():
            ratios = [_ratios(run, cell, one, "asyncio") for run in runs]
            medians = [median(each) for each in ratios]
            value, low, high = map(_spelled, median_interval(medians))
            moves = math.exp(normal_quantile((1 + CONFIDENCE) / 2) * between_runs(ratios))
            yield (
                f"| {_NAMES[one]} to asyncio, {where} | {' | '.join(map(_spelled, medians))} "
                f"| {value} ({low} to {high}) | {_TIMES}{1 / moves:.2f} to {moves:.2f} |"
            )


def _spelled(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _python(run: Kept) -> str:
    return run.contenders["asyncio"].partition(",")[0].removeprefix("CPython ")


def _ratios(run: Kept, cell: str, one: str, other: str) -> list[float]:
    """Return a ratio of throughputs for each block that has both."""
    values = run.cells[cell].values[THROUGHPUT.key]
    return [a / b for a, b in zip(values[one], values[other], strict=True) if a and b]


if __name__ == "__main__":
    main()
