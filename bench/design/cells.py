"""The cells that a run is made of: one workload on one kind of cluster each.

`Cell.workload`, `Cell.cluster` and `Cell.links` are what the contender is asked with: the fields of
the protocol's `run`, `start` and `links`. Everything that a cell leaves out has the protocol's
default.
"""

from __future__ import annotations

from typing import Any

import msgspec

NATIVE, TCP = "native", "tcp"
"""The placements: all nodes in one program, or each in one of its own."""

LEADS = 1
"""The node that is to lead where it matters which one does."""

RECOMMENDED_MS = (150, 300)
"""The election timeouts that the Raft paper recommends (section 9.3)."""

SHORTER_MS = (100, 200)
"""The election timeouts next to those that the Raft paper tried, too.

Shorter ones are no longer than a busy machine may delay a timer, so that the check could not tell
an election that came before its time.
"""

LOWEST_MS = (12, 24)
"""The lowest election timeouts that the Raft paper tried."""

PAPERS_LAGGING = 2
"""How many of Figure 16's followers could not be elected.

"The servers in each trial had different log lengths, so some candidates were not eligible": with
five servers, of which one is crashed, two is the most that may lack what a majority has.
"""

PAPERS_DELAY_MS = 2.5
"""What each message takes in a repetition of Figure 16.

The paper's cluster took "roughly" 15 ms to send requests to all servers and receive their replies,
most of it for writing votes to disk. Which elections are split depends on less, the time until the
others hear of a candidate, of which the paper says nothing. By the rules alone this one fits what
the paper reports, and half of 15 ms does not: see `bench/studies/split_votes.py`.
"""

# What the shortest load should last, and what a slow machine needs to commit a command, at most.
_COMMIT_S = 1 / 5000

# How long an election takes whose votes are split again and again, if it ends at all.
_SPLIT_S = 10.0
# Commands, which are no long log.
_FEW = 5000


class Cell(msgspec.Struct, frozen=True):
    """A workload, the cluster that it runs on, and the seconds after which `run` has hung.

    `links`: what the links between the nodes do to messages; None leaves them perfect. `turns_ms`:
    two contenders are compared while both are alive, of which one is stopped while the other runs,
    for so long each time; None measures each by itself. `followers`: whose programs the followers
    are in a cluster of programs, in which the contender's own one, node `LEADS`, is made to lead;
    None leaves all nodes to the contender, and the lead to their election.
    """

    id: str
    workload: dict[str, Any]
    cluster: dict[str, Any]
    timeout_s: float
    links: dict[str, Any] | None = None
    turns_ms: float | None = None
    followers: str | None = None

    @property
    def transport(self) -> str:
        """What the nodes speak over: the model's own means, or TCP between programs."""
        return str(self.cluster.get("transport", NATIVE))

    @property
    def needs(self) -> frozenset[str]:
        """The features, as `hello` lists them, without which a contender is not asked for this."""
        needs = {self.workload["name"], self.cluster["storage"]}
        if self.cluster.get("snapshot_entries") or self.workload.get("by") == "snapshot":
            needs.add("snapshot")
        if "slice_ms" in self.workload:
            needs.add("slices")
        if self.followers is not None:
            needs.add("transfer")
        return frozenset(needs)

    @property
    def is_plain(self) -> bool:
        """Whether it is a load, and nothing else, on a cluster in memory that keeps its whole log.

        The next check can go on then where the one before ended.
        """
        asked = (self.links, self.turns_ms, self.followers)
        return (
            self.workload["name"] in ("replicate", "offered")
            and self.cluster["storage"] == "memory"
            and self.cluster.get("snapshot_entries") == 0
            and all(each is None for each in asked)
        )

    @property
    def leaves_its_cluster(self) -> bool:
        """Whether its cluster is as good as a fresh one for another load afterwards.

        It is after few commands, and their number must be known beforehand: a lone command is
        slower with the long log of a closed loop behind it (docs/methodology.md).
        """
        if not self.is_plain or self.workload["name"] != "offered":
            return False
        seconds = self.workload["warmup_s"] + self.workload["duration_s"]
        return bool(self.workload["rate"] * seconds <= _FEW)

    @property
    def usual_s(self) -> float:
        """About how many seconds `run` takes."""
        workload = self.workload
        low, high = self.cluster["election_timeout_ms"]
        match workload["name"]:
            case "election" if self.may_stay_undecided:
                return float(workload["elections"] * min(_SPLIT_S, workload["cap_s"]))
            case "election":
                # The cluster settles, loses its leader, and may split its vote.
                return float(workload["elections"] * (low + high) / 1000)
            case "catch_up":
                return 1 + float(workload["entries"] * _COMMIT_S / 10)
            case "stability":
                return 1 + float(workload["duration_s"])
        parts = ("warmup_s", "duration_s", "before_s", "after_s")
        return sum(float(workload.get(part, 0)) for part in parts)

    @property
    def may_stay_undecided(self) -> bool:
        """Whether an election without a leader is a result here and no failure.

        Where the timeouts differ by no more than what a message takes, nobody hears of a candidate
        before standing for election too. Votes are split again and again: that is what such a range
        shows, and to leave the longest elections out would make the others look short.
        """
        low, high = self.cluster["election_timeout_ms"]
        _, delay = (self.links or {}).get("delay_ms", (0, 0))
        return self.workload["name"] == "election" and bool(high - low <= delay)


