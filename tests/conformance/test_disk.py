"""The data directory: it survives the contender, whichever one opens it next."""

from __future__ import annotations

import re
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raftmark.bench.contenders.contender import Contender, ContenderError

from .clients import BusyClients, check_nothing_lost
from .cluster import LIVELY, SLOW, STEADY, ClusterUnderTest, cas, set_
from .conftest import Contenders, Launch, StartCluster
from .model import Store
from .processes import Footprint, footprint
from .waiting import looks

pytestmark = [pytest.mark.level("survives"), pytest.mark.needs("disk")]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return where the cluster's data lies; the contender has to make the directory."""
    return tmp_path / "some" / "data"


def on_disk(data: Path) -> dict[str, Any]:
    return {**LIVELY, "storage": "disk", "data_dir": str(data)}


def test_every_node_has_its_file(start: StartCluster, data: Path) -> None:
    cluster = start(4, **on_disk(data))
    cluster.committed("k", "a value to be found")
    cluster.all_agree()
    cluster.stop()
    files = {path.name for path in data.iterdir()}
    assert files == {f"node-{n}.log" for n in cluster.nodes}
    assert all(b"a value to be found" in path.read_bytes() for path in data.iterdir())


def test_a_cluster_goes_on_where_the_one_before_was_stopped(
    start: StartCluster, data: Path
) -> None:
    first = start(**on_disk(data))
    first.insist(set_("k", "1"), {"client": "anna", "serial": 3})
    log = first.all_agree()
    first.stop()
    second = start(**on_disk(data))
    second.elected_leader()
    assert second.insist(cas("k", None, "2"), {"client": "anna", "serial": 3}) is None
    assert second.value_of("k") == "1"
    assert second.all_agree()[: len(log)] == log


def test_what_is_acknowledged_is_saved_at_once(start: StartCluster, data: Path) -> None:
    cluster = start(1, **on_disk(data))
    for number in range(10):
        cluster.committed("k", f"value {number} at once")
        assert f"value {number} at once".encode() in (data / "node-1.log").read_bytes()


def test_what_a_new_leader_replaced_stays_replaced(start: StartCluster, data: Path) -> None:
    cluster = start(**on_disk(data))
    cluster.committed("k", "before")
    leader = cluster.isolated_leader()
    for number in range(20):
        cluster.refused(
            "timeout", "submit", command=set_("k", f"replaced {number}"), node=leader, timeout_ms=5
        )
    cluster.committed("k", "after", through=cluster.others(leader))
    cluster.heal()
    log = cluster.all_agree()
    assert b"replaced 19" in (data / f"node-{leader}.log").read_bytes(), "or it tested nothing"
    cluster.crash(leader)
    cluster.restart(leader)
    assert cluster.all_agree()[: len(log)] == log
    cluster.stop()
    again = start(**on_disk(data))
    again.elected_leader()
    assert again.all_agree()[: len(log)] == log


def test_memory_storage_writes_nothing(start: StartCluster, data: Path) -> None:
    start(**LIVELY).committed("k", "v")
    assert not data.exists()


# Who goes on


@pytest.mark.needs("membership")
def test_the_members_that_the_data_names_are_started(start: StartCluster, data: Path) -> None:
    """Those who were removed do not come back, and those who came later do."""
    first = start(**on_disk(data))
    first.committed("k", "1")
    first.add_server(4)
    for node in (1, 2):
        first.remove_server(node)
    first.committed("k", "2")
    log = first.all_agree()
    first.stop()
    for _ in range(2):
        again = start(members=[3, 4], **on_disk(data))
        again.elected_leader()
        assert again.value_of("k") == "2"
        assert again.all_agree()[: len(log)] == log
        assert [again.status()[n].voters for n in (3, 4)] == [[3, 4]] * 2
        again.stop()


@pytest.mark.parametrize("nodes", [1, 2, 4, 5])
def test_data_that_was_begun_with_other_nodes_is_refused(
    contender: Contender, written: Path, nodes: int
) -> None:
    """With two beginnings of one log what is committed would diverge."""
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    message = check_start_is_refused(contender, "bad_request", **on_disk(written), nodes=nodes)
    assert "node-1.log" in message
    assert "1, 2, 3" in message
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before
    cluster = ClusterUnderTest(contender, **on_disk(written))
    assert cluster.value_of("key-7") == "value of 7, easy to find"
    cluster.stop()


