"""The table of mutants fits the sources: every rule can be broken, and has tests that say so.

Whether those tests go red is what `make mutants` shows; this one keeps the table honest.
"""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from .mutants.runner import copy_of
from .mutants.table import LANGUAGES, ROOT, RULES, Mutant, TableError, load_rules

TABLE = load_rules()
MUTANTS = [mutant for rule in TABLE for mutant in rule.mutants]
TESTS = [(lang, test) for lang in LANGUAGES for rule in TABLE for test in rule.tests(lang)]
CITATION = re.compile(r"§\d|figure \d", re.IGNORECASE)


def name_of(mutant: Mutant) -> str:
    return f"{mutant.rule}-{mutant.language}-{mutant.breaks}"


@cache
def python_tests(file: str) -> dict[str, str]:
    """The docstrings of a module's functions."""
    functions = ast.parse((ROOT / file).read_text()).body
    return {f.name: ast.get_docstring(f) or "" for f in functions if isinstance(f, ast.FunctionDef)}


@cache
def go_tests(package: str) -> dict[str, str]:
    """The comments of a package's tests."""
    tests: dict[str, str] = {}
    for file in (ROOT / "go_reference" / package).glob("*_test.go"):
        found = re.finditer(
            r"((?:^//.*\n)*)^func (Test\w+)\(t \*testing\.T\)", file.read_text(), re.M
        )
        tests |= {match[2]: match[1] for match in found}
    return tests


def described(language: str, test: str) -> str | None:
    """What a test says of itself, None if there is no such test."""
    if language == "go":
        package, name = test.split(".")
        return go_tests(package).get(name)
    file, name = test.split("::")
    return python_tests(file).get(name.partition("[")[0])


def test_every_rule_is_broken_in_every_language() -> None:
    assert [rule.number for rule in TABLE] == list(RULES)
    for rule in TABLE:
        assert CITATION.search(rule.section), f"rule {rule.number}"
        for language in LANGUAGES:
            assert rule.tests(language), f"rule {rule.number}, {language}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_a_mutant_changes_one_place(mutant: Mutant) -> None:
    assert mutant.red
    changed = mutant.changed(ROOT)
    assert changed != (ROOT / mutant.file).read_text()
    if mutant.language == "python":
        compile(changed, mutant.file, "exec")


@pytest.mark.parametrize(("language", "test"), dict.fromkeys(TESTS))
def test_a_rules_test_cites_its_source(language: str, test: str) -> None:
    description = described(language, test)
    assert description is not None, "there is no such test"
    assert CITATION.search(description), "it does not say where the rule comes from"


def test_a_change_that_fits_no_place_or_several_is_an_error() -> None:
    mutant = Mutant(1, "python", "nothing", "raft/node.py", "self", "this", ("a test",))
    with pytest.raises(TableError, match=r"raft/node.py has \d+ times, not once: 'self'"):
        mutant.changed(ROOT)


def test_a_mutant_is_made_in_a_copy() -> None:
    mutant = MUTANTS[0]
    before = (ROOT / mutant.file).read_text()
    with copy_of(ROOT) as tree:
        mutant.apply(tree)
        assert (tree / mutant.file).read_text() == mutant.changed(ROOT)
    assert (ROOT / mutant.file).read_text() == before
