"""A contender that misbehaves as a process: rude.py FAULT, one of `FAULTS`."""

import os
import signal
import subprocess
import sys
import threading
from types import MappingProxyType

from stub import Stub

WAITS = [sys.executable, "-c", "import signal; signal.pause()"]
BURNS = [
    *(sys.executable, "-c"),
    "import os, sys, time\n"
    "while time.process_time() < 0.3: pass\n"
    "os.write(int(sys.argv[1]), b'burnt')\n"
    "while True: time.sleep(1)",
]


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Fled(Stub):
    """Leaves a child in a session of its own."""

    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    environment = None

    def op_start(self, request):
        child = subprocess.Popen(
            WAITS, start_new_session=True, env=self.environment, **self.streams
        )
        say("child", child.pid)
        return super().op_start(request)


class FledWithPipes(Fled):
    """Leaves one that has forgotten its environment too, and holds the pipes."""

    streams = MappingProxyType({})
    environment = MappingProxyType({})


class Costly(Stub):
    """Lets a child in a session of its own do the work."""

    def op_run(self, request):
        read, write = os.pipe()
        subprocess.Popen(
            [*BURNS, str(write)], start_new_session=True, pass_fds=[write], **Fled.streams
        )
        os.read(read, 5)
        return super().op_run(request)


class Noisy(Stub):
    """Writes to standard error without end."""

    def op_run(self, request):
        say("the beginning")
        for _ in range(3000):
            say("x" * 1000)
        say("the end")
        raise SystemExit(3)


class Bomb(Stub):
    """Forks as fast as it can, as far as that is bearable."""

    def op_run(self, request):
        if os.fork() == 0:
            for _ in range(6):
                os.fork()
            while True:
                signal.pause()
        os.kill(os.getpid(), signal.SIGKILL)


class Eventful(Stub):
    """Sends events without end."""

    def op_run(self, request):
        while True:
            self.emit('{"event": "role", "text": "' + "x" * 2**20 + '"}')


class Endless(Stub):
    """Prints a line without end."""

    def op_run(self, request):
        while True:
            sys.stdout.write("x" * 2**20)


class Binary(Stub):
    """Prints what is no text."""

    def op_run(self, request):
        os.write(1, bytes(range(256)) + b"\n")
        return super().op_run(request)


class Mute(Stub):
    """Closes its standard output, and lives on."""

    def op_run(self, request):
        os.close(1)
        signal.pause()


class Deaf(Stub):
    """Ignores what can be ignored, and hangs."""

    def op_run(self, request):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while True:
            signal.pause()


class Stopped(Stub):
    """Stops itself."""

    def op_run(self, request):
        os.kill(os.getpid(), signal.SIGSTOP)


class Deep(Stub):
    """Nests its answer beyond all measure."""

    depth = 100_000

    def op_run(self, request):
        inner = "[" * self.depth + "]" * self.depth
        self.emit(f'{{"id": {request["id"]}, "ok": {{"workload": {inner}}}}}')
        threading.Event().wait()


class DeepWithin(Deep):
    """Nests it so that it can be read, but not much more."""

    depth = 300


class Twice(Stub):
    """Answers twice."""

    def handle(self, request):
        super().handle(request)
        if request["op"] == "run":
            super().write({"id": request["id"], "ok": {}})


class Unasked(Stub):
    """Answers what nobody asked."""

    def op_run(self, request):
        self.write({"id": 99, "ok": {}})
        return super().op_run(request)


class Early(Stub):
    """Answers what is asked next."""

    def op_run(self, request):
        self.write({"id": request["id"] + 1, "ok": {"nodes": []}})
        return super().op_run(request)


class Garish(Stub):
    """Refuses in colours, at length."""

    def handle(self, request):
        if request["op"] != "run":
            super().handle(request)
            return
        message = "\x1b[2J\r\n" + "x" * 10_000
        self.write({"id": request["id"], "error": {"code": "internal", "message": message}})


FAULTS = {
    kind.__name__: kind
    for kind in (
        *(Fled, FledWithPipes, Costly, Noisy, Bomb, Eventful, Endless, Binary, Mute, Deaf),
        *(Stopped, Deep, DeepWithin, Twice, Unasked, Early, Garish),
    )
}

if __name__ == "__main__":
    FAULTS[sys.argv[1]]().serve()
