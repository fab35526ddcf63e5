"""A deployed node whose Raft is the library's: what it keeps through its lives, and they."""

import fcntl
import gc
import os
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pysyncobj.syncobj import SyncObjException

from raftmark.peers.pysyncobj.life import Life
from raftmark.peers.pysyncobj.settings import Form, configured
from raftmark.peers.pysyncobj.store import Kept, Store, entries_of
from raftmark.peers.pysyncobj.transport import Member
from raftmark.raft.client import Done, Proposal, Query, Reading
from raftmark.raft.cluster import ClusterConfig, Counters, Events, LogSlice, NodeStatus
from raftmark.raft.connections import address_of, is_loopback
from raftmark.raft.deployed import Address, DeployedNode, Site
from raftmark.raft.errors import BadRequest, RaftError, Unavailable
from raftmark.raft.links import Faults, Links
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import ADD_SERVER, REMOVE_SERVER, Command
from raftmark.raft.state_machine import log_hash
from raftmark.raft.storage import StorageError
from raftmark.raft.workload.closed_loop import CallbackClients
from raftmark.raft.workload.open_loop import OpenLoop
from raftmark.raft.workload.pacing import Sender


class PySyncObjNode(DeployedNode):
    """Links, a port and a journal outlast the node's lives, each of which has an object of its own.

    Between lives nobody listens at its port, which is held for the next one.
    """

    def __init__(self, config: ClusterConfig, events: Events, site: Site, form: Form) -> None:
        self.site = site
        self._config = config
        self._events = events
        self._form = form
        self._links = Links(site.node, config.seed)
        self._places: dict[int, Address] = {}
        self._kept = Kept()
        self._life: Life | None = None
        self._address = site.address
        self._port: socket.socket | None = None
        self._lock: int | None = None

    # -- its place -----------------------------------------------------------------------

    def listen(self) -> Address:
        """Choose the port: the library listens there from its first life on."""
        if self.site.secret or not is_loopback(self.site.address.host):
            raise BadRequest(
                f"at {self.site.address} with a secret: this node program serves loopback alone"
            )
        self._hold_port()
        return self._address

    def introduce(self, peers: Mapping[int, Address]) -> None:
        """Note where each is: the library looks when it dials."""
        for gone in self._places.keys() - peers.keys():
            del self._places[gone]
        self._places.update(peers)

    def open_service(self, address: Address) -> Address:
        """Not offered."""
        raise BadRequest("this node program does not serve clients")

    def tell_services(self, addresses: Mapping[int, str]) -> None:
        """Not offered: there is nobody to be told."""

    def _hold_port(self) -> None:
        """Have the port while nobody listens there: who dials is refused."""
        family = socket.AF_INET6 if ":" in self._address.host else socket.AF_INET
        held = socket.socket(family, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(self._address)
        except OSError as error:
            held.close()
            raise Unavailable(f"cannot listen at {self._address}: {error.strerror}") from error
        self._port = held
        self._address = address_of(held)

    def _release_port(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    # -- its lives -----------------------------------------------------------------------

    def restart(self, node: int) -> bool:
        """Make the library's object, on what the last one kept, and start its thread."""
        journal = self._open_journal()
        self._release_port()
        store = None
        try:
            store = self._new_store(journal)
            life = Life(node, store, store.conf.autoTickPeriod, self._events.role_changed)
            life.start()
        except BaseException as error:
            if store is not None:
                store.destroy()
            self._close_journal()
            self._hold_port()
            if isinstance(error, RuntimeError):
                raise Unavailable(f"the machine has no thread for node {node}: {error}") from error
            raise
        self._life = life
        return False

    def _new_store(self, journal: Path | None) -> Store:
        settings = self._config.settings
        if self.site.node not in settings.nodes:
            raise BadRequest("this node program does not change members")
        members = {n: Member(self.site.cluster, n, self._places) for n in settings.nodes}
        own = members.pop(self.site.node)
        file = None if journal is None else str(journal)
        conf = configured(settings, self._form, str(self._address), file)
        try:
            return Store(own, set(members.values()), conf, self._links)
        except SyncObjException as error:
            raise Unavailable(f"cannot listen at {self._address}") from error
        except (OSError, ValueError, IndexError, struct.error) as error:
            raise StorageError(f"cannot read {journal}: {error}") from error

    def _open_journal(self) -> Path | None:
        """The library's file, locked as long as the node lives; None in memory."""
        if self._config.data_dir is None:
            return None
        directory = Path(self._config.data_dir)
        name = f"node-{self.site.node}"
        if (foreign := directory / f"{name}.log").exists():
            raise StorageError(f"{foreign} is not PySyncObj's; use another data_dir")
        lock = directory / f"{name}.lock"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(lock, os.O_CREAT | os.O_WRONLY, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._close_journal()
            raise StorageError(f"{lock}: in use by another process") from error
        except OSError as error:
            self._close_journal()
            raise StorageError(f"cannot open {directory}: {error.strerror}") from error
        return directory / f"{name}.journal"

    def _close_journal(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def join(self, node: int, *, joins: bool) -> None:
        """Not offered."""
        raise BadRequest("this node program does not change members")

    def crash(self, node: int) -> int:
        """End its thread, and have its object closed."""
        ceased_ns = self._living().end()
        self._life = None
        self._close_journal()
        # Its objects refer to each other, and the collector is off.
        gc.collect()
        self._hold_port()
        return ceased_ns

    def stop(self) -> None:
        """End its life, if it has one, and give back its port."""
        if self._life is not None:
            self.crash(self.site.node)
        self._release_port()

    def _living(self) -> Life:
        life = self._life
        if life is None:
            raise Unavailable(f"node {self.site.node} is down")
        return life

    # -- what it is asked ----------------------------------------------------------------

    def submit(self, node: int, command: Command, done: Done) -> None:
        """Hand the command to the library."""
        if command.op in (ADD_SERVER, REMOVE_SERVER):
            done(BadRequest("this node program does not change members"))
            return
        self._living().submit(Proposal(command, done))

    def read(self, node: int, query: Query) -> None:
        """Not offered."""
        query.done(BadRequest("this node program reads by commands only"))

    def when_applied(self, node: int, index: int, done: Reading) -> None:
        """Let the life tell."""
        self._living().await_applied(index, done)

    def status(self, node: int) -> NodeStatus:
        """See it in its thread, and hash outside of it."""
        return self._living().call(self._look)()

    def _look(self, store: Store) -> "Sight":
        return Sight(store, self._config.settings.nodes)

    def counters(self, node: int) -> Counters:
        """Look at the life's."""
        return self._living().counters()

    def log(self, node: int, first: int, last: int) -> LogSlice:
        """Take the entries in its thread, and decode them outside of it."""

        def take(store: Store) -> tuple[list[Any], int, int]:
            return store.raw(first, last), store.last_index, store.commit_index

        raw, last_index, commit_index = self._living().call(take)
        return LogSlice(first, entries_of(raw), last_index, commit_index)

    def pause(self, node: int) -> NodeStatus:
        """Let its thread wait."""
        return self._living().pause(self._look)()

    def resume(self, node: int) -> None:
        """Let its thread go on."""
        self._living().resume()

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Tell its links."""
        self._links.partition(groups)

    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Tell its links."""
        self._links.block(ways)

    def degrade(self, faults: Faults) -> None:
        """Tell its links."""
        self._links.degrade(faults)

    def transfer(self, node: int, to: int) -> bool:
        """Not offered."""
        raise BadRequest("this node program does not hand over")

    def compact(self, node: int) -> tuple[int, int]:
        """Not offered."""
        raise BadRequest("this node program takes no snapshots")

    def heartbeat(self, node: int) -> None:
        """Let a leader send one."""

        def send(store: Store) -> None:
            if store.leads:
                store.send_heartbeat()

        self._living().call(send)

    # -- loads beside it -----------------------------------------------------------------

    def replicate(self, node: int, spec: ReplicateSpec) -> dict[str, Any]:
        """Run the closed loop in the leader's thread, by the library's callbacks."""
        life = self._living()
        outcome: Future[dict[str, Any]] = Future()

        def finished(result: dict[str, Any] | RaftError) -> None:
            if isinstance(result, RaftError):
                outcome.set_exception(result)
            else:
                outcome.set_result(result)

        label = "a callback in the library's thread sends the client's next command"
        clients = CallbackClients(node, label, spec, life.counters, life.submit, finished)
        life.call(lambda _store: clients.start())
        return outcome.result()

    def offered(self, node: int, spec: OfferedSpec) -> dict[str, Any]:
        """Run the open loop from the calling thread."""
        life = self._living()
        ended = threading.Event()
        load = OpenLoop(spec, life.counters, life.submit, ended.set)
        sender = Sender(spec.rate, load.total, spec.warmup_ns + spec.duration_ns)
        try:
            while load.take(sender.read()):
                pass
            ended.wait()
        finally:
            sender_cpu_ns = sender.end()
        label = "a thread reads from the sender's pipe, and hands each command to the library"
        return load.result(node, label, sender_cpu_ns)


class Sight:
    """A node at one moment, of which a status can be made at leisure."""

    def __init__(self, store: Store, voters: tuple[int, ...]) -> None:
        self._view = store.view
        self._voted_for = store.voted_for
        self._last_index = store.last_index
        self._commit_index = store.commit_index
        self._applied_index = store.applied_index
        self._committed = store.raw(1, store.commit_index)
        self._machine = store.machine
        self._voters = voters

    def __call__(self) -> NodeStatus:
        """The status, with its hashes."""
        return NodeStatus(
            role=self._view.role.value,
            term=self._view.term,
            leader=self._view.leader,
            voted_for=self._voted_for,
            last_index=self._last_index,
            commit_index=self._commit_index,
            applied_index=self._applied_index,
            first_index=1,
            snapshot_index=0,
            voters=self._voters,
            learners=(),
            state_hash=self._machine.state_hash(),
            log_hash=log_hash(entries_of(self._committed)),
        )
