"""How scripts write down what a core says; the words are explained in tests/scenarios/README.md.

The Go twin is go_reference/raft/script_text_test.go. Each must write what the other writes,
byte for byte: what is left out here is not compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any

from raftmark.raft.messages import (
    MEMBERSHIP,
    AppendEntries,
    AppendEntriesReply,
    Command,
    Configuration,
    Entry,
    InstallSnapshot,
    InstallSnapshotReply,
    Item,
    Message,
    RequestVote,
    RequestVoteReply,
    Save,
    Snapshot,
    TimeoutNow,
)
from raftmark.raft.node import Node, Role
from raftmark.raft.progress import Progress
from raftmark.raft.reads import ReadIndex

MILLISECOND = 1_000_000

term_of = attrgetter("term")

COMMAND = re.compile(
    r"(?:(?P<op>[a-z_]+)\((?P<arguments>[^()]*)\)|(?P<word>\w+))"
    r"(?:@(?P<client>\w+)\.(?P<serial>\d+))?(?:\*(?P<times>\d+))?"
)
ARGUMENTS = {
    "set": ("key", "value"),
    "get": ("key",),
    "cas": ("key", "value", "expect"),
    "add_server": ("key",),
    "promote_server": ("key",),
    "remove_server": ("key",),
}


class ScriptError(Exception):
    """A script that is not well-formed; says where and what is expected."""


def parse_commands(word: str) -> list[Command]:
    """The commands that a word of `propose` stands for."""
    match = COMMAND.fullmatch(word)
    if match is None:
        raise ScriptError(f"{word} is not a command; write one as a, set(a,1) or get(a)@client.1")
    op, arguments = match["op"] or "set", (match["arguments"] or "").split(",")
    if match["word"]:
        arguments = [match["word"]] * 2
    names = ARGUMENTS.get(op)
    if names is None or len(names) != len(arguments):
        raise ScriptError(f"{word}: known are {', '.join(map(usage_of, ARGUMENTS))}")
    if op in MEMBERSHIP and not is_number(arguments[0]):
        raise ScriptError(f"{word}: name a server by its number")
    fields: dict[str, Any] = {
        name: None if argument == "-" else argument
        for name, argument in zip(names, arguments, strict=True)
    }
    if match["client"]:
        fields |= {"client": match["client"], "serial": int(match["serial"])}
    return [Command(op, **fields)] * int(match["times"] or 1)


def is_number(word: str) -> bool:
    """Whether a word consists of digits."""
    return word.isascii() and word.isdigit()


def usage_of(op: str) -> str:
    """How a command is written."""
    return f"{op}({','.join(ARGUMENTS[op])})"


@lru_cache
def text_of_command(command: Command) -> str:
    """A command as `propose` takes it."""
    if command.op == "noop":
        text = "noop"
    elif command.op == "set" and command.key == command.value:
        text = command.key
    else:
        fields = [getattr(command, name) for name in ARGUMENTS[command.op]]
        text = f"{command.op}({','.join('-' if f is None else f for f in fields)})"
    return text if command.client is None else f"{text}@{command.client}.{command.serial}"


def runs(values: Iterable[Any], text: Callable[[Any], str], times: str) -> str:
    """Values in brackets, with equal neighbours as one and their number after `times`."""
    words = []
    for value, group in groupby(values):
        count = len(list(group))
        words.append(text(value) if count == 1 else f"{text(value)}{times}{count}")
    return f"[{' '.join(words)}]"


def text_of_entry(entry: Entry) -> str:
    """An entry as term:command."""
    return f"{entry.term}:{text_of_command(entry.command)}"


def text_of_entries(entries: Sequence[Entry]) -> str:
    """Entries, in brackets."""
    return runs(entries, text_of_entry, "*")


def text_of_terms(entries: Sequence[Entry]) -> str:
    """Entries as their terms alone."""
    return runs(map(term_of, entries), str, "x")


def text_of_time(time_ns: int) -> str:
    """A time, in milliseconds if it is whole ones."""
    whole, rest = divmod(time_ns, MILLISECOND)
    return f"{time_ns}ns" if rest else f"{whole}ms"


def or_none(value: int | None) -> str:
    """A node's number, or that there is none."""
    return "none" if value is None else str(value)


def text_of_configuration(configuration: Configuration) -> str:
    """The members; learners only if there are some."""
    text = f"voters={','.join(map(str, configuration.voters)) or 'none'}"
    if configuration.learners:
        text += f" learners={','.join(map(str, configuration.learners))}"
    return text


def text_of_item(item: Item) -> str:
    """A key and its value, or a session, its last serial and the result of that."""
    session = f"@{item.serial}" if item.serial else ""
    return f"{item.name}{session}={text_of_result(item.value)}"


def text_of_items(items: Iterable[Item]) -> str:
    """The state machine's state, or a piece of it."""
    return f"[{' '.join(map(text_of_item, items))}]"


