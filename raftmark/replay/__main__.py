"""Replay the recording that is kept, and print what that took as one JSON object.

python -m raftmark.replay               the bytecode instructions that were executed
python -m raftmark.replay --times 2     nothing counted: for a tool that counts from outside
python -m raftmark.replay --make        record it anew, and keep that
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from raftmark.raft.cluster import LogSlice
from raftmark.replay.recording import (
    STORIES,
    Happening,
    Kind,
    apply,
    keep,
    kept,
    record,
    servers,
)


class Diverged(Exception):
    """A core does not do any more what it did when the recording was made."""


def replay(happened: list[Happening]) -> int:
    """Let it all happen to three new servers; returns how many commands were answered.

    Raises `Diverged` where the servers do not end with the same log.
    """
    sent: dict[int, list[Any]] = {node: [] for node in {h.node for h in happened}}
    answered: list[Any] = []
    of = servers(sent, answered)
    for happening in happened:
        apply(happening, of[happening.node], answered.append)
    logs = {(log.last_index, log.commit_index) for log in map(_log, of.values())}
    asked = sum(len(h.value) for h in happened if h.kind is Kind.COMMANDS)
    if len(logs) != 1 or len(answered) != asked:
        raise Diverged(
            f"the servers end with logs to {sorted(logs)}, and {len(answered)} of {asked} commands "
            "were answered: record it anew with --make"
        )
    return asked


def _log(server: Any) -> LogSlice:
    log: LogSlice = server.log(1, 0)
    return log


def bytecodes(function: Callable[[], Any]) -> int:
    """Return how many bytecode instructions a call of `function` executes.

    Exact, and the same each time: each instruction is traced. C code has none, and garbage, whose
    collection may run what others have left, is not collected meanwhile.
    """
    executed = 0

    def instruction(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal executed
        if event == "opcode":
            executed += 1
        return instruction

    def call(frame: FrameType, _event: str, _argument: object) -> Any:
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return instruction

    collecting = gc.isenabled()
    gc.disable()
    sys.settrace(call)
    try:
        function()
    finally:
        sys.settrace(None)
        if collecting:
            gc.enable()
    return executed


def main() -> int:
    """Do what the command line asks for; 1 where the recording does not fit any more."""
    parser = argparse.ArgumentParser(prog="python -m raftmark.replay", description=__doc__)
    parser.add_argument("--times", type=int, help="count nothing, and replay it so often")
    parser.add_argument("--make", action="store_true", help="record it anew")
    asked = parser.parse_args()
    if asked.make:
        keep({name: record(*story) for name, story in STORIES.items()})
        return 0
    found: dict[str, dict[str, int]] = {}
    try:
        for name, happened in kept().items():
            found[name] = {"commands": replay(happened)}
            if asked.times is None:
                found[name]["bytecodes"] = bytecodes(lambda: replay(happened))  # noqa: B023
            else:
                for _ in range(asked.times - 1):
                    replay(happened)
    except Diverged as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
