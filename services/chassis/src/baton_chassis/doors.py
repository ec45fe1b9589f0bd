"""The registrar of doors: a route says what it takes, gives, needs and refuses, or it does not mount."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel
from starlette.datastructures import Headers

from baton_chassis import problems
from baton_chassis.access import Principal
from baton_chassis.clock import Clock
from baton_chassis.commands import Caller, Command, Decided, IdempotencyKey, Reply, Submit
from baton_chassis.errors import Fault, Invalid
from baton_chassis.ids import Ids
from baton_chassis.problems import ProblemType, Render
from baton_chassis.shapes import Body, Id, Instant, Page, PageQuery, Query, View

__all__ = [
    "Answer", "Ask", "Body", "Decided", "Doorway", "Id", "Instant", "Page", "PageQuery", "Query",
    "RouteDeclaration", "RouteRefused", "Routes", "Submit", "View", "inventory",
]  # fmt: skip

B = TypeVar("B")
MAX_BODY = 10_000_000
"""Bytes of a body that a door takes unless it says otherwise."""

_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})
_SCOPE = re.compile(r"[a-z]+:[a-z]+|(system|user)/[A-Za-z]+\.c?r?u?d?s?")
_PARAMETER = re.compile(r"\{([a-z_]+)(?::path)?\}")


class Admit(Protocol):
    """Finds out who is at the door. Raises ``Unauthenticated``; ``Unavailable`` when nobody can tell now."""

    async def __call__(self, headers: Mapping[str, str]) -> Principal:
        """The principal that the headers (names in lower case) prove."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """What all doors of a service stand on. ``check_replies`` holds every body against its declared model:
    for tests, so that the OpenAPI cannot lie; a mismatch is answered as a defect (500)."""

    admit: Admit
    submit: Submit
    clock: Clock
    new_id: Ids
    check_replies: bool = False
    body_seconds: float = 30.0


Content = BaseModel | Mapping[str, Any] | bytes | str | AsyncIterator[bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a door shows when there is no ``Reply`` behind it. An iterator of bytes is streamed (SSE, files);
    ``set_cookies`` are whole ``Set-Cookie`` values; ``version`` becomes the ETag."""

    status: int = 200
    body: Content = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    version: int | None = None
    set_cookies: Sequence[str] = ()


class Ask(Generic[B]):
    """One request that has passed the door: admitted, in size, readable, valid.

    ``body`` is the validated model (None where none is declared), ``query`` the validated parameters or
    None, ``raw`` the bytes of the body, ``path`` the parameters of the path (ids are canonical),
    ``headers`` by lower-case name, ``method`` as it was asked (a GET route also answers HEAD, which must
    change nothing). On a public route ``caller`` has no practice: name one in ``submit``.
    """

    __slots__ = (
        "_doorway", "_key", "_submitted", "body", "caller", "headers", "if_match", "method", "path", "query",
        "raw", "replayed", "url_query",
    )  # fmt: skip

    def __init__(
        self,
        *,
        doorway: Doorway,
        caller: Caller,
        body: B,
        query: Any,
        path: Mapping[str, str],
        headers: Headers,
        raw: bytes,
        url_query: str,
        key: IdempotencyKey | None,
        if_match: int | None,
        method: str = "GET",
    ) -> None:
        self._doorway, self._key, self._submitted = doorway, key, 0
        self.caller, self.body, self.query, self.path = caller, body, query, path
        self.headers, self.raw, self.url_query, self.if_match = headers, raw, url_query, if_match
        self.method = method
        self.replayed = False

    @property
    def now(self) -> datetime:
        """The service's clock: UTC, aware."""
        return self._doorway.clock.now()

    def new_id(self) -> str:
        """A fresh id for what the request creates."""
        return self._doorway.new_id()

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies sent along, by name; the first of a name counts."""
        pairs = (part.strip().partition("=") for part in self.headers.get("cookie", "").split(";"))
        found: dict[str, str] = {}
        for name, _, value in pairs:
            found.setdefault(name, value)
        return found

    def form(self) -> Mapping[str, str]:
        """The fields of an ``application/x-www-form-urlencoded`` body; raises ``Invalid`` when it is not
        one."""
        try:
            pairs = parse_qsl(
                self.raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100
            )
        except ValueError:
            raise Invalid([Fault("", "malformed-form", "Send a plain HTML form.")]) from None
        fields = dict(pairs)
        if len(fields) != len(pairs) or any("\x00" in value for value in fields.values()):
            raise Invalid([Fault("", "malformed-form", "Send each field once, without control characters.")])
        return fields

    async def submit(
        self, command: Command, *, caller: Caller | None = None, assertion: str | None = None
    ) -> Reply:
        """Have ``command`` decided and committed; raises its refusal.

        ``caller`` replaces the caller (public routes), ``assertion`` only whose word it is. The
        Idempotency-Key of the request belongs to its first command; further ones get keys derived from it.
        """
        who = caller or self.caller
        if assertion is not None:
            who = replace(who, assertion=assertion)
        self._submitted += 1
        key = self._key
        if key is not None and self._submitted > 1:
            key = IdempotencyKey(key=f"{key.key}#{self._submitted}", fingerprint=key.fingerprint)
        decided = await self._doorway.submit(command, who, key=key, if_match=self.if_match)
        self.replayed = decided.replayed
        return decided.reply


Handler = Callable[[Ask[Any]], Awaitable["Reply | Answer"]]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDeclaration:
    """All that is promised about one route. ``scopes``: any one of them opens the door; empty means
    public."""

    kind: Literal["command", "query", "raw", "page"]
    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    scopes: tuple[str, ...]
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    reply: type[BaseModel] | None = None
    idempotent: bool = False
    success: int = 200
    refusals: tuple[ProblemType, ...] = ()
    accepts: tuple[str, ...] = ("application/json",)
    produces: tuple[str, ...] = ("application/json",)
    on_problem: Render = problems.as_json
    max_body: int = MAX_BODY
    hot: bool = False
    documented: bool = True

    @property
    def public(self) -> bool:
        """True when no token is needed."""
        return not self.scopes

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """Names of the parameters in the path, in order."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def path_ids(self) -> tuple[str, ...]:
        """Those parameters that must be ids: ``id`` and whatever ends in ``_id``."""
        return tuple(name for name in self.path_parameters if name == "id" or name.endswith("_id"))

    @property
    def takes_body(self) -> bool:
        """True when a body may be sent."""
        return self.method in {"POST", "PUT", "PATCH"}