@pytest.mark.needs("membership")
def test_a_server_of_another_beginning_does_not_join(
    start: StartCluster, data: Path, tmp_path: Path
) -> None:
    alone = start(1, **on_disk(tmp_path / "other"))
    alone.committed("k", "another's")
    alone.stop()
    cluster = start(**on_disk(data))
    cluster.committed("k", "1")
    shutil.copy(tmp_path / "other" / "node-1.log", data / "node-4.log")
    cluster.refused("bad_request", "add_server", node=4)
    assert list(cluster.status()) == [1, 2, 3]
    (data / "node-4.log").unlink()
    cluster.add_server(4)
    cluster.all_agree()


# What should not happen


def test_a_follower_that_lost_what_it_had_acknowledged_is_found_and_repaired(
    start: StartCluster, data: Path
) -> None:
    """A damaged last record looks like one that was begun and not ended, and is cut off."""
    cluster = start(**STEADY, storage="disk", data_dir=str(data))
    for number in range(5):
        cluster.committed("k", f"value {number}")

    def damage(leader: int) -> None:
        """Whoever is elected meanwhile was never told what there had been."""
        log = cluster.all_agree()
        begun = len(cluster.events("entries_lost"))
        follower = cluster.others(leader)[0]
        cluster.crash(follower)
        file = data / f"node-{follower}.log"
        damaged = bytearray(file.read_bytes())
        damaged[-1] ^= 0x80
        file.write_bytes(damaged)
        cluster.restart(follower)
        assert cluster.all_agree()[: len(log)] == log
        assert cluster.elected_leader() == leader
        told = cluster.status()[leader].lost_entries
        if told is not None:
            [lost] = told
            assert (lost.node, lost.last) == (follower, len(log))
            [event] = cluster.events("entries_lost")[begun:]
            assert event["node"] == follower
            assert event["leader"] == leader
            assert (event["first"], event["last"]) == (lost.first, lost.last)

    cluster.undisturbed(damage)


# Killed and continued


@pytest.mark.slow
def test_a_kill_of_everything_under_load_loses_nothing_acknowledged(
    launch: Launch, data: Path
) -> None:
    contender = launch()
    cluster = ClusterUnderTest(contender, **STEADY, storage="disk", data_dir=str(data))
    with BusyClients(cluster, 16, contender_may_die=True) as clients:
        clients.wait_for_more(300)
        contender.kill()
    reborn = ClusterUnderTest(launch(), **STEADY, storage="disk", data_dir=str(data))
    reborn.elected_leader()
    log = reborn.all_agree()
    check_nothing_lost(log, clients.counters, last_step_unknown=True)
    for counter in clients.counters:
        reached = Store(log).values.get(counter.name)
        step = {"client": counter.name, "serial": int(reached or 0) + 1}
        assert reborn.insist(cas(counter.name, reached, "on it goes"), step) is True
    reborn.all_agree()


@pytest.mark.needs("replicate")
@pytest.mark.slow
def test_again_and_again_killed_while_it_runs_a_workload(launch: Launch, data: Path) -> None:
    whole = {**STEADY, "storage": "disk", "data_dir": str(data), "snapshot_entries": 0}
    kept: list[Any] = []
    for life in range(3):
        contender = launch()
        cluster = ClusterUnderTest(contender, **whole)
        cluster.elected_leader()
        assert cluster.all_agree()[: len(kept)] == kept, "committed before the kill"
        kept = cluster.log(1, to=cluster.status()[1].commit_index)
        cluster.links(**SLOW)
        workload = {"name": "replicate", "outstanding": 8, "duration_s": 600}
        workload["session"] = f"life-{life}"
        goal = len(kept) + 200
        leader, _ = cluster.begin_run(workload, lambda s, goal=goal: (  # type: ignore[misc]
            max(node.commit_index or 0 for node in s.values()) > goal))  # fmt: skip
        kept = cluster.log(leader, to=cluster.status()[leader].commit_index)
        contender.kill()
    cluster = ClusterUnderTest(launch(), **whole)
    cluster.elected_leader()
    assert cluster.all_agree()[: len(kept)] == kept


