"""Who signed, who is asked and what is asked: said of nobody else and never lost in silence."""

import time
from collections.abc import Callable

import pytest

from baton_formats.ccda import read
from baton_formats.facts import Document, Party, Referral, Signature
from baton_formats.findings import ReadResult

Make = Callable[..., bytes]
_ASKS = {"templates": ""}  # no Referral Note, so that only the reason section asks


def document(result: ReadResult) -> Document:
    return next(fact for fact in result.facts if isinstance(fact, Document))


def referral(result: ReadResult) -> Referral | None:
    return next((fact for fact in result.facts if isinstance(fact, Referral)), None)


def codes(result: ReadResult) -> set[str]:
    return {finding.code for finding in result.all_findings}


def family(party: Party | None) -> str | None:
    practitioner = party.practitioner if party is not None else None
    return practitioner.names[0].family if practitioner is not None and practitioner.names else None


def signed(kind: str, name: str = "", *, nothing: str = "", code: str = "S") -> str:
    person = f"<assignedPerson><name><family>{name}</family></name></assignedPerson>" if name else ""
    flavor = f' nullFlavor="{nothing}"' if nothing else ""
    return (
        f'<{kind}{flavor}><time value="20260302"/><signatureCode code="{code}"/><assignedEntity>'
        f'<id nullFlavor="UNK"/>{person}</assignedEntity></{kind}>'
    )


def signature(result: ReadResult) -> Signature:
    found = document(result).signature
    assert found is not None
    return found


def test_a_signature_without_a_name_is_not_given_to_another_signer(clinical_document: Make) -> None:
    more = signed("legalAuthenticator") + signed("authenticator", "Testresident")
    result = read(clinical_document(more=more))
    assert (signature(result).status, signature(result).by) == ("signed", None)
    assert document(result).status == "final"
    assert "signer-not-named" in codes(result)
    assert "not-signed-legally" not in codes(result)


def test_who_is_said_not_to_have_signed_is_no_signer(clinical_document: Make) -> None:
    more = signed("legalAuthenticator", "Nobody", nothing="NI") + signed("authenticator", "Testresident")
    result = read(clinical_document(more=more))
    by = signature(result).by
    assert by is not None
    assert by.names[0].family == "Testresident"
    assert "not-signed-legally" in codes(result)


def test_the_legal_signer_comes_first_wherever_they_stand(clinical_document: Make) -> None:
    more = signed("authenticator", "Testresident", code="X") + signed("legalAuthenticator", "Testsenior")
    by = signature(read(clinical_document(more=more))).by
    assert by is not None
    assert by.names[0].family == "Testsenior"


def order(number: str, flavor: str = "") -> str:
    return f"<inFulfillmentOf{flavor}><order>{number}</order></inFulfillmentOf>"


@pytest.mark.parametrize(
    "nothing",
    [order('<id nullFlavor="NI"/>'), order("", ' nullFlavor="NI"'), '<inFulfillmentOf nullFlavor="NI"/>'],
)
def test_a_document_that_fulfils_nothing_asks(clinical_document: Make, nothing: str) -> None:
    found = referral(read(clinical_document(**_ASKS, more=nothing)))
    assert found is not None
    assert found.reason_text == "Please look at the left knee."


def test_a_reason_beside_a_fulfilled_order_is_no_referral_but_a_finding(clinical_document: Make) -> None:
    result = read(clinical_document(**_ASKS, more=order('<id root="1.2.3" extension="7"/>')))
    assert referral(result) is None
    assert [one.where for one in result.all_findings if one.code == "reason-in-answer"] == [
        "/ClinicalDocument/inFulfillmentOf[1]/order[1]"
    ]


def participant(code: str, name: str, inside: str = "associatedEntity", kind: str = "participant") -> str:
    person = "assignedPerson" if inside == "assignedEntity" else "associatedPerson"
    named = f"<{person}><name><family>{name}</family></name></{person}>" if name else ""
    return f'<{kind} typeCode="{code}"><{inside}>{named}</{inside}></{kind}>'


def test_an_empty_referrer_gives_way_to_the_next_place(clinical_document: Make) -> None:
    encounter = participant("REF", "Testreferrer", "assignedEntity", "encounterParticipant")
    more = (
        participant("REFB", "")
        + f"<componentOf><encompassingEncounter>{encounter}</encompassingEncounter></componentOf>"
    )
    assert family(document(read(clinical_document(more=more))).referrer) == "Testreferrer"


@pytest.mark.parametrize(
    ("role", "code"), [("<patientRole/>", "patient-place-empty"), ('<patientRole nullFlavor="NI"/>', "")]
)
def test_an_empty_patient_gives_way_to_the_next(clinical_document: Make, role: str, code: str) -> None:
    flavor = ' nullFlavor="NI"' if not code else ""
    empty = f"<recordTarget{flavor}>{role}</recordTarget>".encode()
    body = clinical_document()
    result = read(body.replace(b"<recordTarget>", empty + b"<recordTarget>", 1))
    found = document(result).patient
    assert result.reason is None
    assert found is not None
    assert found.names[0].family == "Testperson"
    assert codes(result) == ({code} if code else set())


def test_a_patient_is_read_even_where_none_is_said_to_be(clinical_document: Make) -> None:
    result = read(clinical_document().replace(b"<recordTarget>", b'<recordTarget nullFlavor="NI">'))
    assert result.reason is None


