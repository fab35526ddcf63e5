"""What the host of a cluster and the program of a node have in common."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from raftmark.raft.cluster import EntriesLost, RoleChange
from raftmark.raft.errors import BadRequest
from raftmark.raft.host import requests
from raftmark.raft.host.answers import Reply, role_event
from raftmark.raft.host.fields import LINKS, faults_of
from raftmark.raft.host.replies import Request
from raftmark.raft.host.service import Operation, Service
from raftmark.raft.links import Faults


class Linked(Protocol):
    """Nodes whose links can be cut and made bad."""

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Cut them into groups; None heals."""

    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Cut these links, each from one node to another."""

    def degrade(self, faults: Faults) -> None:
        """Give every link these faults."""


class ClusterService(Service):
    """Links, one workload at a time, and what is told of nodes."""

    def __init__(self, name: str, describe: Callable[[], Reply]) -> None:
        super().__init__(name, describe)
        self._busy = False
        self._common_operations: dict[str, Operation] = {
            "hello": self.hello,
            "partition": self._partition,
            "heal": self._heal,
            "links": self._links,
        }

    @abstractmethod
    def _linked(self) -> Linked:
        """Whose links they are. Unavailable while there are none."""

    @abstractmethod
    def _nodes(self) -> Sequence[int]:
        """The nodes that a request may name."""

    # -- links ---------------------------------------------------------------------------

    def _partition(self, _request: Request, fields: dict[str, Any]) -> Reply:
        values = requests.read(
            fields,
            {
                "groups": (requests.groups_of(self._nodes()), None),
                "blocked": (requests.ways_of(self._nodes()), None),
            },
        )
        if (values["groups"] is None) == (values["blocked"] is None):
            raise BadRequest("a partition has either groups or blocked")
        linked = self._linked()
        if values["groups"] is not None:
            linked.partition(values["groups"])
        else:
            linked.block(values["blocked"])
        return {}

    def _heal(self, _request: Request, fields: dict[str, Any]) -> Reply:
        requests.read(fields, {})
        self._linked().partition(None)
        return {}

    def _links(self, _request: Request, fields: dict[str, Any]) -> Reply:
        faults = faults_of(requests.read(fields, LINKS))
        self._linked().degrade(faults)
        return {}

    # -- workloads -----------------------------------------------------------------------

    def _run_alone(self, request: Request, work: Callable[[], Reply]) -> None:
        """Run a workload in a thread. BadRequest while another one runs."""
        if self._busy:
            raise BadRequest("a workload is running; one at a time")

        def idle() -> None:
            self._busy = False  # Before the answer, which invites the next run.

        self._busy = True
        self.in_background(request, work, idle)

    # -- what is told --------------------------------------------------------------------

    def _tell(self, messages: Sequence[dict[str, Any]]) -> None:
        for message in messages:
            self._output.put(message)

    def _announce(self, change: RoleChange) -> None:
        self._output.put(role_event(change))

    def _report_loss(self, lost: EntriesLost) -> None:
        self._output.put({"event": "entries_lost", **lost._asdict()})
