"""Data: what the page was made of, to take away from the page itself."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from typing import NamedTuple

from raftmark.bench.analysis.tables import FIGURES, VALUES, figure_rows, to_csv, value_rows
from raftmark.bench.runs import outcomes, readings, recordings
from raftmark.bench.runs.store import Run
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.units import three_digits
from raftmark.report.findings.wording import headline_unit
from raftmark.report.model import Headline, Section

# What the page has room for, as base64; a longer one is left with the run.
_MOST_BYTES = 1_500_000


@dataclass(frozen=True, slots=True)
class File:
    """A file to download: its name, what is in it, its size in bytes and its content as a URI.

    `uri` is None if the file is too large for the page.
    """

    name: str
    holds: str
    size: int
    uri: str | None


def section(analysis: Analysis) -> Section:
    """Return the section."""
    run = (analysis.path / "run.json").read_bytes()
    trials = analysis.path / "trials.jsonl"
    raw = trials.read_bytes() if trials.exists() else b""
    kept = Run.open(analysis.path)
    figures = to_csv(FIGURES, figure_rows(kept)).encode()
    values = to_csv(VALUES, value_rows(kept)).encode()
    holds = "every figure: median, ratio to the reference, units, 95 % intervals"
    files = [
        _file("figures.csv", holds, "text/csv", figures),
        _file("values.csv.gz", "one row a trial and metric", _GZIP, _zipped(values)),
        _file("run.json", "what was asked for, of whom, on which machine", "application/json", run),
        _file("trials.jsonl.gz", "every trial as it was written", _GZIP, _zipped(raw)),
        *(
            _file(f"{name}.gz", holds, _GZIP, _zipped((analysis.path / name).read_bytes()))
            for name, holds in _BESIDES.items()
            if (analysis.path / name).exists()
        ),
    ]
    samples = [_samples(analysis, h) for h in analysis.headlines if not h.counted and h.figures]
    return Section("data", "Data", {"files": files, "samples": samples})


class Samples(NamedTuple):
    """What a headline's figures were made of: a row for each block, in the unit it is shown in."""

    headline: Headline
    symbol: str
    rows: list[tuple[int, dict[str, str]]]


def _samples(analysis: Analysis, headline: Headline) -> Samples:
    symbol, size = headline_unit(headline)
    blocks = sorted({block for found in headline.samples.values() for block in found})
    rows = [
        (
            block,
            {
                name: three_digits(found[block] / size)
                for name, found in headline.samples.items()
                if block in found
            },
        )
        for block in blocks
    ]
    return Samples(headline, symbol, rows)


_GZIP = "application/gzip"
# What a run may have besides its trials.
_BESIDES = {
    readings.FILE: "every reading of a primitive",
    outcomes.FILE: "the outcomes of the seminar paper's programs",
    recordings.FILE: "what is played step by step",
}


def _file(name: str, holds: str, kind: str, content: bytes) -> File:
    encoded = base64.b64encode(content).decode()
    uri = f"data:{kind};base64,{encoded}" if len(encoded) <= _MOST_BYTES else None
    return File(name, holds, len(content), uri)


def _zipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
