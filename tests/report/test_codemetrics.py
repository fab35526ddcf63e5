"""Length and complexity against snippets counted by hand, in both languages."""

import textwrap
from pathlib import Path

import pytest

from bench.codemetrics import (
    CodeMetricsError,
    SourceMetrics,
    measure_components,
    measure_file,
    measure_modules,
    measure_text,
)


def python(text: str) -> SourceMetrics:
    return measure_text(textwrap.dedent(text), "Python")


def go(text: str) -> SourceMetrics:
    return measure_text(textwrap.dedent(text), "Go")


def test_python_function_counted_by_hand() -> None:
    measured = python(
        '''
        """Module documentation."""

        # A comment.
        def vote(self, term):  # another comment
            """What it does,

            in several lines.
            """
            if term < self.term or self.voted:
                return False
            self.term = term
            return True
        '''
    )
    # def vote ( self , term ) :                        8
    # if term < self . term or self . voted :          11
    # return False                                      2
    # self . term = term                                5
    # return True                                       2
    assert measured.tokens == 28
    assert measured.lines == 5
    assert [(f.name, f.line, f.complexity) for f in measured.functions] == [("vote", 5, 3)]


def test_go_function_counted_by_hand() -> None:
    measured = go(
        """
        package raft

        // A comment.
        func (n *Node) vote(term int) bool { // another comment
            /* in several

               lines */
            if term < n.term || n.voted {
                return false
            }
            n.term = term
            return true
        }
        """
    )
    # package raft                                      2
    # func ( n * Node ) vote ( term int ) bool {       13
    # if term < n . term || n . voted {                11
    # return false                                      2
    # }                                                 1
    # n . term = term                                   5
    # return true                                       2
    # }                                                 1
    assert measured.tokens == 37
    assert measured.lines == 8
    assert [(f.name, f.line, f.complexity) for f in measured.functions] == [("vote", 5, 3)]


def test_formatting_changes_no_token() -> None:
    assert python("f(a, b)").tokens == python("f(\n    a,\n    b\n)").tokens
    assert go("package p\nvar x=f(a,b)").tokens == go("package p\n\nvar x = f( a, b )\n").tokens


@pytest.mark.parametrize(
    "documentation",
    [
        '"""One line."""',
        '"""Several\n\nlines."""',
        '"Adjacent" " literals."',
        '("In" " brackets.")',
        '"""Ünïcödé."""',
        'r"""Raw."""',
    ],
)
def test_python_documentation_is_left_out(documentation: str) -> None:
    before = python(f"{documentation}\nx = 1\n")
    after = python(f"x = 1\n{documentation}\n")
    assert (before.tokens, before.lines) == (after.tokens, after.lines) == (3, 1)


def test_python_strings_that_are_values_count() -> None:
    assert python('x = """a\nb"""').tokens == 3
    assert python('x = """a\nb"""').lines == 2
    assert python('f("a")').tokens == 4


@pytest.mark.parametrize(
    "literal", ['f"a"', 'f"{a} and {b:>{c}}"', "f'{a[f\"{b}\"]}'", 'f"""{a}\n{b}"""', 'b"a"', "'a'"]
)
def test_a_python_string_is_one_token(literal: str) -> None:
    assert python(f"x = {literal}").tokens == 3


@pytest.mark.parametrize("literal", ['"a\\n"', "`a\nb`", "'a'", "0x1F", "1.5e3", "2i", ":=", "&^="])
def test_a_go_literal_or_operator_is_one_token(literal: str) -> None:
    assert go(f"package p; x {literal}").tokens == 5


def test_branches_of_python() -> None:
    measured = python(
        """
        def branches(a, b):
            if a and b:
                pass
            elif b:
                pass
            else:
                pass
            for i in a:
                while i:
                    i = i - 1 if b else 0
            try:
                return [i for i in a if i]
            except ValueError:
                return None
        """
    )
    # 1 + if, and, elif, for, while, if else, for (comprehension), if (comprehension), except
    assert [f.complexity for f in measured.functions] == [10]


def test_branches_of_go() -> None:
    measured = go(
        """
        package p
        func branches(a, b bool, c chan int) {
            if a && b {
            } else if b {
            } else {
            }
            for range 3 {
            }
            switch {
            case a, b:
            case b || a:
            }
            select {
            case <-c:
            }
        }
        """
    )
    # 1 + if, &&, else if, for, case, case, ||, case
    assert [f.complexity for f in measured.functions] == [9]


