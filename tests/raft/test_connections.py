"""What the models' networks have in common."""

from __future__ import annotations

import itertools

import pytest

from raftmark.raft.cluster import Refusal
from raftmark.raft.connections import (
    LAST_BACKOFF_S,
    REFUSALS_A_SECOND,
    Backoff,
    Refusals,
    address_of,
    open_listener,
)
from raftmark.raft.deployed import Address, Site
from raftmark.raft.errors import BadRequest, Unavailable


def test_a_peer_is_dialled_again_ever_later_until_it_is_reached() -> None:
    backoff = Backoff(1, 2, 3)
    waits = [backoff.next_s() for _ in range(20)]
    assert 0.005 <= waits[0] <= 0.01
    assert all(LAST_BACKOFF_S / 2 <= wait <= LAST_BACKOFF_S for wait in waits[7:])
    assert all(earlier < 2.01 * later for earlier, later in itertools.pairwise(waits))
    backoff.reset()
    assert backoff.next_s() <= 0.01


def test_each_reason_is_told_once_a_second_and_not_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_ns = 5
    monkeypatch.setattr("time.monotonic_ns", lambda: now_ns)
    told: list[Refusal] = []
    refusals = Refusals(2, told.append)
    for peer, reason in [(1, "a"), (1, "a"), (None, "a"), (1, "b"), (1, "a")]:
        refusals.tell(peer, reason)
    assert told == [
        Refusal(2, 1, "a", 5),
        Refusal(2, None, "a", 5),
        Refusal(2, 1, "b", 5),
    ]
    for n in range(100):
        refusals.tell(1, f"reason {n}")
    assert len(told) == REFUSALS_A_SECOND
    now_ns += 1_000_000_000
    refusals.tell(1, "a")
    assert told[-1] == Refusal(2, 1, "a", now_ns)


def test_a_node_listens_on_loopback_at_a_port_of_the_systems_choice() -> None:
    with open_listener(Site(1, "c")) as listener:
        address = address_of(listener)
        assert address.host == "127.0.0.1"
        assert address.port > 0
        with pytest.raises(Unavailable, match=rf"cannot listen at {address}: "):
            open_listener(Site(2, "c", address))


def test_who_listens_to_others_wants_a_secret() -> None:
    everywhere = Address("0.0.0.0", 0)
    with pytest.raises(BadRequest, match="a secret is wanted: --secret-file"):
        open_listener(Site(1, "c", everywhere))
    with open_listener(Site(1, "c", everywhere, b"secret")) as listener:
        assert address_of(listener).host == everywhere.host


@pytest.mark.parametrize("host", ["", "nowhere.invalid", "127.0.0.1.1", "::g"])
def test_an_address_is_a_number(host: str) -> None:
    with pytest.raises(BadRequest, match="no address to listen at"):
        open_listener(Site(1, "c", Address(host, 0), b"secret"))
