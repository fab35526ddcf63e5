"""A short script for a long one: what shows a difference, without what does not matter to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

Commands = list[str]

SIMPLER = [
    (re.compile(r" wait$"), ""),
    (re.compile(r"^(deliver|drop|duplicate) (\S+) \d+$"), r"\1 \2"),
    (re.compile(r"^(crash \d+) .*$"), r"\1"),
    (re.compile(r"\*\d+"), ""),
    (re.compile(r" (pre_vote|check_quorum)\b"), ""),
    (re.compile(r" (window|snapshot_entries|max_entries|max_bytes)=\d+"), ""),
    (re.compile(r"@\w+\.\d+"), ""),
    (re.compile(r"^(propose \d+) \S+ (.*)$"), r"\1 \2"),
    (re.compile(r"^(propose \d+) (?:set|get|cas)\(.*\)$"), r"\1 a"),
]
"""What may stand in a command's place, if the difference stays."""

SIZE = re.compile(r"^cluster (\d+)")


def shrink(commands: Sequence[str], differs: Callable[[Commands], bool]) -> Commands:
    """The shortest commands that are found by leaving some out, and by simpler ones.

    `differs` tells whether commands show the difference; `commands` do. What cannot happen
    any more, a message that nobody sends now for instance, does nothing in a script: so
    commands may be left out freely.
    """
    shortest = list(commands)
    length = 0
    while length != size_of(shortest):
        length = size_of(shortest)
        shortest = without_needless(shortest, differs)
        shortest = with_simpler(shortest, differs)
        shortest = with_broader(shortest, differs)
    return shortest


def size_of(commands: Commands) -> int:
    """How much there is to read."""
    return sum(map(len, commands))


def without_needless(commands: Commands, differs: Callable[[Commands], bool]) -> Commands:
    """Leave out stretches of commands, long ones first, until none can be spared."""
    stretch = max(1, len(commands) // 2)
    while True:
        end = len(commands)
        while end > 1:
            start = max(1, end - stretch)  # The first command makes the cluster.
            shorter = commands[:start] + commands[end:]
            if differs(shorter):
                commands = shorter
            end = start
        if stretch == 1:
            return commands
        stretch = max(1, stretch // 2)


def with_simpler(commands: Commands, differs: Callable[[Commands], bool]) -> Commands:
    """Put simpler commands in the place of others."""
    for at in range(len(commands)):
        for simpler in simpler_than(commands[at]):
            changed = [*commands[:at], simpler, *commands[at + 1 :]]
            if differs(changed):
                commands = changed
    return commands


def with_broader(commands: Commands, differs: Callable[[Commands], bool]) -> Commands:
    """Let more arrive at once, where that makes other commands needless."""
    at = len(commands)
    while at > 1:
        at = min(at, len(commands)) - 1
        for broader in ("settle", "deliver *->*"):
            changed = [*commands[:at], broader, *commands[at + 1 :]]
            if commands[at].startswith("deliver") and differs(changed):
                fewer = without_needless(changed, differs)
                if len(fewer) < len(commands):
                    commands = fewer
                    break
    return commands


def simpler_than(command: str) -> Iterator[str]:
    """What might do instead of a command."""
    for pattern, replacement in SIMPLER:
        for match in pattern.finditer(command):
            yield command[: match.start()] + match.expand(replacement) + command[match.end() :]
    if size := SIZE.match(command):
        for fewer in range(1, int(size[1])):
            yield SIZE.sub(f"cluster {fewer}", command)
