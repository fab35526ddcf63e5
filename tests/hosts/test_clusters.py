"""Nodes of one cluster on the hosts of a Ray cluster: placed, lost, and left by their driver."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import pytest

from raftmark.bench.contenders.contender import Contender, ContenderError
from raftmark.bench.contenders.places import CACHE
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.contenders.variants import deployed
from tests.conformance.waiting import looks

from .conftest import HOSTS, PATIENCE_S, SMALL

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = pytest.mark.timeout(600)


def found(place: Path = CACHE / "hosts") -> list[object]:
    """What actors have, wherever they are: directories, and processes that know of one."""
    processes = []
    for process in psutil.process_iter():
        try:
            if f"{process.environ().get('RAFTMARK_RUN', '')}/".startswith(f"{place}/"):
                processes.append(process)
        except psutil.Error:
            continue
    return [*place.glob("*"), *processes]


def await_nothing(place: Path = CACHE / "hosts") -> None:
    for _ in looks(PATIENCE_S):
        if not found(place):
            return
    raise AssertionError(f"there is still {found(place)}")


@contextmanager
def contender(address: str, *options: str) -> Iterator[Contender]:
    """The asyncio contender, whose nodes are to run on the hosts of a Ray cluster."""
    spec = deployed(load_contenders()["asyncio"], ["--address", address, *options])
    with spec.launch() as launched:
        launched.call("hello", reply_timeout=PATIENCE_S)
        yield launched


def start(contender: Contender, nodes: int, **fields: Any) -> None:
    timing = {"election_timeout_ms": [1000, 2000], "heartbeat_ms": 100}
    contender.call("start", reply_timeout=PATIENCE_S, nodes=nodes, **timing, **fields)


def submit(contender: Contender, value: str) -> dict[str, Any]:
    """Have a command applied, by whoever leads as soon as somebody does."""
    command = {"op": "set", "key": "key", "value": value}
    for _ in looks(PATIENCE_S):
        try:
            return contender.call("submit", reply_timeout=PATIENCE_S, command=command)
        except ContenderError as error:
            if error.code not in ("unavailable", "not_leader", "timeout", "lost"):
                raise
    raise AssertionError("nobody led in time")


def told(contender: Contender) -> dict[int, list[dict[str, Any]]]:
    """What was told of the clock of each node's host."""
    clocks: dict[int, list[dict[str, Any]]] = {}
    for event in contender.events.all():
        if event["event"] == "clock":
            clocks.setdefault(event["node"], []).append(event)
    return clocks


def test_each_node_has_a_host_of_its_own_whose_clock_is_related_before_and_after(
    address: str, tmp_path: Path
) -> None:
    with contender(address) as launched:
        start(launched, HOSTS, storage="disk", data_dir=str(tmp_path / "data"))
        submit(launched, "x")
        assert not (tmp_path / "data").exists(), "each keeps its data on its own host"
        assert len([each for each in found() if isinstance(each, psutil.Process)]) >= HOSTS
        before = told(launched)
        assert {*before} == {1, 2, 3}
        assert len({clock["host"] for [clock] in before.values()}) == HOSTS
        launched.call("stop", reply_timeout=PATIENCE_S)
        for node, (first, last) in told(launched).items():
            assert [first] == before[node]
            assert first["offset_ns"] == last["offset_ns"], "moments of a node stay comparable"
            # All are one machine here: the truth is none, and has to be within the bounds.
            assert abs(first["offset_ns"]) <= first["uncertainty_ns"] <= last["uncertainty_ns"]
        with pytest.raises(ContenderError, match=r"5 nodes want as many hosts, .* has 3"):
            start(launched, 5)
    await_nothing()


def test_a_secret_is_on_no_command_line_and_nodes_know_it(address: str) -> None:
    with contender(address) as launched:
        start(launched, HOSTS)
        programs = [each for each in found() if isinstance(each, psutil.Process)]
        secrets = {
            each.environ()["RAFTMARK_SECRET"] for each in programs if "--node" in each.cmdline()
        }
        [secret] = secrets
        assert len(secret) == 64
        every = [" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
        assert not any(secret in line for line in every)
        launched.process.kill()
        launched.process.wait()
        # Its actors end, and with them all that they have started.
        await_nothing()
        launched.kill()


def test_a_host_that_dies_is_a_crashed_node(ray_cluster: Cluster, address: str) -> None:
    with contender(address) as launched:
        # Ray binds a driver to one of its hosts, here to any: not to the one that shall die.
        start(launched, HOSTS)
        launched.call("stop", reply_timeout=PATIENCE_S)
        fourth = ray_cluster.add_node(**SMALL)
        start(launched, HOSTS + 1)
        submit(launched, "x")
        name = f"host-{fourth.node_id[:8]}"
        [lost] = [node for node, clocks in told(launched).items() if clocks[-1]["host"] == name]
        ray_cluster.remove_node(fourth, allow_graceful=False)
        fault = launched.events.wait_for(lambda event: event["event"] == "fault", PATIENCE_S)
        assert fault["node"] == lost
        assert "the loss of its host" in fault["message"]
        submit(launched, "y")
        nodes = launched.call("status", reply_timeout=PATIENCE_S)["nodes"]
        assert [node["id"] for node in nodes if not node["alive"]] == [lost]
        with pytest.raises(ContenderError, match="the loss of its host"):
            launched.call("restart", reply_timeout=PATIENCE_S, node=lost)
        launched.call("stop", reply_timeout=PATIENCE_S)
    await_nothing()


def test_several_nodes_share_a_host_where_that_is_asked_for(address: str) -> None:
    with contender(address, "--pack") as launched:
        start(launched, 5)
        submit(launched, "x")
        hosts = [clock["host"] for [clock] in told(launched).values()]
        assert len(hosts) == 5
        assert len({*hosts}) == HOSTS
    await_nothing()


def test_where_there_is_no_cluster_that_is_said() -> None:
    programs = msgspec.json.encode([["asyncio", [sys.executable], "."]]).decode()
    command = [sys.executable, "-m", "raftmark.hosts", "--address", "127.0.0.1:1"]
    with (
        Contender([*command, "asyncio", programs]) as launched,
        pytest.raises(ContenderError, match=r"no Ray cluster at 127\.0\.0\.1:1"),
    ):
        start(launched, 3)
