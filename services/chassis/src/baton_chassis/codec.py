"""Commands and replies as bytes, for what must outlive the process: waiting room, timers, stored answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from baton_chassis.commands import Caller, Command, Reply
from baton_chassis.errors import Poison

_CALLER = TypeAdapter(Caller)
_REPLY = TypeAdapter(Reply)


class CommandCodec:
    """Writes and reads the commands of one service by their class names (unique within a service)."""

    def __init__(self, commands: Iterable[type[Command]]) -> None:
        self._adapters: Mapping[str, TypeAdapter[Any]] = {
            kind.__name__: TypeAdapter(kind) for kind in commands
        }

    def dump(self, command: Command, caller: Caller) -> bytes:
        """The command with who asked, as JSON."""
        asked = self._adapters[type(command).__name__].dump_json(command)
        return b'{"command":' + asked + b',"caller":' + _CALLER.dump_json(caller) + b"}"

    def load(self, name: str, body: bytes) -> tuple[Command, Caller]:
        """The command and who asked. ``Poison`` when this code knows no such command any more."""
        adapter = self._adapters.get(name)
        if adapter is None:
            raise Poison("unknown-command")
        kept = json.loads(body)
        asked, caller = (json.dumps(kept[part]) for part in ("command", "caller"))
        return adapter.validate_json(asked), _CALLER.validate_json(caller)


def dump_reply(reply: Reply) -> bytes:
    """A reply as JSON."""
    return _REPLY.dump_json(reply)


def load_reply(body: bytes) -> Reply:
    """A reply as it was given."""
    return _REPLY.validate_json(body)
