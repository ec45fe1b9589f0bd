"""The state file of a running installation: what a script needs to find and use it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class RunState:
    """``run.json`` in the data folder: written whole once ready, readable by its owner only, removed at a
    clean end.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "run.json"

    def write(self, state: dict[str, Any]) -> None:
        """Put ``state`` there in one step: a reader sees all of it or nothing."""
        draft = self.path.with_suffix(".tmp")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(state, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def read(self) -> dict[str, Any] | None:
        """The state of the running installation, None when there is none."""
        try:
            state: dict[str, Any] = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return None
        return state

    def running(self) -> dict[str, Any] | None:
        """The state, if the process that wrote it still lives."""
        state = self.read()
        if state is None:
            return None
        try:
            os.kill(int(state["pid"]), 0)
        except (OSError, KeyError, ValueError):
            return None
        return state

    def remove(self) -> None:
        """Take the file away."""
        self.path.unlink(missing_ok=True)
