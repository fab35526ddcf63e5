"""A contender with disk storage: disk.py, or disk.py FAULT for one that keeps less than it says."""

import json
import os
import sys

from stub import Stub

from raftmark.raft.messages import NOOP, Command, Entry


class Disk(Stub):
    def op_start(self, request):
        answer = super().op_start(request)
        self.path = os.path.join(request["data_dir"], "node-1.log")
        if os.path.exists(self.path):
            self.term = 2
            self.role(1, "leader", 2)
            with open(self.path) as file:
                lines = [json.loads(line) for line in file]
            self.entries = [Entry(term, Command(*command)) for term, command in lines]
            self.append(NOOP)
        return answer

    def op_run(self, request):
        answer = super().op_run(request)
        self.save()
        return answer

    def op_submit(self, request):
        command = request["command"]
        self.append(
            Command(
                command["op"],
                command["key"],
                command["value"],
                None,
                request["client"],
                request["serial"],
            )
        )
        self.save()
        return {"index": len(self.entries), "term": self.term, "result": None}

    def save(self):
        with open(self.path, "w") as file:
            for entry in self.kept():
                print(json.dumps(entry), file=file)

    def kept(self):
        return self.entries


class Late(Disk):
    """Saves some time, not before it acknowledges."""

    def kept(self):
        return self.entries[:-3]


class Forgetful(Disk):
    """Saves what comes now and then, and not what came before."""

    def kept(self):
        return self.entries[:1] + self.entries[2:]


class Empty(Disk):
    """Saves nothing."""

    def kept(self):
        return []


class Altered(Disk):
    """Saves something else."""

    def kept(self):
        return [entry._replace(term=1) for entry in self.entries[:-20]] + [
            entry._replace(command=entry.command._replace(value="y"))
            for entry in self.entries[-20:]
        ]


FAULTS = {"late": Late, "forgetful": Forgetful, "empty": Empty, "altered": Altered}

if __name__ == "__main__":
    (FAULTS[sys.argv[1]] if len(sys.argv) > 1 else Disk)().serve()
