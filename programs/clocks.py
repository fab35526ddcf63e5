"""What the clock of another host shows when this one shows something, as far as that can be known.

A look at it is a round trip: asked here, read there, heard here. What the clock there shows beyond
the one here lies, for each look, between what it showed less the moment of the answer and what it
showed less the moment of the question, however the time was shared between the two ways (Cristian,
"Probabilistic clock synchronization", 1989). All looks hold at once, so that the shortest ways in
either direction bound it. All times are nanoseconds of CLOCK_MONOTONIC.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Look(NamedTuple):
    """One look: when it was asked for here, what the clock there showed, when that was here."""

    asked_ns: int
    there_ns: int
    heard_ns: int


class Relation(NamedTuple):
    """What a clock there shows beyond the one here, and by how much that may be wrong."""

    offset_ns: int
    uncertainty_ns: int

    def here(self, there_ns: int) -> int:
        """What this clock shows at a moment of the other; differences there stay as they are."""
        return there_ns - self.offset_ns


SAME = Relation(0, 0)
"""A clock to itself: all processes of a host have one."""


def relate(looks: Iterable[Look]) -> Relation:
    """Relate a clock by looks at it. ValueError for none."""
    bounds = [(each.there_ns - each.heard_ns, each.there_ns - each.asked_ns) for each in looks]
    if not bounds:
        raise ValueError("nobody has looked at the clock")
    least, most = max(low for low, _ in bounds), min(high for _, high in bounds)
    # Where the clocks drift meanwhile, the bounds may miss each other by a little.
    return Relation((least + most) // 2, (abs(most - least) + 1) // 2)


def lasting(before: Relation, after: Relation) -> Relation:
    """What holds from the one to the other: the offset of before, and how far it may be off."""
    drift_ns = abs(after.offset_ns - before.offset_ns)
    return before._replace(
        uncertainty_ns=max(before.uncertainty_ns, drift_ns + after.uncertainty_ns)
    )
