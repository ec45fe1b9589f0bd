"""C-CDA documents are read by their templates and sections, and every doubt is a finding."""

import base64
import time
from collections.abc import Callable

import pytest

from baton_formats.ccda import DETAILS, MAPPINGS, read
from baton_formats.facts import Document, Patient, Practitioner, Referral, Text
from baton_formats.findings import Outcome, ReadResult

Make = Callable[..., bytes]


def document(result: ReadResult) -> Document:
    return next(fact for fact in result.facts if isinstance(fact, Document))


def referral(result: ReadResult) -> Referral | None:
    return next((fact for fact in result.facts if isinstance(fact, Referral)), None)


def patient(result: ReadResult) -> Patient:
    found = document(result).patient
    assert found is not None
    return found


def codes(result: ReadResult) -> set[str]:
    return {finding.code for finding in result.all_findings}


def section(code: str, text: str, title: str = "Some Section") -> str:
    coded = f'<code code="{code}" codeSystem="2.16.840.1.113883.6.1"/>' if code else ""
    inner = f"<section>{coded}<title>{title}</title><text>{text}</text></section>"
    return f"<structuredBody><component>{inner}</component></structuredBody>"


def test_a_plain_referral_note_is_accepted_without_findings(clinical_document: Make) -> None:
    result = read(clinical_document())
    assert result.outcome is Outcome.ACCEPTED
    found = referral(result)
    assert found is not None
    assert found.reason_text == "Please look at the left knee."
    assert found.patient == patient(result)
    assert found.referrer is not None
    assert found.referrer.practitioner is not None
    assert found.referrer.practitioner.names[0].family == "Sampledoctor"
    assert found.referrer.practitioner.npi == "1234567893"
    assert found.referrer.organization is not None
    assert found.referrer.organization.name == "Sample Clinic"


def test_the_patient_keeps_name_birth_date_number_and_address(clinical_document: Make) -> None:
    found = patient(read(clinical_document()))
    assert found.name is not None
    assert (found.name.family, found.name.given, found.name.use) == ("Testperson", ("Ada",), "official")
    assert found.birth_date is not None
    assert found.birth_date.iso == "1970-01-02"
    assert found.gender == "female"
    assert [(one.system, one.value) for one in found.identifiers] == [
        ("urn:oid:2.16.840.1.113883.19.79", "42")
    ]
    assert [(one.system, one.value, one.use) for one in found.telecom] == [("phone", "+1-555-0100", "mobile")]
    assert found.addresses[0].postal_code == "97000"


@pytest.mark.parametrize("code", ["34133-9", "57113-1", "nonsense", ""])
def test_the_document_code_decides_nothing(clinical_document: Make, code: str) -> None:
    result = read(clinical_document().replace(b"57133-1", code.encode()))
    assert result.reason is None
    assert referral(result) is not None


def test_a_code_with_a_wrong_check_digit_or_of_another_template_is_found(clinical_document: Make) -> None:
    assert {"code-invalid", "code-disagrees"} <= codes(
        read(clinical_document().replace(b"57133-1", b"57113-1"))
    )


_TABLE_OF_NOTHING = (
    "<table><thead><tr><th>Date</th><th>Details</th></tr></thead><tbody><tr><td>02/12/2014</td>"
    "<td>No reason for referral data is applicable</td></tr></tbody></table>"
)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Not available.", "Not available."),
        ("Unknown", "Unknown"),
        ("Reason For Referral Unknown", "Reason For Referral Unknown"),
        ("Referral", "Referral"),
        ("N/A", "N/A"),
        ("", None),
        (_TABLE_OF_NOTHING, "Date\tDetails\n02/12/2014\tNo reason for referral data is applicable"),
    ],
)
def test_a_reason_section_that_says_nothing_claims_nothing(
    clinical_document: Make, written: str, kept: str | None
) -> None:
    result = read(clinical_document(body=section("42349-1", written), templates=""))
    assert referral(result) is None
    assert "reason-not-stated" in codes(result)
    assert document(result).sections[0].text == (Text.of(kept) if kept else None)


