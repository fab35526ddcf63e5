"""Draws the rooms of the house from what they import, into docs/architecture.md: `make picture`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp

DOCUMENT = Path(__file__).with_name("architecture.md")
BEGIN, END = "<!-- made by make picture -->\n", "<!-- end of what is made -->\n"

# Floors of the picture, from above. What is in none stands alone.
FLOORS = {
    "the command line": ("cli", "commands", "terminal"),
    "report": ("report.",),
    "bench": ("bench.",),
    "the Python contenders": ("impl_",),
    "raft": ("raft", "raft."),
}


def room_of(module: str) -> str | None:
    """Return the room that a module is in; None for one that only names its rooms."""
    match module.split(".")[1:]:
        case ["bench" | "report" as floor, room, *_]:
            return f"{floor}.{room}"
        case ["raft", "host" | "workload" as room, *_]:
            return f"raft.{room}"
        case [] | ["bench" | "report"]:
            return None
        case [room, *_]:
            return room


def arrows() -> dict[str, set[str]]:
    """Return the rooms, each with those that it imports."""
    graph = grimp.build_graph("raftmark", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        if (room := room_of(module)) is None:
            continue
        imported = {room_of(each) for each in graph.find_modules_directly_imported_by(module)}
        found.setdefault(room, set()).update(each for each in imported - {room} if each)
    return found


def reduced(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Leave out each arrow that a way over other rooms has between the same two."""

    def reached(rooms: set[str]) -> set[str]:
        return rooms.union(*(reached(imports[room]) for room in rooms)) if rooms else rooms

    farther = {
        room: reached(set().union(*(imports[each] for each in direct)))
        for room, direct in imports.items()
    }
    return {room: direct - farther[room] for room, direct in imports.items()}


def picture(imports: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield the lines of the picture, a Mermaid flowchart."""
    floors: dict[str, list[str]] = defaultdict(list)
    for room in sorted(imports):
        floors[_floor(room)].append(room)
    yield "```mermaid"
    yield "flowchart TD"
    for floor in (*FLOORS, ""):
        rooms = floors[floor]
        if floor and rooms:
            yield f'  subgraph "{floor}"'
        yield from (f'    {_id(room)}["{room.rpartition(".")[2]}"]' for room in rooms)
        if floor and rooms:
            yield "  end"
    for room, direct in sorted(reduced(imports).items()):
        yield from (f"  {_id(room)} --> {_id(each)}" for each in sorted(direct))
    yield "```"


def drawn(document: str) -> str:
    """Return the document with the picture as the code is now."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{chr(10).join(picture(arrows()))}\n{END}{after}"


def _id(room: str) -> str:
    return room.replace(".", "_")


def _floor(room: str) -> str:
    for floor, beginnings in FLOORS.items():
        for beginning in beginnings:
            whole = not beginning.endswith((".", "_"))
            if room == beginning if whole else room.startswith(beginning):
                return floor
    return ""


if __name__ == "__main__":
    DOCUMENT.write_text(drawn(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
