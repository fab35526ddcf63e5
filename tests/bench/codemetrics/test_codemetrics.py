"""Length and complexity against snippets counted by hand, in both languages."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from raftmark.bench.codemetrics import (
    LANGUAGES,
    CodeMetricsError,
    SourceMetrics,
    excerpt,
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


@pytest.mark.parametrize(
    "literal",
    [
        *(
            '"a\\n"',
            "`a\nb`",
            "`a\r\nb`",
            "``",
            "'a'",
            "'\\''",
            "'\\u00e4'",
            "0x1F",
            "0b1_0",
            "0o7",
        ),
        *("1.5e3", ".5", "1.", "0x1p-3", "0x1.8p+1", "0X_1FFFP-16", "2i", "1e3i", "0x1p-2i", "ä"),
    ],
)
def test_a_go_literal_is_one_token(literal: str) -> None:
    assert go(f"package p; var x = {literal}").tokens == 7


@pytest.mark.parametrize("operator", [":=", "&^=", "<<=", "="])
def test_a_go_operator_is_one_token(operator: str) -> None:
    assert go(f"package p\nfunc f() {{\n\tx {operator} 1\n}}\n").tokens == 11


def test_go_counts_what_is_newer_than_its_first_edition() -> None:
    measured = go(
        """
        //go:build linux

        package p

        /*
        #include <stdio.h>
        */
        import "C"

        type Number interface{ ~int | ~float64 }

        type Pair[K comparable, V any] struct {
            Key K `json:"key"`
        }

        const (
            a = iota
            b
        )

        //go:noinline
        func (p *Pair[K, V]) sum(of func(func(int) bool)) (total int) {
        again:
            for each := range of {
                switch any(each).(type) {
                case int, string:
                    continue again
                case nil:
                default:
                    fallthrough_ := min[int](each, 1)
                    total += fallthrough_
                }
            }
            if total < 0 {
                goto again
            }
            return p.sum(of)
        }
        """
    )
    # 1 + range, two cases, if; for, switch in it, if, two jumps, recursion.
    assert [(f.name, f.complexity, f.cognitive) for f in measured.functions] == [
        ("Pair.sum", 5, 1 + 2 + 1 + 1 + 1 + 1)
    ]
    # package p · import "C" · the types · the constants · what is before the function's body
    counted = [2, 2, 10 + 11 + 3 + 1, 2 + 3 + 1 + 1, 28]
    # again: · for · switch · case · continue · case · default · min · total += · two } · if · goto
    # and last } · return · }
    counted += [2, 6, 10, 5, 2, 3, 2, 11, 3, 2, 5, 2, 1, 7, 1]
    assert measured.tokens == sum(counted)


def test_a_go_function_that_calls_itself_generically_is_recursive() -> None:
    measured = go("package p\nfunc f[T any](x T) {\n\tf[T](x)\n}\n")
    assert [(f.name, f.cognitive) for f in measured.functions] == [("f", 1)]


def test_a_line_directive_moves_no_line() -> None:
    measured = go("package p\n\n//line other.go:100\nfunc f() {\n}\n")
    assert [(f.line, measured.lines) for f in measured.functions] == [(4, 3)]


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


def functions(text: str) -> list[tuple[str, int, int]]:
    """Name, cyclomatic and cognitive complexity of each function."""
    return [(f.name, f.complexity, f.cognitive) for f in python(text).functions]


@pytest.mark.parametrize(
    ("around", "module"),
    [
        ("if a:\n    {}\n", 2),
        ("if a:\n    pass\nelse:\n    {}\n", 2),
        ("try:\n    pass\nexcept E:\n    {}\n", 2),
        ("try:\n    pass\nexcept* E:\n    {}\n", 2),
        ("with a or b:\n    {}\n", 2),
        ("for a in b:\n    {}\n", 2),
        ("match a:\n  case 1 if b:\n    {}\n", 3),
    ],
)
@pytest.mark.parametrize("word", ["def", "async def"])
def test_a_function_is_counted_once_whatever_it_is_under(
    around: str, module: int, word: str
) -> None:
    definition = f"{word} f(a): return a if a else 1"
    by_name = {name: complexity for name, complexity, _ in functions(around.format(definition))}
    assert by_name == {"<module>": module, "f": 2}
    in_class = "class A:\n" + textwrap.indent(around.format(definition), "    ")
    by_name = {name: complexity for name, complexity, _ in functions(in_class)}
    assert by_name == {"<module>": module, "A.f": 2}


def test_what_is_beside_a_function_decides_as_if_it_were_not_there() -> None:
    assert functions("if a:\n    pass\nelse:\n    def f(): pass\n") == [
        ("<module>", 2, 2),
        ("f", 1, 0),
    ]


@pytest.mark.parametrize(
    "head",
    [
        "def f(x=1 if A else 2): pass",
        "def f(*, x=1 if A else 2): pass",
        "def f(x=lambda: 1 if A else 2): pass",
        "def f(x=lambda y=1 if A else 2: y): pass",
        "def f(x=[i for i in A]): pass",
        "def f(x: A or B): pass",
        "def f(*x: A or B, **y): pass",
        "def f() -> A or B: pass",
        "@g(A or B)\ndef f(): pass",
        "@(A or B)\nasync def f(): pass",
        "def f():\n    def g(x=A or B): pass",
        "def f():\n    @(A or B)\n    def g(): pass",
        "def f():\n    class G(A or B): pass",
        "def f():\n    class G(metaclass=A or B): pass",
        "def f():\n    class G:\n        def h(self, x=A or B): pass",
        "def f():\n    x: A or B = 1",
        "def f():\n    return (x := A or B)",
    ],
)
def test_what_decides_in_a_head_is_the_functions_own(head: str) -> None:
    assert [(name, complexity) for name, complexity, _ in functions(head)] == [("f", 2)]


@pytest.mark.parametrize(
    "head",
    [
        "class A(B if C else D): pass",
        "class A(metaclass=B if C else D): pass",
        "@(B if C else D)\nclass A: pass",
        "class A:\n    class B(C if D else E): pass",
        "class A:\n    x: B if C else D",
        "x: B if C else D = 1",
        "f = lambda x=B or C: x",
    ],
)
def test_what_decides_outside_of_functions_is_the_modules(head: str) -> None:
    assert [(name, complexity) for name, complexity, _ in functions(head)] == [("<module>", 2)]


NEWER = {
    "type A[T] = B if C else D": ((3, 12), "3.12", [("<module>", 2)]),
    "def f[T: (A or B)](): pass": ((3, 12), "3.12", [("f", 2)]),
    "class A[*T, **P]:\n    def f(self): pass": ((3, 12), "3.12", [("A.f", 1)]),
    'def f(): return f"{x["a"] if y else f"{z}"}"': ((3, 12), "3.12", [("f", 2)]),
    "def f(): return f\"{'\\n'.join(a or b)}\"": ((3, 12), "3.12", [("f", 2)]),
    'def f(): return f"{a  # why\n}"': ((3, 12), "3.12", [("f", 1)]),
    "def f[T = A or B](): pass": ((3, 13), "3.13", [("f", 2)]),
    "type A[T: int = bool] = B": ((3, 13), "3.13", []),
    "def f():\n    try: pass\n    except A, B: pass": ((3, 14), "3.14", [("f", 2)]),
    'def f(): return t"{a or b}"': ((3, 14), "3.14", [("f", 2)]),
    "def f(): return [*a for a in b]": ((3, 15), "3.15", [("f", 2)]),
    "lazy import a": ((3, 15), "3.15", []),
}


@pytest.mark.parametrize("text", NEWER)
def test_newer_python_is_counted_or_its_version_named(text: str) -> None:
    since, named, counted = NEWER[text]
    if sys.version_info >= since:
        assert [(name, complexity) for name, complexity, _ in functions(text)] == counted
    else:
        with pytest.raises(CodeMetricsError, match=rf"needs Python {named} or later \("):
            python(text)


@pytest.mark.parametrize("text", [text for text in NEWER if "3.15" not in NEWER[text][1]])
def test_the_version_is_the_one_that_ruff_names(text: str) -> None:
    ruff = str(Path(sys.executable).with_name("ruff"))
    _, named, _ = NEWER[text]
    older = f"py3{int(named[2:]) - 1}"
    for target, accepted in ((older, False), (named.replace("3.", "py3"), True)):
        command = [ruff, "check", "--isolated", "--select=E9", f"--target-version={target}", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == accepted, done.stdout


def test_what_is_no_python_at_all_is_not_called_newer() -> None:
    with pytest.raises(CodeMetricsError, match="not Python"):
        python("def f(:\n    type = 1\n    except_ = f(a, b)\n")


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n\tif a:\n\t\tpass\n\telif b:\n\t\tpass\n",
        "def f():\n  if a:\n    pass\n\f  elif b:\n    pass\n",
        "\fdef f():\r\n  if a: pass\r\n  elif b: pass",
        "def f():\r  if a: pass\r  elif b: pass\r",
        "def f():\n  if a: pass\n  elif \\\n    b: pass",
    ],
)
def test_layout_decides_nothing(text: str) -> None:
    assert functions(text) == [("f", 3, 2)]


@pytest.mark.parametrize(
    "text", ["", "\n", "\f", "# nothing", '"""Only words."""', ";".join("'' ''")]
)
def test_an_empty_file_counts_nothing(text: str) -> None:
    if text.startswith("'"):
        text = "'';''"
    measured = python(text)
    assert (measured.lines, measured.tokens, measured.functions) == (0, 0, ())


@pytest.mark.parametrize(
    "text", ['"""Doc."""; x = 1', 'x = 1; "ü"; "doc"', "x = 1;", "'ü' 'ü'; x = 1"]
)
def test_a_semicolon_is_a_line_end(text: str) -> None:
    assert python(text).tokens == 3


@pytest.mark.parametrize(
    "source",
    [
        "\ufeffdef f(): return 'ü'\n".encode(),
        "# -*- coding: latin-1 -*-\ndef f(): return 'ü'\n".encode("latin-1"),
        "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\ndef f(): return 'ü'".encode("cp1252"),
        "def f(): return 'ü'\r\n".encode(),
    ],
)
def test_python_is_read_as_its_first_lines_declare(tmp_path: Path, source: bytes) -> None:
    (tmp_path / "a.py").write_bytes(source)
    assert measure_file(tmp_path / "a.py").tokens == 7
    assert "return 'ü'" in excerpt(tmp_path / "a.py", "f")


@pytest.mark.parametrize("name", ["x", "ü", "℘", "℘x", "x℘·y", "変数"])
def test_a_name_is_one_token_whatever_its_letters(name: str) -> None:
    assert python(f"{name} = f( {name} )").tokens == 6


def test_warnings_of_the_parser_are_not_those_of_the_reader(
    recwarn: pytest.WarningsRecorder,
) -> None:
    python("x = '\\d'\ny = 1if x else 2\n")
    assert not recwarn.list


def test_only_files_are_sources(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "gone.py").symlink_to("nowhere")
    with pytest.raises(CodeMetricsError, match="no such file"):
        measure_components(tmp_path, {"node": ["*.py"]})


def test_go_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.go").write_bytes("\ufeffpackage p\r\n\r\nfunc f() {\r\n}\r\n".encode())
    assert measure_file(tmp_path / "a.go").tokens == 8
    assert excerpt(tmp_path / "a.go", "f") == "func f() {\n}\n"


def test_an_excerpt_is_the_function_whole(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        '"""A page break stands before each function."""\n\f\n@one\n@two(\n    1\n)\n'
        "def first():\n    return 1\n\n\f\nclass A:\n    @staticmethod\n    def second():\n"
        "        return 'a\u2028b'\n"
    )
    first, second = (excerpt(tmp_path / "a.py", name) for name in ("first", "A.second"))
    assert first == "@one\n@two(\n    1\n)\ndef first():\n    return 1\n"
    assert second == "@staticmethod\ndef second():\n    return 'a\u2028b'\n"
    (tmp_path / "a.go").write_text("package p\n\n/* Says\n   why. */\nfunc f() {\n}\n")
    assert excerpt(tmp_path / "a.go", "f") == "/* Says\n   why. */\nfunc f() {\n}\n"


def test_a_file_that_several_patterns_name_counts_once(tmp_path: Path) -> None:
    for name in ("node.py", "timer.py"):
        (tmp_path / name).write_text("a = 1\n")
    (tmp_path / "again.py").symlink_to("node.py")
    (tmp_path / "folder.py").mkdir()
    sources = {"node": ["node.py", "no*.py", "./node.py"], "rest": ["*.py"]}
    measured = measure_components(tmp_path, sources)
    assert {name: found.tokens for name, found in measured.items()} == {"node": 3, "rest": 3}
    core = measure_modules(tmp_path, ["*.py"], [tmp_path / "timer.py", tmp_path / "again.py"])
    assert core == {}


def test_a_name_that_is_no_utf8_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"n\xffde.py")
    path.write_bytes(b"a = (")
    with pytest.raises(CodeMetricsError) as caught:
        measure_components(tmp_path, {"node": ["*.py"]})
    assert "n\ufffdde.py: not Python" in str(caught.value)


JAVASCRIPT = """#!/usr/bin/env node
// A comment.
function vote(node, term) { /* another */
  if (term < node.term && !node.voted) {
    for (const each of node.peers) {
      if (each) return `no ${term}`;
    }
  }
  return true;
}
"""


def test_another_language_is_counted_by_well_kept_tools(tmp_path: Path) -> None:
    (tmp_path / "raft.js").write_text(JAVASCRIPT)
    measured = measure_file(tmp_path / "raft.js")
    assert [(f.name, f.line, f.complexity) for f in measured.functions] == [("vote", 3, 5)]
    assert measured.functions[0].cognitive == 1 + 1 + 2 + 3
    # function vote(node, term) { 8 · if (term < node.term && !node.voted) { 14
    # for (const each of node.peers) { 10 · if (each) return `no ${term}`; 4 + 1 + 5 + 1 · } } 2
    # return true; 3 · } 1
    assert (measured.lines, measured.tokens) == (8, 49)
    assert excerpt(tmp_path / "raft.js", "vote").startswith("function vote(node, term) {")


@pytest.mark.parametrize("language", sorted(set(LANGUAGES.values())))
def test_every_language_that_is_known_has_its_tools(language: str) -> None:
    text = "package p\n" if language == "Go" else ""
    assert measure_text(text, language).functions == ()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.py", b"def (:\n", r"a\.py: not Python"),
        ("a.py", b"x = '''\n", r"a\.py: not Python"),
        ("a.py", b"\xff\xfe", r"a\.py: not Python \(.*invalid"),
        ("a.py", b"# coding: klingon\n", r"a\.py: not Python \(unknown encoding"),
        ("a.py", b"x = 1\0\n", r"a\.py: not Python \(.*null"),
        ("a.py", b"x = " + b"-" * 100_000 + b"1\n", r"a\.py: n"),
        ("a.go", b"package p // \xff\n", r"a\.go: not UTF-8"),
        ("a.js", b"\xff\xfe", r"a\.js: not UTF-8"),
        ("a.go", b'package p\nvar x = "open\n', r"a\.go: not Go \(2:9: "),
        ("a.go", b"package p\nfunc f( {}\n", r"a\.go: not Go \(2:9: "),
        ("a.txt", b"fn main() {}\n", r"a\.txt: cannot measure this kind of file"),
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
