"""What is known of the peers' failures: `peers/findings.toml`."""

from __future__ import annotations

from typing import Literal

import msgspec

from raftmark.bench.contenders.places import ROOT

FINDINGS = ROOT / "peers" / "findings.toml"


class Finding(msgspec.Struct, forbid_unknown_fields=True):
    """Why some tests fail on some peers.

    A test is named `file::function`, or `file::function[parameters]` where others of its
    parametrisations are to pass.
    """

    peers: list[str]
    tests: list[str]
    whose: Literal["promise", "default", "fault", "adapter"] = msgspec.field(name="is")
    why: str
    rule: int | None = None

    def __str__(self) -> str:
        rule = "" if self.rule is None else f" (rule {self.rule})"
        return f"{self.whose}{rule}: {self.why}"


class Findings(msgspec.Struct, forbid_unknown_fields=True):
    """All that are known."""

    finding: list[Finding] = []

    def of(self, peer: str, test: str, parameters: str) -> Finding | None:
        """Return what is known of a test, with these parameters, on a peer."""
        names = {test, f"{test}[{parameters}]"}
        known = (f for f in self.finding if peer in f.peers and not names.isdisjoint(f.tests))
        return next(known, None)


def read_findings() -> Findings:
    """Return what `peers/findings.toml` says."""
    return msgspec.toml.decode(FINDINGS.read_bytes(), type=Findings)
