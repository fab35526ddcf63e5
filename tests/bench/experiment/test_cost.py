import os
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil

from raftmark.bench.analysis.metrics import MEMORY_IDLE, MEMORY_PER_ENTRY, PEAK_MEMORY, values
from raftmark.bench.design.cells import replicate_cell
from raftmark.bench.experiment import cost as cost_module
from raftmark.bench.experiment.cost import CostMeter, MachineMeter
from raftmark.bench.runs.forms import CheckOutcome, Cost, MachineState, Trial

WORK = """
import os, sys, threading, time
def burn():
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    ballast.append(b"x" * 50_000_000)
ballast = []
children = []
sys.stdin.readline()
if os.fork() == 0:
    burn()          # a child that is alive when the cost is read
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)
if os.fork() == 0:
    if os.fork() == 0:
        burn()      # and one that has ended, as has its own child
        os._exit(0)
    os.wait()
    burn()
    os._exit(0)
os.wait()
def nap():
    for _ in range(100):
        time.sleep(0.001)
    napped.set()
    threading.Event().wait()
napped = threading.Event()
threading.Thread(target=nap, daemon=True).start()
napped.wait()
print("ready", flush=True)
sys.stdin.read()
os._exit(0)
"""


def tree(pid: int) -> list[int]:
    try:
        root = psutil.Process(pid)
        return [pid, *(child.pid for child in root.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def test_the_cost_is_that_of_the_whole_tree():
    with subprocess.Popen(
        [sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        meter = CostMeter(lambda: tree(process.pid))
        process.stdin.write(b"go\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.readline()
        cost = meter.cost()
        process.stdin.close()
        process.wait()
    # Three descendants burnt 0.3 s each; of those that have ended the system counts ticks of 10 ms.
    assert cost.cpu_s >= 0.84
    assert cost.peak_rss_bytes > 2 * 2**20 + 50_000_000
    assert cost.idle_memory_bytes > 2**20
    assert cost.end_memory_bytes - cost.idle_memory_bytes > 40_000_000
    # The naps of a thread other than the main one.
    assert cost.voluntary_switches >= 100


def test_cpu_time_is_told_to_the_nanosecond():
    spent = []
    for _ in range(3):
        meter = CostMeter(lambda: [os.getpid()])
        sum(range(100_000))
        spent.append(meter.cost().cpu_s)
    # Where it were told by ticks, it would be none of them or so many of 0.01 s.
    assert all(round(1e9 * seconds) % 10_000_000 for seconds in spent)


def test_a_thread_that_ends_as_it_is_read_takes_nothing_of_its_process_away(monkeypatch):
    read, gone = cost_module._read_status, []

    def read_or_gone(path):
        if path.match("task/*/status") and not gone:
            gone.append(path)
            raise FileNotFoundError(path)
        return read(path)

    meter = CostMeter(lambda: [os.getpid()])
    monkeypatch.setattr(cost_module, "_read_status", read_or_gone)
    found = meter.cost()
    assert gone
    assert found.cpu_s > 0
    assert found.peak_rss_bytes > 2**20


def test_what_a_load_adds_is_divided_by_the_entries_that_were_read():
    cell = replicate_cell(1)
    result = {
        **dict.fromkeys(("node", "started_ns", "commands"), 1),
        "latency_ns": [(1, 1)],
        "slices": [(1, 1)],
        "client": "",
        "ended_ns": 2,
        "acknowledged": [10],
        "counters": {},
    }
    cost = Cost(1.0, 900, 0, 0, idle_memory_bytes=500, end_memory_bytes=700)
    trial = Trial(
        *("t", cell.id, 0, 0, "c", "ok", None, result, CheckOutcome(True, [], 50), cost, None),
        *("", 1.0),
    )
    found = values(cell, trial)
    assert (found[MEMORY_PER_ENTRY], found[MEMORY_IDLE], found[PEAK_MEMORY]) == (4, 500, 900)
    before = msgspec.structs.replace(trial, cost=Cost(1.0, 900, 0, 0))
    assert MEMORY_PER_ENTRY not in values(cell, before)


def test_the_cost_of_a_contender_that_has_ended_is_nothing():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    meter = CostMeter(lambda: tree(process.pid))
    assert meter.cost().cpu_s == 0


def test_the_machines_shares_are_shares():
    meter = MachineMeter()
    sum(range(10_000_000))
    state = meter.state()
    assert 0 < state.busy_share <= 1
    assert 0 <= state.steal_share <= 1
    assert state.load_1m >= 0
    for pressure in (state.cpu_pressure, state.memory_pressure, state.io_pressure):
        assert (pressure is not None) == Path("/proc/pressure/cpu").exists()
        assert pressure is None or 0 <= pressure <= 1


def test_records_of_before_pressures_were_read_are_still_read():
    old = b'{"load_1m": 1.5, "steal_share": 0.0, "busy_share": 0.5}'
    assert msgspec.json.decode(old, type=MachineState) == MachineState(1.5, 0.0, 0.5)
