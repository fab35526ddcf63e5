"""A contender that keeps the protocol without doing any of the work: quick, and always the same.

What it tells is consistent: it takes the time that was asked for, its log has the commands that
clients would have sent, and its hashes are those of that log. The other fakes are this one with a
single fault each.
"""

import json
import math
import sys
import time
from itertools import cycle, islice

from raftmark.raft.messages import NOOP, Entry
from raftmark.raft.state_machine import StateMachine, log_hash
from raftmark.raft.workload.closed_loop import command_sources

NODES = 3
SERIALS = 20  # commands that every client of `replicate` has acknowledged
CATCH_UP_CLIENTS = 64
MILLISECOND = 1_000_000
NAMES = ("term", "op", "key", "value", "expect", "client", "serial")
DEFAULTS = {"key": "", "value": None, "expect": None, "client": None, "serial": 0}


class Stub:
    def __init__(self):
        self.entries = []
        self.nodes = 0
        self.leader = 1
        self.term = 1

    def serve(self):
        for line in sys.stdin:
            request = json.loads(line)
            self.handle(request)
            if request["op"] == "quit":
                return

    def handle(self, request):
        answer = self.answer(request)
        if request.get("columns"):
            answer = self.by_columns(answer)
        self.write({"id": request["id"], "ok": answer})

    def answer(self, request):
        return getattr(self, f"op_{request['op']}")(request)

    def write(self, message):
        self.emit(json.dumps(message))

    def emit(self, line):
        print(line, flush=True)

    def role(self, node, role, term, *, leader=None, at_ns=None):
        self.write(
            {
                "event": "role",
                "node": node,
                "role": role,
                "term": term,
                "leader": node if role == "leader" else leader,
                "at_ns": at_ns or time.monotonic_ns(),
            }
        )

    # -- what it is asked --------------------------------------------------------------------

    def op_hello(self, request):
        return {
            "contender": "stub",
            "protocol": 1,
            "language": "Python",
            "runtime": {"name": "CPython", "version": "3", "gil": True},
            "features": [
                "memory",
                "columns",
                *("replicate", "election", "offered", "failover", "catch_up", "stability"),
            ],
        }

    def op_start(self, request):
        self.nodes, self.leader, self.term = request["nodes"], 1, 1
        self.entries = [Entry(1, NOOP)]
        # The leader is always crashed right before a heartbeat, and the timeout is the lowest.
        low_ms, _ = request.get("election_timeout_ms", (150, 300))
        self.timeout_ns = ns((low_ms - request.get("heartbeat_ms", 50)) / 1000)
        self.role(1, "leader", 1)
        return {"nodes": list(range(1, self.nodes + 1))}

    def op_crash(self, request):
        return {}

    def op_restart(self, request):
        return {}

    def op_links(self, request):
        self.links = {key: value for key, value in request.items() if key not in ("id", "op")}
        return {}

    def op_status(self, request):
        last, machine = len(self.entries), StateMachine()
        machine.apply(self.entries)
        hashes = {"state_hash": machine.state_hash(), "log_hash": log_hash(self.entries)}
        return {
            "nodes": [
                {
                    "id": node,
                    "alive": True,
                    "paused": False,
                    "role": "leader" if node == self.leader else "follower",
                    "term": self.term,
                    "leader": self.leader,
                    "voted_for": self.leader,
                    "last_index": last,
                    "commit_index": last,
                    "applied_index": last,
                    "first_index": 1,
                    **hashes,
                }
                for node in range(1, self.nodes + 1)
            ]
        }

    def op_log(self, request):
        numbered = list(enumerate(self.entries, 1))[request["from"] - 1 : request["to"]]
        return {
            "entries": [
                {"index": index, "term": entry.term, "command": shown(entry.command)}
                for index, entry in numbered
            ],
            "last_index": len(self.entries),
            "commit_index": len(self.entries),
        }

    def by_columns(self, page):
        entries = page["entries"]
        commands = [{**DEFAULTS, **each["command"], "term": each["term"]} for each in entries]
        return {
            "first_index": entries[0]["index"] if entries else 1,
            "count": len(entries),
            "columns": {name: column([each[name] for each in commands]) for name in NAMES},
            "last_index": page["last_index"],
            "commit_index": page["commit_index"],
        }

    def op_stop(self, request):
        self.nodes = 0
        return {}

    def op_quit(self, request):
        return {}

    # -- workloads ---------------------------------------------------------------------------

    def op_run(self, request):
        self.write({"event": "progress", "run": request["id"], "done": 0.5})
        return getattr(self, f"run_{request['workload']['name']}")(request["workload"])

    def append(self, command):
        self.entries.append(Entry(self.term, command))

    def load(self, workload, clients, commands):
        """Let clients send so many commands in turn; what each has acknowledged."""
        sources = command_sources(
            clients,
            workload.get("session", "client"),
            workload.get("keys", 1000),
            workload.get("payload", 64),
        )
        for source in islice(cycle(sources), commands):
            self.append(source.next())
        return [source.serial for source in sources]

    def run_replicate(self, workload):
        clients = workload["outstanding"]
        acknowledged = self.load(workload, clients, SERIALS * clients)
        started_ns = time.monotonic_ns() + ns(workload["warmup_s"])
        length_ns = ns(workload["duration_s"])
        await_ns(started_ns + length_ns)
        commands = sum(acknowledged)
        latency_ns = length_ns // SERIALS
        return {
            "workload": "replicate",
            "node": self.leader,
            "client": "made up",
            "started_ns": started_ns,
            "ended_ns": started_ns + length_ns,
            "commands": commands,
            "latency_ns": [[bucket(latency_ns), commands - 1], [bucket(2 * latency_ns), 1]],
            "slices": [[length_ns, commands]],
            "acknowledged": acknowledged,
            "counters": counters(commands),
        }

    def run_offered(self, workload):
        rate = workload["rate"]
        warmup_s, duration_s = workload["warmup_s"], workload["duration_s"]
        due = math.ceil((warmup_s + duration_s) * rate)
        commands = due - math.ceil(warmup_s * rate)
        acknowledged = self.load(workload, workload.get("sessions", 64), due)
        started_ns, length_ns = time.monotonic_ns() + ns(warmup_s), ns(duration_s)
        await_ns(started_ns + length_ns)
        return {
            "workload": "offered",
            "node": 1,
            "client": "made up",
            "started_ns": started_ns,
            "ended_ns": started_ns + length_ns,
            "rate": rate,
            "sent": commands,
            "commands": commands,
            "saturated": False,
            "latency_ns": [[bucket(MILLISECOND), commands]],
            "service_ns": [[bucket(MILLISECOND // 2), commands]],
            "lateness_ns": [[bucket(MILLISECOND // 2), commands]],
            "sender_cpu_ns": 1000,
            "slices": [[length_ns, commands]],
            "acknowledged": acknowledged,
            "counters": counters(commands),
        }

    def elect(self, crash_ns):
        """Let the leader be crashed, and another be elected; their moments."""
        candidate_ns = crash_ns + self.timeout_ns
        crashed, self.leader = self.leader, self.leader % self.nodes + 1
        self.term += 1
        at_ns = {
            "crash_ns": crash_ns,
            "candidate_ns": candidate_ns,
            "leader_ns": candidate_ns + MILLISECOND,
            "settled_ns": candidate_ns + 2 * MILLISECOND,
        }
        await_ns(at_ns["settled_ns"])
        self.role(self.leader, "candidate", self.term, at_ns=at_ns["candidate_ns"])
        self.role(self.leader, "leader", self.term, at_ns=at_ns["leader_ns"])
        for node in range(1, self.nodes + 1):
            if node not in (crashed, self.leader):
                heard_ns = at_ns["settled_ns"]
                self.role(node, "follower", self.term, leader=self.leader, at_ns=heard_ns)
        self.append(NOOP)
        return crashed, at_ns

    def run_election(self, workload):
        elections = []
        for _ in range(workload["elections"]):
            crashed, at_ns = self.elect(time.monotonic_ns())
            elections.append(
                {
                    "crashed": crashed,
                    "term": self.term - 1,
                    **at_ns,
                    "leader": self.leader,
                    "leader_term": self.term,
                    "candidacies": 1,
                }
            )
        return {"workload": "election", "elections": elections}

    def run_failover(self, workload):
        clients = workload.get("outstanding", 16)
        acknowledged = self.load(workload, clients, SERIALS * clients)
        started_ns = time.monotonic_ns()
        crashed, at_ns = self.elect(started_ns + ns(workload["before_s"]))
        del at_ns["settled_ns"]
        ended_ns = at_ns["crash_ns"] + ns(workload["after_s"])
        await_ns(ended_ns)
        commands = sum(acknowledged)
        return {
            "workload": "failover",
            "client": "made up",
            "crashed": crashed,
            "leader": self.leader,
            "started_ns": started_ns,
            "ended_ns": ended_ns,
            **at_ns,
            "first_ns": at_ns["leader_ns"] + MILLISECOND,
            "commands": commands,
            "slices": [[ended_ns - started_ns, commands]],
            "retries": 0,
            "acknowledged": acknowledged,
        }

    def run_catch_up(self, workload):
        acknowledged = self.load(workload, CATCH_UP_CLIENTS, workload["entries"])
        restart_ns = time.monotonic_ns()
        running_ns, caught_up_ns = restart_ns + MILLISECOND, restart_ns + 2 * MILLISECOND
        await_ns(caught_up_ns)
        self.role(2, "follower", self.term, at_ns=restart_ns + 1)
        return {
            "workload": "catch_up",
            "node": 2,
            "leader": 1,
            "entries": workload["entries"],
            "by": workload["by"],
            "restart_ns": restart_ns,
            "running_ns": running_ns,
            "caught_up_ns": caught_up_ns,
            "acknowledged": acknowledged,
            "counters": counters(0),
        }

    def run_stability(self, workload):
        clients = workload.get("outstanding", 0)
        acknowledged = self.load(workload, clients, SERIALS * clients)
        started_ns = time.monotonic_ns()
        ended_ns = started_ns + ns(workload["duration_s"])
        await_ns(ended_ns)
        return {
            "workload": "stability",
            "started_ns": started_ns,
            "ended_ns": ended_ns,
            "candidacies": 0,
            "terms": 0,
            "commands": sum(acknowledged),
            "acknowledged": acknowledged,
        }


def shown(command):
    """A command as `log` shows it."""
    fields = {"op": command.op, "key": command.key, "value": command.value}
    session = {"client": command.client, "serial": command.serial} if command.client else {}
    return {name: value for name, value in {**fields, **session}.items() if value not in (None, "")}


def column(values):
    """The distinct values, and for each entry the place of its own."""
    distinct = list(dict.fromkeys(values))
    at = [distinct.index(value) for value in values]
    return {"values": distinct, "at": at} if len(distinct) > 1 else {"values": distinct}


def counters(entries):
    return {"messages": 2, "bytes": None, "saves": 1, "save_ns": 1, "entries": entries}


def bucket(value):
    shift = max(0, value.bit_length() - 8)
    return value >> shift << shift


def ns(seconds):
    return round(seconds * 1e9)


def await_ns(moment_ns):
    while (left_ns := moment_ns - time.monotonic_ns()) > 0:
        time.sleep(left_ns / 1e9)


if __name__ == "__main__":
    Stub().serve()
