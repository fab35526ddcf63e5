"""How the library is set: as it comes, and as its documentation says for one thing or the other."""

from typing import NamedTuple

from pysyncobj import SyncObjConf

from raftmark.raft.node import Settings

SECOND_NS = 1_000_000_000
LEAST_TIMEOUTS = 3
"""Of its append periods an election timeout has to be longer than so many."""
NEVER = 2**53
"""More entries, and seconds, than any log has."""


class Form(NamedTuple):
    """What differs, in seconds; None follows from what the cluster was started with."""

    period_s: float | None = None
    tick_s: float | None = None
    batches: bool = True
    retry_s: float = 5.0


FORMS = {
    "default": Form(),
    # What has gathered is sent every 2 ms: best for throughput.
    "tuned": Form(period_s=0.002, tick_s=0.002, retry_s=0.1),
    # "Disabled - improve single request speed (don't wait till batch ready)".
    "unbatched": Form(tick_s=0.002, batches=False, retry_s=0.1),
}


def configured(settings: Settings, form: Form, address: str, journal: str | None) -> SyncObjConf:
    """The library's settings for a node that is to listen at `address`.

    Timeouts and heartbeat are those that the cluster was started with, as far as it takes them.
    """
    shortest_s, longest_s = (each / SECOND_NS for each in settings.election_timeout_ns)
    heartbeat_s = settings.heartbeat_ns / SECOND_NS
    period_s = heartbeat_s if form.period_s is None else min(form.period_s, heartbeat_s)
    period_s = min(period_s, 0.99 * shortest_s / LEAST_TIMEOUTS)
    usual = SyncObjConf()
    # By default it looks at its timers twice in an append period.
    tick_s = min(usual.autoTickPeriod, period_s / 2) if form.tick_s is None else form.tick_s
    return SyncObjConf(
        autoTick=False,
        autoTickPeriod=tick_s,
        bindAddress=address,
        maxBindRetries=1,
        journalFile=journal,
        raftMinTimeout=shortest_s,
        # It wants a range, however small.
        raftMaxTimeout=max(longest_s, shortest_s * 1.001),
        appendEntriesPeriod=period_s,
        appendEntriesUseBatch=form.batches,
        connectionRetryTime=form.retry_s,
        connectionTimeout=max(usual.connectionTimeout, 2 * longest_s),
        leaderFallbackTimeout=max(usual.leaderFallbackTimeout, 2 * period_s),
        # A command is for a leader, or refused: clients here look for the leader themselves.
        commandsWaitLeader=False,
        # Logs are read and held against what was sent.
        logCompactionMinEntries=NEVER,
        logCompactionMinTime=NEVER,
    )
