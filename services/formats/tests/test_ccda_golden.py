"""What a person reads in the published C-CDA documents (data README, section 5.3), read by the reader."""

from pathlib import Path

import pytest

from baton_formats.ccda import read
from baton_formats.facts import Document, Party, Patient, Practitioner, Referral
from baton_formats.findings import Outcome, ReadResult

_WHOLE = 25


def document(result: ReadResult) -> Document:
    return next(fact for fact in result.facts if isinstance(fact, Document))


def referral(result: ReadResult) -> Referral:
    return next(fact for fact in result.facts if isinstance(fact, Referral))


def who(result: ReadResult) -> Patient:
    found = document(result).patient
    assert found is not None
    return found


def named(found: Patient) -> tuple[str | None, tuple[str, ...], str | None, str | None]:
    assert found.name is not None
    assert found.birth_date is not None
    return found.name.family, found.name.given, found.gender, found.birth_date.iso


def called(party: Party | None) -> str | None:
    if party is None or party.practitioner is None or not party.practitioner.names:
        return None
    name = party.practitioner.names[0]
    return name.text or " ".join([*name.given[:1], name.family or ""])


def iso(result: ReadResult) -> str | None:
    at = document(result).written_at
    return at.iso if at is not None else None


def section_text(result: ReadResult, code: str) -> str | None:
    sections = document(result).sections
    return next((str(one.text) for one in sections if one.code and one.code.code == code), None)


def codes(result: ReadResult) -> set[str]:
    return {finding.code for finding in result.all_findings}


def test_hl7_referral_note(samples: Path) -> None:
    result = read((samples / "ccda-hl7-examples/Referral_Note.xml").read_bytes())
    assert named(who(result)) == ("Betterhalf", ("Eve",), "female", "1975-05-01")
    assert ("Everywoman", "maiden") in [(one.family, one.use) for one in who(result).names]
    assert (iso(result) or "")[:10] == "2013-09-21"
    found = referral(result)
    assert called(found.referrer) == "Patricia Primary"
    assert [called(one) for one in found.performers] == ["Nancy Nightingale"]
    assert found.reason_text is not None
    assert found.reason_text.startswith("Patient referral for consultation for full care")
    set_id = document(result).set_id
    assert set_id is not None
    assert set_id.value == "sTT988"
    assert {"code-invalid", "code-disagrees"} <= codes(result)


def test_hl7_consultation_note(samples: Path) -> None:
    result = read((samples / "ccda-hl7-examples/Consultation_Note.xml").read_bytes())
    assert named(who(result)) == ("Betterhalf", ("Eve",), "female", "1975-05-01")
    found = document(result)
    assert found.identifiers[0].value == "TT988"
    assert (iso(result) or "")[:10] == "2013-08-01"
    assert called(found.authors[0]) == "Patricia Primary"
    assert [called(one) for one in found.recipients] == ["Sara Specialize"]
    assert [one.value for one in found.referrals] == ["1298989898"]
    assert "weight management" in (section_text(result, "42349-1") or "")
    assert "order-id-in-code-system" in codes(result)
    assert not any(isinstance(fact, Referral) for fact in result.facts)


def test_the_consult_that_closes_a_referral(samples: Path) -> None:
    result = read(
        (samples / "ccda-hl7-examples/Consult_Document_Closing_Referral(C-CDAR2.1).xml").read_bytes()
    )
    found = document(result)
    assert named(who(result)) == ("Betterhalf", ("Eve",), "female", "1975-05-01")
    assert found.identifiers[0].value == "TT988"
    assert iso(result) == "2018-06-23T09:00-08:00"
    assert [one.value for one in found.referrals] == ["urn:uuid:9a6d1bac-17d3-4195-89a4-1121bc809b4e"]
    assert "dental care" in (found.based_on[0].display or "")
    assert found.sections == ()


def test_onc_referral_note(samples: Path) -> None:
    result = read((samples / "ccda-onc-cures/170.315_b1_toc_amb_rn_r21_sample1_v13.xml").read_bytes())
    assert named(who(result)) == ("Banks", ("Myra", "Jones"), "female", "1970-06-01")
    found = document(result)
    assert found.identifiers[0].value == "ToC_13"
    assert found.visit_period is not None
    assert found.visit_period.start is not None
    assert found.visit_period.end is not None
    assert found.visit_period.start.iso == "2015-06-22T10:00-05:00"
    assert found.visit_period.end.iso == "2015-06-22T10:30-05:00"
    asked = referral(result)
    assert called(asked.referrer) == "Albert Davis"
    assert "high fever" in (asked.reason_text or "")
    assert "suspected Anemia" in (asked.reason_text or "")
    assert "author-is-software" in codes(result)


