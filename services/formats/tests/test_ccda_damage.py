"""Whatever is done to a document, reading it ends with a result and keeps what it says."""

import random
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_formats.ccda import read
from baton_formats.facts import Document
from baton_formats.findings import Format, Outcome, ReadResult

Make = Callable[..., bytes]
_SHARED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def sane(result: ReadResult) -> None:
    assert result.format is Format.CCDA
    assert (result.reason is not None) == (result.outcome is Outcome.REFUSED)
    assert all(finding.code and finding.detail for finding in result.all_findings)


@given(body=st.binary(max_size=300))
@_SHARED
def test_any_bytes_give_a_result(body: bytes) -> None:
    sane(read(body))


@given(seed=st.integers(0, 2**32), hits=st.integers(1, 20))
@_SHARED
def test_damaged_bytes_give_a_result(clinical_document: Make, seed: int, hits: int) -> None:
    source = random.Random(seed)
    body = bytearray(clinical_document())
    for _ in range(hits):
        at = source.randrange(len(body))
        body[at : at + source.randrange(3)] = source.choice(
            [b"", b"<", b">", b"\0", b"\xff", b"&", b'"', b"</x>", b"<x>"]
        )
    sane(read(bytes(body)))


@given(cut=st.integers(0, 4000))
@_SHARED
def test_a_cut_document_gives_a_result(clinical_document: Make, cut: int) -> None:
    sane(read(clinical_document()[:cut]))


@given(seed=st.integers(0, 2**32))
@_SHARED
def test_shuffled_elements_of_the_head_change_no_fact(clinical_document: Make, seed: int) -> None:
    text = clinical_document().decode()
    start, end = text.index("<effectiveTime"), text.index("<component>")
    pieces = [piece for piece in text[start:end].replace("\n  <", "\n\x00<").split("\x00") if piece.strip()]
    random.Random(seed).shuffle(pieces)
    shuffled = read((text[:start] + "".join(pieces) + text[end:]).encode())
    whole = read(text.encode())
    assert [_without_version(fact) for fact in shuffled.facts] == [
        _without_version(fact) for fact in whole.facts
    ]


def _without_version(fact: object) -> object:
    return (
        (fact.identifiers, fact.patient, fact.authors, fact.sections) if isinstance(fact, Document) else fact
    )


_NAMES = st.text(st.characters(categories=("Lu", "Ll", "Lo", "Pd")), min_size=1, max_size=20)


@given(
    family=_NAMES,
    given=_NAMES,
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]),
)
@_SHARED
def test_names_survive_every_encoding(clinical_document: Make, family: str, given: str, codec: str) -> None:
    name = f"<name><given>{given}</given><family>Q{family}</family></name>"
    text = clinical_document(name=name).decode().replace(' encoding="UTF-8"', "")
    found = next(fact for fact in read(text.encode(codec)).facts if isinstance(fact, Document)).patient
    assert found is not None
    assert found.names[0].family == f"Q{family}"


@given(text=st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="<>&"), max_size=300))
@_SHARED
def test_words_of_a_narrative_are_kept_in_order(clinical_document: Make, text: str) -> None:
    body = f"<structuredBody><component><section><text>{text}</text></section></component></structuredBody>"
    found = next(fact for fact in read(clinical_document(body=body)).facts if isinstance(fact, Document))
    marks = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
    words = "".join(mark for mark in text if mark not in marks).split()
    assert str(found.sections[0].text or "").split() == words
