"""No figure is printed with more digits than its interval supports."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftmark.report.findings.numbers import spell, spell_count, spell_ratio, unit_of_time
from raftmark.report.findings.wording import floor
from raftmark.report.model import Comparison, Floor, Interval, Outcome


def read(text: str | None) -> float:
    assert text is not None
    return float(text.replace(",", ""))


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (612_345, (609_211, 615_090), "612,000 (609,000 to 615,000)"),
        (612_345, (600_000, 640_000), "610,000 (600,000 to 640,000)"),
        (612_345, (100_000, 900_000), "610,000 (100,000 to 900,000)"),
        (1.3, (0.9, 7.4), "1.3 (0.9 to 7.4)"),
        (4.35, (3.84, 7.66), "4.3 (3.8 to 7.7)"),
        (612_345, (612_344, 612_346), "612,300 (612,300 to 612,300)"),
        (0.41333, (0.3912, 0.4333), "0.41 (0.39 to 0.43)"),
        (2.4444, (2.2111, 2.5111), "2.4 (2.2 to 2.5)"),
        (21.04, (20.4, 22.1), "21.0 (20.4 to 22.1)"),
        (9.96, (9.5, 10.4), "10.0 (9.5 to 10.4)"),
        (3, (0, 400), "3 (0 to 400)"),
        (0, (0, 0.2), "0.0 (0.0 to 0.2)"),
        (0, (0, 0), "0 (0 to 0)"),
        (612_345, None, "610,000"),
        (1.26, None, "1.3"),
        (0.0126, None, "0.013"),
        (0, None, "0"),
    ],
)
def test_digits_follow_the_interval(value: float, interval: Interval | None, text: str) -> None:
    assert str(spell(value, interval)) == text


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (0.97, (0.943, 0.9961), "0.970 (0.943 to 0.996)"),
        (1.03, (1.0004, 1.06), "1.03 (just over 1 to 1.06)"),
        (1.02, (0.9961, 1.04), "1.020 (0.996 to 1.040)"),
        (1.02, (0.99991, 1.04), "1.020 (1.000 to 1.040)"),
        (0.97, (0.94, 0.99996), "0.97 (0.94 to just under 1)"),
        (1.02, (0.98, 1.04), "1.02 (0.98 to 1.04)"),
        (4.2, (4.11, 4.39), "4.2 (4.1 to 4.4)"),
        (1.3, None, "1.3"),
        (5.1, (0.41, 53.0), "5.1 (0.4 to 53.0)"),
        (2.0, (0.00001, 50.0), "2 (0 to 50)"),
    ],
)
def test_a_ratio_shows_whether_its_interval_has_one(
    value: float, interval: Interval | None, text: str
) -> None:
    assert str(spell_ratio(value, interval)) == text


@given(st.floats(1e-6, 1e12), st.floats(0.001, 0.9), st.floats(0.001, 10.0))
def test_rounding_stays_within_the_last_supported_digit(
    value: float, below: float, above: float
) -> None:
    low, high = value * (1 - below), value * (1 + above)
    spelled = spell(value, (low, high))
    printed = [read(text) for text in (spelled.value, spelled.low, spelled.high)]
    step = max((high - low) / 2, high * 1e-3)
    for exact, shown in zip((value, low, high), printed, strict=True):
        assert abs(exact - shown) <= 0.5 * step * (1 + 1e-9)
    digits = spelled.value.replace(",", "").replace(".", "").strip("0")
    assert 1 <= len(digits) <= 4


@given(st.floats(1.000001, 1000), st.floats(1e-6, 2))
def test_a_ratio_apart_from_one_never_reads_as_one(low: float, width: float) -> None:
    shown = spell_ratio(low + width / 2, (low, low + width)).low
    assert shown == "just over 1" or read(shown) > 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not a finite figure"):
        spell(value)
    with pytest.raises(ValueError, match="not a finite figure"):
        spell(1.0, (0.5, value))


def test_counts() -> None:
    assert spell_count(1234567) == "1,234,567"


@pytest.mark.parametrize(
    ("times", "symbol"),
    [
        ([5_000, 20_000_000], "µs"),
        ([900, 200_000], "µs"),
        ([150_000], "µs"),
        ([2e8, 3e8], "ms"),
        ([2e9], "s"),
        ([0, 12.0], "ns"),
        ([0.01], "ns"),
        ([], "ns"),
    ],
)
def test_unit_of_time(times: list[float], symbol: str) -> None:
    assert unit_of_time(times).symbol == symbol


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (1.0, "1.00 to 1.00"),
        (1.004, "0.996 to 1.004"),
        (1.00002, "1.000 to 1.000"),
        (1.03, "0.97 to 1.03"),
        (1.27, "0.79 to 1.27"),
        (2.5, "0.40 to 2.50"),
    ],
)
def test_a_noise_floor_shows_how_far_it_reaches(factor: float, said: str) -> None:
    noise = Floor("a~", "a", Comparison(None, Outcome.ALIKE), factor)
    assert floor(noise) == "\N{MULTIPLICATION SIGN}" + said