class RouteRefused(Exception):
    """A declaration that promises too little, or something that cannot be; raised when the module is
    imported."""


class Routes:
    """The doors of one room, declared one by one; ``mounting.mount`` puts them on an application."""

    def __init__(self, *, tag: str) -> None:
        self.tag = tag
        self._declared: dict[tuple[str, str], RouteDeclaration] = {}

    @property
    def declarations(self) -> tuple[RouteDeclaration, ...]:
        """In the order of declaration; that is also the order of matching."""
        return tuple(self._declared.values())

    def command(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        body: type[BaseModel] | None,
        reply: type[BaseModel],
        idempotent: bool,
        refusals: Sequence[str | ProblemType] = (),
        success: int = 200,
        summary: str = "",
        hot: bool = False,
        max_body: int = MAX_BODY,
    ) -> Callable[[H], H]:
        """A route that has something decided. ``idempotent`` says whether it takes an Idempotency-Key;
        ``success`` is the status of the usual answer (200 and 202 are always possible)."""

        def declare(handler: H) -> H:
            self._add(RouteDeclaration(
                kind="command", method=method, path=path, handler=handler, tag=self.tag,
                summary=_summary(handler, summary), scopes=(scope,), body=body, reply=reply,
                idempotent=idempotent, success=success, refusals=_refusals(refusals), hot=hot,
                max_body=max_body,
            ))  # fmt: skip
            return handler

        return declare

    def query(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        reply: type[BaseModel],
        query: type[BaseModel] | None = None,
        body: type[BaseModel] | None = None,
        refusals: Sequence[str | ProblemType] = (),
        summary: str = "",
        hot: bool = False,
    ) -> Callable[[H], H]:
        """A route that only reads: parameters in ``query``, or words that must not stand in a URL in
        ``body``."""

        def declare(handler: H) -> H:
            self._add(RouteDeclaration(
                kind="query", method=method, path=path, handler=handler, tag=self.tag,
                summary=_summary(handler, summary), scopes=(scope,), body=body, query=query, reply=reply,
                refusals=_refusals(refusals), hot=hot,
            ))  # fmt: skip
            return handler

        return declare

    def raw(
        self,
        method: str,
        path: str,
        *,
        accepts: Sequence[str] = (),
        produces: Sequence[str],
        scope: str | Sequence[str] | None = None,
        public: bool = False,
        query: type[BaseModel] | None = None,
        on_problem: Render = problems.as_json,
        idempotent: bool = False,
        success: int = 200,
        refusals: Sequence[str | ProblemType] = (),
        summary: str = "",
        max_body: int = MAX_BODY,
        hot: bool = False,
        documented: bool = True,
    ) -> Callable[[H], H]:
        """A route with its own format (FHIR, HL7 v2, files, SSE): it reads ``raw`` and ``url_query`` itself.

        Needs ``scope`` (several: any one) or ``public=True``, said explicitly. ``on_problem`` writes refusals
        in the route's own form.
        """
        return self._own_format(
            "raw", method, path, accepts=tuple(accepts), produces=tuple(produces),
            scopes=_scopes(scope, public), query=query, on_problem=on_problem, idempotent=idempotent,
            success=success, refusals=_refusals(refusals), summary=summary, max_body=max_body, hot=hot,
            documented=documented,
        )  # fmt: skip

    def page(
        self,
        method: str,
        path: str,
        *,
        scope: str | Sequence[str] | None = None,
        public: bool = False,
        accepts: Sequence[str] = ("application/x-www-form-urlencoded", "application/json"),
        on_problem: Render = problems.as_page,
        refusals: Sequence[str | ProblemType] = (),
        summary: str = "",
        max_body: int = 100_000,
    ) -> Callable[[H], H]:
        """A page for people (HTML, or JSON for whoever asks for it); refusals are short pages."""
        return self._own_format(
            "page", method, path, accepts=tuple(accepts), produces=("text/html", "application/json"),
            scopes=_scopes(scope, public), on_problem=on_problem, refusals=_refusals(refusals),
            summary=summary, max_body=max_body,
        )  # fmt: skip

    def _own_format(
        self, kind: Literal["raw", "page"], method: str, path: str, *, summary: str, **said: Any
    ) -> Callable[[H], H]:
        def declare(handler: H) -> H:
            self._add(RouteDeclaration(
                kind=kind, method=method, path=path, handler=handler, tag=self.tag,
                summary=_summary(handler, summary), **said,
            ))  # fmt: skip
            return handler

        return declare

    def _add(self, declared: RouteDeclaration) -> None:
        _check(declared)
        place = (declared.method, declared.path)
        if place in self._declared:
            raise RouteRefused(f"{declared.method} {declared.path} is declared twice")
        self._declared[place] = declared


