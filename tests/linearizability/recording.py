"""Recording a history: a cluster, its clients, and for as long as one likes its nemesis."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

from raftmark.bench.contenders.contender import Contender
from tests.conformance.cluster import LONG_S
from tests.conformance.waiting import looks

from .clients import Client, Crowd, Keys, Service, habits
from .history import History
from .nemesis import Nemesis

Settings = dict[str, Any]

NODES = 5
# What a history must have at least seen.
WORTH_ANSWERS = 200
WORTH_LEADERS = 3


class Recording(NamedTuple):
    """A history and what happened while it was recorded, for so many seconds."""

    history: History
    outcomes: Counter[str]
    seconds: float

    def summary(self) -> str:
        """Return what there is to be seen at a glance."""
        return (
            f"{self.history.answered / self.seconds:.0f} operations a second for "
            f"{self.seconds:.1f} s: {dict(self.outcomes)}"
        )


def draw_settings(round_: int, features: Collection[str], seed: str, data_dir: Path) -> Settings:
    """Return settings for `start`, with what the contender can do.

    Every other round is the Raft paper's own: what else there is hides some mistakes.
    """
    chance = random.Random(f"settings/{seed}")
    settings: Settings = {
        "nodes": NODES,
        "election_timeout_ms": [100, 200],
        "heartbeat_ms": 20,
        "seed": chance.randrange(2**32),
    }
    if "disk" in features and round_ // 2 % 2 == 1:
        settings |= {"storage": "disk", "data_dir": str(data_dir)}
    for option in ("pre_vote", "check_quorum"):
        if option in features and round_ % 2 == 0:
            settings[option] = chance.random() < 0.5
    if "snapshot" in features:
        # Few enough that who was away for a moment needs the snapshot.
        settings["snapshot_entries"] = chance.choice((0, 50, 50))
    return settings


def record(
    service: Service,
    features: Collection[str],
    seed: str,
    meanwhile: Callable[[Crowd, History], None],
) -> Recording:
    """Let clients work for as long as `meanwhile` takes; at the end, read each key once more.

    The last reads show a lost write of long ago. A cluster that never answers them fails.
    """
    history = History()
    keys = Keys()
    nodes = range(1, NODES + 1)
    clients = [
        Client(f"c{number}", service, history, keys, nodes, habit, seed)
        for number, habit in enumerate(habits(features))
    ]
    started = time.monotonic()
    with Crowd(clients) as crowd:
        meanwhile(crowd, history)
    seconds = time.monotonic() - started
    for key in keys.all():
        clients[0].ask_until_answered({"op": "get", "key": key}, looks())
    return Recording(history, crowd.outcomes(), seconds)


def harm(nemesis: Nemesis, seconds: float, crowd: Crowd, history: History) -> None:
    """Let the nemesis strike for so long, and on until the history is worth to be checked."""
    ending = time.monotonic() + seconds
    while (
        time.monotonic() < ending
        or history.answered < WORTH_ANSWERS
        or len(nemesis.leaders()) < WORTH_LEADERS
    ):
        crowd.check()
        nemesis.strike(crowd.failed)


def start(contender: Contender, settings: Settings) -> None:
    """Start a cluster."""
    answer = contender.call("start", reply_timeout=LONG_S, **settings)
    assert answer == {"nodes": list(range(1, NODES + 1))}
