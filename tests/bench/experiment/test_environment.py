import getpass
import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.experiment.environment import describe_environment


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    else:
        yield str(value)


def test_the_environment_is_known_and_can_be_stored():
    environment = describe_environment()
    assert environment["machine"]["cpus"] == os.cpu_count()
    assert environment["kernel"]["release"] == platform.release()
    assert environment["pyperf"]["python_version"].startswith(platform.python_version())
    assert environment["packages"]["msgspec"] == msgspec.__version__
    assert msgspec.json.decode(msgspec.json.encode(environment)) == environment


def test_it_names_no_host_and_no_place():
    everything = list(texts(describe_environment()))
    assert socket.gethostname() not in everything
    assert getpass.getuser() not in everything
    assert not [text for text in everything if str(ROOT) in text or str(Path.home()) in text]
