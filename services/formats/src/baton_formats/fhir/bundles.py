"""What a Bundle promises by its type: what comes first, what it must have, what it asks to be done."""

# FHIR R4 4.0.1, Bundle (2.36), Messaging (2.45.1), Documents (2.44.1).

from __future__ import annotations

from typing import Final

from baton_formats.fhir.references import type_of
from baton_formats.fhir.tree import Node

_FIRST: Final = {
    "message": ("MessageHeader", "message-without-header", "a message begins with a MessageHeader"),
    "document": ("Composition", "document-without-composition", "a document begins with a Composition"),
}
_NOT_DONE: Final = ("DELETE", "PATCH")  # no set: what is looked up may be anything


def look_at_bundle(bundle: Node, entries: list[Node]) -> None:
    """Note what a Bundle of this type should hold and does not, and what it asks that is not done here."""
    kind = bundle.value.get("type")
    if not isinstance(kind, str):
        return
    if kind in _FIRST:
        _look_at_first(bundle, entries, *_FIRST[kind])
    if kind == "document" and not bundle.has("identifier"):
        detail = "a document has an identifier of its own (bdl-9)"
        bundle.doubt("missing-required", detail, "identifier")
    if kind in ("transaction", "batch"):
        for entry in entries:
            _look_at_request(entry)


def _look_at_first(bundle: Node, entries: list[Node], wanted: str, code: str, detail: str) -> None:
    if not entries:
        bundle.doubt(code, detail, "entry")
    elif type_of(entries[0].value.get("resource")) != wanted and type_of(entries[0].value) != wanted:
        entries[0].doubt(code, detail)


def _look_at_request(entry: Node) -> None:
    request = entry.value.get("request")
    if isinstance(request, dict) and request.get("method") in _NOT_DONE:
        detail = "the entry asks to delete or to change something by parts, which is not done here"
        entry.doubt("entry-not-carried-out", detail, "request", refusing=True)
