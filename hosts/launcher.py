"""Starts nodes' programs on other hosts: an actor of Ray holds the pipe of each."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from raftmark.bench.runs.forms import Asked
from raftmark.hosts import ray_cluster
from raftmark.hosts.keeper import Keeper
from raftmark.hosts.ray_cluster import AnyError, NoHosts, Spread, TooLate
from raftmark.programs.clocks import Look
from raftmark.programs.launcher import Command

TWIN = "~"
_ANSWER_S = 10.0
_SLACK_S = 5.0
_LOST = "the loss of its host, or of what held it there"


class Node(Keeper):
    """The actor: a keeper that can tell where it is."""

    def where(self) -> tuple[str, str]:
        """Return the host's name in a run, and its address."""
        return ray_cluster.this_host()


class DistantPipe:
    """A program that an actor holds."""

    def __init__(self, actor: Any, host: str) -> None:
        self._actor = actor
        self.host = host

    def look(self) -> Look | None:
        """Look at the clock there, by way of the actor."""
        asked_ns = time.monotonic_ns()
        try:
            there_ns = ray_cluster.get(self._actor.clock_ns.remote(), _ANSWER_S)
        except AnyError:
            return None
        return Look(asked_ns, there_ns, time.monotonic_ns())

    def write(self, data: bytes, deadline_s: float) -> None:
        """Write by way of the actor, in the order of the calls."""
        left_s = max(0.0, deadline_s - time.monotonic())
        call = self._actor.write.options(concurrency_group="writing")
        try:
            failed = ray_cluster.get(call.remote(data, left_s), left_s + _SLACK_S)
        except TooLate as error:
            raise TimeoutError from error
        except AnyError as error:
            raise BrokenPipeError(_LOST) from error
        if failed == "full":
            raise TimeoutError
        if failed:
            raise BrokenPipeError(failed)

    def read(self) -> bytes:
        """Read by way of the actor; the end of that is an end, too."""
        call = self._actor.read.options(concurrency_group="reading")
        try:
            data: bytes = ray_cluster.get(call.remote())
        except AnyError:
            return b""
        return data

    def kill(self) -> None:
        """Kill the program; an actor that does not even do that is ended itself."""
        try:
            ray_cluster.get(self._actor.kill.remote(), _ANSWER_S)
        except TooLate:
            ray_cluster.end(self._actor)
        except AnyError:
            return

    def end(self, patience_s: float) -> str:
        """Wait for the end; its last words go to standard error, as a child's do."""
        try:
            how, words = ray_cluster.get(self._actor.end.remote(patience_s), patience_s + _SLACK_S)
        except AnyError:
            return _LOST
        sys.stderr.write(words.decode(errors="backslashreplace"))
        sys.stderr.flush()
        return str(how)


class Distant:
    """Starts each node's program on a host of its own, or on few with `pack`.

    The places are kept from one cluster to the next, as long as they suffice.
    """

    def __init__(self, address: str | None, asked: Asked, pack: bool) -> None:
        self._address, self._asked, self._pack = address, asked, pack
        # Made here, and told to the actors: it is in no file and on no command line.
        self._secret = secrets.token_hex(32)
        self._connected = False
        self._spread: Spread | None = None
        self._places: dict[int, tuple[str, str]] = {}
        """Of each node: the name and the address of its host."""

    def place(self, nodes: Sequence[int]) -> None:
        """Place an actor for each node. OSError where there are too few hosts."""
        if self._places.keys() >= {*nodes}:
            return
        if self._spread is not None:
            self._spread.remove()
            self._spread = None
        self._places.clear()
        try:
            if not self._connected:
                ray_cluster.connect(self._address)
                self._connected = True
            asked = msgspec.json.encode(self._asked)
            self._spread = Spread(Node, len(nodes), self._pack, asked, self._secret)
            asking = [actor.where.remote() for actor in self._spread.actors]
            found = ray_cluster.get(asking, ray_cluster.PLACE_S)
        except NoHosts as error:
            raise OSError(str(error)) from error
        except AnyError as error:
            raise OSError(f"a host cannot hold a node: {ray_cluster.reason(error)}") from error
        self._places = dict(zip(nodes, found, strict=True))

    def _actor(self, node: int) -> Any:
        assert self._spread is not None
        return self._spread.actors[list(self._places).index(node)]

    def directory(self, node: int, data_dir: str) -> str:
        """On the node's own host, by the name of the cluster's."""
        asking = self._actor(node).directory.remote(Path(data_dir).name)
        try:
            directory: str = ray_cluster.get(asking, _ANSWER_S)
        except AnyError as error:
            raise OSError(_LOST) from error
        return directory

    def address(self, node: int) -> str:
        """Where the other hosts reach it."""
        _, address = self._places[node]
        return f"[{address}]:0" if ":" in address else f"{address}:0"

    def launch(self, node: int, command: Command) -> DistantPipe:
        """Start the contender's program, as the host has it."""
        actor = self._actor(node)
        try:
            # A program may have to be made first.
            failed = ray_cluster.get(actor.launch.remote(command.name.removesuffix(TWIN)))
        except AnyError as error:
            raise OSError(_LOST) from error
        host, _ = self._places[node]
        if failed is not None:
            raise OSError(f"{host}: {failed}")
        return DistantPipe(actor, host)
