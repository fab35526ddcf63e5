"""Length and complexity against snippets counted by hand, in both languages."""

import textwrap
from pathlib import Path

import pytest

from raftmark.bench.codemetrics import (
    CodeMetricsError,
    SourceMetrics,
    measure_components,
    measure_file,
    measure_modules,
    measure_text,
)
from raftmark.bench.codemetrics.tokens import go_tokens


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
    assert [(f.name, f.line, f.complexity) for f in measured.functions] == [("Node.vote", 5, 3)]


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
    assert len(list(go_tokens(f"package p; x {literal}"))) == 5


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


def test_a_function_includes_those_within_it() -> None:
    in_python = python(
        "def f(a):\n    def g():\n        if a:\n            pass\n    if a:\n        pass\n"
    )
    in_go = go(
        "package p\nfunc f(a bool) {\n\tg := func() {\n\t\tif a {\n\t\t}\n\t}\n"
        "\tif a {\n\t}\n\tg()\n}\n"
    )
    for measured in (in_python, in_go):
        # The inner `if` is nested in a function: 2, and 1 for the outer one.
        assert [(f.name, f.complexity, f.cognitive) for f in measured.functions] == [("f", 3, 3)]


def test_what_cleans_up_or_is_left_over_does_not_decide() -> None:
    in_python = python(
        """
        def f(a):
            try:
                match a:
                    case 1:
                        pass
                    case _:
                        pass
            finally:
                pass
        """
    )
    in_go = go(
        """
        package p
        func f(a int) {
            defer g()
            switch a {
            case 1:
            default:
            }
        }
        """
    )
    for measured in (in_python, in_go):
        assert [(f.complexity, f.cognitive) for f in measured.functions] == [(2, 1)]


def test_nesting_makes_code_harder_to_follow() -> None:
    in_python = python(
        """
        def f(self, a, b, c):
            for i in a:                                # 1
                if i and b and c or a:                 # 2 and 2
                    return 1
                elif b:                                # 1
                    while c:                           # 3
                        pass
                else:                                  # 1
                    self.f(b)
            return f(a)                                # 1: it calls itself
        """
    )
    in_go = go(
        """
        package p
        func f(a []int, b, c bool) int {
            for i := range a {                         // 1
                if i == 0 && b && c || b {             // 2 and 2
                    return 1
                } else if b {                          // 1
                    for c {                            // 3
                    }
                } else {                               // 1
                }
            }
            return f(a, b, c)                          // 1
        }
        """
    )
    assert [f.cognitive for f in in_python.functions] == [11]
    assert [f.cognitive for f in in_go.functions] == [11]


def test_a_method_calls_itself_through_its_object() -> None:
    in_python = python("class A:\n    def f(self):\n        self.f()\n        f()\n")
    in_go = go("package p\nfunc (a *A) f() {\n\ta.f()\n}\nfunc (a A) g() {\n\tg()\n}\n")
    assert [(f.name, f.cognitive) for f in in_python.functions] == [("A.f", 1)]
    assert [(f.name, f.cognitive) for f in in_go.functions] == [("A.f", 1), ("A.g", 0)]


def test_a_jump_to_a_label_is_hard_to_follow() -> None:
    measured = go("package p\nfunc f() {\nL:\n\tfor {\n\t\tbreak L\n\t}\n}\n")
    assert [(f.complexity, f.cognitive) for f in measured.functions] == [(2, 2)]


def test_checks_of_errors_are_counted_apart() -> None:
    measured = go(
        "package p\nfunc f() error {\n\tif err := g(); err != nil {\n\t\treturn err\n\t}\n"
        "\tif a != nil {\n\t}\n\treturn nil\n}\n"
    )
    assert (measured.complexity, measured.error_checks) == (3, 1)


def test_decisions_outside_every_function_count_too() -> None:
    measured = python("if a and b:\n    c = 1\n")
    assert [(f.name, f.complexity) for f in measured.functions] == [("<module>", 3)]
    assert not python("a = 1\n").functions
    measured = go("package p\nvar f = func() {\n\tif a {\n\t}\n}\n")
    assert [(f.name, f.complexity) for f in measured.functions] == [("<module>", 2)]
    assert not go("package p\nvar a = 1\n").functions


def test_a_function_without_a_body_is_none() -> None:
    assert not go("package p\ntype P interface {\n\tF() int\n}\n").functions


def test_the_words_of_concurrency_are_counted_by_kind() -> None:
    in_python = python(
        """
        import asyncio
        import threading as t
        from queue import SimpleQueue

        async def f(q: SimpleQueue):
            async with asyncio.TaskGroup() as group:
                group.create_task(g())
            await g()
            t.Lock()
        """
    )
    in_go = go(
        """
        package p
        import "time"
        func f(c chan int) {
            go func() { c <- 1 }()
            select {
            case <-c:
            case <-time.After(1):
            }
        }
        """
    )
    assert in_python.vocabulary == {
        "spawns": 2,
        "awaits": 2,
        "queues and channels": 1,
        "locks": 1,
    }
    assert in_go.vocabulary == {
        "spawns": 1, "queues and channels": 4, "selects": 1, "timers": 1,
    }  # fmt: skip


def test_compressed_size_ignores_formatting_and_repetition() -> None:
    once, again = (
        "value = compute(first, second)\n",
        "\n# A comment.\nvalue=compute(first,second)\n",
    )
    assert python(once).compressed == python(again).compressed
    assert python(once * 50).compressed < 3 * python(once).compressed


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
        ("a.go", b'package p\nvar x = "open\n', r"a\.go: not Go \(line 2"),
        ("a.go", b"package p\nfunc f( {}\n", r"a\.go: not Go \(2:9: "),
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
