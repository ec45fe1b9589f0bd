"""Key files: made once, whole and private, also when several processes start at the same moment."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4


class KeyFileRefused(Exception):
    """A key file that is missing, unreadable or readable by others. Names the file, never what is in it."""


def read(path: Path) -> bytes:
    """The content of a key file; raises ``KeyFileRefused`` unless it is a plain file that only its owner can
    read."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(65_536)
    except OSError as error:
        raise KeyFileRefused(f"the key file {path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise KeyFileRefused(f"the key file {path} is open to others; run: chmod 600 {path}")
    return content


def read_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of the key file, made by ``make`` when there is none; all processes see one winner."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _publish(path, make())
    return read(path)


def _publish(path: Path, content: bytes) -> None:
    """Write aside, then link into place: the file is never seen half written, and the first process wins."""
    aside = path.with_name(f".{path.name}.{uuid4().hex}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    except FileExistsError:
        return
    finally:
        aside.unlink()
