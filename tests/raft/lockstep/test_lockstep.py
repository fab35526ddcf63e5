"""The two cores are one algorithm: whatever happens to them, they do the same.

Compared after every event is all that a script shows: state, progress, messages, what is
saved, applied and read, and the timer. A difference is shrunk to a short script, which can be
put into tests/scenarios as it is.
"""

from __future__ import annotations

import inspect
import json
import textwrap
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from raftmark.raft import node as core
from raftmark.raft.node import Node

from .conftest import REPORT
from .lockstep import Difference, Lockstep
from .twin import ROOT, Twin, build

ENOUGH = 50_000
"""After so many events, or a few times as many, everything must have happened."""
A_FEW_MORE = 5_000


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_cores_do_the_same_on_random_walks(
    lockstep: Lockstep, seed: int, pytestconfig: pytest.Config
) -> None:
    """As many events as --lockstep-events says."""
    events = pytestconfig.option.lockstep_events
    lockstep.walk(str(seed), events)
    while events >= ENOUGH and lockstep.missing() and lockstep.events < 20 * events:
        lockstep.walk(str(seed), lockstep.events + A_FEW_MORE)
    pytestconfig.stash[REPORT] = lockstep.report()
    assert events < ENOUGH or not lockstep.missing(), "the walks do not reach everything any more"


NODES = st.integers(1, 4)
LINKS = st.builds("{}->{}".format, NODES | st.just("*"), NODES | st.just("*"))
EVENTS = st.one_of(
    st.builds("deliver {}".format, LINKS),
    st.builds("timeout {}{}".format, NODES, st.sampled_from(["", " wait"])),
    st.builds("propose {} {}".format, NODES, st.sampled_from(["a", "a b c", "remove_server(1)"])),
    st.builds("{} {}".format, st.sampled_from(["drop", "duplicate"]), LINKS),
    st.builds("{} {}".format, st.sampled_from(["read", "snapshot", "restart", "ready"]), NODES),
    st.builds("crash {} {}".format, NODES, st.sampled_from(["", "after save", "before apply"])),
    st.builds("transfer {} {}".format, NODES, NODES),
    st.just("settle"),
)
OPTIONS = st.sampled_from(["", "pre_vote", "check_quorum", "max_entries=1", "window=1"])


def test_the_cores_do_the_same_on_generated_scripts(lockstep: Lockstep, seed: int) -> None:
    """Hypothesis knows nothing of Raft, and so comes where the walks' author did not think of."""

    @hypothesis.seed(seed)
    @hypothesis.given(st.lists(OPTIONS, max_size=3, unique=True), st.lists(EVENTS, max_size=40))
    def check(options: list[str], events: list[str]) -> None:
        lockstep.check([f"cluster 4 {' '.join(options)}", *events])

    check()


# -- that a difference is found ------------------------------------------------------------

MOST_COMMANDS = 30

MUTANTS = {
    "commits by counting alone (figure 8)": (
        "_maybe_commit",
        " and self.log.term_at(index) == self.term",
        "",
    ),
    "votes twice in a term": (
        "request_vote",
        "self.voted_for in (None, message.sender)",
        "True",
    ),
    "takes over the leader's commit index beyond what matches": (
        "append_entries",
        "min(message.leader_commit, match_index)",
        "min(message.leader_commit, self.log.last_index)",
    ),
    "forgets to save a truncation": (
        "append_entries",
        "self._unsaved_from = min(self._unsaved_from, written_from)",
        "pass",
    ),
    "does not draw a timeout for a granted vote": (
        "request_vote",
        "self._restart_election_timer()",
        "pass",
    ),
    "answers reads at its commit index": (
        "_begin_reads",
        "max(self.commit_index, self._term_start)",
        "self.commit_index",
    ),
    "changes members before it has committed in its term": (
        "_may_change_members",
        "max(self.log.configuration_index, self._term_start)",
        "self.log.configuration_index",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_fault_of_one_core_is_found(
    mutant: str, lockstep: Lockstep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And told of by a script that one reads in a minute.

    The seed is fixed: this tests the walks, which find most of these within 2,000 events on
    average, not luck.
    """
    name, right, wrong = MUTANTS[mutant]
    source = textwrap.dedent(inspect.getsource(getattr(Node, name)))
    assert right in source, "the mutant must follow the core"
    scope: dict[str, Any] = {}
    exec(source.replace(right, wrong), vars(core), scope)
    monkeypatch.setattr(Node, name, scope[name])
    monkeypatch.setattr(
        core,
        "HANDLERS",
        {kind: getattr(Node, handler.__name__) for kind, handler in core.HANDLERS.items()},
    )
    with pytest.raises(Difference) as found:
        lockstep.walk("mutants", 50_000)
    script = str(found.value)
    print(script)
    assert sum(line.startswith("> ") for line in script.splitlines()) <= 2 * MOST_COMMANDS


@pytest.mark.slow
def test_a_fault_of_the_go_core_is_found(tmp_path: Path) -> None:
    """The first mutant, in the other language; within 10,000 events."""
    source = ROOT / "go_reference" / "raft" / "node.go"
    right, mutant = " && n.log.TermAt(index) == n.term", tmp_path / "node.go"
    assert right in source.read_text(), "the mutant must follow the core"
    mutant.write_text(source.read_text().replace(right, ""))
    overlay, binary = tmp_path / "overlay.json", tmp_path / "raft.test"
    overlay.write_text(json.dumps({"Replace": {str(source): str(mutant)}}))
    build(binary, f"-overlay={overlay}")
    with Twin(binary) as twin, pytest.raises(Difference) as found:
        Lockstep(twin).walk("mutants", 10_000)
    print(found.value)
