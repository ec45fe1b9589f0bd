"""MLLP framing without any I/O: bytes go in, whole frames and visible rejections come out.

The block is ``VT payload FS CR`` (HL7 v2 Transport Specification: MLLP, Release 1, section 2). A payload
may contain neither VT nor FS, so a frame that does is refused as a whole: reading on from an embedded VT
would let free text smuggle in a second message.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import Enum, StrEnum

VT = 0x0B
FS = 0x1C
CR = 0x0D
START = bytes((VT,))
TRAILER = bytes((FS, CR))
DEFAULT_MAX_FRAME = 32 * 1024 * 1024

_SPECIAL_IN_FRAME = re.compile(rb"[\x0b\x1c]|\r\x0c")
_ENDS_ANY_FRAME = re.compile(rb"\x1c|\r\x0c")
_VT_OR_FS = re.compile(rb"[\x0b\x1c]")
_IN_NO_GAP = re.compile(rb"[^\r\n\x00 \t]")


class RejectionReason(StrEnum):
    """Why bytes were not handed on as a frame."""

    EMBEDDED_VT = "embedded-vt"
    EMBEDDED_FS = "embedded-fs"
    WRONG_TRAILER = "wrong-trailer"
    AFTER_WRONG_TRAILER = "after-wrong-trailer"
    TOO_LARGE = "too-large"
    EMPTY = "empty-frame"
    UNFRAMED = "unframed-bytes"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class Frame:
    """One complete payload, without its framing bytes."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """Bytes that were no good frame. ``payload`` is what came (cut at the frame limit), ``size`` how much
    came so far.
    """

    reason: RejectionReason
    payload: bytes
    size: int


class _State(Enum):
    IDLE = "between frames"
    FRAME = "inside a frame"
    POISONED = "after a violation, until the next FS CR"


class FrameDecoder:
    """Turns a byte stream into frames, however the network cut it.

    Every byte is looked at a bounded number of times, also when bytes arrive one by one. ``frames`` and
    ``rejected`` count what was handed out. After a violation nothing is accepted before the next proper
    ``FS CR``.
    """

    def __init__(self, *, max_frame: int = DEFAULT_MAX_FRAME) -> None:
        """``max_frame`` bounds payload and memory, in bytes."""
        self._max_frame = max_frame
        self._buffer = bytearray()
        self._scanned = 0
        self._state = _State.IDLE
        self._poison: RejectionReason | None = None
        self._dropped = 0
        self.frames = 0
        self.rejected: Counter[RejectionReason] = Counter()
        self.ignored_bytes = 0

    @property
    def waiting(self) -> bool:
        """True while bytes are held that are neither a frame nor a rejection yet."""
        return bool(self._buffer) or self._state is not _State.IDLE

    def feed(self, received: bytes) -> list[Frame | Rejection]:
        """Take what came off the wire; answer what it completed, in order."""
        self._buffer += received
        completed: list[Frame | Rejection] = []
        step = {_State.IDLE: self._between, _State.FRAME: self._inside, _State.POISONED: self._poisoned}
        while step[self._state](completed):
            pass
        return completed

    def flush(self) -> list[Frame | Rejection]:
        """Give up waiting (the peer closed, or was silent too long): what is held becomes a rejection."""
        completed: list[Frame | Rejection] = []
        if self._state is _State.FRAME:
            self._reject(completed, RejectionReason.TRUNCATED, bytes(self._buffer))
        elif self._state is _State.POISONED and (self._poison is not None or VT in self._buffer):
            reason = self._poison or RejectionReason.AFTER_WRONG_TRAILER
            self._reject(completed, reason, bytes(self._buffer))
        elif self._state is _State.IDLE and self._buffer:
            self._reject(completed, RejectionReason.UNFRAMED, bytes(self._buffer))
        self._restart(_State.IDLE, len(self._buffer))
        self._poison = None
        return completed

    def _between(self, completed: list[Frame | Rejection]) -> bool:
        buffer = self._buffer
        if not self._scanned:
            first = _place(_IN_NO_GAP, buffer, 0)
            padding = len(buffer) if first is None else first
            self.ignored_bytes += padding
            del buffer[:padding]
        start = buffer.find(VT, self._scanned)
        if start < 0 and len(buffer) <= self._max_frame:
            self._scanned = len(buffer)
            return False
        stray = bytes(buffer if start < 0 else buffer[:start])
        if stray:
            self._reject(completed, RejectionReason.UNFRAMED, stray)
        self._restart(_State.IDLE if start < 0 else _State.FRAME, len(stray) + (start >= 0))
        return True

    def _inside(self, completed: list[Frame | Rejection]) -> bool:
        buffer = self._buffer
        found = _SPECIAL_IN_FRAME.search(buffer, self._scanned)
        end = found.start() if found else len(buffer)
        if end > self._max_frame:
            return self._violated(completed, RejectionReason.TOO_LARGE, end)
        if found is None:
            self._scanned = max(0, len(buffer) - 1)
            return False
        if found.group() == b"\r\x0c":
            return self._violated(completed, RejectionReason.WRONG_TRAILER, end, ended=True)
        if found.group() == START:
            return self._violated(completed, RejectionReason.EMBEDDED_VT, end)
        if end + 1 == len(buffer):
            self._scanned = end
            return False
        if buffer[end + 1] != CR:
            wrong = buffer[end + 1] in b"\n\x0b\x0c\x1c"
            reason = RejectionReason.WRONG_TRAILER if wrong else RejectionReason.EMBEDDED_FS
            return self._violated(completed, reason, end, ended=True)
        self._complete(completed, bytes(buffer[:end]))
        self._restart(_State.IDLE, end + 2)
        return True

    def _poisoned(self, completed: list[Frame | Rejection]) -> bool:
        if self._poison is None and self._ended_wrongly(completed):
            return True
        buffer = self._buffer
        found = buffer.find(FS, self._scanned)
        if found < 0 or found + 1 == len(buffer):
            self._scanned = max(0, len(buffer) - 1) if found < 0 else found
            self._forget_excess()
            return False
        clean = buffer[found + 1] == CR
        if self._poison is not None:
            self._reject(completed, self._poison, bytes(buffer[:found]))
        elif VT in buffer[:found]:
            self._reject(completed, RejectionReason.AFTER_WRONG_TRAILER, bytes(buffer[:found]))
        self._poison = None
        self._restart(_State.IDLE if clean else _State.POISONED, found + (2 if clean else 1))
        return True

    def _ended_wrongly(self, completed: list[Frame | Rejection]) -> bool:
        """Whether another frame of a sender with wrong trailers is over; each of them is answered."""
        if not self._buffer.startswith(START):
            at = _place(_VT_OR_FS, self._buffer, self._scanned)
            if at is None or self._buffer[at] == FS:
                return False
            self.ignored_bytes += at
            self._restart(_State.POISONED, at)
        at = _place(_ENDS_ANY_FRAME, self._buffer, self._scanned)
        if at is None or self._buffer[at] == FS:
            return False
        self._reject(completed, RejectionReason.AFTER_WRONG_TRAILER, bytes(self._buffer[:at]))
        self._restart(_State.POISONED, at + 2)
        return True

    def _violated(
        self, completed: list[Frame | Rejection], reason: RejectionReason, end: int, *, ended: bool = False
    ) -> bool:
        """A violation that ended the frame is answered now; one inside it is answered when the frame ends."""
        if ended:
            self._reject(completed, reason, bytes(self._buffer[:end]))
            self._restart(_State.POISONED, end + 1)
            return True
        self._state, self._poison, self._scanned = _State.POISONED, reason, end
        self._forget_excess()
        return True

    def _forget_excess(self) -> None:
        """Keep a poisoned frame's memory bounded: what lies beyond the limit is counted, not kept."""
        excess = min(len(self._buffer) - 1, self._scanned) - self._max_frame
        if excess > 0:
            del self._buffer[self._max_frame : self._max_frame + excess]
            self._scanned -= excess
            self._dropped += excess

    def _complete(self, completed: list[Frame | Rejection], payload: bytes) -> None:
        if not payload.strip():
            self._reject(completed, RejectionReason.EMPTY, payload)
            return
        self.frames += 1
        completed.append(Frame(payload))

    def _reject(self, completed: list[Frame | Rejection], reason: RejectionReason, came: bytes) -> None:
        self.rejected[reason] += 1
        completed.append(Rejection(reason, came[: self._max_frame], len(came) + self._dropped))

    def _restart(self, state: _State, consumed: int) -> None:
        del self._buffer[:consumed]
        self._state, self._scanned, self._dropped = state, 0, 0


def _place(pattern: re.Pattern[bytes], buffer: bytearray, start: int) -> int | None:
    """Where a pattern is first met; the match itself would hold the buffer, so that it could not shrink."""
    match = pattern.search(buffer, start)
    return match.start() if match else None


def frame(payload: bytes) -> bytes:
    """``payload`` as one MLLP block. Raises ValueError if it contains VT or FS, which no block can carry."""
    if VT in payload or FS in payload:
        raise ValueError("an MLLP payload cannot contain the bytes VT (0x0B) or FS (0x1C)")
    return START + payload + TRAILER