def replicate_cell(
    outstanding: int,
    *,
    payload: int = 64,
    nodes: int = 3,
    storage: str = "memory",
    warmup_s: float = 0.5,
    duration_s: float = 2.0,
) -> Cell:
    """Return the closed loop on one kind of cluster."""
    variants = [f"p{payload}"] * (payload != 64) + _variants(nodes, storage)
    return Cell(
        id="-".join(["replicate", f"w{outstanding}", *variants]),
        workload={
            "name": "replicate",
            "outstanding": outstanding,
            "payload": payload,
            "warmup_s": warmup_s,
            "duration_s": duration_s,
        },
        cluster=_loaded(nodes, storage),
        timeout_s=10 + 5 * (warmup_s + duration_s),
    )


SNAPSHOT_ENTRIES = 16_384
"""After how many entries a snapshot is taken, where they are: the protocol's default."""


def with_snapshots(cell: Cell) -> Cell:
    """Return the same on a cluster that takes snapshots, as every one does that is to last."""
    cluster = {**cell.cluster, "snapshot_entries": SNAPSHOT_ENTRIES}
    return msgspec.structs.replace(cell, id=f"{cell.id}-snapshots", cluster=cluster)


def deployed(cell: Cell) -> Cell:
    """Return the same on a cluster whose nodes are programs of their own, and speak TCP."""
    return msgspec.structs.replace(
        cell, id=f"{cell.id}-tcp", cluster={**cell.cluster, "transport": TCP}
    )


def mixture_cell(
    followers: str, outstanding: int, *, warmup_s: float = 0.2, duration_s: float = 0.5
) -> Cell:
    """Return the closed loop on a leader whose followers are another contender's programs."""
    cell = deployed(replicate_cell(outstanding, warmup_s=warmup_s, duration_s=duration_s))
    return msgspec.structs.replace(
        cell, id=f"mixture-w{outstanding}-{followers}", followers=followers
    )


TURN_MS = 50.0
"""How long a contender runs before it is stopped while its other runs.

Short against the seconds in which a machine changes its pace, long against what a process needs to
find its pace again after it stood.
"""

SLICE_MS = 2.0
"""What is counted in one piece: a turn loses at most so much at either end."""


def turns_cell(outstanding: int, *, warmup_s: float, duration_s: float) -> Cell:
    """Return the closed loop for two contenders that take turns, each with half of the time.

    No stop must bring an election about: it lasts two turns at most, a quarter of the lowest
    timeout.
    """
    cell = replicate_cell(outstanding, warmup_s=warmup_s, duration_s=duration_s)
    return msgspec.structs.replace(
        cell,
        id=f"{cell.id}-turns",
        workload={**cell.workload, "slice_ms": SLICE_MS},
        cluster={**cell.cluster, "election_timeout_ms": [8 * TURN_MS, 16 * TURN_MS]},
        turns_ms=TURN_MS,
    )


def offered_cell(
    rate: int,
    *,
    nodes: int = 3,
    storage: str = "memory",
    warmup_s: float = 0.5,
    duration_s: float = 2.0,
) -> Cell:
    """Return the open loop with `rate` commands a second."""
    return Cell(
        id="-".join(["offered", f"r{rate}", *_variants(nodes, storage)]),
        workload={
            "name": "offered",
            "rate": rate,
            "payload": 64,
            "warmup_s": warmup_s,
            "duration_s": duration_s,
        },
        cluster=_loaded(nodes, storage),
        timeout_s=10 + 5 * (warmup_s + duration_s),
    )


def election_cell(
    timeout_ms: tuple[int, int],
    *,
    elections: int,
    cap_s: float = 10.0,
    as_in_paper: bool = False,
) -> Cell:
    """Return elections in a cluster of five, with heartbeats of half the lowest timeout.

    `as_in_paper`: with the logs of different lengths and the slow messages of Figure 16; without,
    all logs are equal and messages travel as fast as the contender can make them.
    """
    low, high = timeout_ms
    workload = {"name": "election", "elections": elections, "cap_s": cap_s}
    cell = Cell(
        id=f"election-{low}-{high}" + "-paper" * as_in_paper,
        workload={**workload, "lagging": PAPERS_LAGGING} if as_in_paper else workload,
        cluster=_electing(timeout_ms, nodes=5),
        timeout_s=0,
        links={"delay_ms": [PAPERS_DELAY_MS, PAPERS_DELAY_MS]} if as_in_paper else None,
    )
    # An election that takes its whole cap is slow, not hung; that all of them do is that only where
    # votes are split again and again.
    slow_s = elections * cap_s if cell.may_stay_undecided else 5 * cell.usual_s
    return msgspec.structs.replace(cell, timeout_s=15 + 2 * cap_s + slow_s)


