"""Contenders that lie: liars.py NAME, one of `LIES`.

Each is the honest stub with one thing told otherwise. A lie is about one operation's answer, or
about events, and is told by what makes a false answer of a true one.
"""

import copy
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from stub import CATCH_UP_CLIENTS, MILLISECOND, Stub, bucket

SECOND = 1_000_000_000
LATENCIES = ("latency_ns", "service_ns", "lateness_ns", "slices")


class Lie(NamedTuple):
    """What is told otherwise: `op`'s answer, of this workload, by `change`; and what is `said`."""

    name: str
    workload: str
    op: str
    change: Callable[[dict[str, Any]], dict[str, Any] | None]
    said: str


class Liar(Stub):
    """Tells one lie."""

    def __init__(self, lie):
        super().__init__()
        self.lie = lie

    def write(self, message):
        if self.lie.op == "event" and message.get("event") == "role":
            message = changed(self.lie.change, message)
        super().write(message)

    def answer(self, request):
        answer = super().answer(request)
        return changed(self.lie.change, answer) if request["op"] == self.lie.op else answer

    def by_columns(self, page):
        answer = super().by_columns(page)
        return changed(self.lie.change, answer) if self.lie.op == "columns" else answer


def changed(change, answer):
    """What a lie makes of an answer: in place, or a new one."""
    answer = copy.deepcopy(answer)
    return change(answer) or answer


# -- the tools of lying ------------------------------------------------------------------


def put(**fields):
    """Say something else of the result."""
    return lambda answer: answer.update(fields)


def shift(by_ns, *names):
    """Say that all of it was at another time, or only some moments."""

    def change(answer):
        for part in [answer, *answer.get("elections", [])]:
            for name in names or [n for n in part if n.endswith("_ns") and n not in LATENCIES]:
                if isinstance(part.get(name), int):
                    part[name] += by_ns

    return change


