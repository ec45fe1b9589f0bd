"""Every no in one form: problem+json (RFC 9457) with a stable code, never with what was sent."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

import orjson

from baton_chassis import telemetry
from baton_chassis.errors import Busy, ChassisError, Fault, Invalid, is_refusal

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemType:
    """One kind of problem: its code is public and for ever; ``explanation`` is what ``/problems/{code}``
    shows."""

    code: str
    status: int
    title: str
    explanation: str


_TABLE = """
malformed-json | 400 | The body cannot be read
  The body is not UTF-8 JSON with one meaning: look for cut-off text, names that appear twice, NaN, numbers
  out of range, broken escapes and deep nesting.
bad-request | 400 | The request cannot be read
  A header or the framing of the request is broken.
unauthenticated | 401 | A valid token is needed
  Send `Authorization: Bearer` with an access token that this installation accepts and that has not expired.
forbidden | 403 | The token does not allow this
  The token lacks the scope named in `WWW-Authenticate`. Ask for a token with that scope.
not-found | 404 | There is no such thing
  Nothing of that address exists for the practice of your token.
method-not-allowed | 405 | The address does not take this method
  `Allow` lists the methods it takes.
request-timeout | 408 | The body came too slowly
  Send the whole body without long pauses.
illegal-transition | 409 | Not possible in the present state
  Read the thing again; its actions say what is possible now.
in-flight | 409 | Still being decided
  The first request with this Idempotency-Key has not been answered yet. Repeat the same request shortly.
version-mismatch | 412 | The thing has changed
  `If-Match` names an older version. Read the thing again and repeat with its new ETag.
too-large | 413 | The body is too large
  Send a smaller body.
unsupported-media-type | 415 | The content type is not taken here
  `Accept` in the answer lists the content types that this address takes.
validation-failed | 422 | The request does not fit its description
  `errors` names each place by JSON pointer, with a code and the remedy. Under `/query` stand parameters.
key-reused | 422 | The Idempotency-Key was used before
  An Idempotency-Key belongs to one request, for seven days. Use a new key for a new request.
rate-limited | 429 | Too many requests
  Wait as long as `Retry-After` says and repeat.
internal | 500 | Something broke on our side
  Nothing was promised. Repeat with the same Idempotency-Key; quote `trace_id` when you report it.
busy | 503 | Not now
  Nothing was written. Wait as long as `Retry-After` says and repeat the same request.
"""


def _types(table: str) -> Mapping[str, ProblemType]:
    found: dict[str, ProblemType] = {}
    for entry in re.split(r"\n(?=\S)", table.strip()):
        head, _, text = entry.partition("\n")
        code, status, title = (cell.strip() for cell in head.split("|"))
        found[code] = ProblemType(
            code=code, status=int(status), title=title, explanation=" ".join(text.split())
        )
    return found


STANDARD: Mapping[str, ProblemType] = _types(_TABLE)
"""The codes that every service shares. A route adds its own ``ProblemType`` in its ``refusals``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One no, ready to be written in the form that a door speaks."""

    type: ProblemType
    detail: str = ""
    faults: tuple[Fault, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    trace_id: str = ""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.type.status

    def json(self) -> bytes:
        """The body of ``application/problem+json``."""
        body = {
            "type": f"/problems/{self.type.code}",
            "title": self.type.title,
            "status": self.type.status,
            "code": self.type.code,
            "detail": self.detail or self.type.explanation,
            "errors": [
                {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail}
                for fault in self.faults
            ],
            "trace_id": self.trace_id,
        }
        return orjson.dumps(body)


Render = Callable[[Problem, str], tuple[str, bytes]]
"""How a door writes a problem: (problem, the request's Accept) to (media type, body)."""


def as_json(problem: Problem, _accept: str) -> tuple[str, bytes]:
    """The form of the native doors."""
    return MEDIA_TYPE, problem.json()


def as_page(problem: Problem, accept: str) -> tuple[str, bytes]:
    """The form of pages for people: a short page, or problem+json for whoever asks for JSON."""
    if "json" in accept:
        return as_json(problem, accept)
    title, text = escape(problem.type.title), escape(problem.detail or problem.type.explanation)
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<main><h1>{title}</h1><p>{text}</p></main></html>"
    )
    return "text/html; charset=utf-8", page.encode()


def named(
    code: str,
    detail: str = "",
    *,
    faults: tuple[Fault, ...] = (),
    headers: tuple[tuple[str, str], ...] = (),
    known: Mapping[str, ProblemType] = STANDARD,
) -> Problem:
    """The problem of that code. A domain's code that nobody declared is a conflict: the state says no
    (409)."""
    kind = known.get(code) or STANDARD.get(code)
    if kind is None:
        kind = ProblemType(
            code=code, status=409, title=STANDARD["illegal-transition"].title, explanation=detail
        )
    return Problem(type=kind, detail=detail, faults=faults, headers=headers, trace_id=telemetry.trace_id())


def problem_for(error: Exception, *, known: Mapping[str, ProblemType] = STANDARD) -> Problem | None:
    """What to answer to ``error``; None when it is not a refusal but a defect (then: log it, answer
    ``internal``).

    Understands ``Refused`` and its kin, ``Busy``, and a domain's own refusals (``code``, ``detail``, and
    optionally ``pointer`` and ``headers``).
    """
    if isinstance(error, Busy):
        return named(error.code, headers=(("Retry-After", str(error.retry_after_seconds)),))
    if not is_refusal(error):
        return None
    code, detail = str(getattr(error, "code", "")), str(getattr(error, "detail", ""))
    headers = tuple(getattr(error, "headers", ()))
    return named(code, detail, faults=_faults(error, code, detail), headers=headers, known=known)


def _faults(error: Exception, code: str, detail: str) -> tuple[Fault, ...]:
    if isinstance(error, Invalid):
        return error.faults
    pointer = getattr(error, "pointer", None)
    return (Fault(pointer, code, detail),) if isinstance(pointer, str) else ()


def whereabouts(error: BaseException) -> dict[str, str]:
    """Log fields that say what broke and where, without its text: a message may quote what was sent."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames))
    kind = type(error)
    fields = {"error_type": f"{kind.__module__}.{kind.__qualname__}", "error_at": places}
    if isinstance(error, ChassisError):
        fields["error_code"] = str(getattr(error, "code", ""))
    return fields
