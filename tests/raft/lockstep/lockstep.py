"""Both cores on the same scripts: whether they differ, and the shortest script on which they do."""

from __future__ import annotations

import difflib
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import get_args

from raftmark.raft.messages import Message
from raftmark.raft.node import Role

from .script import run
from .shrink import shrink
from .text import ScriptError
from .twin import Twin
from .walk import BOUNDARIES, Walk

EVENTS_PER_WALK = 300

ROLES = [role.value for role in Role]
KINDS = get_args(Message)

TOO_RARE = {("InstallSnapshot", "leader"), ("InstallSnapshotReply", "pre_candidate")}
"""What arrives where only after a chain of accidents: a million events show some of it."""

MOST_LINES = 30
"""So much of what follows a difference is shown."""


class Difference(AssertionError):
    """The cores do not do the same; says on which script."""


class Lockstep:
    """Drives both cores and counts what they went through."""

    def __init__(self, twin: Twin) -> None:
        self.events = 0
        self.seconds = 0.0
        self.arrivals: Counter[tuple[str, str]] = Counter()
        self.kinds: Counter[str] = Counter()
        self._twin = twin
        self._walks = 0

    def walk(self, seed: str, events: int) -> None:
        """Let both cores go random walks, until they have gone through so many events.

        Go's core goes the one before while Python's goes the next.
        """
        started = time.monotonic()
        before: Walk | None = None
        while self.events < events:
            self._walks += 1
            walk = Walk(Random(f"{seed}/{self._walks}"))
            failure = self._go(walk)
            if before is not None:
                self._compare(before)
            if failure is not None:
                raise self._difference(walk.commands) from failure
            self._twin.send(script_of(walk.commands))
            before = walk
        if before is not None:
            self._compare(before)
        self.seconds += time.monotonic() - started

    def _go(self, walk: Walk) -> Exception | None:
        """Go a walk as far as it gets; what ended it early."""
        try:
            walk.begin()
            walk.go(EVENTS_PER_WALK)
        except Exception as error:  # noqa: BLE001 (the finding, with the script that leads to it)
            return error
        finally:
            self.events += len(walk.commands)
            self.arrivals.update(walk.interpreter.arrivals)
            self.kinds.update(walk.kinds)
        return None

    def _compare(self, walk: Walk) -> None:
        answer = self._twin.receive()
        if answer != walk.text:
            raise self._difference(walk.commands)

    def check(self, commands: Sequence[str]) -> None:
        """Raise the `Difference` on these commands, if there is one."""
        if self.differs(list(commands)):
            raise self._difference(commands)

    def differs(self, commands: list[str]) -> bool:
        """Whether the cores do not do the same, or one of them fails."""
        script = script_of(commands)
        try:
            said = run(script)
        except ScriptError:
            return False
        except Exception:  # noqa: BLE001 (the finding)
            return True
        return said != self._twin.run(script)

    def _difference(self, commands: Sequence[str]) -> Difference:
        shortest = shrink(commands, self.differs)
        script = script_of(shortest)
        answer = self._twin.run(script)
        try:
            said = run(script)
        except Exception as error:  # noqa: BLE001 (told of in the message)
            return Difference(f"{script}\nPython's core fails: {error!r}\n\nGo's core:\n{answer}")
        difference = difflib.unified_diff(
            said.splitlines(), answer.splitlines(), "python", "go", lineterm="", n=2
        )
        lines = "\n".join(list(difference)[:MOST_LINES])
        return Difference(f"the cores differ on this script\n\n{said}\n{lines}")

    # -- what was gone through -----------------------------------------------------------

    def missing(self) -> list[str]:
        """What must happen in enough events, and did not."""
        pairs = {(kind.__name__, role) for kind in KINDS for role in ROLES} - TOO_RARE
        crashes = [f"crash {boundary}" for boundary in BOUNDARIES]
        events = ["join", "partition", "heal", "read", "transfer", "snapshot", "duplicate", "drop"]
        return [
            *(f"{kind} to a {role}" for kind, role in sorted(pairs - self.arrivals.keys())),
            *(kind for kind in (*crashes, *events) if not self.kinds[kind]),
        ]

    def report(self) -> list[str]:
        """The pace, and a table of what arrived where."""
        pace = self.events / self.seconds
        lines = [
            f"{self.events} events in {self.seconds:.1f} s, {pace:.0f} a second",
            " ".join(f"{kind}: {count}" for kind, count in sorted(self.kinds.items())),
            f"{'received by a':24}" + "".join(f"{role:>15}" for role in ROLES),
        ]
        for kind in KINDS:
            counts = (self.arrivals[kind.__name__, role] for role in ROLES)
            lines.append(f"{kind.__name__:24}" + "".join(f"{count:15}" for count in counts))
        return lines


def script_of(commands: Sequence[str]) -> str:
    """Commands as a script that expects nothing yet."""
    return "".join(f"> {command}\n" for command in commands)
