"""What the harness's tests share: the fakes, and tables of contenders made of them."""

import sys
from pathlib import Path

import msgspec

from bench.registry import ContenderSpec, load_contenders

FAKES = Path(__file__).parent / "fakes"

# Long enough that only a real hang reaches it, on any machine.
PATIENCE = 60.0


def fake(name: str, *arguments: str) -> list[str]:
    """Return the command of a fake contender."""
    return [sys.executable, str(FAKES / f"{name}.py"), *arguments]


def write_table(path: Path, commands: dict[str, list[str]]) -> Path:
    """Write a contenders' table with one entry for each named command."""
    entries = [
        {"name": name, "label": name.title(), "color": "#000000", "marker": "o", "command": command}
        for name, command in commands.items()
    ]
    # JSON strings and lists of them are TOML too.
    lines = []
    for entry in entries:
        lines.append("[[contender]]")
        lines += [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in entry.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def contenders(path: Path, commands: dict[str, list[str]]) -> dict[str, ContenderSpec]:
    """Return fake contenders as the registry loads them."""
    return load_contenders(write_table(path / "contenders.toml", commands))