def recipient(name: str, attributes: str = "", inside: str = "") -> str:
    person = f"<informationRecipient><name><family>{name}</family></name></informationRecipient>"
    return (
        f"<informationRecipient{attributes}><intendedRecipient{inside}>{person}</intendedRecipient>"
        "</informationRecipient>"
    )


def test_a_copy_and_a_chart_receive_the_document_and_are_asked_for_nothing(clinical_document: Make) -> None:
    more = (
        recipient("Testcopy", ' typeCode="TRC"')
        + recipient("Testspecialist", ' typeCode="PRCP"')
        + recipient("Testchart", "", ' classCode="HLTHCHRT"')
        + recipient("Testother")
    )
    result = read(clinical_document(more=more))
    found = referral(result)
    assert found is not None
    assert [family(one) for one in found.performers] == ["Testspecialist", "Testother"]
    assert [family(one) for one in document(result).recipients] == [
        "Testcopy",
        "Testspecialist",
        "Testchart",
        "Testother",
    ]


def test_the_finding_of_a_private_author_stands_at_that_author(clinical_document: Make) -> None:
    mother = (
        '<author><time value="20260302"/><assignedAuthor>'
        '<code code="MTH" codeSystem="2.16.840.1.113883.5.111"/>'
        "<assignedPerson><name><family>Testmother</family></name></assignedPerson></assignedAuthor></author>"
    )
    result = read(clinical_document(more=mother))
    assert [(one.code, one.where) for one in result.all_findings] == [
        ("author-is-private", "/ClinicalDocument/author[2]")
    ]


def coded(code: str, text: str, title: str = "Why", more: str = "") -> str:
    inner = f"<section>{code}<title>{title}</title><text>{text}</text>{more}</section>"
    return f"<structuredBody><component>{inner}</component></structuredBody>"


_REASON = '<code code="42349-1" codeSystem="2.16.840.1.113883.6.1"/>'
_LOCAL = '<code code="X1" codeSystem="1.2.3">{}</code>'


@pytest.mark.parametrize(
    "body",
    [
        coded(_LOCAL.format(""), "Left knee pain.", "Reason for Referral:"),
        coded(_LOCAL.format('<translation code="42349-1"/>'), "Left knee pain."),
        coded(_REASON, "", more="<component><section><text>Left knee pain.</text></section></component>"),
        coded(
            _REASON,
            "Not available.",
            more="<component><section><text>Left knee pain.</text></section></component>",
        ),
    ],
    ids=["title beside another code", "translation", "section within", "section within that says more"],
)
def test_a_reason_is_found_wherever_the_page_says(clinical_document: Make, body: str) -> None:
    found = referral(read(clinical_document(**_ASKS, body=body)))
    assert found is not None
    assert found.reason_text == "Left knee pain."


def test_a_reason_by_its_code_goes_before_one_by_its_title(clinical_document: Make) -> None:
    by_title = (
        "<component><section><title>Reason for Referral</title><text>By title.</text></section></component>"
    )
    body = coded(_REASON, "By code.").replace("<structuredBody>", f"<structuredBody>{by_title}")
    found = referral(read(clinical_document(**_ASKS, body=body)))
    assert found is not None
    assert found.reason_text == "By code."


@pytest.mark.parametrize(
    "words",
    [
        "Information not available",
        "There is no reason for referral.",
        "nothing recorded",
        "Reason for referral: none given",
        "No active reason for referral",
        "Data not available",
        "Not yet documented for this visit",
        "Unknown reason",
        "???",
    ],
)
def test_words_that_say_there_is_none_are_no_reason(clinical_document: Make, words: str) -> None:
    result = read(clinical_document(**_ASKS, body=coded(_REASON, words)))
    assert referral(result) is None
    assert str(document(result).sections[0].text) == words


@pytest.mark.parametrize(
    "words",
    [
        "Nothing by mouth since Monday",
        "There is no pulse in the left foot",
        "No known reason for weight loss",
    ],
)
def test_words_that_say_something_are_one(clinical_document: Make, words: str) -> None:
    found = referral(read(clinical_document(**_ASKS, body=coded(_REASON, words))))
    assert found is not None
    assert found.reason_text == words


def many(count: int) -> str:
    numbers = [f'<id root="1.2.3" extension="{number}"/>' for number in range(count)]
    others = [number.replace("1.2.3", "1.2.4") for number in numbers]
    return "".join(
        f"<informationRecipient><intendedRecipient>{number}</intendedRecipient></informationRecipient>"
        f'<participant typeCode="REFT"><associatedEntity>{other}</associatedEntity></participant>'
        for number, other in zip(numbers, others, strict=True)
    )


def many_phones(count: int) -> str:
    return "".join(f'<telecom value="tel:555{number:07}"/>' for number in range(count))


def test_many_recipients_cost_no_more_than_each(clinical_document: Make) -> None:
    started = time.process_time()
    read(clinical_document(more=many(1600)))
    assert time.process_time() - started < 1


def test_many_authors_and_phones_cost_no_more_than_each(clinical_document: Make) -> None:
    author = (
        '<author><assignedAuthor><telecom value="tel:5559999999"/><assignedPerson><name>A B</name>'
        "</assignedPerson></assignedAuthor></author>"
    )
    started = time.process_time()
    read(clinical_document(telecom=many_phones(2000), more=author * 1300))
    assert time.process_time() - started < 1


def test_a_fragment_says_how_many_sections_it_has() -> None:
    result = read(b"<recordTarget><patientRole><patient/></patientRole></recordTarget>")
    assert result.messages[0].entries == 0
