"""Why a cluster did not do what it was asked; the codes are those of docs/protocol.md."""

from typing import Any, ClassVar


class RaftError(Exception):
    """An answer other than success. `str(error)` says it to a person."""

    code: ClassVar[str] = "internal"

    @property
    def details(self) -> dict[str, Any]:
        """What the reply adds to code and message."""
        return {}


class BadRequest(RaftError):
    """Malformed, out of range, or not possible in this state; nothing was changed."""

    code = "bad_request"


class NotLeader(RaftError):
    """The node is not the leader; nothing was proposed. `leader` is its best guess."""

    code = "not_leader"

    def __init__(self, leader: int | None) -> None:
        super().__init__("not the leader" if leader is None else f"node {leader} is the leader")
        self.leader = leader

    def __reduce__(self) -> tuple[type["NotLeader"], tuple[int | None]]:
        return NotLeader, (self.leader,)

    @property
    def details(self) -> dict[str, Any]:
        """The leader's id or None."""
        return {"leader": self.leader}


class Lost(RaftError):
    """Another leader's entry took the command's index; it will not be applied there."""

    code = "lost"


class OutcomeUnknown(RaftError):
    """The command may or may not be applied: the answer did not come in time."""

    code = "timeout"


class Unavailable(RaftError):
    """No leader is known, the node is down, or no cluster runs; nothing was proposed."""

    code = "unavailable"
