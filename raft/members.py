"""Who belongs to a cluster, as its nodes' saved logs tell when nobody runs (thesis §4)."""

from collections.abc import Mapping

from raftmark.raft.log import ReplicatedLog
from raftmark.raft.messages import Configuration, Saved


def members_of(saved: Mapping[int, Saved], first_voters: tuple[int, ...]) -> tuple[int, ...]:
    """The nodes to start so that the cluster can go on, in ascending order.

    `saved` is what each node has left. The latest configuration of the most up-to-date log is
    in force there, whether or not it is committed. Where no majority of it has the change that
    made it, that may be taken back, and those of the configuration before are needed as well:
    changes are made one at a time, so there are no others.
    """
    logs = [log_of(each, first_voters) for each in saved.values()]
    if not logs:
        return first_voters
    best = max(logs, key=lambda log: (log.last_term, log.last_index))
    index = best.configuration_index
    members = {*best.configuration.members}
    voters = [n for n, log in zip(saved, logs, strict=True) if has(log, best, index)]
    held = len(set(best.configuration.voters).intersection(voters))
    if held <= len(best.configuration.voters) // 2 and index >= best.first_index:
        members.update(best.configuration_at(index - 1).members)
    return tuple(sorted(members))


def log_of(saved: Saved, first_voters: tuple[int, ...]) -> ReplicatedLog:
    """The log that a node would begin its next life with."""
    if saved.snapshot is not None:
        index, term, configuration, _ = saved.snapshot
        return ReplicatedLog(saved.entries, configuration, index, term)
    return ReplicatedLog(saved.entries, Configuration(saved.first_voters or first_voters))


def has(log: ReplicatedLog, best: ReplicatedLog, index: int) -> bool:
    """Whether a log has the entry that the best one has at `index`."""
    return log.matches(index, best.term_at(index))