@pytest.mark.parametrize(
    "written", ["No longer able to walk", "Referral for colonoscopy", "Unknown rash", "Pain, date 2"]
)
def test_a_short_reason_is_a_reason(clinical_document: Make, written: str) -> None:
    found = referral(read(clinical_document(body=section("42349-1", written), templates="")))
    assert found is not None
    assert found.reason_text == written


def test_a_referral_note_without_a_reason_is_still_a_referral(clinical_document: Make) -> None:
    found = referral(read(clinical_document(body=section("42349-1", "Not available."))))
    assert found is not None
    assert found.reason_text is None


def test_a_summary_with_a_stated_reason_is_a_referral_with_a_finding(clinical_document: Make) -> None:
    result = read(clinical_document(templates=""))
    assert referral(result) is not None
    assert "referral-by-section" in codes(result)


@pytest.mark.parametrize(
    "parts",
    [
        {"templates": '<templateId root="2.16.840.1.113883.10.20.22.1.4"/>'},
        {
            "templates": "",
            "more": '<inFulfillmentOf><order><id root="1.2.3" extension="7"/></order></inFulfillmentOf>',
        },
    ],
)
def test_a_note_that_answers_a_referral_is_no_referral(
    clinical_document: Make, parts: dict[str, str]
) -> None:
    assert referral(read(clinical_document(**parts))) is None


def test_the_orders_a_note_fulfils_are_kept_with_their_namespace(clinical_document: Make) -> None:
    order = (
        '<inFulfillmentOf><order><id root="9A6D1BAC-17D3-4195-89A4-1121BC809B4F"/>'
        '<code code="1" codeSystem="2.16.840.1.113883.6.96" displayName="Knee consultation"/></order>'
        "</inFulfillmentOf>"
        '<inFulfillmentOf><order><id root="2.16.840.1.113883.6.96" extension="12"/></order></inFulfillmentOf>'
    )
    result = read(clinical_document(more=order))
    found = document(result)
    assert [one.value for one in found.referrals] == ["urn:uuid:9a6d1bac-17d3-4195-89a4-1121bc809b4f", "12"]
    assert found.based_on[0].display == "Knee consultation"
    assert "order-id-in-code-system" in codes(result)


def test_a_document_that_replaces_another_says_so(clinical_document: Make) -> None:
    more = (
        '<relatedDocument typeCode="RPLC"><parentDocument>'
        '<id root="2.16.840.1.113883.19.77" extension="D-0"/>'
        "</parentDocument></relatedDocument>"
    )
    found = document(read(clinical_document(more=more)))
    assert (found.action, found.relation, found.status) == ("replace", "replaces", "corrected")
    assert found.parents[0].value == "D-0"


def test_two_contents_under_one_id_are_two_versions(clinical_document: Make) -> None:
    first, second = document(read(clinical_document())), document(read(clinical_document(more="<!-- x -->")))
    assert first.identifiers == second.identifiers
    assert first.version != second.version


def test_a_birth_name_and_an_alias_stay_beside_the_legal_name(clinical_document: Make) -> None:
    name = (
        '<name use="SRCH"><given>Ada</given><family qualifier="BR">Maidenexample</family></name>'
        '<name use="L"><given>Ada</given><family>Testperson</family></name>'
    )
    found = patient(read(clinical_document(name=name)))
    assert found.name is not None
    assert found.name.family == "Testperson"
    assert [(one.family, one.use) for one in found.names] == [
        ("Maidenexample", "maiden"),
        ("Testperson", "official"),
    ]


def test_character_references_and_cdata_do_not_split_words(clinical_document: Make) -> None:
    name = "<name><given>Ad&#233;l<![CDATA[e]]></given><family>Test&#32;person&amp;Co</family></name>"
    found = patient(read(clinical_document(name=name))).names[0]
    assert (found.given, found.family) == (("Ad\u00e9le",), "Test person&Co")


