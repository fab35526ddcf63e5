"""A contender that prints a line of its own at one operation: nonsense.py OP LINE.

A line with ID in it is its answer; any other comes before that.
"""

import sys

from stub import Stub


class Nonsense(Stub):
    def handle(self, request):
        if request["op"] == sys.argv[1]:
            line = sys.argv[2].replace("ID", str(request["id"]))
            print(line, flush=True)
            if line != sys.argv[2]:
                return
        super().handle(request)


if __name__ == "__main__":
    Nonsense().serve()
