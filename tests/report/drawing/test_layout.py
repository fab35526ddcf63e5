"""Where panels are: a drawing that is higher than a page is cut between its rows of panels."""

from __future__ import annotations

import math

from raftmark.report.drawing.layout import WIDE, frame


def test_a_drawing_that_is_higher_than_a_page_is_cut_between_rows() -> None:
    laid = frame(WIDE, 13, inner=WIDE.inner, left=52, right=100)
    assert laid.columns == 2
    assert laid.height > WIDE.sheet
    sheets = list(laid.sheets(WIDE.sheet))
    assert [first for first, _ in sheets] == [0, 6, 12]
    assert sum(sheet.height for _, sheet in sheets) == laid.height
    above = 0.0
    for first, sheet in sheets:
        assert sheet.height <= WIDE.sheet
        assert sheet.panel_width == laid.panel_width
        moved = [(x, y + above) for x, y in sheet.corners]
        assert moved == laid.corners[first : first + len(moved)]
        above += sheet.height


def test_what_fits_is_not_cut() -> None:
    laid = frame(WIDE, 4, inner=WIDE.inner, left=52)
    assert list(laid.sheets(math.inf)) == list(laid.sheets(laid.height)) == [(0, laid)]


def test_a_row_that_is_too_high_by_itself_stays_whole() -> None:
    laid = frame(WIDE, 2, inner=2000, left=400)
    assert [first for first, _ in laid.sheets(WIDE.sheet)] == list(range(0, 2, laid.columns))
