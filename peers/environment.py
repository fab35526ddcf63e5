"""Makes the virtual environment of a Python peer: what its lock pins, hashes and all.

`python -m raftmark.peers.environment LOCK OUTPUT`. It is called through its interpreter alone, and
so may be moved to its place when it is whole.
"""

import subprocess
import sys
import venv
from pathlib import Path

_BUILT_WITH = Path(__file__).with_name("build.lock")


def main() -> int:
    """Make it, and fill it with the packages; pip's status."""
    lock, output = sys.argv[1:]
    venv.create(output, clear=True, with_pip=True)
    pip = (f"{output}/bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--quiet")
    # What is built from source is built with what is pinned too, and so not in isolation.
    for pinned in (str(_BUILT_WITH), lock):
        command = [*pip, "--require-hashes", "--no-build-isolation", "--requirement", pinned]
        if status := subprocess.call(command):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