def test_360x_referral_request(samples: Path) -> None:
    result = read((samples / "fhir-360x/referral_request.xml").read_bytes())
    assert named(who(result)) == ("Stonewright", ("Wilma",), "female", "1958-03-12")
    assert who(result).identifiers[0].value == "MRN-558211"
    asked = referral(result)
    assert called(asked.referrer) == "Aaron Reyes"
    assert asked.referrer is not None
    assert asked.referrer.organization is not None
    assert asked.referrer.organization.name == "Riverbend Oncology Associates"
    assert asked.referrer.practitioner is not None
    assert asked.referrer.practitioner.npi is None
    assert (asked.reason_text or "").startswith("Dental clearance requested prior to initiation")
    assert iso(result) == "2026-06-15T12:00:00"
    document_type = document(result).type
    assert document_type is not None
    assert document_type.code == "57133-1"
    assert {"document-without-id", "document-without-custodian", "npi-invalid"} <= codes(result)


def test_vendor_consult_sample(samples: Path) -> None:
    result = read((samples / "ccda-vendors/Consults.sample.xml").read_bytes())
    assert named(who(result)) == ("Everyman", ("Adam", "Frankie"), "male", "1954-11-25")
    found = document(result)
    assert found.identifiers[0].value == "999021"
    assert (iso(result) or "")[:10] == "2005-03-29"
    assert called(found.authors[0]) == "Henry Seven"
    assert section_text(result, "42349-1") == "Colonoscopy due to rectal bleeding."
    assert [one.value for one in found.referrals] == ["12345-67890"]


def test_two_vendor_documents_share_an_id_but_no_version(samples: Path) -> None:
    one, other = (
        document(read((samples / "ccda-vendors" / name).read_bytes()))
        for name in ("Consults.sample.xml", "UD.sample.xml")
    )
    assert one.identifiers == other.identifiers
    assert one.version != other.version


def test_vendor_transition_of_care(samples: Path) -> None:
    result = read((samples / "ccda-vendors/Transition_of_Care_Referral_Summary.xml").read_bytes())
    assert named(who(result)) == ("Williamson", ("Steve",), "male", "1947-04-07")
    assert [(one.value, one.authority) for one in who(result).identifiers] == [("106", "LCH MRN")]
    found = document(result)
    assert found.identifiers[0].value == "280004"
    assert (iso(result) or "")[:10] == "2013-07-17"
    assert found.visit_period is not None
    assert found.visit_period.start is not None
    assert found.visit_period.start.date == "2013-07-10"
    assert found.visit_period.end is None
    assert "Aaron Admit" in [
        f"{one.names[0].given[0]} {one.names[0].family}"
        for one in result.facts
        if isinstance(one, Practitioner)
    ]
    codes_of_places = [one.postal_code for one in who(result).addresses]
    assert all(code is not None and code == code.strip() for code in codes_of_places)
    assert not any(isinstance(fact, Referral) for fact in result.facts)


def test_vendor_referral_summary(samples: Path) -> None:
    result = read((samples / "ccda-vendors/AdamEveryman-ReferralSummary.xml").read_bytes())
    assert named(who(result)) == ("Everyman", ("Adam",), "male", "1962-10-22")
    assert document(result).custodian is not None
    reason = referral(result).reason_text or ""
    assert "Pulmonary function tests" in reason
    assert "Penny Puffer" in reason
    assert "12/19/2013" in reason
    assert len(document(result).authors) == 3
    assert [called(one) for one in document(result).authors] == ["Nancy Nightingale", "Samir Khan", None]
    assert "placeholder-name" in codes(result)


def test_vendor_export_summary(samples: Path) -> None:
    result = read((samples / "ccda-vendors/26620_ExportSummary_CCDA.xml").read_bytes())
    assert named(who(result)) == ("Everyman", ("Adam", "TOC"), "male", "1962-10-22")
    assert who(result).identifiers[0].value == "26620"
    reason = referral(result).reason_text or ""
    assert "Pulmonary function tests" in reason
    assert "Penny Puffer" in reason
    author = document(result).authors[0].practitioner
    assert author is not None
    assert author.npi is None
    assert "npi-invalid" in codes(result)


def test_vendor_transition_whose_reason_is_the_word_referral(samples: Path) -> None:
    result = read((samples / "ccda-vendors/b2_Adam_Everyman_ToC.xml").read_bytes())
    assert named(who(result)) == ("Everyman", ("Adam",), "male", "1962-10-22")
    author = document(result).authors[0]
    assert called(author) == "Jim Bergmann"
    assert author.practitioner is not None
    assert author.practitioner.npi == "7621234534"
    assert section_text(result, "42349-1") == "Referral"
    assert "reason-not-stated" in codes(result)
    assert not any(isinstance(fact, Referral) for fact in result.facts)


def test_vendor_sample_with_a_patient_id_of_root_only(samples: Path) -> None:
    result = read((samples / "ccda-vendors/CCDA_Sample_NextGen_JonesIsabella.txt").read_bytes())
    assert named(who(result)) == ("Jones", ("Isabella",), "female", "1947-05-01")
    assert (iso(result) or "")[:10] == "2013-02-18"
    assert "identifier-without-value" in codes(result)


