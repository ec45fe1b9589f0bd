"""A body is given to the reader of the format it is in, whatever its encoding and whatever stands first."""

import time
from collections.abc import Callable

import pytest

from baton_formats.findings import Format
from baton_formats.sniff import read, sniff
from baton_formats.xml_root import Root, root_of

Make = Callable[..., bytes]
_WIDE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("before", ["", "\n ", "\ufeff"], ids=["nothing", "blanks", "a mark"])
@pytest.mark.parametrize("charset", _WIDE)
def test_wide_characters_are_no_hindrance(clinical_document: Make, charset: str, before: str) -> None:
    text = clinical_document().decode().partition("?>")[2].strip()
    result = read((before + text).encode(charset))
    assert (result.format, result.reason) == (Format.CCDA, None)


@pytest.mark.parametrize("charset", ["utf-8", "utf-16-le"])
def test_a_long_comment_before_the_root_is_passed_over(clinical_document: Make, charset: str) -> None:
    text = clinical_document().decode().partition("?>")[2].strip()
    assert sniff(f"<!--{'x' * 70_000}-->{text}".encode(charset)) is Format.CCDA


def test_the_root_decides_and_not_the_words_within() -> None:
    resource = (
        b'<DocumentReference xmlns="http://hl7.org/fhir"><status value="current"/>'
        b'<description value="a ClinicalDocument of urn:hl7-org:v3"/></DocumentReference>'
    )
    result = read(resource)
    assert (result.format, result.reason) == (Format.FHIR, None)
    assert sniff(b'<!-- http://hl7.org/fhir --><ClinicalDocument xmlns="urn:hl7-org:v3"/>') is Format.CCDA
    assert sniff(b'<f:Patient xmlns:f="http://hl7.org/fhir" xmlns="urn:hl7-org:v3"/>') is Format.FHIR


@pytest.mark.parametrize(
    ("body", "root"),
    [
        (b"<a/>", Root("a", "")),
        (
            b" <?xml version='1.0'?><!-- <b/> --><!DOCTYPE a [<!ENTITY x '>'>]>\n<a xmlns = 'u' />",
            Root("a", "u"),
        ),
        (b"<p:a xmlns='v' title=\"xmlns:p='w'\" xmlns:p='u'>", Root("a", "u")),
        (b"<a xmlns='u", Root("a", "")),
        (b"<!-- never closed <a/>", None),
        (b"MSH|^~\\&|", None),
        (b"", None),
    ],
)
def test_the_root_is_found_by_name_and_namespace(body: bytes, root: Root | None) -> None:
    assert root_of(body) == root


@pytest.mark.parametrize(
    "body",
    [b"<!--" * 1_000_000, b"<" + b"a" * 4_000_000, b"<a " + b"b " * 2_000_000, b"<a " + b"b='" * 1_000_000],
    ids=["comments", "a name", "attributes", "quotes"],
)
def test_what_never_begins_costs_no_time(body: bytes) -> None:
    started = time.process_time()
    root_of(body)
    assert time.process_time() - started < 1