def test_null_and_empty_name_parts_are_no_names(clinical_document: Make) -> None:
    name = "<name><given>Ada</given><given>null</given><given/><family>Testperson</family></name>"
    result = read(clinical_document(name=name))
    assert patient(result).names[0].given == ("Ada",)
    assert "placeholder-name" in codes(result)


def test_a_patient_without_a_name_is_accepted_for_a_person(clinical_document: Make) -> None:
    result = read(clinical_document(name=""))
    assert result.outcome is Outcome.ACCEPTED_WITH_FINDINGS
    assert "patient-without-name" in codes(result)


def test_a_document_without_any_patient_is_refused(clinical_document: Make) -> None:
    result = read(clinical_document(ids="", name="", birth=""))
    assert result.reason == "The document names no patient."


def test_two_patients_in_one_document_are_a_refusing_finding(clinical_document: Make) -> None:
    second = '<recordTarget><patientRole><id root="1.2" extension="43"/></patientRole></recordTarget>'
    result = read(clinical_document(more=second))
    assert [finding.code for finding in result.refusing] == ["several-patients"]


@pytest.mark.parametrize("ssn", ["000-00-0000", "999999999", "12-34"])
def test_a_placeholder_number_is_never_an_identity(clinical_document: Make, ssn: str) -> None:
    result = read(clinical_document(ids=f'<id root="2.16.840.1.113883.4.1" extension="{ssn}"/>'))
    assert patient(result).identifiers == ()
    assert "placeholder-identifier" in codes(result)


def test_several_patient_ids_are_all_kept(clinical_document: Make) -> None:
    ids = (
        '<id root="1.2.3" extension="1"/><id root="ProviderID" extension="2" assigningAuthorityName="X"/>'
        '<id root="2.100"/>'
    )
    result = read(clinical_document(ids=ids))
    found = [(one.system, one.authority, one.value) for one in patient(result).identifiers]
    assert found == [("urn:oid:1.2.3", None, "1"), (None, "X", "2")]
    assert {"identifier-without-system", "identifier-without-value"} <= codes(result)


@pytest.mark.parametrize("number", ["5555555555", "99999999", "9e6b8ba0fb16", "12345678"])
def test_a_number_that_is_no_npi_is_kept_but_is_no_key(clinical_document: Make, number: str) -> None:
    result = read(clinical_document().replace(b"1234567893", number.encode()))
    found = document(result).authors[0].practitioner
    assert found is not None
    assert found.npi is None
    assert found.identifiers[0].value == number
    assert "npi-invalid" in codes(result)


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("20260302", "2026-03-02"),
        ("202603021015", "2026-03-02T10:15"),
        ("20260302101500.123-0500", "2026-03-02T10:15:00.123-05:00"),
        ("20260302101500-05", "2026-03-02T10:15:00-05:00"),
        ("-08", None),
        ("7" * 27, None),
        ("20261399", None),
    ],
)
def test_times_keep_their_precision_and_unreadable_ones_their_text(
    clinical_document: Make, value: str, iso: str | None
) -> None:
    result = read(clinical_document().replace(b"202603021015-0500", value.encode()))
    found = document(result).written_at
    assert found is not None
    assert found.iso == iso
    assert ("unreadable-time" in codes(result)) == (iso is None)
    assert (found.text == value) == (iso is None)


def test_a_telecom_without_its_scheme_is_taken_for_what_it_looks_like(clinical_document: Make) -> None:
    telecom = (
        '<telecom value="555-0100"/><telecom value="ada@example.org"/><telecom value="mailto:a@example.org"/>'
    )
    result = read(clinical_document(telecom=telecom))
    assert [one.system for one in patient(result).telecom] == ["phone", "email", "email"]
    assert "telecom-without-scheme" in codes(result)


