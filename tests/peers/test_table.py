"""The peers' table: nothing in it without what it is, and nothing of it where nobody asked."""

from __future__ import annotations

import re

import pytest

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import Peer, load_contenders
from raftmark.bench.contenders.variants import Contenders, Deployed
from raftmark.bench.runs.forms import ContenderEntry

TABLE = ROOT / "peers" / "contenders.toml"
PEERS = {name: spec for name, spec in load_contenders(TABLE).items() if spec.peer is not None}


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_says_what_it_is_and_how_it_is_built(name):
    spec = PEERS[name]
    assert spec.peer is not None
    assert spec.peer.version[:1].isdigit() or spec.peer.version.startswith("v")
    assert spec.build is not None
    assert spec.build.output.startswith("{cache}/peers/")
    assert all(list(spec.directory.glob(pattern)) for pattern in spec.sources["node"])


def test_a_peer_is_deployed_always():
    spec = Contenders(load_contenders(TABLE))["pysyncobj"]
    assert isinstance(spec, Deployed)
    assert spec.transports == ["tcp"]
    assert spec.argv()[1:3] == ["-m", "raftmark.programs"]


def test_those_who_do_not_ask_get_nothing_of_peers():
    assert all(spec.peer is None for spec in load_contenders().values())
    makefile = (ROOT / "Makefile").read_text()
    recipes = re.findall(r"^([\w -]+):.*\n((?:\t.*\n)+)", makefile, re.M)
    asking = {name for name, recipe in recipes if "peers" in recipe}
    assert asking <= {"help", "bench-peers", "test-peers", "lint-peers"}


def test_who_does_not_sync_is_called_so_beside_figures_on_disk():
    def entry(*, synced: bool) -> ContenderEntry:
        peer = Peer("A", "1", "as it comes", synced=synced)
        return ContenderEntry("a", "A", None, None, level="replicates", peer=peer)

    assert entry(synced=False).title_on_disk == "A (replicates only), not synced"
    assert entry(synced=True).title_on_disk == "A (replicates only)"
    assert entry(synced=False).label_on_disk == "A, not synced"
    assert entry(synced=True).label_on_disk == "A"
