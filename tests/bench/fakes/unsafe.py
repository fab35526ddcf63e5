"""A contender that breaks a safety rule: unsafe.py FAULT, one of the names at the end."""

import sys

from stub import Stub


def seventh(command):
    return (command.client, command.serial) == ("client-0", 7)


class Lost(Stub):
    def append(self, command):
        if not seventh(command):
            super().append(command)


class Twice(Stub):
    def append(self, command):
        super().append(command)
        if seventh(command):
            super().append(command)


class Diverged(Stub):
    def op_status(self, request):
        status = super().op_status(request)
        status["nodes"][-1]["state_hash"] = "5" * 64
        return status


class Unapplied(Stub):
    def op_status(self, request):
        status = super().op_status(request)
        status["nodes"][-1]["applied_index"] -= 1
        return status


class TwoLeaders(Stub):
    def op_run(self, request):
        answer = super().op_run(request)
        self.role(1, "leader", self.term + 1)
        self.role(3, "leader", self.term + 1)
        return answer


class Undecided(Stub):
    def run_election(self, workload):
        result = super().run_election(workload)
        result["elections"][-1].update(
            leader_ns=None, settled_ns=None, leader=None, leader_term=None
        )
        return result


FAULTS = {
    "lost": Lost,
    "twice": Twice,
    "diverged": Diverged,
    "unapplied": Unapplied,
    "two_leaders": TwoLeaders,
    "undecided": Undecided,
}

if __name__ == "__main__":
    FAULTS[sys.argv[1]]().serve()
