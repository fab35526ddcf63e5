"""Runs the trials of whole blocks on its host: what an actor of Ray does there.

The actor is one of these; the class itself knows nothing of Ray.
"""

from __future__ import annotations

import msgspec

from raftmark.bench.design.schedule import Left, Planned
from raftmark.bench.experiment.host import LocalHost
from raftmark.bench.experiment.twin import with_twins
from raftmark.bench.runs.forms import Manifest, Trial
from raftmark.bench.runs.store import Run
from raftmark.hosts.hearth import Hearth
from raftmark.hosts.installed import contenders


class Measurer:
    """Has a run of its own, in a directory that ends with it, of which it tells each trial."""

    def __init__(self, manifest: bytes) -> None:
        """`manifest` is the run's, as JSON; what it asks for is found and made on this host."""
        read = msgspec.json.decode(manifest, type=Manifest)
        self._hearth = Hearth()
        self._run = Run.create(self._hearth.path, read)
        able = [e.name for e in read.contenders if e.unavailable is None and not e.twin]
        installed = contenders(read.asked)
        specs = {name: installed[name] for name in able}
        for spec in specs.values():
            spec.prepare()
        self._host = LocalHost(self._run, with_twins(specs, read.contenders))

    def ready(self) -> None:
        """Answer as soon as the contenders can be started."""

    def run(self, planned: bytes, leaves: Left, following: bytes) -> tuple[bytes, bytes | None]:
        """Run a trial; its record as JSON, and what a contender that failed said of it."""
        next_one = msgspec.json.decode(following, type=Planned | None)
        trial = self._host.run(msgspec.json.decode(planned, type=Planned), leaves, next_one)
        log = None if trial.log is None else self._run.logs / trial.log
        said = log.read_bytes() if log is not None and log.exists() else None
        if log is not None:
            log.unlink(missing_ok=True)
        return msgspec.json.encode(trial), said

    def rest(self) -> None:
        """End the contender's process, if one was kept."""
        self._host.rest()


def trial_of(answer: tuple[bytes, bytes | None], run: Run) -> Trial:
    """Return the trial that a measurer tells of, with its log where a run has logs."""
    encoded, said = answer
    trial = msgspec.json.decode(encoded, type=Trial)
    if said is not None and trial.log is not None:
        (run.logs / trial.log).write_bytes(said)
    return trial
