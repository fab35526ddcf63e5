"""Measures one case of one model: `python -m raftmark.bench.primitives.models threads one_way`.

A pyperf script: the options are pyperf's. Its workers run this module again, so nothing is started
at import. Of a timer every lateness is kept, which pyperf has no form for: FILE is then a JSON
object, with `lateness_ns` and `means`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
from pathlib import Path

MODELS = ("threads", "tasks", "processes")


def main() -> None:
    """Measure the case that the command line names."""
    import pyperf

    from raftmark.bench.primitives.models import Ticking

    runner = pyperf.Runner(
        program_args=("-m", "raftmark.bench.primitives.models"), add_cmdline_args=_pass_on
    )
    runner.argparser.add_argument("model", choices=MODELS)
    runner.argparser.add_argument("case", metavar="primitive/case")
    runner.argparser.add_argument("--event-loop", choices=["asyncio", "uvloop"], default="asyncio")
    runner.argparser.add_argument("--timers", type=int, default=100, help="how many of them")
    arguments = runner.parse_args()
    found = importlib.import_module(f"raftmark.bench.primitives.models.{arguments.model}")
    if arguments.model == "tasks":
        cases = found.cases(_new_loop(arguments.event_loop))
    else:
        cases = found.CASES
    case = cases.get(arguments.case)
    if case is None:
        runner.argparser.error(f"no case {arguments.case}; choose from {', '.join(cases)}")
    if isinstance(case, Ticking):
        lateness_ns = case.lateness_ns(arguments.timers)
        answer = {"means": case.means, "lateness_ns": lateness_ns}
        Path(arguments.output).write_text(json.dumps(answer), encoding="utf-8")
    else:
        runner.bench_time_func(arguments.case, case.seconds, metadata={"means": case.means})


def _new_loop(name: str) -> object:
    if name == "asyncio":
        return asyncio.new_event_loop
    return importlib.import_module("uvloop").new_event_loop


def _pass_on(command: list[str], arguments: argparse.Namespace) -> None:
    """Tell a worker what it is to measure."""
    command += [arguments.model, arguments.case, "--event-loop", arguments.event_loop]


if __name__ == "__main__":
    main()
