"""What is installed: one package, that measures all four contenders outside of any checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from raftmark.bench.contenders.places import ROOT

UV = str(Path(sys.executable).with_name("uv"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the wheel and the source distribution, made of what is kept in git."""
    directory = tmp_path_factory.mktemp("dist")
    source = directory / "source"
    files = run("git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others",
                "--exclude-standard").split("\0")  # fmt: skip
    for name in files:
        if name and (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name, follow_symlinks=False)
    build = (UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable)
    run(*build, "--sdist", "--out-dir", str(directory), str(source))
    run(*build, "--wheel", "--out-dir", str(directory), str(source))
    return directory


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a new environment with the wheel and what it is pinned to."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    run(UV, "venv", "--quiet", "--python", sys.executable, str(environment))
    install = (UV, "pip", "install", "--quiet", "--system-certs", "--python", str(environment))
    run(*install, "--require-hashes", "--requirement", str(ROOT / "requirements.lock"))
    (wheel,) = built.glob("*.whl")
    run(*install, "--no-deps", str(wheel))
    return environment / "bin"


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command to its end; what it prints."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(wheel: Path) -> dict[str, bytes]:
    """Return a wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_is_one_package_with_all_that_measuring_reads(built):
    (wheel,) = built.glob("*.whl")
    names = contents(wheel)
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"raftmark"}
    for needed in (
        "go_reference/go.mod",
        "go_reference/cmd/raftmark-go/main.go",
        "go_reference/primitives/primitives_test.go",
        "bench/contenders.toml",
        "bench/contenders/skeletons/contender.go",
        "bench/contenders/skeletons/contender.js",
        "bench/contenders/skeletons/contender.py",
        "conformance/conftest.py",
        "conformance/test_elections.py",
        "report/pages/templates/report.html",
        "report/pages/static/report.css",
        "requirements.lock",
    ):
        assert f"raftmark/{needed}" in names


def test_the_source_distribution_builds_the_same_wheel(built, tmp_path):
    (sdist,) = built.glob("*.tar.gz")
    run(UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--wheel",
        "--out-dir", str(tmp_path), str(sdist))  # fmt: skip
    (again,), (wheel,) = tmp_path.glob("*.whl"), built.glob("*.whl")
    assert contents(again) == contents(wheel)


def test_an_installed_raftmark_measures_all_four_in_an_empty_directory(installed, tmp_path):
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    # Nothing of this checkout's surroundings; Go's caches alone, or it would fetch all again.
    kept = ("PATH", "GOFLAGS", "GOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "SSL_CERT_FILE")
    env = {name: os.environ[name] for name in kept if name in os.environ} | {"HOME": str(home)}
    for name in ("GOCACHE", "GOMODCACHE"):
        env[name] = run(str(installed / "go"), "env", name).strip()
    raftmark = str(installed / "raftmark")
    run(raftmark, "bench", "--blocks", "1", "--workloads", "replicate", cwd=here, env=env)

    assert [path.name for path in here.iterdir()] == ["results"]
    assert (here / "results" / "latest" / "report.html").is_file()
    lines = (here / "results" / "latest" / "trials.jsonl").read_text().splitlines()
    trials = [msgspec.json.decode(line) for line in lines]
    assert {trial["contender"].rstrip("~") for trial in trials} == {
        "threading",
        "asyncio",
        "multiprocessing",
        "go",
    }
    # On a machine with much else to do a leader may lose its lead, and with it a trial.
    failures = [trial["failure"]["message"] for trial in trials if trial["failure"] is not None]
    assert all("the leader changed during the run" in message for message in failures)
    sound = {t["contender"].rstrip("~") for t in trials if t["failure"] is None}
    assert sound == {"threading", "asyncio", "multiprocessing", "go"}
    assert (home / ".cache" / "raftmark").is_dir()
    # What others may have as well is not in their way.
    for name in ("bench", "report", "raft", "impl_asyncio"):
        code = f"import importlib.util; assert importlib.util.find_spec({name!r}) is None"
        run(str(installed / "python"), "-c", code, cwd=here, env=env)
    assert "make " not in run(raftmark, "contenders", cwd=here, env=env)


def test_an_installed_raftmark_examines_a_contender_of_its_own(installed, tmp_path):
    suite = ("pytest", "pytest-timeout")  # what the extra `conform` names
    run(UV, "pip", "install", "--quiet", "--system-certs", "--python", str(installed.parent),
        "--constraint", str(ROOT / "requirements-test.lock"), *suite)  # fmt: skip
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    raftmark = str(installed / "raftmark")
    run(raftmark, "new-contender", "mine", cwd=tmp_path, env=env)
    table = ("--contenders-file", "mine/contenders.toml")
    told = run(raftmark, "conform", "mine", "--level", "elects", *table, cwd=tmp_path, env=env)
    assert told.splitlines()[-1] == "mine: elects"
    (entry,) = msgspec.json.decode(
        run(raftmark, "contenders", "--json", *table, cwd=tmp_path, env=env)
    )
    assert entry["level"] == "elects"