def test_a_program_as_author_gives_way_to_the_person_who_signed(clinical_document: Make) -> None:
    author = (
        "<author><assignedAuthor><assignedAuthoringDevice><softwareName>Sample EHR</softwareName>"
        "</assignedAuthoringDevice></assignedAuthor></author>"
    )
    signed = (
        '<legalAuthenticator><time value="20260302"/><signatureCode code="S"/><assignedEntity>'
        "<assignedPerson><name><family>Signer</family></name></assignedPerson></assignedEntity></legalAuthenticator>"
    )
    result = read(clinical_document(author=author, more=signed))
    found = referral(result)
    assert found is not None
    assert found.referrer is not None
    assert found.referrer.practitioner is not None
    assert found.referrer.practitioner.names[0].family == "Signer"
    assert document(result).authors[0].display == "Sample EHR"
    assert document(result).status == "final"
    assert "author-is-software" in codes(result)


def test_a_relative_as_author_gives_way_to_the_clinician_who_signed(clinical_document: Make) -> None:
    author = (
        '<author><assignedAuthor><telecom value="555-0100 1234"/><assignedPerson><name><given>Bea</given>'
        "<family>Testperson</family></name></assignedPerson></assignedAuthor></author>"
    )
    signed = (
        "<legalAuthenticator><assignedEntity><assignedPerson><name><family>Signer</family></name>"
        "</assignedPerson></assignedEntity></legalAuthenticator>"
    )
    telecom = '<telecom value="tel:+1 (555) 0100-1234"/>'
    result = read(clinical_document(author=author, more=signed, telecom=telecom))
    found = referral(result)
    assert found is not None
    assert found.referrer is not None
    assert found.referrer.practitioner is not None
    assert found.referrer.practitioner.names[0].family == "Signer"
    assert "author-is-private" in codes(result)


def test_whom_the_document_calls_referrer_and_referred_to_are_taken_at_its_word(
    clinical_document: Make,
) -> None:
    def participant(code: str, family: str) -> str:
        name = f"<associatedPerson><name><family>{family}</family></name></associatedPerson>"
        return f'<participant typeCode="{code}"><associatedEntity>{name}</associatedEntity></participant>'

    result = read(clinical_document(more=participant("REFB", "Asker") + participant("REFT", "Asked")))
    found = referral(result)
    assert found is not None
    assert found.referrer == document(result).referrer
    assert found.referrer is not None
    assert found.referrer.practitioner is not None
    assert found.referrer.practitioner.names[0].family == "Asker"
    assert [one.practitioner.names[0].family for one in found.performers if one.practitioner] == ["Asked"]


def test_the_visit_and_those_who_took_part_are_read(clinical_document: Make) -> None:
    more = (
        '<documentationOf><serviceEvent><performer typeCode="PRF"><functionCode code="PCP"/><assignedEntity>'
        "<assignedPerson><name>Dr. Sample Assistant</name></assignedPerson></assignedEntity></performer>"
        "</serviceEvent></documentationOf><componentOf><encompassingEncounter>"
        '<id root="1.2" extension="V-1"/>'
        '<effectiveTime><low value="202603011000-0500"/><high value="202603011030-0500"/></effectiveTime>'
        "</encompassingEncounter></componentOf>"
    )
    result = read(clinical_document(more=more))
    period = document(result).visit_period
    assert period is not None
    assert period.start is not None
    assert period.end is not None
    assert (period.start.iso, period.end.iso) == ("2026-03-01T10:00-05:00", "2026-03-01T10:30-05:00")
    performer = next(fact for fact in result.facts if isinstance(fact, Practitioner))
    assert (performer.names[0].text, performer.roles[0].code) == ("Dr. Sample Assistant", "PCP")
    general = patient(result).general_practitioners[0].practitioner
    assert general is not None
    assert general.names == performer.names


