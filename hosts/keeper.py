"""One node's program on its host, and the host's ends of its pipe: what an actor of Ray does.

The actor is one of these; the class itself knows nothing of Ray.
"""

from __future__ import annotations

import os
import time

import msgspec

from raftmark.bench.contenders.registry import RegistryError, Unavailable
from raftmark.bench.runs.forms import Asked
from raftmark.hosts.hearth import Hearth
from raftmark.hosts.installed import contenders
from raftmark.programs.launcher import Child, Command
from raftmark.raft.host.node_program import SECRET

MOST_AT_ONCE = 1 << 20
LAST_WORDS = 4096


class Keeper:
    """Starts a program, one at a time, and holds its pipe."""

    def __init__(self, asked: bytes, secret: str) -> None:
        """`secret` is what all nodes of the cluster share; `asked`, a run's `Asked` as JSON."""
        self._contenders = contenders(msgspec.json.decode(asked, type=Asked))
        self._secret = secret
        self._hearth = Hearth()
        self._child: Child | None = None
        self._complaints = self._hearth.path / "complaints"

    def directory(self, name: str) -> str:
        """Return where a node is to keep its data, of a cluster whose directory has this name."""
        path = self._hearth.path / name
        path.mkdir(exist_ok=True)
        return str(path)

    def launch(self, name: str) -> str | None:
        """Start a contender's node program, made first if need be; why that cannot be."""
        try:
            spec = self._contenders[name]
            spec.prepare()
            command = Command(name, spec.node_argv(), str(spec.started_in))
            env = spec.environment({**self._hearth.environment, SECRET: self._secret})
            with self._complaints.open("wb") as complaints:
                self._child = Child(command, env, complaints)
        except (Unavailable, RegistryError) as error:
            return str(error)
        except KeyError:
            return f"this host knows no contender {name}"
        except OSError as error:
            return f"{error.filename or name}: {error.strerror}"
        return None

    @property
    def _running(self) -> Child:
        assert self._child is not None
        return self._child

    def pid(self) -> int:
        """Return the program's process."""
        return self._running.pid

    def clock_ns(self) -> int:
        """Return what this host's clock shows."""
        return time.monotonic_ns()

    def write(self, data: bytes, within_s: float) -> str:
        """Write to the program; "" or how that failed, "full" or "gone"."""
        try:
            self._running.write(data, time.monotonic() + within_s)
        except TimeoutError:
            return "full"
        except OSError:
            return "gone"
        return ""

    def read(self) -> bytes:
        """Return what the program says next, all that is there; empty at the end."""
        child = self._running
        said = [child.read()]
        while said[-1] and sum(map(len, said)) < MOST_AT_ONCE and child.has_said():
            said.append(child.read())
        if not said[-1] and len(said) > 1:
            said.pop()  # The end is read again.
        return b"".join(said)

    def kill(self) -> None:
        """Kill the program."""
        self._running.kill()

    def end(self, patience_s: float) -> tuple[str, bytes]:
        """Wait for the program's end; how it ended, and its last words on standard error."""
        how = self._running.end(patience_s)
        with self._complaints.open("rb") as complaints:
            size = complaints.seek(0, os.SEEK_END)
            complaints.seek(max(0, size - LAST_WORDS))
            return how, complaints.read()
