"""A Ray cluster as Raftmark uses it: its hosts, and actors that are placed on them."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

try:
    import ray
    from ray.exceptions import GetTimeoutError, RayError
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import (
        NodeAffinitySchedulingStrategy,
        PlacementGroupSchedulingStrategy,
    )
except ImportError as error:  # pragma: no cover (where the extra is not installed)
    raise ImportError("Ray is not installed") from error

VERSION = ray.__version__
_CONNECT_S = 10.0
PLACE_S = 60.0
"""How long a cluster may take to find room for an actor, and to start its interpreter."""

AnyError = RayError
"""What an actor cannot answer, or Ray cannot bring: as a rule it is gone, or its host is."""
TooLate = GetTimeoutError
"""Whoever was asked has not answered in time."""


class NoHosts(Exception):
    """There is no Ray cluster, or it has too few hosts; the message says what to do."""


class HostFound(NamedTuple):
    """A host of the cluster: its name in a run, Ray's id for it, and its processors."""

    name: str
    node_id: str
    processors: int


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be a driver of the cluster at an address, or of the one that is here.

    Raises `NoHosts` where there is none.
    """
    connect(address)
    try:
        yield
    finally:
        ray.shutdown()


def connect(address: str | None) -> None:
    """Become a driver, until `disconnect` or this process's end."""
    if address is not None:
        _require_answer(address)
    where = address or "auto"
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        # What actors print is for their hosts' logs: here standard output may be a protocol's.
        ray.init(
            address=where, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _nothing(address) from error
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _require_answer(address: str) -> None:
    """See whether anybody listens there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise _nothing(address) from error


def _nothing(address: str | None) -> NoHosts:
    hint = "start one with 'ray start --head', or name another with --hosts ray:HOST:PORT"
    place = "here" if address is None else f"at {address}"
    return NoHosts(f"there is no Ray cluster {place}: {hint}")


def hosts() -> list[HostFound]:
    """Return the hosts that can be used: those of the cluster that live and offer processors."""
    found = [
        HostFound(f"host-{node['NodeID'][:8]}", node["NodeID"], int(node["Resources"]["CPU"]))
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    ]
    return sorted(found)


def this_host() -> tuple[str, str]:
    """Return the name in a run, and the address, of the host that an actor is on."""
    node_id: str = ray.get_runtime_context().get_node_id()
    return f"host-{node_id[:8]}", ray.util.get_node_ip_address()


def get(reference: Any, within_s: float | None = None) -> Any:
    """Wait for what an actor answers. Raises `AnyError`, of which `TooLate` is one."""
    return ray.get(reference, timeout=within_s)


class Spread:
    """Actors on hosts of their own, one each (`pack`: of which hosts may have several)."""

    def __init__(self, kind: type, count: int, pack: bool, *arguments: Any) -> None:
        """Place them. Raises `NoHosts` where there are not enough hosts, or no room on them."""
        there = hosts()
        if not there:
            raise NoHosts("the Ray cluster has no host with a processor to offer")
        if count > len(there) and not pack:
            raise NoHosts(
                f"{count} nodes want as many hosts, and the Ray cluster has {len(there)}: "
                "add hosts, or let several nodes share one with --pack"
            )
        strategy = "SPREAD" if pack else "STRICT_SPREAD"
        # As many as have to share a host share its first processor.
        share = 1 / max(1, math.ceil(count / len(there)))
        self._group = placement_group([{"CPU": share}] * count, strategy=strategy)
        try:
            if not self._group.wait(PLACE_S):
                raise NoHosts(f"the Ray cluster has no room for {count} nodes: others use it")
            self.actors = [
                actor_of(
                    kind, PlacementGroupSchedulingStrategy(self._group, each), share, *arguments
                )
                for each in range(count)
            ]
        except BaseException:
            remove_placement_group(self._group)
            raise

    def remove(self) -> None:
        """End the actors, and free their places."""
        remove_placement_group(self._group)


def reason(error: Exception) -> str:
    """Return what an error says, in a line: its cause, where an actor has raised it."""
    cause = getattr(error, "cause", None) or error
    text = str(cause).strip().splitlines()
    return text[0] if text else type(cause).__name__


def on_host(kind: type, host: HostFound, *arguments: Any) -> Any:
    """Place an actor on a host for a moment, beside whatever it has."""
    affinity = NodeAffinitySchedulingStrategy(host.node_id, soft=False)
    return actor_of(kind, affinity, 0, *arguments)


def on_whole_host(kind: type, host: HostFound, *arguments: Any) -> Any:
    """Place an actor on a host, all of whose processors are its: Ray puts nothing beside it."""
    affinity = NodeAffinitySchedulingStrategy(host.node_id, soft=False)
    return actor_of(kind, affinity, host.processors, *arguments)


def actor_of(kind: type, strategy: Any, processors: float, *arguments: Any) -> Any:
    """Place an actor; who writes to it and who reads from it do not wait for others."""
    options = {
        "num_cpus": processors,
        "max_restarts": 0,
        "max_concurrency": 4,
        "scheduling_strategy": strategy,
    }
    remote = ray.remote(concurrency_groups={"writing": 1, "reading": 1})(kind)
    return remote.options(**options).remote(*arguments)


def end(actor: Any) -> None:
    """End an actor at once."""
    with contextlib.suppress(RayError):
        ray.kill(actor)
