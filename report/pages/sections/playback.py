"""Watch it happen: a recorded election and replication of each implementation, step by step."""

from __future__ import annotations

import json
from dataclasses import dataclass

from markupsafe import Markup

from raftmark.report.findings.analysis import Analysis
from raftmark.report.model import Section
from raftmark.report.pages.playback import Step, steps

_KINDS = {"election": "An election", "replication": "A replication"}


@dataclass(frozen=True, slots=True)
class Played:
    """A recording as the page plays it; `data` is its steps for the script."""

    contender: str
    title: str
    steps: list[Step]
    data: Markup

    @property
    def took_ms(self) -> float:
        """How long it took, from the first event to the last."""
        return self.steps[-1].at_ms


def section(analysis: Analysis) -> Section | None:
    """Return the section; None if nothing was recorded."""
    recordings = [r for r in analysis.evidence.recordings if r.contender in analysis.contenders]
    if not recordings:
        return None
    played = []
    for recording in recordings:
        taken = steps(recording)
        played.append(Played(recording.contender, _KINDS[recording.kind], taken, _data(taken)))
    return Section("playback", "Watch it happen", {"played": played})


def _data(taken: list[Step]) -> Markup:
    """The steps as JSON that can stand in a page."""
    encoded = json.dumps(
        [
            {
                "at": round(step.at_ms, 3),
                "says": step.says,
                "link": step.link,
                "kind": step.kind,
                "nodes": step.nodes,
            }
            for step in taken
        ],
        separators=(",", ":"),
    )
    return Markup(encoded.replace("<", "\\u003c"))