def test_nested_sections_stay_nested(clinical_document: Make) -> None:
    inner = "<component><section><title>Skin</title><text>Clear</text></section></component>"
    body = (
        "<structuredBody><component><section><title>Findings</title><text>See below</text>"
        f"{inner}</section></component></structuredBody>"
    )
    found = document(read(clinical_document(body=body))).sections
    assert (found[0].title, str(found[0].text)) == ("Findings", "See below")
    assert (found[0].sections[0].title, str(found[0].sections[0].text)) == ("Skin", "Clear")


def test_tables_lists_and_paragraphs_become_lines_and_tabs(clinical_document: Make) -> None:
    text = (
        "<paragraph>First  line</paragraph><list><item>one</item><item>two</item></list>"
        "<table><tbody><tr><td/><td>a</td></tr><tr><td>b</td><td><content>c</content> d</td></tr></tbody>"
        "</table>after"
    )
    found = document(read(clinical_document(body=section("10164-2", text)))).sections[0].text
    assert str(found) == "First line\none\ntwo\n\ta\nb\tc d\nafter"


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        '<paragraph onclick="alert(1)">x</paragraph>',
        '<linkHtml href="java&#10;script:alert(1)">x</linkHtml>',
        '<h:iframe xmlns:h="http://www.w3.org/1999/xhtml" src="http://evil.invalid/">alert(1)</h:iframe>',
    ],
)
def test_active_content_never_reaches_the_text(clinical_document: Make, evil: str) -> None:
    result = read(clinical_document(body=section("10164-2", f"before {evil} after")))
    text = str(document(result).sections[0].text)
    assert "alert" not in text
    assert "<" not in text
    assert text.startswith("before")
    assert text.endswith("after")
    assert "active-content-removed" in codes(result)


def test_marks_that_reverse_text_are_left_out(clinical_document: Make) -> None:
    found = document(read(clinical_document(body=section("10164-2", "dose \u202e05\u202c mg"))))
    assert str(found.sections[0].text) == "dose 05 mg"


def unstructured(text: str) -> str:
    return f"<nonXMLBody>{text}</nonXMLBody>"


def test_an_embedded_pdf_is_taken_out_with_its_hash(clinical_document: Make) -> None:
    encoded = base64.encodebytes(b"%PDF-1.4 sample").decode()
    body = unstructured(f'<text mediaType="application/pdf" representation="B64">\n{encoded}\n</text>')
    found = document(read(clinical_document(body=body))).attachments[0]
    assert found.content == b"%PDF-1.4 sample"
    assert (found.media_type, found.size) == ("application/pdf", 15)
    assert found.sha256 is not None


def test_embedded_plain_text_is_readable_and_its_missing_signature_is_found(clinical_document: Make) -> None:
    encoded = base64.b64encode(b"Surgical consult\n*** NOT YET\n COSIGNED ***").decode()
    result = read(
        clinical_document(
            body=unstructured(f'<text mediaType="text/plain" representation="B64">{encoded}</text>')
        )
    )
    assert str(document(result).text).startswith("Surgical consult")
    assert "text-says-unsigned" in codes(result)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('<text><reference value="http://evil.invalid/a.pdf"/></text>', "attachment-not-included"),
        ('<text mediaType="application/pdf" representation="B64">[base64 here]</text>', "attachment-broken"),
        ('<text mediaType="application/pdf" representation="B64">QUJ</text>', "attachment-broken"),
        ('<text mediaType="application/pdf" representation="B64"/>', "attachment-empty"),
        (
            '<text mediaType="text/plain" representation="B64" compression="DF">QUJD</text>',
            "attachment-compressed",
        ),
    ],
)
def test_an_attachment_without_usable_content_is_a_finding(
    clinical_document: Make, text: str, code: str
) -> None:
    result = read(clinical_document(body=unstructured(text)))
    assert document(result).attachments[0].content is None
    assert code in codes(result)


def test_a_picture_in_an_entry_is_an_attachment(clinical_document: Make) -> None:
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\nsample").decode()
    body = section("10164-2", "x").replace(
        "</section>",
        "<entry><observation><value>1</value></observation></entry><entry><organizer><component><observationMedia>"
        f'<value mediaType="image/png" representation="B64">{picture}</value></observationMedia></component>'
        "</organizer></entry></section>",
    )
    found = document(read(clinical_document(body=body))).attachments
    assert [one.media_type for one in found] == ["image/png"]


