"""Side by side: real source text, highlighted and escaped, for any two contenders."""

from pathlib import Path

import pytest

from raftmark.bench.codemetrics import CodeMetricsError, excerpt
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import load_contenders
from raftmark.report.findings.sourcecode import measure_code
from raftmark.report.model import Code, Source
from raftmark.report.pages.sections.side_by_side import highlight
from tests.report.page_reader import Page


def test_a_function_is_cut_out_with_what_is_said_above_it(tmp_path: Path) -> None:
    source = tmp_path / "a.go"
    source.write_text(
        "package p\n\nfunc before() {}\n\n// vote says no.\nfunc (n *node) vote() bool {\n"
        "\treturn false\n}\n\nfunc after() {}\n"
    )
    assert excerpt(source, "node.vote") == (
        "// vote says no.\nfunc (n *node) vote() bool {\n\treturn false\n}\n"
    )
    module = tmp_path / "a.py"
    module.write_text(
        "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        pass\n"
    )
    assert excerpt(module, "A.f") == "def f(self):\n    return 1\n"
    with pytest.raises(CodeMetricsError, match=r"no function A\.h; correct `excerpts`"):
        excerpt(module, "A.h")


def test_every_contender_shows_its_parts_and_the_same_excerpts() -> None:
    codes = measure_code(load_contenders())
    shown = {name: code for name, code in codes.items() if isinstance(code, Code)}
    assert shown.keys() == codes.keys()
    assert {tuple(code.excerpts) for code in shown.values()} == {("election", "fan-out")}
    for code in shown.values():
        assert code.sources.keys() == code.runtime.keys()
        assert {"node", "timer", "transport", "cluster"} <= code.sources.keys()
        for sources in (*code.sources.values(), *code.excerpts.values()):
            assert all(source.text.strip() for source in sources)


def test_source_is_escaped_and_highlighted() -> None:
    shown = highlight(Source("a.py", 'def f(a):  # <b>\n    return "<script>" if a & 1 else 2\n'))
    assert "<script>" not in shown
    assert "<b>" not in shown
    for part in (
        '<span class="k">def</span>',
        '<span class="f">f</span>',
        '<span class="c"># &lt;b&gt;</span>',
        '<span class="s">',
        "&amp;",
    ):
        assert part in shown


def test_all_text_is_in_the_page(read_report) -> None:  # type: ignore[no-untyped-def]
    page: Page = read_report("complete")
    [section] = [s for s in page.every("section") if s.attributes.get("id") == "side-by-side"]
    listings = {"".join(code.text.split()) for code in section.every("code")}
    for name in ("impl_asyncio/timer.py", "go_reference/cluster/timer.go"):
        assert "".join((ROOT / name).read_text().split()) in listings
