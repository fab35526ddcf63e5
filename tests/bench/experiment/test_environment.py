import getpass
import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.experiment import environment as environment_module
from raftmark.bench.experiment.environment import describe_environment, measured_revision
from tests.bench.repositories import Project


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


def test_the_measured_project_has_a_revision_of_its_own(tmp_path):
    project = Project(tmp_path / "project")
    commit = project.commit()
    found = describe_environment(project.path / "bench")
    assert found["project"] == {"commit": commit, "dirty": False}
    assert found["revision"] != found["project"]
    assert measured_revision(found)["commit"] == commit


def test_an_installed_raftmark_is_of_no_revision_of_the_project_around_it(tmp_path, monkeypatch):
    project = Project(tmp_path / "project")
    installed = project.path / "venv"
    installed.mkdir()
    monkeypatch.setattr(environment_module, "ROOT", installed)
    assert environment_module._own_revision() is None
    monkeypatch.setattr(environment_module, "ROOT", project.path)
    assert environment_module._own_revision() == {
        "commit": project.git("rev-parse", "HEAD"),
        "dirty": False,
    }


def test_a_run_from_before_the_two_were_told_apart_has_one():
    assert measured_revision({"revision": {"commit": "a"}}) == {"commit": "a"}
    assert measured_revision({"revision": {"commit": "a"}, "project": None}) == {}
    assert measured_revision({}) == {}