@pytest.mark.parametrize("root", ["recordTarget", "section", "author"])
def test_a_fragment_is_refused_by_its_name(root: str) -> None:
    result = read(f"<{root}><patientRole><id root='1.2' extension='9'/></patientRole></{root}>".encode())
    assert result.outcome is Outcome.REFUSED
    assert root in (result.reason or "")


def test_the_patient_of_a_fragment_is_still_read() -> None:
    result = read(
        b"<recordTarget><patientRole><patient><name><family>Testperson</family></name></patient></patientRole></recordTarget>"
    )
    assert result.outcome is Outcome.REFUSED
    found = result.facts[0]
    assert isinstance(found, Patient)
    assert found.names[0].family == "Testperson"


def test_xml_of_another_kind_is_refused() -> None:
    assert "FHIR" in (read(b'<Patient xmlns="http://hl7.org/fhir"/>').reason or "")
    assert "no ClinicalDocument" in (read(b"<invoice/>").reason or "")


def test_a_document_that_breaks_off_after_patient_and_author_is_kept_with_a_finding(
    clinical_document: Make,
) -> None:
    whole = clinical_document()
    result = read(whole[: whole.index(b"Please look") + 6])
    assert result.outcome is Outcome.ACCEPTED_WITH_FINDINGS
    assert "not-well-formed" in codes(result)
    assert patient(result).names[0].family == "Testperson"


def test_a_document_that_breaks_off_before_its_author_is_refused(clinical_document: Make) -> None:
    whole = clinical_document()
    result = read(whole[: whole.index(b"<author>")])
    assert result.outcome is Outcome.REFUSED
    assert "breaks off" in (result.reason or "")


def test_a_document_without_the_namespace_is_read_with_a_finding(clinical_document: Make) -> None:
    result = read(clinical_document().replace(b' xmlns="urn:hl7-org:v3"', b""))
    assert patient(result).names[0].family == "Testperson"
    assert "namespace-missing" in codes(result)


def test_elements_of_a_foreign_namespace_are_not_mistaken_for_the_document(clinical_document: Make) -> None:
    foreign = (
        '<recordTarget xmlns="urn:example:other"><patientRole><id root="1.2" extension="666"/></patientRole>'
        "</recordTarget>"
    )
    result = read(clinical_document(more=foreign))
    assert [one.value for one in patient(result).identifiers] == ["42"]
    assert "several-patients" not in codes(result)


def test_a_head_of_a_hundred_thousand_elements_is_cut_with_a_finding(clinical_document: Make) -> None:
    result = read(clinical_document(more="<participant><associatedEntity/></participant>" * 50_000))
    assert "document-too-crowded" in codes(result)


def test_no_finding_quotes_the_document(clinical_document: Make) -> None:
    result = read(
        clinical_document(
            ids='<id root="Secretroot" extension="Secretnumber"/>', birth='<birthTime value="Secretdate"/>'
        )
    )
    assert result.all_findings
    assert not [finding for finding in result.all_findings if "Secret" in finding.detail + finding.where]


def test_findings_are_bounded(clinical_document: Make) -> None:
    result = read(clinical_document(telecom='<telecom value="5550100"/>' * 2000))
    assert len(result.all_findings) == 201
    assert result.all_findings[-1].code == "more-findings"


def test_a_flood_of_doubts_costs_no_more_than_its_elements(clinical_document: Make) -> None:
    started = time.process_time()
    read(clinical_document(telecom='<telecom value="5550100"/>' * 19_000))
    assert time.process_time() - started < 2


def test_every_declared_finding_has_its_sentence() -> None:
    declared = {code for mapping in MAPPINGS for one in mapping.fields for code in one.findings}
    assert declared <= set(DETAILS)
