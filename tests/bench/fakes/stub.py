"""A contender that keeps the protocol and makes up its results: quick, and always the same.

The other fakes are this one with a single fault each.
"""

import json
import sys
import time

NODES = 3
SERIALS = 20  # commands that every client of `replicate` has acknowledged


class Stub:
    def __init__(self):
        self.log = []
        self.nodes = 0

    def serve(self):
        for line in sys.stdin:
            request = json.loads(line)
            self.handle(request)
            if request["op"] == "quit":
                return

    def handle(self, request):
        answer = getattr(self, f"op_{request['op']}")(request)
        self.write({"id": request["id"], "ok": answer})

    def write(self, message):
        print(json.dumps(message), flush=True)

    def role(self, node, role, term):
        self.write(
            {
                "event": "role",
                "node": node,
                "role": role,
                "term": term,
                "leader": node if role == "leader" else None,
                "at_ns": time.monotonic_ns(),
            }
        )

    def op_hello(self, request):
        return {
            "contender": "stub",
            "protocol": 1,
            "language": "Python",
            "runtime": {"name": "CPython", "version": "3", "gil": True},
            "features": [
                "memory",
                *("replicate", "election", "offered", "failover", "catch_up", "stability"),
            ],
        }

    def op_start(self, request):
        self.nodes = request["nodes"]
        self.log = [{"index": 1, "term": 1, "command": {"op": "noop"}}]
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
        last = len(self.log)
        return {
            "nodes": [
                {
                    "id": node,
                    "alive": True,
                    "paused": False,
                    "role": "leader" if node == 1 else "follower",
                    "term": 1,
                    "leader": 1,
                    "voted_for": 1,
                    "last_index": last,
                    "commit_index": last,
                    "applied_index": last,
                    "first_index": 1,
                    "state_hash": "5",
                    "log_hash": "7",
                }
                for node in range(1, self.nodes + 1)
            ]
        }

    def op_log(self, request):
        page = self.log[request["from"] - 1 : request["to"]]
        return {"entries": page, "last_index": len(self.log), "commit_index": len(self.log)}

    def op_run(self, request):
        self.write({"event": "progress", "run": request["id"], "done": 0.5})
        return getattr(self, f"run_{request['workload']['name']}")(request["workload"])

    def run_replicate(self, workload):
        clients = workload["outstanding"]
        for serial in range(1, SERIALS + 1):
            for client in range(clients):
                self.append(client, serial)
        commands = SERIALS * clients
        duration_ns = int(workload["duration_s"] * 1e9)
        return {
            "workload": "replicate",
            "node": 1,
            "client": "made up",
            "started_ns": 0,
            "ended_ns": duration_ns,
            "commands": commands,
            "latency_ns": [[1000, commands - 1], [2000, 1]],
            "slices": [[duration_ns, commands]],
            "acknowledged": [SERIALS] * clients,
            "counters": {
                "messages": 2,
                "bytes": None,
                "saves": 1,
                "save_ns": 1,
                "entries": commands,
            },
        }

    def run_offered(self, workload):
        clients = workload.get("sessions", 64)
        raw = self.run_replicate({**workload, "outstanding": clients})
        commands = raw["commands"]
        return {
            **raw,
            "workload": "offered",
            "rate": workload["rate"],
            "sent": commands,
            "saturated": False,
            "service_ns": raw["latency_ns"],
        }

    def run_failover(self, workload):
        raw = self.run_replicate({**workload, "duration_s": workload["after_s"]})
        self.role(2, "leader", 2)
        return {
            "workload": "failover",
            "client": "made up",
            "crashed": 1,
            "leader": 2,
            **{name: raw[name] for name in ("started_ns", "ended_ns", "commands", "slices")},
            "crash_ns": 1_000_000,
            "candidate_ns": 2_000_000,
            "leader_ns": 3_000_000,
            "first_ns": 4_000_000,
            "retries": 0,
            "acknowledged": raw["acknowledged"],
        }

    def run_catch_up(self, workload):
        raw = self.run_replicate({"outstanding": 64, "duration_s": 1})
        return {
            "workload": "catch_up",
            "node": 2,
            "leader": 1,
            "entries": workload["entries"],
            "by": workload["by"],
            "restart_ns": 0,
            "running_ns": 1_000_000,
            "caught_up_ns": 2_000_000,
            "acknowledged": raw["acknowledged"],
            "counters": raw["counters"],
        }

    def run_stability(self, workload):
        return {
            "workload": "stability",
            "started_ns": 0,
            "ended_ns": int(workload["duration_s"] * 1e9),
            "candidacies": 0,
            "terms": 0,
            "commands": 0,
            "acknowledged": [],
        }

    def append(self, client, serial):
        command = {
            "op": "set",
            "key": "key-0",
            "value": "x",
            "client": f"client-{client}",
            "serial": serial,
        }
        self.log.append({"index": len(self.log) + 1, "term": 1, "command": command})

    def run_election(self, workload):
        elections = []
        for number in range(workload["elections"]):
            term, leader = number + 2, number % self.nodes + 1
            self.role(leader, "leader", term)
            elections.append(
                {
                    "crashed": 1,
                    "term": term - 1,
                    "crash_ns": 0,
                    "candidate_ns": 1_000_000,
                    "leader_ns": 2_000_000,
                    "settled_ns": 3_000_000,
                    "leader": leader,
                    "leader_term": term,
                    "candidacies": 1,
                }
            )
        return {"workload": "election", "elections": elections}

    def op_stop(self, request):
        self.nodes = 0
        return {}

    def op_quit(self, request):
        return {}


if __name__ == "__main__":
    Stub().serve()
