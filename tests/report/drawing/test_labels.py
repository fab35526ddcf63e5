"""Names of series stand beside them: on no other name, on no marker, and within bounds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raftmark.report.drawing.labels import HEIGHT, Box, Named, Place, places

BOUNDS = Box(0, 0, 360, 250)
POINTS = st.tuples(st.floats(20, 250), st.floats(20, 230))


def named(points: list[tuple[float, float]], width: float = 60) -> Named:
    return Named(width, points, np.array(points))


def box(place: Place, one: Named) -> Box:
    return Box(place.x, place.y - HEIGHT / 2, place.x + one.width, place.y + HEIGHT / 2)


def test_a_name_stands_right_of_its_last_point() -> None:
    (place,) = places([named([(100, 100), (50, 50)])], BOUNDS)
    assert place.y == 100
    assert 100 < place.x < 115
    assert place.point is None


@given(st.lists(st.lists(POINTS, min_size=1, max_size=3), min_size=1, max_size=4))
def test_no_name_lies_on_another_or_sticks_out(series: list[list[tuple[float, float]]]) -> None:
    every = [named(points) for points in series]
    boxes = [box(place, one) for place, one in zip(places(every, BOUNDS), every, strict=True)]
    assert not any(one.over(other) for one, other in combinations(boxes, 2))
    for found in boxes:
        assert found.left >= BOUNDS.left
        assert found.right <= BOUNDS.right
        assert found.bottom >= BOUNDS.bottom
        assert found.top <= BOUNDS.top


def test_points_in_one_place_have_their_names_apart_each_led_to() -> None:
    crowd = [named([(100, 100)]) for _ in range(12)]
    found = places(crowd, BOUNDS)
    assert sum(place.point is not None for place in found) >= 1
    assert all(place.point in {None, (100, 100)} for place in found)


def test_a_point_of_nobody_is_left_free() -> None:
    one = named([(100, 100)])
    (place,) = places([one], BOUNDS, [(140, 100)])
    assert not box(place, one).over(Box(136, 96, 144, 104))