class TestKnownDifferencesOfLizard:
    """What the report says about the languages' treatment holds for the pinned version."""

    def test_default_branch_counts_in_python_only(self) -> None:
        [in_python] = python(
            "def f(a):\n    match a:\n        case 1:\n            pass\n"
            "        case _:\n            pass\n"
        ).functions
        [in_go] = go(
            "package p\nfunc f(a int) {\n\tswitch a {\n\tcase 1:\n\tdefault:\n\t}\n}\n"
        ).functions
        assert (in_python.complexity, in_go.complexity) == (3, 2)

    def test_cleaning_up_counts_in_python_only(self) -> None:
        [in_python] = python(
            "def f(a):\n    try:\n        pass\n    finally:\n        pass\n"
        ).functions
        [in_go] = go("package p\nfunc f() {\n\tdefer g()\n}\n").functions
        assert (in_python.complexity, in_go.complexity) == (2, 1)

    def test_inner_functions_are_functions_of_their_own(self) -> None:
        in_python = python(
            "def f(a):\n    def g():\n        if a:\n            pass\n    if a:\n        pass\n"
        )
        in_go = go(
            "package p\nfunc f(a bool) {\n\tg := func() {\n\t\tif a {\n\t\t}\n\t}\n"
            "\tif a {\n\t}\n\tg()\n}\n"
        )
        assert [f.complexity for f in in_python.functions] == [2, 2]
        assert [f.complexity for f in in_go.functions] == [2, 2]

    def test_lambdas_belong_to_the_function_around_them(self) -> None:
        measured = python("def f(a):\n    return lambda b: b or a\n")
        assert [f.complexity for f in measured.functions] == [2]

    def test_branches_outside_functions_do_not_count(self) -> None:
        assert python("if a and b:\n    c = 1\n").complexity == 0

    def test_functions_without_a_body_do_not_count(self) -> None:
        assert not python("class P(Protocol):\n    def f(self) -> int: ...\n").functions
        assert not go("package p\ntype P interface {\n\tF() int\n}\n").functions


def test_totals_add_up() -> None:
    one = python("def f(a):\n    if a:\n        return 1\n")
    two = python("def g():\n    return 2\n")
    total = SourceMetrics.total([one, two])
    assert total.lines == one.lines + two.lines
    assert total.tokens == one.tokens + two.tokens
    assert total.complexity == 3
    assert total.max_complexity == 2
    assert total.mean_complexity == 1.5


def test_nothing_measures_as_zero() -> None:
    nothing = SourceMetrics.total([])
    assert (nothing.lines, nothing.tokens, nothing.complexity) == (0, 0, 0)
    assert (nothing.max_complexity, nothing.mean_complexity) == (0, 0.0)


def test_components_gather_their_files_without_tests(tmp_path: Path) -> None:
    (tmp_path / "node.py").write_text("a = 1\n")
    (tmp_path / "loop.py").write_text("b = 1\nc = 2\n")
    (tmp_path / "timer.go").write_text("package timer\n")
    (tmp_path / "timer_test.go").write_text("package timer\n")
    measured = measure_components(tmp_path, {"node": ["node.py", "lo*.py"], "timer": ["timer*.go"]})
    assert list(measured) == ["node", "timer"]
    assert (measured["node"].lines, measured["node"].tokens) == (3, 9)
    assert (measured["timer"].lines, measured["timer"].tokens) == (1, 2)


def test_modules_are_named_for_their_files(tmp_path: Path) -> None:
    for directory in ("one", "two"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "log.py").write_text("a = 1\n")
    (tmp_path / "one" / "node.py").write_text("a = 1\nb = 2\n")
    measured = measure_modules(tmp_path, ["one/*.py", "*/log.py"])
    assert {module: found.lines for module, found in measured.items()} == {"log": 2, "node": 2}


def test_a_pattern_that_finds_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(CodeMetricsError, match=r"nodes\.py: no such file; correct `sources`"):
        measure_components(tmp_path, {"node": ["nodes.py"]})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.py", b"def (:\n", r"a\.py: not Python"),
        ("a.py", b"x = '''\n", r"a\.py: not Python"),
        ("a.py", b"\xff\xfe", r"a\.py: not UTF-8"),
        ("a.go", b'package p\nvar x = "open\n', r"a\.go:2: not Go"),
        ("a.rs", b"fn main() {}\n", r"a\.rs: cannot measure this kind of file"),
        ("a.py", None, r"a\.py: cannot be read"),
    ],
)
def test_what_cannot_be_measured_is_said(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CodeMetricsError, match=message):
        measure_file(tmp_path / name)
