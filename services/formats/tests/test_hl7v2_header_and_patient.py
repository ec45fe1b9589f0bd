"""Who sends what about whom: headers put right, patients with all their numbers, nothing guessed silently."""

import pytest

from baton_formats.facts import Acknowledgement, Identifier, Patient
from baton_formats.findings import Finding, Message
from baton_formats.hl7v2 import read

MSH = "MSH|^~\\&|APP|CLINIC^1.2.3^ISO|US|HERE|20260102030405+0100||ADT^A31|C1|P|2.5"
PID = "PID|1||42^^^CLINIC^MR||Testperson^Ada||19700101|F"


def only(*segments: str) -> Message:
    (message,) = read("\r".join(segments).encode()).messages
    return message


def codes(message: Message) -> set[str]:
    return {finding.code for finding in message.findings}


def where(message: Message, code: str) -> list[str]:
    return [finding.where for finding in message.findings if finding.code == code]


def patient(pid: str, *, msh: str = MSH) -> Patient:
    (fact,) = only(msh, pid).facts
    found = getattr(fact, "patient", fact)
    assert isinstance(found, Patient)
    return found


def test_the_header_is_read_with_systems_and_namespaces() -> None:
    envelope = only(MSH, PID).envelope
    assert envelope is not None
    assert envelope.sender is not None
    assert envelope.sender.facility == Identifier(value="CLINIC", system="urn:oid:1.2.3")
    assert envelope.sent_at is not None
    assert (envelope.control_id, envelope.event, envelope.version) == ("C1", "A31", "2.5")
    assert envelope.sent_at.iso == "2026-01-02T03:04:05+01:00"
    assert envelope.separators == "|^~\\&"


@pytest.mark.parametrize("separators", ["|^~\\&", "#!@%*", "^~|\\&", "|^~\\&#"])
def test_a_message_reads_the_same_with_other_separators(separators: str) -> None:
    table = str.maketrans("|^~\\&", separators[:5])
    text = f"{MSH}\r{PID}\rPV1|1|O||||||7^Muster^Max~8^Sample".translate(table)
    text = text.replace(text[3:8], separators, 1)
    other = only(text)
    assert other.facts == only(MSH, PID, "PV1|1|O||||||7^Muster^Max~8^Sample").facts
    assert not other.findings


@pytest.mark.parametrize("kind", ["ADT^A31^REF_I12", "ADT^A31", "adt^a31", "ADT_A31", "ADT^^ADT_A31"])
def test_the_type_is_told_by_code_and_event_wherever_they_stand(kind: str) -> None:
    assert only(MSH.replace("ADT^A31", kind), PID).type == "ADT^A31"


def test_a_header_one_field_short_is_put_right_with_a_finding() -> None:
    short = "MSH|^~\\&|APP|CLINIC|US|20260102030405||ADT^A31^ADT_A05|C1||P|2.5"
    message = only(short, PID)
    assert message.envelope is not None
    assert message.envelope.sent_at is not None
    assert (message.type, message.envelope.control_id, message.envelope.version) == ("ADT^A31", "C1", "2.5")
    assert message.envelope.sent_at.iso == "2026-01-02T03:04:05"
    assert where(message, "header-shifted") == ["MSH-9"]


@pytest.mark.parametrize("version", ["2.1", "2.9", "3.7", "", "2.5^AUS", "banana"])
def test_no_version_is_a_reason_to_refuse(version: str) -> None:
    assert only(MSH.replace("|2.5", f"|{version}"), PID).facts


