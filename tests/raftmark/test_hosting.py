"""What `--hosts` and the options beside it may say."""

from __future__ import annotations

import pytest
import typer

from raftmark.bench.design.specification import SpecificationError, narrow, quick
from raftmark.bench.runs.forms import Elsewhere
from raftmark.commands.hosting import Wish, narrowed, read, spelled


@pytest.mark.parametrize(
    ("hosts", "spread", "pack", "wish"),
    [
        (None, None, False, Wish(None)),
        ("ray", None, False, Wish(Elsewhere("blocks"))),
        ("ray:10.0.0.1:6379", "blocks", False, Wish(Elsewhere("blocks"), "10.0.0.1:6379")),
        ("ray", "nodes", True, Wish(Elsewhere("nodes", pack=True))),
    ],
)
def test_what_is_asked_for(hosts: str | None, spread: str | None, pack: bool, wish: Wish) -> None:
    assert read(hosts, spread, pack) == wish


@pytest.mark.parametrize(
    ("hosts", "spread", "pack", "message"),
    [
        ("ssh", None, False, "'ssh' is neither ray nor ray:ADDRESS"),
        ("ray:", None, False, "'ray:' is neither ray nor ray:ADDRESS"),
        ("ray", "cells", False, "no 'cells'; choose blocks or nodes"),
        ("ray", None, True, "--pack is for --spread nodes"),
        (None, "nodes", False, "--spread and --pack are for --hosts"),
        (None, None, True, "--spread and --pack are for --hosts"),
    ],
)
def test_what_is_none(hosts: str | None, spread: str | None, pack: bool, message: str) -> None:
    with pytest.raises(typer.BadParameter, match=message):
        read(hosts, spread, pack)


def test_nodes_can_be_spread_where_they_are_programs() -> None:
    specification = quick()
    assert narrowed(specification, None) == specification
    assert narrowed(specification, Elsewhere("blocks")) == specification
    cells = narrowed(specification, Elsewhere("nodes")).cells
    assert cells
    assert all(cell.id.endswith("-tcp") for cell in cells)
    native = narrow(specification, cells=["replicate-w1"])
    with pytest.raises(SpecificationError, match="choose cells that end with -tcp"):
        narrowed(native, Elsewhere("nodes"))


def test_a_resumption_is_asked_for_without_an_address() -> None:
    assert spelled(None) == []
    assert spelled(Elsewhere("blocks")) == ["--hosts", "ray", "--spread", "blocks"]
    packed = Elsewhere("nodes", pack=True)
    assert spelled(packed) == ["--hosts", "ray", "--spread", "nodes", "--pack"]