def text_of_snapshot(snapshot: Snapshot) -> str:
    """A whole snapshot."""
    index, term, configuration, items = snapshot
    return f"snapshot={index}/{term} {text_of_configuration(configuration)} {text_of_items(items)}"


# -- messages ------------------------------------------------------------------------------


def _request_vote(m: RequestVote) -> str:
    flags = " pre_vote" * m.pre_vote + " transfer" * m.transfer
    return f"last={m.last_log_index}/{m.last_log_term}{flags}"


def _request_vote_reply(m: RequestVoteReply) -> str:
    return ("granted" if m.granted else "refused") + " pre_vote" * m.pre_vote


def _append_entries(m: AppendEntries) -> str:
    return (
        f"prev={m.prev_log_index}/{m.prev_log_term} {text_of_entries(m.entries)}"
        f" commit={m.leader_commit}{text_of_round(m.round)}"
    )


def _append_entries_reply(m: AppendEntriesReply) -> str:
    if m.success:
        return f"matched={m.log_index}{text_of_round(m.round)}"
    hint = f"hint={m.hint_index}/{m.hint_term}"
    return f"refused={m.log_index} {hint}{text_of_round(m.round)}"


def _install_snapshot(m: InstallSnapshot) -> str:
    return (
        f"snapshot={m.snapshot_index}/{m.snapshot_term} {text_of_configuration(m.configuration)}"
        f" offset={m.offset} {text_of_items(m.items)}{' done' * m.done}"
        f"{text_of_round(m.round)}"
    )


def _install_snapshot_reply(m: InstallSnapshotReply) -> str:
    return f"snapshot={m.snapshot_index} received={m.received}"


def text_of_round(number: int) -> str:
    """The round of reads, if there was one."""
    return f" round={number}" if number else ""


DETAILS: dict[type[Message], Callable[[Any], str]] = {
    RequestVote: _request_vote,
    RequestVoteReply: _request_vote_reply,
    AppendEntries: _append_entries,
    AppendEntriesReply: _append_entries_reply,
    InstallSnapshot: _install_snapshot,
    InstallSnapshotReply: _install_snapshot_reply,
}


def text_of_message(m: Message) -> str:
    """A message in one line; a log position is index/term."""
    text = f"{m.sender}->{m.to} {type(m).__name__} term={m.term}"
    return text if isinstance(m, TimeoutNow) else f"{text} {DETAILS[type(m)](m)}"


# -- what a node asks for, and what it is --------------------------------------------------


def text_of_save(save: Save) -> str:
    """What is to be saved."""
    parts = []
    if save.hard_state is not None:
        parts.append(f"term={save.hard_state.term} vote={or_none(save.hard_state.voted_for)}")
    if save.snapshot is not None:
        parts.append(text_of_snapshot(save.snapshot))
    if save.entries:
        parts.append(f"from={save.first_index} {text_of_entries(save.entries)}")
    return " ".join(parts)


def text_of_result(result: Any) -> str:
    """What a command answers."""
    if result is None:
        return "null"
    if isinstance(result, bool):
        return "true" if result else "false"
    return result if isinstance(result, str) else "stale"


def text_of_read(read: ReadIndex) -> str:
    """What became of a round of reads."""
    return f"round={read.round} " + (
        "lost" if read.read_index is None else f"index={read.read_index}"
    )


def text_of_node(node: Node, nodes: tuple[int, ...]) -> str:
    """A node's state, but for what it knows of its followers.

    What most nodes most of the time have not is left out: a log cut at its front, a
    snapshot, other members than the `nodes` that it began with, a transfer under way.
    """
    log = node.log
    text = (
        f"node {node.id} {node.role.value} term={node.term} vote={or_none(node.voted_for)}"
        f" leader={or_none(node.leader)}"
        f" log={text_of_terms(log.slice(log.first_index, log.last_index))}"
        f" commit={node.commit_index}"
    )
    if log.first_index > 1:
        text += f" first={log.first_index}"
    if node.snapshot.last_index:
        text += f" snapshot={node.snapshot.last_index}/{node.snapshot.last_term}"
    if log.configuration != (nodes, ()):
        text += f" {text_of_configuration(log.configuration)}"
    if node.leader_hint != node.leader:
        text += f" transfer={or_none(node.leader_hint)}"
    for lost in node.lost:
        text += f" forgot={lost.node}:{lost.first}..{lost.last}"
    return text + " snapshot_due" * node.snapshot_due


def texts_of_followers(node: Node) -> dict[int, str]:
    """What a leader knows of each follower."""
    if node.role is not Role.LEADER:
        return {}
    return {
        peer: f"peer {node.id}->{peer} match={p.match_index} next={p.next_index}"
        f" {mode_of(p)} in_flight={len(p._in_flight)}"
        for peer, p in node._progress.items()
    }


def mode_of(progress: Progress) -> str:
    """How a leader speaks to a follower."""
    if progress.snapshot is not None:
        return f"snapshot={progress.snapshot.last_index} offset={progress.offset}"
    return "probing" if progress.probing else "replicating"
