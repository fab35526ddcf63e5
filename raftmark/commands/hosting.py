"""Other hosts, where a run asks for them: options read, and the hosts that it is measured on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import typer

from raftmark.bench.contenders.places import how_to_install
from raftmark.bench.contenders.registry import ContenderSpec

if TYPE_CHECKING:
    from raftmark.bench.design.specification import Specification
    from raftmark.bench.experiment.host import Host
    from raftmark.bench.runs.forms import Elsewhere
    from raftmark.bench.runs.store import Run

Hosts = Annotated[
    str | None,
    typer.Option(
        metavar="ray[:ADDRESS]",
        help="Measure on the hosts of a Ray cluster: the one at an address, or else the one that "
        "is here. See docs/hosts.md.",
        show_default="this host",
    ),
]
Spreads = Annotated[
    str | None,
    typer.Option(
        metavar="blocks|nodes",
        help="What goes to the hosts: whole blocks, one at a time to each, or the nodes of each "
        "cluster, one to each.",
        show_default="blocks",
    ),
]
Pack = Annotated[
    bool, typer.Option("--pack", help="Let several nodes share a host where there are too few.")
]


class Wish(NamedTuple):
    """What is to be spread, None where all is measured here, and over which Ray cluster's hosts.

    The cluster is the one that is here where `address` is None.
    """

    elsewhere: Elsewhere | None
    address: str | None = None


def read(hosts: str | None, spread: str | None, pack: bool) -> Wish:
    """Return what was asked for."""
    from raftmark.bench.runs.forms import Elsewhere

    if hosts is None:
        if spread is not None or pack:
            raise typer.BadParameter("--spread and --pack are for --hosts")
        return Wish(None)
    kind, colon, address = hosts.partition(":")
    if kind != "ray" or (colon and not address):
        raise typer.BadParameter(f"'--hosts': {hosts!r} is neither ray nor ray:ADDRESS")
    if spread not in (None, "blocks", "nodes"):
        raise typer.BadParameter(f"'--spread': no {spread!r}; choose blocks or nodes")
    if pack and spread != "nodes":
        raise typer.BadParameter("--pack is for --spread nodes")
    what = Elsewhere("nodes" if spread == "nodes" else "blocks", pack)
    return Wish(what, address or None)


def narrowed(specification: Specification, elsewhere: Elsewhere | None) -> Specification:
    """Return what of a specification can be measured there. Raises `SpecificationError` if none."""
    from raftmark.bench.design.cells import TCP
    from raftmark.bench.design.specification import SpecificationError

    if elsewhere is None or elsewhere.spread == "blocks":
        return specification
    cells = [cell for cell in specification.cells if cell.transport == TCP]
    if not cells:
        raise SpecificationError(
            "no cell has its nodes in programs of their own, which alone can be spread over "
            "hosts: choose cells that end with -tcp"
        )
    return msgspec.structs.replace(specification, cells=cells)


def survey(wish: Wish, specification: Specification) -> dict[str, Any]:
    """Return what an environment has of a run's hosts, nothing where it asks for none."""
    if wish.elsewhere is None:
        return {}
    _require_ray()
    from raftmark.hosts.placing import survey as ask
    from raftmark.hosts.ray_cluster import NoHosts

    try:
        return {"hosts": ask(wish.elsewhere, wish.address, specification)}
    except NoHosts as error:
        raise typer.BadParameter(f"'--hosts': {error}") from error


@contextlib.contextmanager
def hosts_of(run: Run, specs: Mapping[str, ContenderSpec], wish: Wish) -> Iterator[Sequence[Host]]:
    """Yield the hosts that a run is measured on."""
    from raftmark.bench.contenders.guardian import Guardian
    from raftmark.bench.experiment.host import LocalHost

    if wish.elsewhere is None:
        with Guardian() as guardian:
            yield [LocalHost(run, specs, guardian=guardian)]
        return
    _require_ray()
    from raftmark.hosts.placing import hosts_of as placed
    from raftmark.hosts.ray_cluster import NoHosts

    try:
        with placed(run, specs, wish.elsewhere, wish.address) as hosts:
            yield hosts
    except NoHosts as error:
        raise typer.TyperException(f"no hosts to measure on: {error}") from error


def spelled(elsewhere: Elsewhere | None) -> list[str]:
    """Return the options that ask for it, of whichever Ray cluster."""
    if elsewhere is None:
        return []
    return ["--hosts", "ray", "--spread", elsewhere.spread] + ["--pack"] * elsewhere.pack


def _require_ray() -> None:
    """Say how to install Ray where it is not."""
    import importlib.util

    if importlib.util.find_spec("ray") is None:
        raise typer.BadParameter(f"'--hosts' needs Ray: {how_to_install('ray')} installs it")
