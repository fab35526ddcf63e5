"""Contenders on other interpreters and loops."""

import sys

import msgspec
import pytest

from raftmark.bench.contenders import variants
from raftmark.bench.contenders.interpreters import Environment, Interpreter
from raftmark.bench.contenders.registry import Unavailable, load_contenders
from raftmark.bench.contenders.variants import Contenders, Variant, find_interpreters
from raftmark.bench.experiment.entries import describe, gil_is_back
from raftmark.bench.runs.forms import ContenderEntry
from raftmark.terminal.tables import contenders_table

FREE = Interpreter(sys.executable, "CPython", "3.99.1", True, "3.99t")
ORDINARY = Interpreter(sys.executable, "CPython", "3.99.1", False, "3.99")


def known(*interpreters: Interpreter) -> Contenders:
    return Contenders(load_contenders(), interpreters)


def test_the_tables_contenders_are_as_the_table_has_them():
    assert dict(known(FREE)) == load_contenders()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("threading@3.99t", "Python threads, 3.99t"),
        ("asyncio@uvloop", "Python asyncio, uvloop"),
        ("asyncio@3.99t+uvloop", "Python asyncio, 3.99t, uvloop"),
    ],
)
def test_a_variant_is_named_for_what_differs(name, label):
    variant = known(FREE)[name]
    base = load_contenders()[name.partition("@")[0]]
    assert (variant.name, variant.label, variant.base) == (name, label, base.name)
    assert (variant.color, variant.marker, variant.sources) == (
        base.color,
        base.marker,
        base.sources,
    )


def test_every_python_contender_is_followed_by_its_variants():
    contenders = known(FREE, ORDINARY)
    chosen = contenders.spread(contenders.choose(["go", "asyncio@uvloop", "threading"]))
    assert list(chosen) == [
        *("threading", "threading@3.99t", "threading@3.99"),
        *("asyncio@uvloop", "asyncio@3.99t+uvloop", "asyncio@3.99+uvloop"),
        "go",
    ]


def test_controls_take_part_where_they_are_asked_for():
    contenders = known()
    controls, usual = contenders.controls(), contenders.usual()
    assert "go-loop" in controls
    assert not {*usual} & {*controls}
    assert {*contenders} == {*usual, *(name for name in controls if "@" not in name)}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("go@3.99t", "go@3.99t is no contender: go does not run on Python"),
        ("go@3.98", "go@3.98 is no contender: go does not run on Python"),
        ("threading@uvloop", "'uvloop' is no interpreter"),
        ("threading@3.99t+uvloop", "threading has no form uvloop"),
        ("threading@", "'' is no interpreter"),
    ],
)
def test_a_variant_that_cannot_be_says_why(name, said):
    with pytest.raises(Unavailable, match=said):
        known(FREE)[name]


def test_an_unknown_base_is_in_no_table():
    assert "trio@uvloop" not in known()


def provide(monkeypatch, **lacks: str) -> None:
    """Let interpreters find all packages but those that `lacks` explains."""
    where = Environment(variants.Path("/cache/bin/python"), lacks)
    monkeypatch.setattr(variants, "environment", lambda interpreter, packages: where)


def test_a_variant_is_launched_by_the_interpreter_with_its_packages(monkeypatch):
    provide(monkeypatch)
    assert known(FREE)["asyncio@3.99t+uvloop"].argv() == [
        *("/cache/bin/python", "-m", "raftmark.impl_asyncio", "--loop", "uvloop")
    ]
    assert known()["asyncio@uvloop"].argv()[0] == sys.executable


def test_what_is_not_to_be_had_leaves_out_only_what_requires_it(monkeypatch):
    provide(monkeypatch, msgspec="msgspec==1 has no usable wheels")
    contenders = known(FREE)
    contenders["threading@3.99t"].prepare()
    said = r"needs msgspec, which is not to be had for Python 3\.99t: msgspec==1 has no usable"
    with pytest.raises(Unavailable, match=said):
        contenders["multiprocessing@3.99t"].prepare()
    assert "needs msgspec" in str(describe(contenders["multiprocessing@3.99t"], print).unavailable)


def test_a_form_says_what_the_running_interpreter_lacks():
    spec = load_contenders()["asyncio"]
    form = msgspec.structs.replace(spec.forms["uvloop"], requires=["no_such_package"])
    spec = msgspec.structs.replace(spec, forms={"uvloop": form})
    with pytest.raises(Unavailable, match="needs no_such_package; 'make setup-test' installs it"):
        Variant.of(spec, None, "uvloop").prepare()


def test_uvloop_runs_asyncio_and_says_so():
    entry = describe(known()["asyncio@uvloop"], print)
    assert entry.hello is not None
    assert entry.hello["runtime"]["loop"] == "uvloop"
    assert (entry.base, entry.hello["contender"]) == ("asyncio", "asyncio")


def test_an_interpreter_that_is_not_there_is_one_complaint_and_no_more():
    found, complaints = find_interpreters(["3.0", "auto", sys.executable])
    assert found == []
    [complaint] = complaints
    assert "uv python install 3.0" in complaint


def entry(**runtime: object) -> ContenderEntry:
    runtime = {"name": "CPython", "version": "3.99.1", **runtime}
    hello = {"contender": "x", "language": "Python", "runtime": runtime, "features": []}
    return ContenderEntry("x", "X", hello, None)


@pytest.mark.parametrize(
    ("runtime", "back"),
    [
        ({"free_threaded": True, "gil": True}, True),
        ({"free_threaded": True, "gil": False}, False),
        ({"free_threaded": False, "gil": True}, False),
        ({}, False),
    ],
)
def test_a_gil_that_came_back_is_seen(runtime, back):
    assert gil_is_back(entry(**runtime)) is back
    [cells] = [list(column.cells) for column in contenders_table([entry(**runtime)]).columns[3:4]]
    assert (cells == ["on again"]) is back
