"""Fields that the requests to a cluster's host and those to a node's program have in common."""

import importlib
from typing import Any

from raftmark.raft.cluster import ClusterConfig
from raftmark.raft.errors import BadRequest
from raftmark.raft.host import requests
from raftmark.raft.host.requests import MILLISECOND, REQUIRED, SECOND, Check
from raftmark.raft.links import Faults
from raftmark.raft.messages import MAX_KEY_BYTES, Command
from raftmark.raft.node import Settings

Known = dict[str, tuple[Check, Any]]

MAX_NODES = 9
FEATURES = (
    "read",
    "snapshot",
    "transfer",
    "membership",
    "pre_vote",
    "check_quorum",
    "trace",
    "slices",
    "columns",
)
TIMEOUT = (requests.duration_ns(1, 600_000, MILLISECOND), 5 * SECOND)
ANY_ID = requests.integer(1, MAX_NODES)
INDEX = requests.integer(1, 2**53 - 1)

SETTINGS: Known = {
    "election_timeout_ms": (
        requests.range_ns(1, 60_000),
        (150 * MILLISECOND, 300 * MILLISECOND),
    ),
    "heartbeat_ms": (requests.duration_ns(0.5, 60_000, MILLISECOND), 50 * MILLISECOND),
    "storage": (requests.choice("memory", "disk"), "memory"),
    "data_dir": (requests.path, None),
    "seed": (requests.integer(0, 2**63 - 1), 0),
    "pre_vote": (requests.boolean, False),
    "check_quorum": (requests.boolean, False),
    "snapshot_entries": (requests.integer(0, 2**53 - 1), 16384),
    "trace": (requests.boolean, False),
}
"""What a cluster is started with, besides its nodes."""

LINKS: Known = {
    "drop": (requests.number(0, 1), 0.0),
    "duplicate": (requests.number(0, 1), 0.0),
    "delay_ms": (requests.range_ns(0, 60_000), (0, 0)),
}

RANGE: Known = {"from": (INDEX, 1), "to": (INDEX, 2**53 - 1), "columns": (requests.boolean, False)}

KEY: Known = {"key": (requests.string(MAX_KEY_BYTES), REQUIRED)}


def config_of(values: dict[str, Any], first_voters: tuple[int, ...]) -> ClusterConfig:
    """The config that checked `SETTINGS` make. BadRequest where they contradict each other."""
    if (values["storage"] == "disk") != (values["data_dir"] is not None):
        raise BadRequest("data_dir goes with storage disk, and only with it")
    if values["storage"] not in storages():
        raise BadRequest("storage disk needs the msgspec package, which is not here")
    settings = Settings(
        nodes=first_voters,
        election_timeout_ns=values["election_timeout_ms"],
        heartbeat_ns=values["heartbeat_ms"],
        pre_vote=values["pre_vote"],
        check_quorum=values["check_quorum"],
        snapshot_entries=values["snapshot_entries"],
    )
    return ClusterConfig(
        settings, values["storage"], values["data_dir"], values["seed"], values["trace"]
    )


def proposal(command: Check) -> Known:
    """What is submitted: a command that `command` checks, and its session if it has one."""
    return {
        "command": (command, REQUIRED),
        "client": (requests.string(MAX_KEY_BYTES), None),
        "serial": (requests.integer(1, 2**53 - 1), None),
    }


def proposed(values: dict[str, Any]) -> Command:
    """The command that was submitted, with its session."""
    if (values["client"] is None) != (values["serial"] is None):
        raise BadRequest("client and serial go together")
    command: Command = values["command"]
    if values["client"] is None:
        return command
    return command._replace(client=values["client"], serial=values["serial"])


def faults_of(values: dict[str, Any]) -> Faults:
    """What is wrong with the links, by checked `LINKS`."""
    return Faults(values["drop"], values["duplicate"], values["delay_ms"])


def storages() -> list[str]:
    """The storages on offer: free-threaded 3.13 has no serialiser, so no disk."""
    try:
        importlib.import_module("msgspec")
    except ImportError:
        return ["memory"]
    return ["memory", "disk"]
