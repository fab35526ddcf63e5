"""A contender that leaves a child process behind and tells its pid on standard error."""

import subprocess
import sys

from stub import Stub


class Leaks(Stub):
    def op_start(self, request):
        child = subprocess.Popen(
            [sys.executable, "-c", "import signal; signal.pause()"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        print(f"child {child.pid}", file=sys.stderr, flush=True)
        return super().op_start(request)


if __name__ == "__main__":
    Leaks().serve()