def failover_cell(
    timeout_ms: tuple[int, int] = RECOMMENDED_MS,
    *,
    nodes: int = 3,
    before_s: float = 1.0,
    after_s: float = 3.0,
) -> Cell:
    """Return a leader's crash under load."""
    low, high = timeout_ms
    return Cell(
        id="-".join(["failover", f"{low}-{high}", *_variants(nodes, "memory")]),
        workload={
            "name": "failover",
            "outstanding": 16,
            "payload": 64,
            "before_s": before_s,
            "after_s": after_s,
        },
        cluster={**_electing(timeout_ms, nodes), "snapshot_entries": 0},
        timeout_s=30 + 5 * (before_s + after_s),
    )


def catch_up_cell(entries: int, by: str) -> Cell:
    """Return the return of a follower that missed so many entries, by entries or by snapshot."""
    return Cell(
        id=f"catch-up-{by}-{entries}",
        workload={"name": "catch_up", "entries": entries, "by": by, "payload": 64, "cap_s": 30},
        cluster=_loaded(3, "memory"),
        timeout_s=60 + entries * _COMMIT_S,
    )


def stability_cell(
    timeout_ms: tuple[int, int], outstanding: int, *, duration_s: float = 2.0
) -> Cell:
    """Return a cluster that is left alone, idle or with clients, to see if it holds elections."""
    low, high = timeout_ms
    load = f"w{outstanding}" if outstanding else "idle"
    return Cell(
        id=f"stability-{low}-{high}-{load}",
        workload={
            "name": "stability",
            "outstanding": outstanding,
            "payload": 64,
            "duration_s": duration_s,
        },
        cluster={**_electing(timeout_ms, nodes=3), "snapshot_entries": 0},
        timeout_s=30 + 5 * duration_s,
    )


SERVICE_CONNECTIONS = (1, 16, 128, 1_024, 4_096)
"""Clients, from one to as many as ask whether a thread for each still does."""
SERVING_MS, SERVING_HEARTBEAT_MS = (1_000, 2_000), 100
"""As etcd's defaults: with thousands to answer a leader may be late, and has not gone for that."""


def service_cell(
    connections: int,
    *,
    rate: int = 0,
    others: dict[str, int] | None = None,
    crash_s: float | None = None,
    warmup_s: float = 0.5,
    duration_s: float = 2.0,
) -> Cell:
    """Return the clients of a deployed cluster, each with a connection of its own.

    `rate`: commands a second of all; 0 lets each send its next one at once. `others`: how many
    besides are `slow`, `flood`, or `come` and go.
    """
    others = others or {}
    variants = [f"r{rate}"] * bool(rate) + [f"{kind}{count}" for kind, count in others.items()]
    workload: dict[str, Any] = {
        "name": "service",
        "connections": connections,
        "rate": rate,
        "payload": 64,
        "warmup_s": warmup_s,
        "duration_s": duration_s,
        **others,
    }
    if crash_s is not None:
        workload["crash_s"] = crash_s
        variants.append("crash")
    return Cell(
        id="-".join(["service", f"c{connections}", *variants]),
        workload=workload,
        cluster={
            **_loaded(3, "memory"),
            "election_timeout_ms": list(SERVING_MS),
            "heartbeat_ms": SERVING_HEARTBEAT_MS,
            "transport": TCP,
        },
        # To connect, and what is under way at the end, have a minute and half a one.
        timeout_s=100 + 5 * (warmup_s + duration_s),
    )


def _variants(nodes: int, storage: str) -> list[str]:
    return [f"n{nodes}"] * (nodes != 3) + [storage] * (storage != "memory")


def _loaded(nodes: int, storage: str) -> dict[str, Any]:
    """A cluster whose leader is to stay, and whose log is to be read whole by the check."""
    return {
        "nodes": nodes,
        "storage": storage,
        "election_timeout_ms": list(RECOMMENDED_MS),
        "heartbeat_ms": 50,
        "snapshot_entries": 0,
    }


def _electing(timeout_ms: tuple[int, int], nodes: int) -> dict[str, Any]:
    """A cluster whose heartbeats come at "half of the minimum election timeout", as the paper's."""
    return {
        "nodes": nodes,
        "storage": "memory",
        "election_timeout_ms": list(timeout_ms),
        "heartbeat_ms": timeout_ms[0] / 2,
    }
