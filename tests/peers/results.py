"""What the suite said of each peer when it was last asked: `docs/peers/NAME.json`, a line a test.

A test is a function here, with how many of its parametrisations passed, and which did not.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from raftmark.bench.contenders.conformance import COMPLETE, LEVELS
from raftmark.bench.contenders.places import ROOT

RESULTS = ROOT / "docs" / "peers"
CONFORMANCE = ROOT / "tests" / "conformance"


class Result(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How a test went, on a day (YYYY-MM-DD, UTC)."""

    level: str
    on: str
    passed: int = 0
    failed: list[str] = []
    """By their parameters, "" where there are none."""
    not_offered: dict[str, int] = {}
    """What it needs, and how many of its parametrisations were not asked for the lack of it."""

    @property
    def asked(self) -> int:
        """How many of its parametrisations were asked."""
        return self.passed + len(self.failed)


Results = dict[str, Result]
"""By `file::function`."""


def level_reached(results: Results) -> str:
    """Return the highest level of which, and below which, everything passed that was asked."""
    reached = "none"
    for level in LEVELS:
        asked = [each for each in results.values() if each.level == level and each.asked]
        lacks = level == COMPLETE and any(each.not_offered for each in results.values())
        if not asked or lacks or any(each.failed for each in asked):
            break
        reached = level
    return reached


def every_test() -> frozenset[str]:
    """Return all tests that contenders are put to."""
    texts = {path.name: path.read_text("utf-8") for path in CONFORMANCE.glob("test_*.py")}
    return frozenset(
        f"{name}::{function}"
        for name, text in texts.items()
        if "pytest.mark.level(" in text
        for function in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE)
    )


def read_results(peer: str, directory: Path = RESULTS) -> Results:
    """Return what is kept of a peer, without tests that there are no more."""
    path = directory / f"{peer}.json"
    if not path.exists():
        return {}
    kept = msgspec.json.decode(path.read_bytes(), type=Results)
    return {name: kept[name] for name in sorted(kept.keys() & every_test())}


def keep(peer: str, results: Results, directory: Path = RESULTS) -> None:
    """Keep results in the place of those of the same tests before."""
    merged = {**read_results(peer, directory), **results}
    lines = [
        f"{msgspec.json.encode(name).decode()}: {msgspec.json.encode(merged[name]).decode()}"
        for name in sorted(merged)
    ]
    directory.mkdir(exist_ok=True)
    new = directory / f"{peer}.json.new"
    new.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    new.replace(directory / f"{peer}.json")