@pytest.mark.slow
def test_a_data_directory_is_continued_by_every_contender(
    contender_name: str,
    reader_name: str,
    contenders: Contenders,
    demand: Callable[[str], None],
    data: Path,
) -> None:
    log: list[Any] = []
    for life, name in enumerate((contender_name, reader_name, contender_name)):
        demand(name)
        cluster = ClusterUnderTest(contenders.shared(name), **on_disk(data))
        cluster.elected_leader()
        before = cluster.all_agree()
        assert before[: len(log)] == log
        cluster.insist(set_("ключ", f"life {life} 😀"), {"client": "anna", "serial": life + 1})
        cluster.committed(f"life {life}", "\0" * life)
        cluster.crash(1)
        cluster.committed("without 1", str(life))
        cluster.restart(1)
        log = cluster.all_agree()
        cluster.stop()
    values = Store(log).values
    assert values["ключ"] == "life 2 😀"
    assert {f"life {life}": "\0" * life for life in range(3)}.items() <= values.items()


# Damage


@pytest.fixture
def written(start: StartCluster, data: Path) -> Path:
    """Return a data directory that three nodes have written and left."""
    cluster = start(**on_disk(data))
    for number in range(30):
        cluster.committed(f"key-{number}", f"value of {number}, easy to find")
    cluster.all_agree()
    cluster.stop()
    return data


@pytest.mark.parametrize("torn", [1, 4, 11, 60])
def test_a_torn_tail_is_cut_off(launch: Launch, written: Path, torn: int) -> None:
    file = written / "node-2.log"
    file.write_bytes(file.read_bytes()[:-torn])
    contender = launch()
    cluster = ClusterUnderTest(contender, **on_disk(written))
    cluster.committed("after", "1")
    log = cluster.all_agree()
    assert {f"key-{number}" for number in range(30)} < set(Store(log).values)
    cluster.stop()
    assert re.search("node.2", contender.stderr_tail()), "what was cut off is said"
    again = ClusterUnderTest(contender, **on_disk(written))
    again.elected_leader()
    assert again.all_agree()[: len(log)] == log


@pytest.mark.parametrize("size", [1, 8, 12, 20])
def test_a_record_begun_and_not_ended_is_cut_off(
    start: StartCluster, written: Path, size: int
) -> None:
    # Of a record with 32 bytes: their length, their checksum, and that of those two.
    lead = struct.pack("<II", 32, 0x01020304)
    rest = (lead + struct.pack("<I", zlib.crc32(lead)) + bytes(32))[:size]
    file = written / "node-1.log"
    whole = file.read_bytes()
    file.write_bytes(whole + rest)
    cluster = start(**on_disk(written))
    cluster.committed("after", "1")
    cluster.all_agree()
    cluster.stop()
    content = file.read_bytes()
    assert content.startswith(whole)
    assert not content[len(whole) :].startswith(rest)


def test_a_file_that_was_just_created_is_no_damage(start: StartCluster, data: Path) -> None:
    data.mkdir(parents=True)
    (data / "node-1.log").touch()
    cluster = start(**on_disk(data))
    cluster.committed("k", "1")
    cluster.all_agree()


def fingers(contender: Contender) -> Footprint:
    """Return what the contender holds, threads aside: a runtime may keep some for later use."""
    contender.call("hello")  # A process that was just launched still opens what it needs.
    return footprint(contender.pid)._replace(threads=0)


def check_start_is_refused(contender: Contender, code: str | None = None, **settings: Any) -> str:
    """Check that no cluster can be started, and nothing is left of the attempt; return why."""
    held = fingers(contender)
    with pytest.raises(ContenderError) as refusal:
        contender.call("start", **settings)
    assert code in (None, refusal.value.code)
    with pytest.raises(ContenderError) as no_cluster:
        contender.call("status")
    assert no_cluster.value.code == "unavailable"
    for _ in looks():
        if fingers(contender) == held:
            return refusal.value.message
    raise AssertionError(f"held {held} before, {fingers(contender)} after the failed start")


