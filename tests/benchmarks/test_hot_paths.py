"""The work of one committed batch of 64 commands, taken apart.

Each benchmark does what a node of three does once for such a batch, on values that the
runtimes pass to it: commands of client sessions with 64 bytes of value. Go's are in
go_reference/raft/hot_paths_test.go, under the same names.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from raftmark.raft import (
    AppendEntries,
    AppendEntriesReply,
    Command,
    Entry,
    Node,
    ReplicatedLog,
    RequestVoteReply,
    Role,
    Save,
    Saved,
    Settings,
    StateMachine,
)
from raftmark.raft.client import Outcome, Proposal, Waiters
from raftmark.raft.storage import DiskStorage
from raftmark.raft.wire import TAGS, decode_body, encode, encode_body

BATCH = 64
BEFORE = 1000
ROUNDS = 2000
SETTINGS = Settings((1, 2, 3), (150_000_000, 300_000_000), 50_000_000)

COMMANDS = [Command("set", f"key-{n}", "x" * 64, None, f"client-{n}", 1) for n in range(BATCH)]
ENTRIES = tuple(Entry(1, command) for command in COMMANDS)
EARLIER = tuple(Entry(1, Command("set", f"key-{n}", "x" * 64)) for n in range(BEFORE))
MESSAGE = AppendEntries(1, 1, 2, BEFORE, 1, ENTRIES, BEFORE)


def measure(
    benchmark: BenchmarkFixture,
    function: Callable[..., Any],
    setup: Callable[[], tuple[Any, ...]] = lambda: (),
) -> Any:
    """Time a function on fresh arguments each time; its last result."""
    return benchmark.pedantic(  # type: ignore[no-untyped-call]
        function, setup=lambda: (setup(), {}), rounds=ROUNDS, warmup_rounds=ROUNDS // 10
    )


def leading() -> Node:
    """A leader whose followers have all that it has, its entries after the no-op included."""
    node = Node(1, SETTINGS, lambda: 0.5)
    node.election_timeout()
    node.step(RequestVoteReply(1, 2, 1, granted=True))
    assert node.role is Role.LEADER
    node.propose([entry.command for entry in EARLIER[1:]])
    node.ready()
    for follower in (2, 3):
        node.step(AppendEntriesReply(1, follower, 1, success=True, log_index=BEFORE))
    node.ready()
    return node


def following() -> Node:
    """A follower with a log."""
    node = Node(2, SETTINGS, lambda: 0.5, Saved(entries=EARLIER))
    node.ready()
    return node


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
def test_merge_64_entries_into_a_log(benchmark: BenchmarkFixture, known: bool) -> None:
    def setup() -> tuple[ReplicatedLog]:
        return (ReplicatedLog(EARLIER + ENTRIES if known else EARLIER),)

    def merge(log: ReplicatedLog) -> int | None:
        return log.merge(BEFORE, ENTRIES)

    assert measure(benchmark, merge, setup) == (None if known else BEFORE + 1)


def test_append_64_entries_to_a_log(benchmark: BenchmarkFixture) -> None:
    def append(log: ReplicatedLog) -> int:
        log.append(ENTRIES)
        return log.last_index

    assert measure(benchmark, append, lambda: (ReplicatedLog(EARLIER),)) == BEFORE + BATCH


def test_a_leader_takes_64_proposals(benchmark: BenchmarkFixture) -> None:
    def propose(node: Node) -> Any:
        node.propose(COMMANDS)
        return node.ready()

    ready = measure(benchmark, propose, lambda: (leading(),))
    assert [len(message.entries) for message in ready.messages] == [BATCH, BATCH]
    assert len(ready.save.entries) == BATCH


def test_a_leader_takes_the_reply_that_commits_64_entries(benchmark: BenchmarkFixture) -> None:
    reply = AppendEntriesReply(1, 2, 1, success=True, log_index=BEFORE + BATCH)

    def setup() -> tuple[Node]:
        node = leading()
        node.propose(COMMANDS)
        node.ready()
        return (node,)

    def take(node: Node) -> Any:
        node.step(reply)
        return node.ready()

    assert [e.command for e in measure(benchmark, take, setup).committed] == COMMANDS


def test_a_follower_takes_64_entries(benchmark: BenchmarkFixture) -> None:
    def take(node: Node) -> Any:
        node.step(MESSAGE)
        return node.ready()

    ready = measure(benchmark, take, lambda: (following(),))
    assert ready.messages == [AppendEntriesReply(1, 2, 1, True, BEFORE + BATCH)]
    assert ready.save.entries == ENTRIES


def test_a_state_machine_applies_64_entries(benchmark: BenchmarkFixture) -> None:
    def apply(machine: StateMachine) -> int:
        machine.apply(ENTRIES)
        return machine.applied_index

    assert measure(benchmark, apply, lambda: (StateMachine(),)) == BATCH


def test_64_waiters_are_answered(benchmark: BenchmarkFixture) -> None:
    results = [None] * BATCH

    def setup() -> tuple[Waiters, list[Outcome]]:
        outcomes: list[Outcome] = []
        return Waiters(), outcomes

    def wait(waiters: Waiters, outcomes: list[Outcome]) -> int:
        waiters.add(1, 1, [Proposal(command, outcomes.append) for command in COMMANDS])
        waiters.applied(1, ENTRIES, results)
        return len(outcomes)

    assert measure(benchmark, wait, setup) == BATCH


def test_encode_64_entries(benchmark: BenchmarkFixture) -> None:
    frame = measure(benchmark, encode, lambda: (MESSAGE,))
    assert frame.endswith(encode_body(MESSAGE))


def test_decode_64_entries(benchmark: BenchmarkFixture) -> None:
    decode = decode_body[TAGS[AppendEntries]]
    body = encode_body(MESSAGE)
    assert measure(benchmark, decode, lambda: (body,)) == MESSAGE


def test_save_64_entries_to_a_file(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    storage = DiskStorage(tmp_path / "node-1.log")
    storage.load()
    firsts = count(1, BATCH)
    measure(benchmark, storage.save, lambda: (Save(None, next(firsts), ENTRIES),))
    storage.close()
    saved = storage.load()
    storage.close()
    assert len(saved.entries) == next(firsts) - 1