def inventory(*routes: Routes) -> list[RouteDeclaration]:
    """Every declaration, for tests that walk over all doors of a service."""
    return [declared for group in routes for declared in group.declarations]


def fingerprint(method: str, path: str, url_query: str, body: bytes) -> bytes:
    """The digest that tells one request from another under the same Idempotency-Key."""
    head = f"{method}\n{path}\n{url_query}\n".encode()
    return hashlib.sha256(head + body).digest()


def _summary(handler: Handler, summary: str) -> str:
    return summary or (inspect.getdoc(handler) or "").partition("\n")[0]


def _scopes(scope: str | Sequence[str] | None, public: bool) -> tuple[str, ...]:
    if (scope is None) != public:
        raise RouteRefused("say either scope=... or public=True")
    return () if scope is None else (scope,) if isinstance(scope, str) else tuple(scope)


def _refusals(said: Sequence[str | ProblemType]) -> tuple[ProblemType, ...]:
    unknown = [code for code in said if isinstance(code, str) and code not in problems.STANDARD]
    if unknown:
        raise RouteRefused(f"declare these codes as ProblemType: {', '.join(unknown)}")
    return tuple(problems.STANDARD[code] if isinstance(code, str) else code for code in said)


def _check(declared: RouteDeclaration) -> None:
    where = f"{declared.method} {declared.path}"
    faults = {
        "unknown method": declared.method not in _METHODS,
        "the path must start with / and not end with it": not re.fullmatch(r"/|(/[^/]+)+", declared.path),
        "a one-line summary or docstring is missing": not declared.summary,
        "a scope is misspelt": any(not _SCOPE.fullmatch(scope) for scope in declared.scopes),
        "a GET has no body": declared.body is not None and not declared.takes_body,
        "a command changes something: not by GET": declared.kind == "command" and declared.method == "GET",
        "the body must forbid unknown fields (derive it from Body)": not _forbids_unknown(declared.body),
        "the parameters must forbid unknown names (derive them from Query)": not _forbids_unknown(
            declared.query
        ),
        "say which content types are accepted": declared.takes_body and not declared.accepts,
        "say which content types are produced": not declared.produces,
    }
    for sentence, wrong in faults.items():
        if wrong:
            raise RouteRefused(f"{where}: {sentence}")


def _forbids_unknown(model: type[BaseModel] | None) -> bool:
    return model is None or model.model_config.get("extra") == "forbid"
