"""System calls a command as deployed: `python -m raftmark.bench.studies.system_calls`.

strace counts the calls of all of a cluster's programs while it commits commands, and the table has
them by command: what the system is asked for by each model to have one committed. Linux alone, and
strace has to be installed and allowed to look into processes. A program that is looked into is many
times slower, so that with many commands outstanding more of them share a batch than otherwise; with
one outstanding there is nothing to share, and the count is what it is. `/proc` tells of `read` and
`write` but not of `recv` and `send`, which is why it will not do.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from raftmark.bench.contenders.contender import ContenderError, ContenderFailed, Patience
from raftmark.bench.contenders.registry import ContenderSpec, load_contenders
from raftmark.bench.contenders.variants import Contenders, deployed
from raftmark.bench.design.cells import deployed as as_deployed
from raftmark.bench.design.cells import replicate_cell
from raftmark.bench.experiment.check import settle
from raftmark.bench.experiment.standing import start
from raftmark.bench.runs.results import ReplicateResult, parse_result

CONTENDERS = ("threading", "asyncio", "multiprocessing", "go")
OUTSTANDING = (1, 64)
KINDS: Mapping[str, tuple[str, ...]] = {
    "sending": ("sendto", "sendmsg", "write", "writev"),
    "receiving": ("recvfrom", "recvmsg", "read", "readv"),
    "waiting": ("epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6"),
    "threads": ("futex", "sched_yield", "nanosleep", "clock_nanosleep", "tgkill"),
}
"""What calls are for; all others are counted as such."""

_WARMUP_S, _DURATION_S = 0.2, 1.0
_PATIENCE_S = 60.0
_LINE = re.compile(r"^\s*(\d+)\s+(\w+)\s*$")


class StudyError(Exception):
    """Nothing can be counted here; the message says why."""


class Counted(NamedTuple):
    """How often each call was made, and how many commands were committed meanwhile."""

    calls: Mapping[str, int]
    commands: int

    def per_command(self) -> dict[str, float]:
        """The calls a command by kind, `other` ones and `all` of them."""
        kinds: Counter[str] = Counter(dict.fromkeys((*KINDS, "other"), 0))
        for name, calls in self.calls.items():
            kinds[next((kind for kind in KINDS if name in KINDS[kind]), "other")] += calls
        found = {kind: calls / self.commands for kind, calls in kinds.items()}
        return {**found, "all": sum(self.calls.values()) / self.commands}


def parse(summary: str) -> dict[str, int]:
    """Read what `strace -c -U calls,name` writes: how often each call was made."""
    lines = (_LINE.match(line) for line in summary.splitlines())
    calls = {line[2]: int(line[1]) for line in lines if line is not None}
    calls.pop("total", None)
    return calls


def count(spec: ContenderSpec, outstanding: int) -> Counted:
    """Count a contender's system calls as it is deployed. Raises `StudyError`."""
    cell = as_deployed(replicate_cell(outstanding, warmup_s=_WARMUP_S, duration_s=_DURATION_S))
    with tempfile.TemporaryDirectory() as scratch, deployed(spec).launch() as contender:
        # One that is looked into is too slow to be heard of in time otherwise.
        start(contender, {**cell.cluster, "election_timeout_ms": [2_000, 4_000]})
        settle(contender, Patience(_PATIENCE_S, "start"), led=True)
        summary = Path(scratch) / "summary"
        pids = contender.processes()
        strace = subprocess.Popen(
            ["strace", "-c", "-f", "-U", "calls,name", "-o", str(summary), *_each("-p", pids)],
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        try:
            _await_traced(strace, pids)
            answer = contender.call("run", reply_timeout=_PATIENCE_S, workload=cell.workload)
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate()
        result = parse_result("replicate", answer)
        assert isinstance(result, ReplicateResult)
        contender.call("stop")
        return Counted(parse(summary.read_text(encoding="utf-8")), sum(result.acknowledged))


def _each(option: str, values: Sequence[int]) -> list[str]:
    return [word for value in values for word in (option, str(value))]


def _await_traced(strace: subprocess.Popen[str], pids: Sequence[int]) -> None:
    """Wait until strace looks into every process."""
    deadline = time.monotonic() + _PATIENCE_S
    left = set(pids)
    while left:
        if strace.poll() is not None or time.monotonic() > deadline:
            raise StudyError(f"strace does not look into processes here: {_why(strace)}")
        left = {pid for pid in left if not _tracer(pid)}
        time.sleep(0.01)


def _why(strace: subprocess.Popen[str]) -> str:
    strace.kill()
    said = strace.communicate()[1].strip().splitlines()
    return said[-1] if said else "it says nothing"


def _tracer(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^TracerPid:\s*(\d+)", status, re.MULTILINE)
    return int(found[1]) if found else 0


def table(counted: Mapping[tuple[str, int], Counted]) -> list[str]:
    """Return what was counted, as lines of Markdown."""
    kinds = [*KINDS, "other", "all"]
    lines = [
        f"| contender | outstanding | {' | '.join(kinds)} |",
        f"|---|---:|{'---:|' * len(kinds)}",
    ]
    for (name, outstanding), each in counted.items():
        calls = each.per_command()
        lines.append(
            f"| {name} | {outstanding} | {' | '.join(f'{calls[kind]:.3g}' for kind in kinds)} |"
        )
    return lines


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m raftmark.bench.studies.system_calls",
        description="Count the system calls of a command, as deployed.",
    )
    parser.add_argument("contenders", nargs="*", default=CONTENDERS, metavar="CONTENDER")
    asked = parser.parse_args()
    if shutil.which("strace") is None:
        sys.exit("there is no strace: install it, and run this again")
    specs = Contenders(load_contenders()).choose(asked.contenders)
    counted = {}
    for outstanding, (name, spec) in product(OUTSTANDING, specs.items()):
        spec.prepare()
        try:
            counted[name, outstanding] = count(spec, outstanding)
        except (StudyError, ContenderError, ContenderFailed) as error:
            sys.exit(f"{name}, {outstanding} outstanding: {error}")
    print("\n".join(table(counted)))


if __name__ == "__main__":
    _main()
