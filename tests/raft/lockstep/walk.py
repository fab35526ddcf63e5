"""Random scripts: long walks through what can happen to a cluster, drawn from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from raftmark.raft.messages import InstallSnapshot, InstallSnapshotReply, TimeoutNow
from raftmark.raft.node import Role

from .script import Interpreter, Member

MOST_UNDER_WAY = 60
MOST_MEMBERS = 7
RARE = (InstallSnapshot, InstallSnapshotReply, TimeoutNow)
BOUNDARIES = ("before save", "after save", "after sending", "before apply")


class Walk:
    """A script that is written while Python's core runs it, so that what it says is possible.

    Each walk has its own climate: how often what happens is drawn, too.
    """

    def __init__(self, random: Random) -> None:
        self.commands: list[str] = []
        self.text = ""
        self.kinds: Counter[str] = Counter()
        self.interpreter = Interpreter()
        self._random = random
        self._serials: Counter[str] = Counter()
        self._waiting = random.choice((0.0, 0.1, 0.4))
        self._reordering = random.choice((0.0, 0.1, 0.5))
        self._slow = random.choice((0, 0, 1, 2, 3))
        """A node that messages reach late: it lags, and what it hears is stale."""
        self._keeps_tail = False
        self._climate = {
            self._deliver: 100.0,
            self._elect: random.choice((1.0, 4.0, 8.0)),
            self._beat: random.choice((2.0, 8.0)),
            self._propose: random.choice((3.0, 12.0)),
            self._lose: random.choice((0.0, 2.0, 15.0)),
            self._duplicate: random.choice((0.0, 2.0, 8.0)),
            self._surprise: random.choice((0.0, 2.0, 5.0)),
            self._crash: random.choice((0.0, 0.5, 3.0)),
            self._restart: 3.0,
            self._divide: random.choice((0.0, 1.0)),
            self._carry_out: 60.0 if self._waiting else 0.0,
            self._read: random.choice((0.0, 3.0)),
            self._transfer: random.choice((0.0, 1.0)),
            self._compact: random.choice((0.0, 3.0, 15.0)),
            self._change_members: random.choice((0.0, 3.0)),
        }
        self._actions, self._weights = list(self._climate), list(self._climate.values())

    def begin(self) -> None:
        """Begin a cluster."""
        random = self._random
        options = [f"max_entries={random.choice((1, 1, 2, 3, 1024))}"]
        options.append(f"max_bytes={random.choice((1, 4, 9, 262144, 262144))}")
        options.append(f"window={random.choice((1, 2, 16))}")
        options += [option for option in ("pre_vote", "check_quorum") if random.random() < 0.5]
        entries = random.choice((0, 4, 10))
        self._keeps_tail = entries > 0
        options.append(f"snapshot_entries={entries}")
        self.happen(f"cluster {random.choice((1, 2, 3, 3, 3, 4, 5, 5))} {' '.join(options)}")

    def go(self, events: int) -> None:
        """Let so many things happen."""
        choices = self._random.choices(self._actions, self._weights, k=events)
        for action in choices:
            if len(self.interpreter.under_way) > MOST_UNDER_WAY:
                self._lose()
            action()

    def happen(self, command: str, kind: str | None = None) -> None:
        """Let a command happen, and write down what it did."""
        self.commands.append(command)
        self.kinds[kind or command.split(" ", 1)[0]] += 1
        lines = [f"> {command}", *(f"  {line}" for line in self.interpreter.execute(command))]
        self.text += "\n".join(lines) + "\n"

    def _event(self, command: str) -> None:
        wait = self._waiting and self._random.random() < self._waiting
        self.happen(f"{command} wait" if wait else command)

    # -- whom it happens to --------------------------------------------------------------

    def _any(self, condition: str = "up") -> Member | None:
        """A member of this condition, if there is one."""
        fulfils = CONDITIONS[condition]
        fitting = [m for m in self.interpreter.members.values() if fulfils(m)]
        return self._random.choice(fitting) if fitting else None

    def _leader(self) -> Member | None:
        """Mostly a leader, but not always: what is asked of the others is refused."""
        return (self._random.random() < 0.95 and self._any("leading")) or self._any()

    def _message(self) -> str | None:
        """A message under way, mostly the oldest on its link."""
        under_way = self.interpreter.under_way
        if not under_way:
            return None
        at = self._random.randrange(len(under_way))
        if under_way[at].to == self._slow and self._random.random() < 0.8:
            at = self._random.randrange(len(under_way))
        place = self._place(at)
        return place if self._random.random() < self._reordering else place.partition(" ")[0]

    def _place(self, at: int) -> str:
        """How a script names a message."""
        under_way = self.interpreter.under_way
        sender, to = under_way[at].sender, under_way[at].to
        before = sum((m.sender, m.to) == (sender, to) for m in under_way[:at])
        return f"{sender}->{to} {before + 1}" if before else f"{sender}->{to}"

    def _rare_message(self) -> int | None:
        """Where a message is, one of a rare kind if there is such."""
        under_way = self.interpreter.under_way
        rare = [at for at, m in enumerate(under_way) if type(m) in RARE]
        if rare:
            return self._random.choice(rare)
        return self._random.randrange(len(under_way)) if under_way else None

    # -- what happens --------------------------------------------------------------------

    def _deliver(self) -> None:
        if message := self._message():
            if message.endswith(f">{self._slow}") and self._random.random() < 0.3:
                self.happen(f"drop {message}")
            else:
                self._event(f"deliver {message}")
        elif self._random.random() < 0.4:
            self._propose()
        else:
            # With nothing under way, time passes.
            self._beat()

    def _lose(self) -> None:
        if message := self._message():
            self.happen(f"drop {message}")

    def _duplicate(self) -> None:
        at = self._rare_message()
        if at is not None:
            self.happen(f"duplicate {self._place(at)}")

    def _surprise(self) -> None:
        """A node gives up its leader, or finds that it has none, just before a message comes."""
        at = self._rare_message()
        if at is not None:
            message, to = self._place(at), self.interpreter.under_way[at].to
            self.happen(f"duplicate {message}")
            for _ in range(self._random.choice((1, 2))):
                self.happen(f"timeout {to}")
            self._event(f"deliver {message}")

    def _elect(self) -> None:
        member = self.interpreter.members.get(self._slow)
        if member is None or not member.alive or self._random.random() < 0.5:
            member = self._any("not leading")
        if member is not None:
            self._event(f"timeout {member.id}")

    def _beat(self) -> None:
        if member := self._any("leading") or self._any():
            self._event(f"timeout {member.id}")

    def _propose(self) -> None:
        if member := self._leader():
            words = [self._command() for _ in range(self._random.choice((1, 1, 2, 3)))]
            self._event(f"propose {member.id} {' '.join(words)}")

    def _command(self) -> str:
        random = self._random
        dice, key, value = random.random(), random.choice("abcdef"), random.choice("uvw")
        if dice < 0.5:
            return key
        if dice < 0.51:
            # Now and then so many that the log's segments fill, where it has some.
            return f"{key}*{random.choice((30, 30, 700))}"
        client = random.choice("xyz")
        self._serials[client] += random.choice((-1, 0, 1, 1, 1))
        session = f"@{client}.{max(1, self._serials[client])}" if dice < 0.8 else ""
        return (
            random.choice(
                (
                    f"set({key},{value})",
                    f"get({key})",
                    f"cas({key},{value},{random.choice('uvw-')})",
                )
            )
            + session
        )

    def _carry_out(self) -> None:
        if member := self._any("waiting"):
            self.happen(f"ready {member.id}")

    def _crash(self) -> None:
        member = self._any("waiting") or self._any()
        if member is None:
            return
        boundary = self._random.choice(BOUNDARIES)
        if member.waits or self._random.random() < 0.5:
            place = boundary
            if boundary == "after sending":
                place = f"{boundary} {self._random.randrange(1, 4)}"
            self.happen(f"crash {member.id} {place}", f"crash {boundary}")
        else:
            self.happen(f"crash {member.id}")

    def _restart(self) -> None:
        if member := self._any("down"):
            how = "join" if self._random.random() < 0.1 else "restart"
            self.happen(f"{how} {member.id}")

    def _divide(self) -> None:
        members = list(self.interpreter.members)
        if self._random.random() < 0.5:
            self.happen("heal")
            return
        self._random.shuffle(members)
        cut = self._random.randrange(len(members) + 1)
        groups = [" ".join(map(str, sorted(group))) for group in (members[:cut], members[cut:])]
        self.happen(f"partition {' | '.join(groups)}")

    def _read(self) -> None:
        if member := self._leader():
            self._event(f"read {member.id}")

    def _transfer(self) -> None:
        if member := self._leader():
            to = self._random.randrange(1, len(self.interpreter.members) + 1)
            self._event(f"transfer {member.id} {to}")

    def _compact(self) -> None:
        if member := self._any("due") or self._leader():
            tail = " keep_tail" if self._keeps_tail and self._random.random() < 0.4 else ""
            self.happen(f"snapshot {member.id}{tail}")

    def _change_members(self) -> None:
        count = len(self.interpreter.members)
        if count < MOST_MEMBERS and self._random.random() < 0.2:
            self.happen(f"join {count + 1}")
        elif member := self._leader():
            op = self._random.choice(("add", "add", "promote", "remove"))
            outside = set(self.interpreter.members) - set(member.node.log.configuration.members)
            servers = sorted(outside) if op == "add" and outside else range(1, count + 1)
            self._event(f"propose {member.id} {op}_server({self._random.choice(servers)})")


CONDITIONS: dict[str, Callable[[Member], bool]] = {
    "up": lambda m: m.alive,
    "down": lambda m: not m.alive,
    "waiting": lambda m: m.alive and m.waits,
    "leading": lambda m: m.alive and m.node.role is Role.LEADER,
    "not leading": lambda m: m.alive and m.node.role is not Role.LEADER,
    "due": lambda m: m.alive and m.node.snapshot_due,
}
