"""What the conformance suite has found a contender able to do, remembered until that changes.

A contender reaches a level if it passes every test of it and of those below. It may offer less than
all, and is then not asked for that; but only who offers all is *complete*.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import msgspec

from raftmark.bench.contenders.places import CACHE
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.files import replace_file

SUITE = Path(str(files("raftmark"))) / "conformance"
"""Where the suite lies: in a checkout a link to its tests."""

COMPLETE = "complete"

LEVELS = {
    "elects": "one leader a term, and a new one when it crashes",
    "replicates": "commands are committed once, in one order, with one result",
    "survives": "pauses, partitions, bad links, kills and malformed requests harm nothing",
    COMPLETE: "all that the protocol knows is offered, and passes",
}
"""The levels from the lowest, and what each says of a contender."""

FAILS = "fails"
"""In place of a level: examined, and not even the lowest is reached."""


FEATURES = frozenset(
    {
        *("memory", "disk"),
        *("replicate", "offered", "election", "failover", "catch_up", "stability"),
        *(
            "read",
            "snapshot",
            "transfer",
            "membership",
            "pre_vote",
            "check_quorum",
            "trace",
            "slices",
            "columns",
        ),
    }
)
"""All that the protocol knows for a contender to offer."""


class Examination(msgspec.Struct, frozen=True):
    """What a run of the suite found, asked `up_to` a level.

    `level` is the highest that is reached, or `FAILS`. `passed` counts tests by level, `failed`
    names tests, and `not_offered` counts those that were skipped, by feature.
    """

    contender: str
    up_to: str
    level: str
    passed: dict[str, int]
    failed: dict[str, list[str]]
    not_offered: dict[str, int]

    @classmethod
    def of(
        cls,
        contender: str,
        up_to: str,
        passed: Mapping[str, int],
        failed: Mapping[str, list[str]],
        not_offered: Mapping[str, int],
    ) -> Examination:
        """Draw the conclusion from what passed, failed, and was not offered."""
        level = FAILS
        for each in LEVELS:
            if failed.get(each) or not passed.get(each) or (each == COMPLETE and not_offered):
                break
            level = each
            if each == up_to:
                break
        return cls(contender, up_to, level, dict(passed), dict(failed), dict(not_offered))


def remember(spec: ContenderSpec, found: Examination) -> None:
    """Keep what was found of a contender as it is now. Raises OSError where that cannot be."""
    path = _place(spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, msgspec.json.encode(found))


def recall(spec: ContenderSpec) -> Examination | None:
    """Return what was found of a contender as it is now, None if it was not examined since."""
    try:
        return msgspec.json.decode(_place(spec).read_bytes(), type=Examination)
    except (OSError, msgspec.DecodeError):
        return None


def _place(spec: ContenderSpec) -> Path:
    return CACHE / "conformance" / f"{fingerprint(spec)}.json"


def fingerprint(spec: ContenderSpec) -> str:
    """Return a digest of a contender: its command, all files that its entry names, the suite.

    Not of its interpreter's or compiler's version: what a language changes is not Raft.
    """
    digest = hashlib.sha256(msgspec.json.encode([spec.name, spec.argv(), spec.env]))
    for path in sorted({*_files(spec), *SUITE.glob("*.py")}):
        digest.update(msgspec.json.encode([str(path), hashlib.sha256(_read(path)).hexdigest()]))
    return digest.hexdigest()


def _files(spec: ContenderSpec) -> Iterator[Path]:
    patterns = [*spec.core, *(each for globs in spec.sources.values() for each in globs)]
    for pattern in patterns:
        yield from spec.directory.glob(pattern)
    if spec.build is not None:
        for pattern in spec.build.inputs:
            yield from (spec.directory / spec.build.cwd).glob(pattern)
    for argument in spec.argv():
        path = spec.directory / argument
        if path.is_file():
            yield path


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