@pytest.mark.parametrize("number", [0, 10, 20])
def test_damage_before_the_tail_is_refused_with_file_and_offset(
    contender: Contender, written: Path, number: int
) -> None:
    file = written / "node-2.log"
    whole = file.read_bytes()
    position = whole.index(f"value of {number}, easy".encode())
    damaged = whole[:position] + b"V" + whole[position + 1 :]
    file.write_bytes(damaged)
    message = check_start_is_refused(contender, **on_disk(written))
    assert "node-2.log" in message
    offsets = [int(digits) for digits in re.findall(r"\d+", message.replace(str(file), ""))]
    assert any(position - 200 <= offset <= position for offset in offsets), message
    assert file.read_bytes() == damaged, "damage is left for someone to look at"

    file.write_bytes(whole)
    cluster = ClusterUnderTest(contender, **on_disk(written))
    assert cluster.value_of(f"key-{number}") == f"value of {number}, easy to find"
    cluster.stop()


def test_no_byte_of_a_record_can_be_damaged_unnoticed(
    contender: Contender, start: StartCluster, data: Path
) -> None:
    cluster = start(1, **on_disk(data))
    for number in range(10):
        cluster.committed("k", f"value of {number}, easy to find")
    cluster.stop()
    file = data / "node-1.log"
    whole = file.read_bytes()
    # From one value to the next: all of a record, its frame included.
    for position in range(whole.index(b"value of 4"), whole.index(b"value of 5")):
        damaged = bytearray(whole)
        damaged[position] ^= 0x80
        file.write_bytes(damaged)
        message = check_start_is_refused(contender, **on_disk(data), nodes=1)
        assert "node-1.log" in message, f"byte {position}"
        assert file.read_bytes() == damaged


def test_a_file_of_another_kind_is_refused(contender: Contender, written: Path) -> None:
    file = written / "node-3.log"
    file.write_bytes(b"Dear diary, this is no log of any node at all.\n" * 10)
    assert "node-3.log" in check_start_is_refused(contender, **on_disk(written))
    assert file.read_bytes().startswith(b"Dear diary")


def test_damage_found_at_a_restart_leaves_the_node_crashed(start: StartCluster, data: Path) -> None:
    cluster = start(**on_disk(data))
    for number in range(5):
        cluster.committed(f"key-{number}", f"value of {number}, easy to find")
    cluster.all_agree()
    cluster.crash(3)
    file = data / "node-3.log"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"value of 1, easy", b"value of I, easy"))
    with pytest.raises(ContenderError) as refusal:
        cluster.restart(3)
    assert "node-3.log" in refusal.value.message
    assert not cluster.status()[3].alive
    cluster.committed("k", "without it")
    file.write_bytes(whole)
    cluster.restart(3)
    cluster.all_agree()


# Directories that cannot be used


def test_a_directory_in_use_is_refused(start: StartCluster, launch: Launch, data: Path) -> None:
    cluster = start(**on_disk(data))
    cluster.committed("k", "1")
    with pytest.raises(ContenderError, match=r"node-\d\.log: in use by another process") as refusal:
        launch().call("start", **on_disk(data))
    assert refusal.value.code == "unavailable"
    cluster.crash(2)
    cluster.committed("k", "2")
    cluster.restart(2)
    cluster.all_agree()
    cluster.stop()
    again = ClusterUnderTest(launch(), **on_disk(data))
    assert again.value_of("k") == "2"


def test_a_file_is_no_directory(contender: Contender, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a file\n")
    assert str(file) in check_start_is_refused(contender, **on_disk(file))
    assert str(file) in check_start_is_refused(contender, **on_disk(file / "below"))
    assert file.read_text() == "a file\n"


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 300])
def test_a_directory_that_cannot_be_made_is_refused(
    contender: Contender, tmp_path: Path, name: str
) -> None:
    data_dir = f"{tmp_path}/{name}" if name else ""
    settings = {**LIVELY, "storage": "disk", "data_dir": data_dir}
    assert check_start_is_refused(contender, **settings)


def test_a_directory_in_the_place_of_a_file_is_refused(contender: Contender, data: Path) -> None:
    (data / "node-2.log").mkdir(parents=True)
    assert "node-2.log" in check_start_is_refused(contender, **on_disk(data))
    shutil.rmtree(data)
