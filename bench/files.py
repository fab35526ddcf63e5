"""Files that are read and written whole, and names that may stand in a path.

All text is UTF-8, whatever the locale. A file is replaced whole or not at all: what could not be
written leaves the one before as it was, and nothing beside it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from pathlib import Path

NEW = ".new"
"""What ends the name of a file that is not whole yet."""

_UNSAFE = re.compile(r"[^\w.@+~-]", re.ASCII)
# What a file system takes at the least is 255 bytes, of which endings of names need some.
_LONGEST_NAME = 150


def replace_file(path: Path, content: str | bytes, *, synced: bool = False) -> None:
    """Write a file whole, in place of an earlier one. Raises OSError, the earlier one is then left.

    A link at `path` is replaced, never what it leads to; a device or a pipe is written to. With
    `synced`, the content is on disk before its name is.
    """
    data = content.encode() if isinstance(content, str) else content
    if _is_special(path):
        path.write_bytes(data)
        return
    descriptor, new = _create_beside(path)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if synced:
                os.fsync(descriptor)
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # What is raised says why; this only tidies up.
            new.unlink()
        raise


def require_writable(path: Path) -> None:
    """Raise the OSError that `replace_file` would, before the work is done whose result it is."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not _is_special(path):
        descriptor, new = _create_beside(path)
        os.close(descriptor)
        new.unlink()


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _create_beside(path: Path) -> tuple[int, Path]:
    """Create a file with a name that is nobody else's, and short whatever that of `path` is."""
    new = path.with_name(f".{secrets.token_hex(8)}{NEW}")
    return os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), new


def read_file(path: Path, longest: int) -> bytes:
    """Read a regular file of at most `longest` bytes; OSError for a longer one, or another kind.

    A pipe or a device never ends, and a sparse file takes memory that it does not take on disk.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if found.st_size > longest:
            raise OSError(errno.EFBIG, f"longer than {longest} bytes", str(path))
        return file.read(longest)


def escaped(text: str) -> str:
    """Return a text as one word of `A-Za-z0-9_.@+~-`, all else as `%XX` of its UTF-8 bytes.

    No two texts become one.
    """
    return _UNSAFE.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode(errors="surrogatepass")),
        text,
    )


def file_name(text: str) -> str:
    """Return a name for a file: `escaped`, neither hidden nor `..` nor empty, and never too long.

    No two texts become one; what is too long ends in its checksum.
    """
    name = escaped(text)
    if not name or name.startswith("."):
        name = f"%2E{name[1:]}" if name else "%"
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        name = f"{name[: _LONGEST_NAME - 40]}%~{digest[:32]}"
    return name
