"""The checker: a Go program around Porcupine, built when its sources have changed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from raftmark.bench.contenders.places import CACHE
from raftmark.bench.contenders.registry import Build

from .history import History

KEPT = CACHE / "linearizability"
# A history that is in order is decided within seconds: this only ends a hopeless search.
LIMIT_S = 300.0

_BUILD = Build(
    command=["{bin}/go", "build", "-o", "{output}", "./cmd/linearizable"],
    cwd="go_reference",
    env={"GOTOOLCHAIN": "local"},
    inputs=["linearizability/*.go", "cmd/linearizable/*.go", "go.mod", "go.sum"],
    output="{cache}/linearizable",
)


class Verdict(msgspec.Struct, frozen=True):
    """What the checker says of a history; `key` is the first one with a violation."""

    verdict: Literal["ok", "violation", "unknown"]
    operations: int
    keys: int
    seconds: float
    key: str | None = None


def judge(
    history: History,
    name: str,
    diary: Sequence[str] = (),
    *,
    kept: Path = KEPT,
    limit_s: float = LIMIT_S,
) -> Verdict:
    """Check a history and return the verdict, if it is linearizable.

    Otherwise raises `AssertionError`, which names the files that are kept: the history, a picture
    of a violation, and the diary of what was done meanwhile.
    """
    lines = kept / f"{name}.jsonl"
    picture = lines.with_suffix(".html")
    history.write(lines)
    command = [str(_BUILD.bring_up_to_date()), f"-limit={limit_s}s", f"-picture={picture}"]
    done = subprocess.run([*command, str(lines)], capture_output=True, check=False)
    assert done.returncode in (0, 1, 3), f"the checker failed: {done.stderr.decode()}"
    verdict = msgspec.json.decode(done.stdout, type=Verdict)
    if verdict.verdict == "ok":
        lines.unlink()
        return verdict
    lines.with_suffix(".txt").write_text("".join(f"{entry}\n" for entry in diary))
    if verdict.verdict == "unknown":
        raise AssertionError(f"not decided within {limit_s:g} s; the history is kept: {lines}")
    raise AssertionError(
        f"not linearizable at key {verdict.key}; the history is kept: {lines}\n"
        f"and a picture of it, for a browser: {picture}"
    )
