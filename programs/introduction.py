"""What `hello` tells of a contender whose nodes are programs: what each of them tells of itself."""

from collections.abc import Sequence
from typing import Any

from raftmark.programs import replies
from raftmark.programs.launcher import Children, Command, Launcher
from raftmark.programs.program import START_S, Program, end_all
from raftmark.raft.errors import Unavailable
from raftmark.raft.host.runs import WORKLOADS


def describe(commands: Sequence[Command], launcher: Launcher | None = None) -> dict[str, Any]:
    """Ask each program once. Unavailable where one cannot be asked."""
    hellos = ask({command.name: command for command in commands}, launcher or Children())
    told = list(hellos.values())
    languages = list(dict.fromkeys(hello["language"] for hello in told))
    runtimes = {name: hello["runtime"] for name, hello in hellos.items()}
    several = {"programs": runtimes} if len(runtimes) > 1 else {}
    common = [each for each in told[0]["features"] if all(each in h["features"] for h in told)]
    beside = [each for each in WORKLOADS if each not in ("replicate", "offered")]
    return {
        "language": " and ".join(languages),
        "runtime": {**joined(list(runtimes.values())), "transport": "tcp", **several},
        "features": [*(each for each in common if each not in beside), *beside],
    }


def ask(commands: dict[str, Command], launcher: Launcher) -> dict[str, dict[str, Any]]:
    """The hello of each program, all asked at once."""
    programs: dict[str, Program] = {}
    try:
        for n, (name, command) in enumerate(commands.items(), 1):
            programs[name] = Program(n, command, launcher, lambda *_: None, lambda *_: None)
        answers = {n: each.begin("hello", replies.decode_object) for n, each in programs.items()}
        hellos = {name: programs[name].finish(answers[name], START_S) for name in programs}
        for name, hello in hellos.items():
            if hello.get("node") is not True or not {"language", "runtime", "features"} <= {*hello}:
                raise Unavailable(f"{programs[name]} says that it is no node program")
        return hellos
    finally:
        end_all(programs.values())


def joined(runtimes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all runtimes agree on, and their names and versions."""
    first = runtimes[0]
    common = {key: first[key] for key in first if all(r.get(key) == first[key] for r in runtimes)}
    return common | {
        key: " and ".join(dict.fromkeys(str(runtime.get(key)) for runtime in runtimes))
        for key in ("name", "version")
    }
