"""When a cluster has settled: logs that are empty are equal, but nobody leads yet."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from raftmark.bench.contenders.contender import ContenderError, ContenderFailed, Patience
from raftmark.bench.design.cells import service_cell
from raftmark.bench.experiment import trial
from raftmark.bench.experiment.check import _await_commit, settle
from raftmark.bench.experiment.claims import Witness
from raftmark.bench.experiment.pages import Ends
from tests.bench.support import PATIENCE, replicate_cell


class Beginning:
    """A contender in which a leader is elected after some looks at it."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.asked = 0

    def send_as(self, kind: type, _op: str, **_fields: Any) -> Any:
        self.asked += 1
        led = self.asked >= self.looks
        index = int(led)
        nodes = [
            {
                "id": node,
                "alive": True,
                "term": index,
                "role": "follower",
                **dict.fromkeys(("last_index", "commit_index", "applied_index"), index),
                **dict.fromkeys(("state_hash", "log_hash")),
            }
            for node in (1, 2, 3)
        ]
        if led:
            nodes[0]["role"] = "leader"
        return msgspec.convert({"nodes": nodes}, kind)

    def wait_for(self, reply: Any, _op: str, _patience: Any) -> Any:
        return reply


@pytest.mark.parametrize(("led", "looks"), [(True, 4), (False, 1)])
def test_a_cluster_that_is_to_be_led_is_waited_for(led: bool, looks: int) -> None:
    contender: Any = Beginning(4)
    settle(contender, Patience(PATIENCE, "start"), led=led)
    assert contender.asked == looks


def test_clients_are_not_connected_where_nobody_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_LEADER_TIMEOUT_S", 0.1)
    contender: Any = Beginning(1 << 30)
    with pytest.raises(ContenderFailed, match=r"within 0\.1 s no node led to which clients"):
        trial._clients_of(contender, service_cell(1))


class Hearing:
    """One whose followers hear of the last commit after some looks, and of which one is down."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.asked: list[int] = []

    def send_as(self, kind: type, op: str, **fields: Any) -> Any:
        assert (op, kind) == ("log", Ends)
        self.asked.append(fields["node"])
        heard = len(self.asked) > 3 * self.looks or fields["node"] == 1
        return Ends(20_001, 20_001 if heard else 19_000)

    def wait_for(self, reply: Any, _op: str, _patience: Any) -> Any:
        if len(self.asked) <= 3:
            raise ContenderError("unavailable", "node 2 is crashed", {})
        return reply


def test_a_long_log_is_hashed_when_all_have_heard_of_its_end() -> None:
    cell = replicate_cell()
    cell = msgspec.structs.replace(cell, cluster={**cell.cluster, "heartbeat_ms": 1000 * PATIENCE})
    contender: Any = Hearing(3)
    witness = Witness([1, 2, 3], 0, 0, [])
    _await_commit(contender, cell, witness, Patience(PATIENCE, "check"))
    assert contender.asked == [1, 2, 3] * 4
