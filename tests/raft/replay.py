"""Tell one life of a cluster event by event: `python -m tests.raft.replay NAME`.

The name is the one that a failed test of `test_simulation` gives. Exits with 1 if the
life goes wrong, which is told at its end.
"""

from __future__ import annotations

import sys

from .lives import CLIMATES, INTERLEAVED, live


def main(arguments: list[str]) -> int:
    """Replay the life that the command line names."""
    try:
        [name] = arguments
        live(name, trace=print)
    except ValueError:
        kinds = ", ".join([*CLIMATES, INTERLEAVED])
        print(
            "usage: python -m tests.raft.replay KIND/NODES/SEED, as a failed test names it;"
            f" the kinds are {kinds}",
            file=sys.stderr,
        )
        return 2
    except AssertionError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
