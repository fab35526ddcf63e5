"""Go, read by its own scanner and parser, through the command in go_reference/cmd/skeleton."""

from __future__ import annotations

import subprocess

import msgspec

from raftmark.bench.codemetrics.skeleton import Skeleton, UnreadableSource
from raftmark.bench.contenders.registry import Build, Unavailable


def decode_go(source: bytes) -> str:
    """Decode Go, which is UTF-8 always. Raises `UnreadableSource` for what is not."""
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableSource(f"not UTF-8 ({error})") from error


def read_go(text: str) -> Skeleton:
    """Read Go. Raises `UnreadableSource` for text that is not, or without a Go toolchain."""
    try:
        parser = _PARSER.bring_up_to_date()
    except Unavailable as reason:
        raise UnreadableSource(f"Go's parser cannot be had: {reason}") from reason
    done = subprocess.run([parser], input=text.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        raise UnreadableSource(f"not Go ({done.stderr.decode(errors='replace').strip()})")
    return msgspec.json.decode(done.stdout, type=Skeleton)


_PARSER = Build(
    command=["{bin}/go", "build", "-o", "{output}", "./cmd/skeleton"],
    cwd="go_reference",
    inputs=["cmd/skeleton/*.go"],
    output="{cache}/skeleton",
    env={"GOTOOLCHAIN": "local"},
)
