"""The sections of the page, each independent of the others.

A section is a module here with one function, `section(analysis)`, which makes its figures and
charts, and a template named by its key in `templates/sections`, which has them as `facts`. It
returns None if the run has nothing for it: nothing is invented. `SECTIONS` gives the order.
"""

from __future__ import annotations

from collections.abc import Callable

from report.model import Analysis, Section
from report.sections import (
    code,
    elections,
    environment,
    method,
    replication,
    side_by_side,
    trials,
    verdict,
)

SECTIONS: tuple[Callable[[Analysis], Section | None], ...] = (
    verdict.section,
    replication.section,
    elections.section,
    code.section,
    side_by_side.section,
    trials.section,
    method.section,
    environment.section,
)
"""What makes each section, in the page's order."""
