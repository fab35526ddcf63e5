"""A run as data frames, for a notebook: `raftmark.load`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pandas import DataFrame


class Frames(NamedTuple):
    """A run's tables.

    `values`: a row for each metric of each trial that counts; `figures`: for each figure, with its
    ratio to the reference. Their columns are those of `values.csv` and `figures.csv`.
    """

    values: DataFrame
    figures: DataFrame


def load(run: str | Path) -> Frames:
    """Read a run's directory into data frames.

    Raises `ImportError` without pandas, with what to install, and `StoreError` where the run is
    damaged or there is none.
    """
    from raftmark.bench.analysis.tables import FIGURES, VALUES, figure_rows, value_rows
    from raftmark.bench.runs.store import Run

    frame = _pandas()
    found = Run.open(Path(run))
    return Frames(
        values=_table(frame, VALUES, value_rows(found)),
        figures=_table(frame, FIGURES, figure_rows(found)),
    )


def _table(
    frame: Callable[..., DataFrame], columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> DataFrame:
    return frame(list(rows), columns=list(columns))


def _pandas() -> Any:
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise ImportError("data frames need pandas: pip install 'raftmark[frames]'") from error
    return DataFrame
