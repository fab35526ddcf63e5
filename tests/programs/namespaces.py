"""Network namespaces joined by a bridge: a network of its own, whose links go up and down."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from raftmark.programs.launcher import Child, Children, Command


class NotAllowedError(Exception):
    """This machine does not let this user have network namespaces."""


class Namespaces(Children):
    """Starts each node's program in a network namespace; a bridge in another one joins them."""

    def __init__(self, hub: str) -> None:
        self._hub = hub

    def place(self, node: int) -> str:
        """The name of a node's namespace."""
        return f"{self._hub}-{node}"

    def build(self, nodes: int) -> None:
        """Make the namespaces and the links. NotAllowedError."""
        ip("netns", "add", self._hub)
        ip("-n", self._hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", self._hub, "link", "set", "bridge", "up")
        for node in range(1, nodes + 1):
            place, port = self.place(node), f"port{node}"
            ip("netns", "add", place)
            ip("-n", self._hub, "link", "add", port, "type", "veth", "peer", "eth0", "netns", place)
            ip("-n", self._hub, "link", "set", port, "master", "bridge", "up")
            ip("-n", place, "address", "add", f"10.0.0.{node}/24", "dev", "eth0")
            ip("-n", place, "link", "set", "eth0", "up")

    def remove(self, nodes: int) -> None:
        """Take down what was made, as far as it was: the links go with their namespaces."""
        for place in (self._hub, *map(self.place, range(1, nodes + 1))):
            subprocess.run(["ip", "netns", "delete", place], capture_output=True, check=False)

    def address(self, node: int) -> str:
        """Where the others reach it."""
        return f"10.0.0.{node}:0"

    def launch(self, node: int, command: Command) -> Child:
        """Start a child there: `ip` makes room for the program, which has its process id."""
        there = ("ip", "netns", "exec", self.place(node))
        return super().launch(node, command._replace(argv=[*there, *command.argv]))

    def set_link(self, node: int, state: str) -> None:
        """Let a node's link to the bridge go "up" or "down"."""
        ip("-n", self._hub, "link", "set", f"port{node}", state)


def ip(*words: str) -> None:
    try:
        done = subprocess.run(
            ["ip", *words], capture_output=True, text=True, check=False, encoding="utf-8"
        )
    except FileNotFoundError as error:
        raise NotAllowedError("there is no command ip") from error
    if done.returncode:
        raise NotAllowedError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@contextmanager
def namespaces(nodes: int) -> Iterator[Namespaces]:
    """A network for nodes from 1 on. NotAllowedError where this machine has none for us."""
    network = Namespaces(f"raftmark-{secrets.token_hex(4)}")
    try:
        network.build(nodes)
        yield network
    finally:
        network.remove(nodes)
