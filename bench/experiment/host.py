"""A host as the harness knows it: it runs one trial after the other, and says what came of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.contenders.variants import Mixture, deployed
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment.life import Life
from raftmark.bench.experiment.trial import run_trial
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.store import Run


class HostGone(Exception):
    """A host runs no trial any more; the message says why."""


class Host(Protocol):
    """Where trials run, one at a time. `name` is what a trial says of it, None of this host."""

    @property
    def name(self) -> str | None:
        """What a trial says of it."""

    def run(self, planned: Planned, goes_on: bool) -> Trial:
        """Run a trial; `goes_on` if the next one may have its process.

        Raises `HostGone`, and `StoreError` when its directory cannot be used.
        """

    def rest(self) -> None:
        """End the process that was kept for a trial which does not come."""

    def end(self) -> None:
        """End all that runs there; any thread may call it, and `run` then raises `HostGone`."""


class LocalHost:
    """This host, in a run's own directory."""

    name: str | None = None

    def __init__(
        self,
        run: Run,
        specs: Mapping[str, ContenderSpec],
        elsewhere: Sequence[str] = (),
        guardian: Guardian | None = None,
    ) -> None:
        """`elsewhere` tells a cluster's contender where its nodes run, if not here.

        The `guardian` ends contenders where this process cannot any more.
        """
        self._run = run
        self._specs = specs
        self._elsewhere = elsewhere
        self._life = Life(guardian)

    def run(self, planned: Planned, goes_on: bool) -> Trial:
        """Run a trial in this process."""
        self._life.goes_on = goes_on
        spec = taking_part(planned, self._specs)
        if self._elsewhere:
            spec = deployed(spec, self._elsewhere)
        return run_trial(planned, spec, self._run, self._life)

    def rest(self) -> None:
        """End the contender's process, if one was kept."""
        self._life.end()

    def end(self) -> None:
        """End the contender's process: nothing runs but in `run`, which is over by then."""
        self.rest()


def taking_part(planned: Planned, specs: Mapping[str, ContenderSpec]) -> ContenderSpec:
    """Return the contender of a trial, mixed with those that follow it there."""
    spec, cell = specs[planned.contender], planned.cell
    if cell.followers is None:
        return spec
    return Mixture.of([spec, *[specs[cell.followers]] * (cell.cluster["nodes"] - 1)])