@pytest.mark.parametrize(
    ("given", "iso", "code"),
    [
        ("20260102030405.1234-0530", "2026-01-02T03:04:05.1234-05:30", None),
        ("202601020304+0215", "2026-01-02T03:04+02:15", None),
        ("2026", "2026", None),
        ("20260102030405+1500", "2026-01-02T03:04:05+15:00", None),
        ("20260102030405678", "2026-01-02T03:04:05.678", "time-not-hl7"),
        ("2026010203040500", "2026-01-02T03:04:05.00", "time-not-hl7"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", "time-not-hl7"),
        ("1111x", None, "time-unreadable"),
        ("yesterday", None, "time-unreadable"),
        ("", None, "sent-time-missing"),
    ],
)
def test_times_keep_their_precision_and_unreadable_ones_are_findings(
    given: str, iso: str | None, code: str | None
) -> None:
    message = only(MSH.replace("20260102030405+0100", given), PID)
    assert message.envelope is not None
    assert (message.envelope.sent_at.iso if message.envelope.sent_at else None) == iso
    assert codes(message) == ({code} if code else set())


def test_a_missing_control_id_is_a_finding_and_the_message_is_read() -> None:
    message = only(MSH.replace("|C1|", "||"), PID)
    assert where(message, "control-id-missing") == ["MSH-10"]
    assert message.facts


def test_identifiers_keep_authority_type_and_validity() -> None:
    (number,) = patient("PID|1||42^^^CLINIC&1.2.3&ISO^MR^HOME&2.5&ISO^2020^2030||T").identifiers
    assert number.value == "42"
    assert (number.authority, number.system, number.type) == ("CLINIC", "urn:oid:1.2.3", "MR")
    assert number.assigner == "urn:oid:2.5|HOME"
    assert number.period is not None
    assert number.period.end is not None
    assert number.period.end.iso == "2030"


def test_a_bare_number_is_scoped_to_the_sending_facility() -> None:
    message = only(MSH, "PID|1||42||T")
    assert patient("PID|1||42||T").identifiers == (Identifier("42", "urn:oid:1.2.3", "CLINIC"),)
    assert where(message, "identifier-without-authority") == ["PID-3"]


def test_an_authority_in_the_wrong_component_is_moved_with_a_finding() -> None:
    assert patient("PID|1||42^^^^^USSSA^||T").identifiers == (Identifier("42", authority="USSSA"),)
    assert where(only(MSH, "PID|1||42^^^^^USSSA^||T"), "authority-misplaced") == ["PID-3"]


def test_a_number_in_pid_2_alone_is_taken_with_a_finding() -> None:
    (number,) = patient("PID|1|42^^^CLINIC|||T^X").identifiers
    assert number.value == "42"
    assert where(only(MSH, "PID|1|42^^^CLINIC|||T"), "patient-id-misplaced") == ["PID-2"]


def test_numbers_of_other_fields_are_kept_as_secondary() -> None:
    found = patient(
        "PID|1|7^^^OLD|42^^^CLINIC^MR|8^^^ALT|T|||||||||||||A1^^^CLINIC|123-45-6789|D9^OR"
    ).identifiers
    assert [(number.value, number.type, number.use) for number in found] == [
        ("42", "MR", None),
        ("7", None, "secondary"),
        ("8", None, "secondary"),
        ("123-45-6789", "SS", "secondary"),
        ("D9", "DL", "secondary"),
        ("A1", "AN", "secondary"),
    ]


@pytest.mark.parametrize(
    ("value", "code"), [("000-00-0000", "identifier-placeholder"), ("***-**-1234", "identifier-masked")]
)
def test_placeholders_and_masked_numbers_are_never_identities(value: str, code: str) -> None:
    message = only(MSH, f"PID|1||42^^^CLINIC||T||||||||||||||{value}")
    assert where(message, code) == ["PID-19"]
    assert len(patient(f"PID|1||42^^^CLINIC||T||||||||||||||{value}").identifiers) == 1


@pytest.mark.parametrize("value", ["111111111", "999999999"])
def test_a_repeated_digit_is_a_number_where_an_office_issued_it(value: str) -> None:
    pid = f"PID|1||{value}^^^CLINIC^MR||T"
    assert [number.value for number in patient(pid).identifiers] == [value]
    assert where(only(MSH, pid), "identifier-suspicious") == ["PID-3"]


@pytest.mark.parametrize(
    "cx",
    [
        "111111111",
        "111111111^^^CLINIC^SS",
        "111111111^^^SSA",
        "111-11-1111^^^CLINIC^MR",
        "000000000^^^CLINIC",
    ],
)
def test_a_repeated_digit_is_a_placeholder_where_nobody_or_social_security_issued_it(cx: str) -> None:
    pid = f"PID|1||{cx}||T^X"
    assert patient(pid).identifiers == ()
    assert where(only(MSH, pid), "identifier-placeholder") == ["PID-3"]


def test_an_offset_that_a_date_cannot_keep_is_a_finding() -> None:
    pid = "PID|1||1^^^C||T||19700101-0500"
    found = patient(pid).birth_date
    assert found is not None
    assert found.iso == "1970-01-01"
    assert where(only(MSH, pid), "offset-dropped") == ["PID-7"]
    assert where(only(MSH.replace("20260102030405+0100", "20260102+01"), PID), "offset-dropped") == ["MSH-7"]


def test_names_keep_parts_use_and_the_partners_surname() -> None:
    name, other, alias = patient(
        "PID|1||1^^^C||Testperson&&&&Probe^Ada^B^III^Dr.^MD^L~Old^Ada^^^^^M||||Nick^Name"
    ).names
    assert (name.family, name.partner_family, name.given) == ("Testperson", "Probe", ("Ada", "B"))
    assert (name.suffixes, name.prefixes, name.use) == (("III", "MD"), ("Dr.",), "official")
    assert (other.use, alias.use) == ("maiden", "nickname")


@pytest.mark.parametrize("birth", ["Aug 15, 1942", "19999999", "1231231"])
def test_an_unreadable_birth_date_is_kept_as_text(birth: str) -> None:
    found = patient(f"PID|1||1^^^C||T||{birth}").birth_date
    assert found is not None
    assert (found.iso, found.text) == (None, birth)
    assert "birth-date-unreadable" in codes(only(MSH, f"PID|1||1^^^C||T||{birth}"))


def test_a_birth_date_with_time_and_offset_is_kept_whole() -> None:
    found = patient("PID|1||1^^^C||T||197001011200+0215").birth_date
    assert found is not None
    assert (found.iso, found.date) == ("1970-01-01T12:00+02:15", "1970-01-01")


@pytest.mark.parametrize(
    ("xtn", "expected"),
    [
        ("(555)555-0100^PRN^PH", [("phone", "(555)555-0100", "home")]),
        ("^WPN^PH^^^^^^^^^555-0101", [("phone", "555-0101", "work")]),
        ("^PRN^PH^^1^555^0102^9", [("phone", "+1 555 0102 ext. 9", "home")]),
        (
            "(555)555-0100^^^ada@example.org",
            [("phone", "(555)555-0100", "home"), ("email", "ada@example.org", "home")],
        ),
        ("ada@example.org^NET^Internet", [("email", "ada@example.org", "home")]),
        ("555-0103^PRN^CP", [("phone", "555-0103", "mobile")]),
        ("555-0104^WPN^FX", [("fax", "555-0104", "work")]),
        ("https://example.org", [("url", "https://example.org", "home")]),
    ],
)
def test_phones_and_mail_are_found_in_every_component(xtn: str, expected: list[tuple[str, str, str]]) -> None:
    found = patient(f"PID|1||1^^^C||T||||||||{xtn}").telecom
    assert [(point.system, point.value, point.use) for point in found] == expected


def test_an_address_keeps_street_parts_and_use() -> None:
    (address,) = patient("PID|1||1^^^C||T||||||1000&Main St^Flat 2^Exampleton^OR^03909^USA^H").addresses
    assert address.lines == ("1000 Main St", "Flat 2")
    assert (address.postal_code, address.use) == ("03909", "home")


def test_the_null_means_delete_and_an_empty_field_means_nothing() -> None:
    changed = patient('PID|1||1^^^C||T||""|F|||""')
    assert changed.cleared == ("birth_date", "addresses")
    assert patient("PID|1||1^^^C||T").cleared == ()
    assert changed.birth_date is None


def test_a_gender_code_that_does_not_exist_is_a_finding() -> None:
    assert where(only(MSH, "PID|1||1^^^C||T|||1"), "gender-unknown-code") == ["PID-8"]


def test_a_message_without_a_patient_is_read_and_marked_for_doors() -> None:
    message = only(MSH.replace("A31", "A04"), "PV1|1|O")
    assert (
        Finding("patient-missing", "PID-3", "the message names no patient", refusing=True) in message.findings
    )


def test_an_answer_of_a_peer_is_a_fact_with_its_complaints() -> None:
    ack = only(
        MSH.replace("ADT^A31", "ACK^I12"),
        "MSA|AE|OUR-1|no",
        "ERR||PID^1^5|101^Required field missing^HL70357|E||||Name missing",
        "ERR|PID^1^7^102&Bad date",
    )
    (fact,) = ack.facts
    assert isinstance(fact, Acknowledgement)
    assert (fact.code, fact.acknowledges) == ("AE", "OUR-1")
    assert [(i.code, i.where) for i in fact.issues] == [("101", "PID-5"), ("102", "PID-7")]


def test_the_second_segment_of_a_name_is_named_in_findings() -> None:
    body = ["PID|1||1^^^C||T", "NTE|1||x", "NTE|2|Text in the wrong field"]
    message = only(MSH.replace("ADT^A31", "REF^I12"), "RF1|P|R||||R1^OFFICE", *body)
    assert where(message, "note-in-source") == ["NTE[2]-2"]


def test_a_kind_of_message_a_referral_does_not_need_gives_the_patient_and_says_so() -> None:
    message = only(MSH.replace("ADT^A31", "OML^O21"), PID, "ORC|NW|1", "OBR|1|1||X")
    assert [fact.kind for fact in message.facts] == ["patient"]
    assert where(message, "type-not-used") == ["MSH-9"]
