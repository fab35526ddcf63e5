"""Kill a contender, and read back what it had acknowledged.

With disk storage an acknowledgement promises that the command is kept. The harness cannot see
whether it is, but it can have some commands acknowledged, kill all of the contender's processes in
the same moment (SIGKILL), start it again on the same data, and read the whole log once more. That
takes some seconds, so it is done where a contender meets a cell with disk storage for the first
time in a run: in the first block. What the system had taken but not yet written survives a kill, so
a save that is not synced is not found this way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from raftmark.bench.contenders.contender import Contender, ContenderError, Patience
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment.check import replay, settle
from raftmark.bench.experiment.claims import asked_for
from raftmark.bench.experiment.pages import Entry, read_log
from raftmark.bench.experiment.replay import Replay
from raftmark.bench.runs.results import ElectionResult, Result

CLIENT = "raftmark-read-back"
_COMMANDS = 16
_RETRIED = frozenset(("not_leader", "unavailable", "lost", "timeout"))


def is_due(planned: Planned) -> bool:
    """Whether this trial is one of those that are killed and read back."""
    return planned.block == 0 and planned.cell.cluster["storage"] == "disk"


def read_back(
    contender: Contender,
    launch: Callable[[], Contender],
    cluster: Mapping[str, Any],
    planned: Planned,
    result: Result,
    log: Replay,
    patience: Patience,
    *,
    by_columns: bool,
) -> list[str]:
    """Kill a contender whose `log` has been read, and return what it has lost.

    Raises `ContenderFailed` and `ContenderError` as any other conversation with a contender.
    """
    for serial in range(1, _COMMANDS + 1):
        _submit(contender, serial, patience)
    contender.kill()
    with launch() as again:
        again.call("start", reply_timeout=patience.left_s, **cluster)
        nodes = settle(again, patience)
        whole = [node.id for node in nodes if node.alive and node.first_index == 1]
        end = max((node.commit_index or 0 for node in nodes), default=0)
        if not whole or not end:
            return ["after a kill: no node has its whole log"]
        found = replay(planned.cell, result, [1])
        later: list[Entry] = []
        payload = asked_for(planned.cell).get("payload", 0)
        for page in read_log(again, whole, end, payload, patience, by_columns=by_columns):
            before, entries = max(0, log.index - found.index), page.entries()
            found.take(entries[:before])
            later += entries[before:]
            if found.stopped:
                break
        again.call("stop", reply_timeout=patience.left_s)
    found.end([] if isinstance(result, ElectionResult) else result.acknowledged)
    problems = [f"after a kill: {problem}" for problem in found.problems]
    if not problems and found.log_hash(1) != log.log_hash(1):
        problems.append("after a kill: the log is not the one that was read before")
    return problems + _lost(later)


def _submit(contender: Contender, serial: int, patience: Patience) -> None:
    """Have a command acknowledged, by whichever leader there is in time."""
    command = {"op": "set", "key": CLIENT, "value": str(serial)}
    while True:
        try:
            contender.call(
                "submit",
                reply_timeout=patience.left_s,
                command=command,
                client=CLIENT,
                serial=serial,
            )
            return
        except ContenderError as error:
            if error.code not in _RETRIED or not patience.left_s:
                raise
            time.sleep(0.01)  # There may be no leader yet.


def _lost(later: list[Entry]) -> list[str]:
    kept = {entry.serial for entry in later if entry.client == CLIENT}
    lost = sorted(set(range(1, _COMMANDS + 1)) - kept)
    if not lost:
        return []
    return [f"after a kill: {len(lost)} of {_COMMANDS} acknowledged commands are lost"]
