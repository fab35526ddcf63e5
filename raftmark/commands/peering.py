"""Other people's Rafts, which are built when they are asked for: `raftmark peers`."""

from __future__ import annotations

from typing import Annotated

import typer

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import (
    NOT_SYNCED,
    ContenderSpec,
    Peer,
    Unavailable,
    UnknownName,
)
from raftmark.commands.choosing import contenders_of
from raftmark.terminal.console import say

PEERS_TABLE = ROOT / "peers" / "contenders.toml"
_FAILED = 1


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(peers)


def peers(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Only these.", show_default="all")
    ] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="Build nothing: say what is built and what is not.")
    ] = False,
) -> None:
    """Build other people's Rafts, to be measured and tested beside this one.

    Each has its own pins, and is fetched and built here alone. What is built already stays as it
    is, so that after an interruption or a failure the same command goes on with the rest. The exit
    status is 1 if one cannot be built.
    """
    known = contenders_of(PEERS_TABLE, None, None)
    found = {name: spec for name, spec in known.items() if spec.peer is not None}
    if unknown := [name for name in names or () if name not in found]:
        raise UnknownName(f"no peer {', '.join(unknown)}; choose from {', '.join(found)}")
    failed: list[str] = []
    for name in names or found:
        spec = found[name]
        assert spec.peer is not None
        print(f"{name}: {_listed(spec) if list_only else _built(spec, failed)}, {_what(spec.peer)}")
    say("to measure them: raftmark bench --profile peers")
    if failed:
        raise typer.Exit(_FAILED)


def _listed(spec: ContenderSpec) -> str:
    if spec.build is None or spec.build.is_done(spec.directory):
        return "built"
    return f"not built ('raftmark peers {spec.name}' builds it)"


def _built(spec: ContenderSpec, failed: list[str]) -> str:
    """Build one and ask what it is; say what became of it."""
    if spec.build is not None and not spec.build.is_done(spec.directory):
        say(f"building {spec.name}, which fetches what it is made of")
    try:
        spec.probe()
    except Unavailable as reason:
        failed.append(spec.name)
        for line in str(reason).splitlines():
            say(f"  {line}")
        return f"not built, for the reason above ('raftmark peers {spec.name}' tries again)"
    return "built"


def _what(peer: Peer) -> str:
    return f"{peer.library} {peer.version}{'' if peer.synced else f', {NOT_SYNCED}'}"