def test_surgical_consult_in_embedded_text(samples: Path) -> None:
    result = read((samples / "ccda-hl7-examples/CDA_Embedded_Text_Plain_Surgical_Consult.xml").read_bytes())
    assert named(who(result)) == ("Damore", ("Juan",), "male", "1953-03-02")
    found = document(result)
    assert found.identifiers[0].value == "X451212"
    assert (iso(result) or "")[:10] == "2020-04-20"
    assert called(found.authors[0]) == "Mostafa Balimood"
    assert "NOT YET COSIGNED" in str(found.text)
    assert found.status != "final"
    assert "text-says-unsigned" in codes(result)


def test_discharge_summary_that_only_points_at_a_pdf(samples: Path) -> None:
    result = read((samples / "ccda-vendors/UD.sample.xml").read_bytes())
    assert named(who(result))[:2] == ("Everyman", ("Adam", "Frankie"))
    found = document(result)
    assert found.identifiers[0].value == "999021"
    assert (found.title or "").startswith("Discharge Summary")
    assert [(one.url, one.content) for one in found.attachments] == [("UD_sample.pdf", None)]
    assert "attachment-not-included" in codes(result)


def test_export_made_by_a_parent(samples: Path) -> None:
    result = read((samples / "ccda-vendors/kinsights-sample-timmy.xml").read_bytes())
    assert named(who(result)) == ("Wilkinson", ("Timmy",), "male", "2011-04-01")
    assert "Dr. David Yoon" in [one.names[0].text for one in result.facts if isinstance(one, Practitioner)]
    at = document(result).written_at
    assert at is not None
    assert (at.iso, at.text) == (None, "-08")
    assert {"unreadable-time", "author-is-private"} <= codes(result)


def test_embedded_pdf(samples: Path) -> None:
    result = read((samples / "ccda-hl7-examples/CDA_with_Embedded_PDF.xml").read_bytes())
    found = document(result).attachments[0]
    assert found.media_type == "application/pdf"
    assert found.content is not None
    assert found.content.startswith(b"%PDF-1.4")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("NT_Missing_PatientName_r11_v2.xml", "patient-without-name"),
        ("NT_Bad_GenderCode_r11_v2.xml", "gender-unknown"),
        ("NT_Bad_DocEffectiveTime_r11_v2.xml", "unreadable-time"),
        ("NT_Bad_DocCode_r11_v2.xml", "code-invalid"),
    ],
)
def test_negative_samples_are_accepted_for_a_person(samples: Path, name: str, code: str) -> None:
    result = read((samples / "ccda-onc-cures" / name).read_bytes())
    assert result.outcome is Outcome.ACCEPTED_WITH_FINDINGS
    assert code in codes(result)


def test_the_sample_that_is_not_well_formed_is_refused_with_its_place(samples: Path) -> None:
    result = read((samples / "ccda-onc-cures/NT_BadXml_r11_v2.xml").read_bytes())
    assert result.outcome is Outcome.REFUSED
    assert "line 59" in (result.reason or "")


def test_whole_documents_give_a_family_name_but_one_and_all_a_birth_date(samples: Path) -> None:
    paths = [
        path
        for folder in samples.glob("ccda-*")
        for path in folder.iterdir()
        if path.suffix in (".xml", ".ccd", ".txt")
    ]
    paths.append(samples / "fhir-360x/referral_request.xml")
    results = [read(path.read_bytes()) for path in paths]
    whole = [result for result in results if result.outcome is not Outcome.REFUSED]
    assert len(whole) == _WHOLE
    people = [who(result) for result in whole]
    assert sum(1 for one in people if one.name is not None and one.name.family) == _WHOLE - 1
    assert sum(1 for one in people if one.birth_date is not None and one.birth_date.iso) == _WHOLE


def test_adam_everyman_of_1962_comes_under_four_numbers(samples: Path) -> None:
    names = (
        "ccda-vendors/AdamEveryman-ReferralSummary.xml",
        "ccda-vendors/26620_ExportSummary_CCDA.xml",
        "ccda-vendors/b2_Adam_Everyman_ToC.xml",
        "ccda-hl7-examples/Patient_Demographic_Information(C-CDA2.1).xml",
    )
    found = []
    for name in names:
        facts = read((samples / name).read_bytes()).facts
        found.append(
            next(
                fact if isinstance(fact, Patient) else fact.patient
                for fact in facts
                if isinstance(fact, Patient | Document)
            )
        )
    numbers = [frozenset(one.value for one in person.identifiers) for person in found if person is not None]
    assert len(numbers) == len(set(numbers)) == len(names)
    assert {person.birth_date.iso for person in found if person and person.birth_date} == {"1962-10-22"}
