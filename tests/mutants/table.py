"""The table of the rules, `rules.toml`: how each is broken, and which tests must notice.

A `red` test is named as its language's runner names it: `tests/raft/test_log.py::test_x` (or one
of its parametrisations), and `raft.TestX` for a test of the package go_reference/raft.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RULES = range(1, 29)
LANGUAGES = ("python", "go")


class TableError(Exception):
    """The table does not fit the sources."""


@dataclass(frozen=True)
class Mutant:
    """A small change to one source file that breaks one rule and nothing else."""

    rule: int
    language: str
    breaks: str
    """What the code does wrong now."""
    file: str
    old: str
    new: str
    red: tuple[str, ...]
    """The tests that must fail, every one of them."""
    raises: str | None = None
    """The exception, or "panic" in Go, by which they fail, where no assertion does."""
    hangs: bool = False
    """Whether a test that does not end in time counts as failed."""

    def changed(self, tree: Path) -> str:
        """The file as it is broken; TableError unless it is clear where."""
        path = tree / self.file
        if not path.is_file():
            raise TableError(f"{self.file}: no such file")
        text = path.read_text()
        if (count := text.count(self.old)) != 1:
            raise TableError(f"{self.file} has {count} times, not once: {self.old.strip()!r}")
        return text.replace(self.old, self.new)

    def apply(self, tree: Path) -> None:
        """Break the file in a copy of the sources."""
        changed = self.changed(tree)
        (tree / self.file).write_text(changed)


@dataclass(frozen=True)
class Rule:
    """A line of the design's list, and the mutants that break it."""

    number: int
    says: str
    section: str
    mutants: tuple[Mutant, ...]

    def tests(self, language: str) -> list[str]:
        """The tests that hold the rule in a language, in the table's order."""
        mutants = (mutant for mutant in self.mutants if mutant.language == language)
        return list(dict.fromkeys(test for mutant in mutants for test in mutant.red))


def load_rules() -> tuple[Rule, ...]:
    """All rules, in order."""
    with Path(__file__).with_name("rules.toml").open("rb") as file:
        rules = tomllib.load(file)["rule"]
    return tuple(
        Rule(rule["number"], rule["says"], rule["section"], tuple(_mutants(rule))) for rule in rules
    )


def _mutants(rule: dict[str, Any]) -> Iterator[Mutant]:
    for language in LANGUAGES:
        for entry in rule.get(language, ()):
            old, new, red = (entry.pop(key) for key in ("replace", "with", "red"))
            yield Mutant(rule["number"], language, old=old, new=new, red=tuple(red), **entry)