def faster(times):
    """Divide all times by a number, from the beginning on."""

    def change(answer):
        for part in [answer, *answer.get("elections", [])]:
            names = [n for n in part if n.endswith("_ns") and isinstance(part[n], int)]
            if names:
                begin = min(part[name] for name in names)
                for name in names:
                    part[name] = begin + (part[name] - begin) // times
        for name in LATENCIES:
            if name in answer:
                answer[name] = [[bucket(ns // times), count] for ns, count in answer[name]]
        if "slices" in answer:
            answer["slices"][-1][0] = answer["ended_ns"] - answer["started_ns"]

    return change


def latencies(ns, *names):
    """Say that every command took as long as this."""

    def change(answer):
        for name in names or ("latency_ns",):
            answer[name] = [[bucket(ns), answer["commands"]]]

    return change


def shorter(by):
    """Say that latencies were a part of what they were."""

    def change(answer):
        answer["latency_ns"] = [[bucket(int(ns * by)), n] for ns, n in answer["latency_ns"]]

    return change


def counted(**fields):
    """Say something else of the counters."""
    return lambda answer: answer["counters"].update(fields)


def node(number, **fields):
    """Say something else of one node of `status`."""
    return lambda answer: answer["nodes"][number - 1].update(fields)


def every(**fields):
    """Say something else of every node of `status`."""

    def change(answer):
        for one in answer["nodes"]:
            one.update(fields)

    return change


def entry(index, **fields):
    """Show an entry's command as another."""

    def change(answer):
        for one in answer["entries"]:
            if one["index"] == index:
                one["command"].update(fields)

    return change


def column(name, **fields):
    """Say something else of one column of a log."""
    return lambda answer: answer["columns"][name].update(fields)


def election(number, **fields):
    """Say something else of one election."""

    def change(answer):
        one = answer["elections"][number - 1]
        one.update({n: v(one) if callable(v) else v for n, v in fields.items()})

    return change


def without(index):
    """Leave an entry out, and count on as if nothing was."""

    def change(answer):
        kept = [one for one in answer["entries"] if one["index"] != index]
        for one in kept:
            one["index"] -= one["index"] > index
        return {**answer, "entries": kept}

    return change


REPLICATE, ELECTION, OFFERED = "replicate", "election", "offered"
FAILOVER, CATCH_UP, STABILITY = "failover", "catch_up", "stability"
BEFORE, AFTER, MEASURED = "before 'run' was sent", "after the reply to 'run'", "were asked for"
LAW, NO_RESULT = "Little's law", "answered what is no result"
NO_COLUMN = "columns that have not one value for each entry"

LIES = [
    # Times.
    Lie("all ten times faster", REPLICATE, "run", faster(10), MEASURED),
    Lie(
        "measured for a nanosecond",
        REPLICATE,
        "run",
        lambda a: a.update(ended_ns=a["started_ns"] + 1, slices=[[1, a["commands"]]]),
        MEASURED,
    ),
    Lie(
        "measured for half as long",
        REPLICATE,
        "run",
        lambda a: a.update(
            ended_ns=a["started_ns"] + 20 * MILLISECOND, slices=[[20 * MILLISECOND, a["commands"]]]
        ),
        MEASURED,
    ),
    Lie("30 years ago", REPLICATE, "run", shift(-30 * 365 * 86400 * SECOND), NO_RESULT),
    Lie(
        "an hour ago",
        REPLICATE,
        "run",
        lambda a: shift(-min(3600 * SECOND, a["started_ns"]))(a),
        BEFORE,
    ),
    Lie("in a minute", REPLICATE, "run", shift(60 * SECOND), AFTER),
    Lie(
        "backwards",
        REPLICATE,
        "run",
        lambda a: a.update(ended_ns=a["started_ns"], started_ns=a["ended_ns"]),
        NO_RESULT,
    ),
    Lie("times by its own clock", REPLICATE, "run", lambda a: shift(-a["started_ns"])(a), BEFORE),
    # Latencies and counts.
    Lie("latencies of 1 ns", REPLICATE, "run", latencies(1), "took 1 ns"),
    Lie("latencies of 200 ns", REPLICATE, "run", latencies(200), LAW),
    Lie("latencies divided by two", REPLICATE, "run", shorter(0.5), LAW),
    Lie("latencies a fifth shorter", REPLICATE, "run", shorter(0.8), LAW),
    Lie("latencies that are too long", REPLICATE, "run", shorter(1.5), LAW),
    Lie(
        "one long latency to hide short ones",
        REPLICATE,
        "run",
        lambda a: a.update(latency_ns=[[200, a["commands"] - 1], [bucket(20 * MILLISECOND), 1]]),
        LAW,
    ),
    Lie(
        "a latency longer than the run",
        REPLICATE,
        "run",
        lambda a: a.update(latency_ns=[a["latency_ns"][0], [bucket(3600 * SECOND), 1]]),
        "s in the ",
    ),
    Lie(
        "a histogram of something else",
        REPLICATE,
        "run",
        lambda a: a.update(latency_ns=[[2_000_001, a["commands"]]]),
        "no bucket's lowest value",
    ),
    Lie(
        "a billion commands",
        REPLICATE,
        "run",
        put(
            commands=10**9,
            latency_ns=[[bucket(2 * MILLISECOND), 10**9]],
            slices=[[40 * MILLISECOND, 10**9]],
        ),
        "more commands than were acknowledged",
    ),
    Lie(
        "a billion commands, nobody's",
        REPLICATE,
        "run",
        put(
            commands=10**9,
            latency_ns=[[bucket(2 * MILLISECOND), 10**9]],
            slices=[[40 * MILLISECOND, 10**9]],
            acknowledged=[],
        ),
        "more commands than were acknowledged",
    ),
    Lie(
        "ten times the commands",
        REPLICATE,
        "run",
        lambda a: a.update(
            commands=10 * a["commands"],
            latency_ns=[[bucket(MILLISECOND // 5), 10 * a["commands"]]],
            slices=[[40 * MILLISECOND, 10 * a["commands"]]],
            acknowledged=[10 * last for last in a["acknowledged"]],
        ),
        "acknowledged, but the log has",
    ),
    Lie("nothing acknowledged", REPLICATE, "run", put(acknowledged=[]), "more commands than"),
    Lie(
        "fewer clients",
        REPLICATE,
        "run",
        lambda a: a.update(acknowledged=[sum(a["acknowledged"])]),
        "1 clients have acknowledged",
    ),
    Lie(
        "a serial that nobody sent",
        REPLICATE,
        "run",
        lambda a: a.update(acknowledged=[21, *a["acknowledged"][1:]]),
        "had serial 21 acknowledged",
    ),
    Lie("less than no commands", REPLICATE, "run", put(commands=-1), NO_RESULT),
    Lie("commands beyond all numbers", REPLICATE, "run", put(commands=10**300), NO_RESULT),
    Lie(
        "slices of another time",
        REPLICATE,
        "run",
        lambda a: a.update(slices=[[10 * MILLISECOND, a["commands"]]]),
        "do not cut its measured time",
    ),
    Lie(
        "commands in no time",
        REPLICATE,
        "run",
        lambda a: a.update(slices=[[0, 1], [a["slices"][-1][0], a["commands"] - 1]]),
        "do not cut its measured time",
    ),
    Lie(
        "slices that do not add up",
        REPLICATE,
        "run",
        lambda a: a.update(slices=[[a["slices"][0][0], 2 * a["commands"]]]),
        "do not add up",
    ),
    Lie("another node", REPLICATE, "run", put(node=7), "node 7, which 'start' did not name"),
    # Counters.
    Lie("empty counters", REPLICATE, "run", put(counters={}), "counters lack messages"),
    Lie("counters without saves", REPLICATE, "run", counted(saves=0), "and 0 saves"),
    Lie("counters without messages", REPLICATE, "run", counted(messages=0), "0 messages"),
    Lie("counters of null", REPLICATE, "run", counted(entries=None), "counters lack entries"),
    Lie("more entries than commands", REPLICATE, "run", counted(entries=10**6), "1000000 entries"),
    Lie("saves longer than the run", REPLICATE, "run", counted(save_ns=10**12), "s of saves in"),
    Lie("less than no messages", REPLICATE, "run", counted(messages=-5), NO_RESULT),
    # Nodes.
    Lie("other nodes than asked for", REPLICATE, "start", put(nodes=[1, 2, 4]), "started nodes"),
    Lie("one node for three", REPLICATE, "start", put(nodes=[1]), "started nodes"),
    Lie(
        "one node of three",
        REPLICATE,
        "status",
        lambda a: a.update(nodes=a["nodes"][:1]),
        "'status' has nodes [1]",
    ),
    Lie("the same node thrice", REPLICATE, "status", every(id=1), "'status' has nodes [1, 1, 1]"),
    Lie(
        "a fourth node",
        REPLICATE,
        "status",
        lambda a: a["nodes"].append({**a["nodes"][0], "id": 4}),
        "'status' has nodes [1, 2, 3, 4]",
    ),
    Lie("no hashes", REPLICATE, "status", every(log_hash=None, state_hash=None), "no SHA-256"),
    Lie("hashes that are none", REPLICATE, "status", every(log_hash="7"), "no SHA-256"),
    Lie(
        "hashes of another log",
        REPLICATE,
        "status",
        every(log_hash="5" * 64),
        "log_hash is not that of the log that was read",
    ),
    Lie(
        "hashes of another state",
        REPLICATE,
        "status",
        every(state_hash="5" * 64),
        "state_hash is not that of the log that was read",
    ),
    Lie(
        "one node's log differs",
        REPLICATE,
        "status",
        node(3, log_hash="5" * 64),
        "log_hash differs",
    ),
    Lie(
        "no indices",
        REPLICATE,
        "status",
        every(last_index=None, commit_index=None, applied_index=None),
        "do not settle",
    ),
    Lie("a crashed node", REPLICATE, "status", node(2, alive=False), "do not settle"),
    Lie("a log that is cut", REPLICATE, "status", every(first_index=30), "keeps its whole log"),
    Lie(
        "a longer log than there is",
        REPLICATE,
        "status",
        every(last_index=99, commit_index=99, applied_index=99),
        "the log ends at index 41",
    ),
    # The log.
    Lie("entries without values", REPLICATE, "log", entry(9, value=""), "is not what client-"),
    Lie("entries without keys", REPLICATE, "log", entry(9, key=""), "is not what client-"),
    Lie(
        "entries with another's value",
        REPLICATE,
        "log",
        entry(9, value="y" * 64),
        "is not what client-",
    ),
    Lie("entries of another kind", REPLICATE, "log", entry(9, op="get"), "is not what client-"),
    Lie("no entries", REPLICATE, "log", put(entries=[]), "the log ends at index 0"),
    Lie("an entry less", REPLICATE, "log", without(9), "where 4 belongs"),
    Lie("commands of nobody", REPLICATE, "log", entry(9, client="somebody"), "that nobody sent"),
    Lie(
        "a term to come",
        REPLICATE,
        "log",
        lambda a: a["entries"][-1].update(term=9),
        "the log has term 9 where the nodes are in term 1",
    ),
    # The log by its columns.
    Lie("columns of less", REPLICATE, "columns", column("serial", at=[0]), NO_COLUMN),
    Lie("a column of one value", REPLICATE, "columns", column("client", at=None), "that nobody"),
    Lie("places beyond the values", REPLICATE, "columns", column("key", at=[99] * 41), NO_COLUMN),
    Lie("places before them", REPLICATE, "columns", column("key", at=[-1] * 41), ">= 0"),
    Lie("no values", REPLICATE, "columns", column("op", values=[], at=None), NO_COLUMN),
    Lie("a column less", REPLICATE, "columns", lambda a: a["columns"].pop("key") and a, "`key`"),
    Lie("a count that is higher", REPLICATE, "columns", put(count=42), NO_COLUMN),
    Lie("a count that is lower", REPLICATE, "columns", put(count=40), NO_COLUMN),
    Lie("a page of another place", REPLICATE, "columns", put(first_index=2), "the log has index 2"),
    Lie(
        "other values",
        REPLICATE,
        "columns",
        column("value", values=[None, "y" * 64]),
        "is not what",
    ),
    # Events.
    Lie("events of another node", REPLICATE, "event", put(node=9), "tells of node 9"),
    Lie("events of another role", REPLICATE, "event", put(role="king"), "of a role 'king'"),
    Lie(
        "events of long ago",
        REPLICATE,
        "event",
        shift(-3600 * SECOND, "at_ns"),
        "older than the contender",
    ),
    Lie("events of tomorrow", REPLICATE, "event", shift(86400 * SECOND, "at_ns"), "after it came"),
    # Elections.
    Lie("elections ten times faster", ELECTION, "run", faster(10), "candidate_ns is not when"),
    Lie(
        "an election of no time",
        ELECTION,
        "run",
        election(2, leader_ns=lambda e: e["crash_ns"]),
        NO_RESULT,
    ),
    Lie(
        "an election of less than no time",
        ELECTION,
        "run",
        election(2, leader_ns=lambda e: e["crash_ns"] - SECOND),
        NO_RESULT,
    ),
    Lie(
        "an election that was elsewhen",
        ELECTION,
        "run",
        lambda a: shift(7)(a),
        "candidate_ns is not when",
    ),
    Lie(
        "an election that nobody stood for",
        ELECTION,
        "run",
        election(1, candidate_ns=lambda e: e["candidate_ns"] + 5),
        "candidate_ns is not when",
    ),
    Lie(
        "an election won by another",
        ELECTION,
        "run",
        election(1, leader=3),
        "no event tells that node 3 was elected",
    ),
    Lie(
        "a leader that was crashed",
        ELECTION,
        "run",
        election(1, leader=1),
        "the crashed leader was elected",
    ),
    Lie(
        "a crash of no leader",
        ELECTION,
        "run",
        election(1, crashed=3),
        "no event tells that node 3 led",
    ),
    Lie(
        "an election settled too soon",
        ELECTION,
        "run",
        election(1, settled_ns=lambda e: e["leader_ns"] + 9),
        "at settled_ns",
    ),
    Lie(
        "an election more than asked for",
        ELECTION,
        "run",
        lambda a: a["elections"].append(a["elections"][-1]),
        "4 elections were held",
    ),
    Lie(
        "the same election again",
        ELECTION,
        "run",
        lambda a: a.update(elections=[a["elections"][0]] * 3),
        "before the one before it was over",
    ),
    Lie(
        "an election less",
        ELECTION,
        "run",
        lambda a: a.update(elections=a["elections"][1:]),
        "2 of 3 elections were decided",
    ),
    Lie("no split votes", ELECTION, "run", election(1, candidacies=0), "0 candidacies where"),
    Lie("votes split in vain", ELECTION, "run", election(1, candidacies=5), "5 candidacies where"),
    Lie("followers that lagged", ELECTION, "run", election(1, lagging=[2, 3]), "lagged where 0"),
    Lie("an election in an old term", ELECTION, "run", election(1, leader_term=1), NO_RESULT),
    # The open loop.
    Lie("another rate", OFFERED, "run", put(rate=10**6), "offered 1e+06 commands a second"),
    Lie(
        "fewer commands than were due",
        OFFERED,
        "run",
        lambda a: a.update(
            sent=20,
            commands=20,
            latency_ns=[[bucket(MILLISECOND), 20]],
            service_ns=[[bucket(MILLISECOND // 2), 20]],
            lateness_ns=[[bucket(MILLISECOND // 2), 20]],
        ),
        "and none given up",
    ),
    Lie(
        "more commands than were due",
        OFFERED,
        "run",
        lambda a: a.update(
            sent=90,
            commands=90,
            latency_ns=[[bucket(MILLISECOND), 90]],
            service_ns=[[bucket(MILLISECOND // 2), 90]],
            lateness_ns=[[bucket(MILLISECOND // 2), 90]],
        ),
        "90 commands were sent where 40",
    ),
    Lie(
        "commands that were not answered",
        OFFERED,
        "run",
        lambda a: a.update(sent=a["sent"] + 1),
        "commands were answered of",
    ),
    Lie("served before it was due", OFFERED, "run", latencies(1000), "from when they were sent"),
    Lie(
        "open latencies of 1 ns",
        OFFERED,
        "run",
        latencies(1, "latency_ns", "service_ns"),
        "took 1 ns",
    ),
    Lie(
        "a sender that is never late",
        OFFERED,
        "run",
        latencies(0, "lateness_ns"),
        "what the sender was late and what the leader took",
    ),
    Lie(
        "lateness of some",
        OFFERED,
        "run",
        lambda a: a.update(lateness_ns=[[bucket(MILLISECOND // 2), 7]]),
        "lateness_ns has not as many commands",
    ),
    Lie(
        "a sender that is to blame for all CPU time",
        OFFERED,
        "run",
        put(sender_cpu_ns=3600 * SECOND),
        "the sender used 3.6e+03 s",
    ),
    Lie(
        "sessions out of turn",
        OFFERED,
        "run",
        lambda a: a.update(acknowledged=a["acknowledged"][::-1]),
        "did not send in turn",
    ),
    Lie("an open loop ten times faster", OFFERED, "run", faster(10), MEASURED),
    Lie(
        "an open loop that took longer",
        OFFERED,
        "run",
        lambda a: a.update(
            started_ns=a["started_ns"] - 5 * MILLISECOND,
            slices=[[a["slices"][0][0] + 5 * MILLISECOND, a["commands"]]],
        ),
        MEASURED,
    ),
    Lie(
        "slices of more than all",
        OFFERED,
        "run",
        lambda a: a.update(slices=[[a["slices"][0][0], 10**6]]),
        "slices have more commands",
    ),
    # Failover.
    Lie("an outage ten times shorter", FAILOVER, "run", faster(10), MEASURED),
    Lie(
        "a failover without its leader",
        FAILOVER,
        "run",
        shift(-MILLISECOND // 2, "leader_ns"),
        "was elected at leader_ns",
    ),
    Lie(
        "a failover without its candidate",
        FAILOVER,
        "run",
        shift(-MILLISECOND // 2, "candidate_ns"),
        "of a candidate at candidate_ns",
    ),
    Lie(
        "an outage that ended before it began",
        FAILOVER,
        "run",
        lambda a: a.update(first_ns=a["crash_ns"]),
        NO_RESULT,
    ),
    Lie("a first command without a leader", FAILOVER, "run", put(leader=None), NO_RESULT),
    Lie(
        "a crash that came too soon",
        FAILOVER,
        "run",
        lambda a: a.update(
            started_ns=a["crash_ns"] - MILLISECOND,
            slices=[[a["ended_ns"] - a["crash_ns"] + MILLISECOND, a["commands"]]],
        ),
        "under load before the crash for",
    ),
    Lie("the crashed leader goes on", FAILOVER, "run", put(leader=1), "was elected"),
    Lie(
        "commands that nobody heard of",
        FAILOVER,
        "run",
        lambda a: a.update(
            commands=a["commands"] // 2, slices=[[a["slices"][0][0], a["commands"] // 2]]
        ),
        "commands were counted where",
    ),
    # Catching up.
    Lie("catching up with less", CATCH_UP, "run", put(entries=10), "caught up with 10 entries"),
    Lie("catching up by other means", CATCH_UP, "run", put(by="snapshot"), "by snapshot"),
    Lie(
        "catching up with nothing",
        CATCH_UP,
        "run",
        put(acknowledged=[0] * CATCH_UP_CLIENTS),
        "0 commands were acknowledged",
    ),
    Lie(
        "catching up before the restart",
        CATCH_UP,
        "run",
        lambda a: a.update(caught_up_ns=a["restart_ns"]),
        NO_RESULT,
    ),
    Lie(
        "a follower that never was away",
        CATCH_UP,
        "run",
        put(node=3),
        "no event tells that node 3 was restarted",
    ),
    Lie("a leader that follows itself", CATCH_UP, "run", put(node=1), "is the leader"),
    Lie("given up at once", CATCH_UP, "run", put(caught_up_ns=None), "waited for the follower"),
    # Stability.
    Lie(
        "an election that nobody held",
        STABILITY,
        "run",
        put(candidacies=1, terms=1),
        "1 candidacies where events tell of 0 to 0",
    ),
    Lie("left alone for less", STABILITY, "run", faster(10), MEASURED),
    Lie("terms of no election", STABILITY, "run", put(terms=3), "0 candidacies in 3 terms"),
]

BY_NAME = {lie.name: lie for lie in LIES}


class Restless(Stub):
    """Holds elections all the time, and says that it held none."""

    def run_stability(self, workload):
        answer = super().run_stability(workload)
        self.role(2, "candidate", 2, at_ns=answer["started_ns"] + 1)
        return answer


class NoRaft(Stub):
    """Keeps no log: it makes up each entry when it is asked for it, and never replicates.

    It holds one list, and the stub's arithmetic; docs/methodology.md says what of it can be known.
    """

    def op_log(self, request):
        page = super().op_log(request)
        for one in page["entries"]:
            if one["command"]["op"] == "set":
                one["command"] = {"op": "set", "key": "key-0", "value": "x"}
        return page


class Slow(Stub):
    """Measures for a tenth of the time."""

    def run_replicate(self, workload):
        return super().run_replicate({**workload, "duration_s": workload["duration_s"] / 10})


PROGRAMS = {"no raft": NoRaft, "shorter than asked": Slow, "restless": Restless}


def liar(name):
    """A liar by its name."""
    return PROGRAMS[name]() if name in PROGRAMS else Liar(BY_NAME[name])


if __name__ == "__main__":
    liar(sys.argv[1]).serve()
