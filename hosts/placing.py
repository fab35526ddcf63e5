"""Where a run is measured that asks for other hosts: what they are, and how they are used."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.design.schedule import Left, Planned
from raftmark.bench.design.specification import Specification
from raftmark.bench.experiment.host import Host, HostGone, LocalHost
from raftmark.bench.runs.forms import Asked, Elsewhere, Trial
from raftmark.bench.runs.store import Run
from raftmark.hosts import ray_cluster
from raftmark.hosts.installed import facts
from raftmark.hosts.measurer import Measurer, trial_of
from raftmark.hosts.ray_cluster import HostFound, NoHosts, TooLate

# A host may have to compile its contenders first.
_READY_S = 600.0
_SAME = {"raftmark": "version", "revision": "revision"}


class Surveyor:
    """An actor that tells what its host is."""

    def facts(self) -> dict[str, Any]:
        """See `installed.facts`."""
        return facts()


class RayHost:
    """A host of a Ray cluster, all of it, to measure whole blocks on."""

    def __init__(self, host: HostFound, run: Run) -> None:
        self.name: str | None = host.name
        self._run = run
        manifest = msgspec.json.encode(run.manifest)
        self._actor = ray_cluster.on_whole_host(Measurer, host, manifest)

    def await_ready(self) -> None:
        """Wait until trials can be run there. Raises `NoHosts` where that is not to be."""
        with _told(f"{self.name} cannot measure", NoHosts):
            ray_cluster.get(self._actor.ready.remote(), _READY_S)

    def run(self, planned: Planned, leaves: Left, following: Planned | None) -> Trial:
        """Run a trial there."""
        with _told(f"{self.name} was lost", HostGone):
            both = msgspec.json.encode(planned), leaves, msgspec.json.encode(following)
            answer = ray_cluster.get(self._actor.run.remote(*both))
        return trial_of(answer, self._run)

    def rest(self) -> None:
        """End the contender's process there, if one was kept."""
        with contextlib.suppress(HostGone), _told("", HostGone):
            ray_cluster.get(self._actor.rest.remote())

    def end(self) -> None:
        """End the actor, and with it all that it has started."""
        ray_cluster.end(self._actor)


@contextlib.contextmanager
def _told(what: str, kind: type[Exception]) -> Iterator[None]:
    """Raise what went wrong with an actor as an error of this kind, in a line."""
    try:
        yield
    except TooLate as error:
        raise kind(f"{what}: it does not answer") from error
    except ray_cluster.AnyError as error:
        raise kind(f"{what}: {ray_cluster.reason(error)}") from error


def survey(
    elsewhere: Elsewhere, address: str | None, specification: Specification
) -> dict[str, Any]:
    """Return what is kept of the hosts of a run in its environment.

    Raises `NoHosts` where there are none, too few for the nodes, or such as have another Raftmark.
    """
    with ray_cluster.connected(address):
        found = ray_cluster.hosts()
        _require(found, elsewhere, specification)
        told = _ask_all(found)
    return {
        "spread": elsewhere.spread + (", several on a host" if elsewhere.pack else ""),
        "through": f"Ray {ray_cluster.VERSION}",
        "number": len(found),
        "kinds": [f"{n} of {kind}" for kind, n in Counter(t["kind"] for t in told).items()],
        "kind_of": {host.name: each["kind"] for host, each in zip(found, told, strict=True)},
    }


def _require(
    found: Sequence[HostFound], elsewhere: Elsewhere, specification: Specification
) -> None:
    if not found:
        raise NoHosts("the Ray cluster has no host with a processor to offer")
    most = max((cell.cluster["nodes"] for cell in specification.cells), default=0)
    if elsewhere.spread == "nodes" and not elsewhere.pack and most > len(found):
        raise NoHosts(
            f"{most} nodes want as many hosts, and the Ray cluster has {len(found)}: add hosts, "
            "let several nodes share one with --pack, or choose other --cells"
        )


def _ask_all(found: Sequence[HostFound]) -> list[dict[str, Any]]:
    """Ask every host what it is, and hold it to what is installed here."""
    actors = [ray_cluster.on_host(Surveyor, host) for host in found]
    told = []
    try:
        for host, actor in zip(found, actors, strict=True):
            with _told(f"{host.name} cannot be asked what it is", NoHosts):
                told.append(ray_cluster.get(actor.facts.remote(), ray_cluster.PLACE_S))
    finally:
        for actor in actors:
            ray_cluster.end(actor)
    here = facts()
    for host, each in zip(found, told, strict=True):
        for key, word in _SAME.items():
            if each[key] != here[key]:
                raise NoHosts(
                    f"{host.name} has Raftmark's {word} {each[key]}, and this host {here[key]}: "
                    "install the same on all"
                )
    return told


@contextlib.contextmanager
def hosts_of(
    run: Run, specs: Mapping[str, ContenderSpec], elsewhere: Elsewhere, address: str | None
) -> Iterator[Sequence[Host]]:
    """Yield the hosts that a run is measured on, which asked for others than this one.

    Raises `NoHosts` where they are not there.
    """
    if elsewhere.spread == "nodes":
        told = arguments(run.manifest.asked, elsewhere, address)
        with Guardian() as guardian:
            yield [LocalHost(run, specs, told, guardian)]
        return
    with ray_cluster.connected(address):
        hosts: list[RayHost] = []
        try:
            found = ray_cluster.hosts()
            _require(found, elsewhere, run.manifest.specification)
            hosts += [RayHost(each, run) for each in found]
            for host in hosts:
                host.await_ready()
            yield hosts
        finally:
            for host in hosts:
                host.end()


def arguments(asked: Asked, elsewhere: Elsewhere, address: str | None) -> list[str]:
    """Return what tells a contender's program where its nodes are to run."""
    words = ["--asked", msgspec.json.encode(asked).decode()]
    words += [] if address is None else ["--address", address]
    return words + ["--pack"] * elsewhere.pack
