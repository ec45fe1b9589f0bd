"""What each finding of the FHIR reader means, for the page that people read."""

from __future__ import annotations

DETAILS: dict[str, str] = {
    "ambiguous-reference": "More than one resource of the Bundle answers to a reference; the first is taken.",
    "attachment-hash": "The bytes do not have the hash their sender claims. They are kept.",
    "attachment-size": "The bytes do not have the size their sender claims. They are kept.",
    "broken-base64": "The content is no base64 and is left out. White space inside is no damage.",
    "byte-order-mark": "A byte order mark stands before the text.",
    "dangling-reference": "A message, document or collection refers to something that is not in it.",
    "duplicate-full-url": "Two entries of one Bundle have the same fullUrl.",
    "duplicate-id": "Two resources of one Bundle have the same type and id and say different things.",
    "duplicate-key": "A key stands twice in one object: refused where the values differ, else only noted.",
    "empty-section": "A section has neither text nor entries nor sections of its own (cmp-1).",
    "empty-value": "An element is present but empty; it counts as absent.",
    "entry-without-resource": "An entry of a message, document or collection holds no resource.",
    "entry-without-resource-key": "An entry holds its resource directly; it is read all the same.",
    "fhir-stu3": "The body is FHIR STU3; its facts are given in the words of R4.",
    "identifier-without-value": "An identifier carries no value.",
    "list-too-long": "A list is longer than is looked at; the rest of it is left aside.",
    "malformed-reference": "A reference begins with a colon; it is read as a urn.",
    "missing-required": "An element that R4 requires is absent. Refusing where it is a status.",
    "modifier-extension": "An extension may change the meaning of the resource; a person has to look.",
    "not-a-list": "A list is expected; the single value is taken.",
    "npi-check-digit": "The check digit does not hold; the number is kept but identifies nobody.",
    "period-backwards": "A period or an appointment ends before it starts.",
    "resource-without-type": "A resource does not say what it is and is left aside.",
    "slot-time-differs": "The slot has another time than the appointment; the appointment's is taken.",
    "subject-is-lone-patient": "The patient referred to is not here; the only one of the Bundle is taken.",
    "too-many-resources": "The body holds more resources than are looked at.",
    "unexpected-list": "One value is expected; the first of the list is taken.",
    "unknown-code": "A code is outside its required binding and left out. Refusing for status and priority.",
    "unknown-element": "The resource has no such element in R4; it is left aside.",
    "unreadable-time": "The text is no FHIR date or time; it is kept as text.",
    "wrong-type": "An element has another JSON type than R4 says; what can be read of it is read.",
}
"""Findings of :func:`baton_formats.fhir.read`, with the sentence that explains them."""

REFUSALS: dict[str, str] = {
    "document-type": "XML with a document type or entities.",
    "duplicate-key": "The same key twice in one object with different values, by line and column.",
    "lone-surrogate": "An unpaired surrogate.",
    "malformed-json": "Text that is not JSON (RFC 8259), NaN and Infinity included, by line and column.",
    "malformed-xml": "Text that is not well-formed XML, by line and column.",
    "not-fhir": "XML of another namespace.",
    "not-utf-8": "Bytes that are not UTF-8, by line and column.",
    "number-too-large": "A number that no double can hold.",
    "too-deep": "More levels of nesting than any real message has.",
}
"""Why a body is refused as a whole."""
