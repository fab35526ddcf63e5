"""Text is UTF-8 whatever the locale: whoever opens text says so, or how to go on without."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("bench", "report", "raft", "impl_threading", "impl_asyncio", "impl_multiprocessing")
SOURCES = sorted(
    path
    for room in (*ROOMS, "raftmark/commands", "raftmark/terminal")
    for path in (ROOT / room).rglob("*.py")
)


def in_the_locale(source: str) -> Iterator[int]:
    """Yield the lines that read or write text in the encoding of the locale."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        given = {each.arg: each.value for each in node.keywords}
        if "encoding" in given or ast.unparse(node.func) in ("os.open", "Run.open", "cls.open"):
            continue
        if name in ("read_text", "write_text"):
            yield node.lineno
        elif name == "open":
            modes = [each.value for each in (*node.args, *given.values())
                     if isinstance(each, ast.Constant) and isinstance(each.value, str)]  # fmt: skip
            if not any("b" in mode for mode in modes):
                yield node.lineno
        elif {"text", "universal_newlines"} & given.keys():
            yield node.lineno


def test_it_is_noticed():
    for line in (
        *("open(path)", "path.open('w')", "path.read_text()", "path.write_text(x)"),
        *("open(path, mode='a')", "subprocess.run(x, text=True)"),
    ):
        assert list(in_the_locale(line)) == [1]
    for line in ("open(path, 'rb')", "path.read_text(encoding='ascii')", "os.open(path, 0)"):
        assert list(in_the_locale(line)) == []


def test_text_is_in_no_locale():
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in (*SOURCES, ROOT / "raftmark" / "cli.py")
        for line in in_the_locale(path.read_text(encoding="utf-8"))
    ]
    assert found == []
