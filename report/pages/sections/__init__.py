"""The sections of the page, each independent of the others.

A section is a module here with one function, `section(analysis)`, which makes its figures and
charts, and a template named by its key in `templates/sections`, which has them as `facts`. It
returns None if the run has nothing for it: nothing is invented. What a command can add to a run
later is named in any case, with that command. `SECTIONS` gives the order.
"""

from __future__ import annotations

from collections.abc import Callable

from raftmark.report.findings.analysis import Analysis
from raftmark.report.model import Section
from raftmark.report.pages.sections import (
    answer,
    catch_up,
    change,
    code,
    conclusion,
    data,
    elections,
    environment,
    failover,
    free_threading,
    frontier,
    language,
    method,
    mixture,
    noise,
    offered,
    peers,
    placements,
    playback,
    primitives,
    races,
    scaling,
    service,
    side_by_side,
    stability,
    trials,
    verdict,
)

SECTIONS: tuple[Callable[[Analysis], Section | None], ...] = (
    answer.section,
    verdict.section,
    change.section,
    placements.section,
    frontier.section,
    elections.section,
    playback.section,
    failover.section,
    scaling.section,
    offered.section,
    service.section,
    peers.section,
    catch_up.section,
    stability.section,
    language.section,
    mixture.section,
    free_threading.section,
    primitives.section,
    races.section,
    code.section,
    side_by_side.section,
    conclusion.section,
    noise.section,
    environment.section,
    method.section,
    trials.section,
    data.section,
)
"""What makes each section, in the page's order."""
