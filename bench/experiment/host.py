"""A host as the harness knows it: it runs one trial after the other, and says what came of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.contenders.variants import Mixture, deployed
from raftmark.bench.design.schedule import Left, Planned
from raftmark.bench.experiment.life import Life
from raftmark.bench.experiment.trial import launch_for, run_trial
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.store import Run


class HostGone(Exception):
    """A host runs no trial any more; the message says why."""


class Host(Protocol):
    """Where trials run, one at a time. `name` is what a trial says of it, None of this host."""

    @property
    def name(self) -> str | None:
        """What a trial says of it."""

    def run(self, planned: Planned, leaves: Left, following: Planned | None) -> Trial:
        """Run a trial; `leaves` is what the `following` one is to have of it.

        Raises `HostGone`, and `StoreError` when its directory cannot be used.
        """

    def rest(self) -> None:
        """End the process that was kept, or launched, for a trial which does not come."""

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

    def run(self, planned: Planned, leaves: Left, following: Planned | None) -> Trial:
        """Run a trial in this process."""
        life = self._life
        # How well other hosts' clocks were known is told when a cluster ends.
        life.leaves = min(leaves, Left.PROCESS) if self._elsewhere else leaves
        life.following = None
        if following is not None and not leaves:
            life.following = launch_for(following, self._spec(following), self._run)
        return run_trial(planned, self._spec(planned), self._run, life)

    def _spec(self, planned: Planned) -> ContenderSpec:
        spec = taking_part(planned, self._specs)
        return deployed(spec, self._elsewhere) if self._elsewhere else spec

    def rest(self) -> None:
        """End the contender's process, if one was kept or launched."""
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
