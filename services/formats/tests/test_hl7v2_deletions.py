"""What a sender deletes never counts as live and is never lost: resources, fields, components."""

import pytest

from baton_formats.facts import Appointment, Patient
from baton_formats.findings import Message
from baton_formats.hl7v2 import read

PID = "PID|1||42^^^CLINIC^MR||Testperson^Ada||19700101|F"
SCH = "SCH|P1|F1"


def only(kind: str, *segments: str) -> Message:
    msh = f"MSH|^~\\&|APP|CLINIC|US|HERE|20260102030405||{kind}|C1|P|2.5.1"
    (message,) = read("\r".join((msh, *segments)).encode()).messages
    return message


def booked(message: Message) -> list[Appointment]:
    return [fact for fact in message.facts if isinstance(fact, Appointment)]


def one(message: Message) -> Appointment:
    (fact,) = booked(message)
    return fact


def start(fact: Appointment) -> str | None:
    return fact.start.iso if fact.start else None


def places(message: Message, code: str) -> list[str]:
    return [finding.where for finding in message.findings if finding.code == code]


def codes(message: Message) -> set[str]:
    return {finding.code for finding in message.findings}


def patient(pid: str) -> tuple[Patient, Message]:
    message = only("ADT^A31", pid)
    (fact,) = message.facts
    found = getattr(fact, "patient", None)
    assert isinstance(found, Patient)
    return found, message


# ---- resources ---------------------------------------------------------------------------------------------


def test_a_deleted_group_is_no_second_appointment() -> None:
    message = only(
        "SIU^S13",
        SCH,
        PID,
        "RGS|1|D",
        "AIS|1|D|OLD|202601010900",
        "AIL|1||Room 1",
        "RGS|2|A",
        "AIS|1|A|NEW|202601021400",
    )
    fact = one(message)
    assert start(fact) == "2026-01-02T14:00"
    assert [service.code for service in fact.services] == ["NEW"]
    assert fact.location is None
    assert places(message, "resource-deleted") == ["RGS-2"]


def test_deleted_resources_of_a_live_group_give_no_time_service_person_or_place() -> None:
    message = only(
        "SIU^S14",
        SCH,
        PID,
        "RGS|1|U",
        "AIS|1|D|OLD|202601010900",
        "AIS|2|A|NEW|202601021400",
        "AIP|1|D|7^Muster^Max",
        "AIP|2|A|8^Sample^Eva",
        "AIL|1|d|Room 1",
        "AIL|2|A|Room 2",
        "AIG|1|D|9^Gone^Guy",
    )
    fact = one(message)
    assert start(fact) == "2026-01-02T14:00"
    assert [service.code for service in fact.services] == ["NEW"]
    assert [p.practitioner.names[0].family for p in fact.clinicians if p.practitioner] == ["Sample"]
    assert fact.location is not None
    assert fact.location.name == "Room 2"
    assert fact.participants == ()
    assert places(message, "resource-deleted") == ["AIS-2", "AIP-2", "AIL-2", "AIG-2"]
    assert "times-disagree" not in codes(message)


def test_a_resource_added_to_a_deleted_group_is_kept_with_a_finding() -> None:
    message = only(
        "SIU^S14", SCH, PID, "RGS|1|D", "AIP|1|D|7^Gone^Guy", "AIP|2|A|8^Sample^Eva", "AIP|3||9^Muster^Max"
    )
    fact = one(message)
    assert [p.practitioner.names[0].family for p in fact.clinicians if p.practitioner] == ["Sample"]
    assert places(message, "resource-in-deleted-group") == ["AIP[2]-2"]
    assert "resources-all-deleted" not in codes(message)


def test_a_deleted_resource_without_any_group_is_not_live_either() -> None:
    fact = one(only("SIU^S14", SCH, PID, "AIP|1|D|7^Muster^Max", "AIS|1|U|X|202601021400"))
    assert fact.clinicians == ()
    assert start(fact) == "2026-01-02T14:00"


def test_where_everything_was_deleted_nothing_is_invented() -> None:
    message = only("SIU^S14", SCH, PID, "RGS|1|D", "AIS|1|D|X|202601010900", "AIP|1|D|7^Muster")
    fact = one(message)
    assert (fact.start, fact.services, fact.clinicians) == (None, (), ())
    assert places(message, "resources-all-deleted") == ["RGS-2"]


@pytest.mark.parametrize("event", ["S15", "S16", "S17"])
def test_an_ended_appointment_keeps_the_time_that_was_deleted_with_it(event: str) -> None:
    message = only(f"SIU^{event}", SCH, PID, "RGS|1|D", "AIS|1|D|X|202601010900", "AIP|1|D|7^Muster")
    fact = one(message)
    assert start(fact) == "2026-01-01T09:00"
    assert len(fact.clinicians) == 1
    assert "resources-all-deleted" not in codes(message)


def test_a_note_on_a_deleted_resource_is_kept() -> None:
    fact = one(only("SIU^S14", SCH, PID, "RGS|1|A", "AIP|1|D|7^Muster", "NTE|1||on leave"))
    assert [note.text for note in fact.notes] == ["on leave"]


def test_a_local_action_code_deletes_nothing() -> None:
    fact = one(only("SIU^S14", SCH, PID, "RGS|1|C", "AIS|1|DX|X|202601021400"))
    assert start(fact) == "2026-01-02T14:00"


# ---- fields and components ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pid", "cleared"),
    [
        (PID + '|||||""|555-0100', ("telecom.home",)),
        (PID + '|||||555-0100|""', ("telecom.work",)),
        (PID + '|||||""|""', ("telecom",)),
        (PID + '|||||""', ("telecom",)),
        (PID + '|||||||||||""', ("identifiers.SS",)),
        (PID + '||||||||||""|""|""', ("identifiers.SS", "identifiers.DL", "identifiers.AN")),
        (PID.replace("^Ada", '^""'), ("names.given",)),
        (PID.replace("^Ada", '^Ada^""^""^""'), ("names.given", "names.suffixes", "names.prefixes")),
        (PID + '|""', ("names.nickname",)),
        (PID + '|||1 Main St^""^Exampleton^""', ("addresses.lines", "addresses.state")),
        (PID.replace("19700101", ' "" '), ("birth_date",)),
        (PID + "|||||||en" + '|""', ("marital_status",)),
        (PID + "|" * 21 + '""|""', ("deceased", "deceased_at")),
    ],
)
def test_every_deletion_of_a_patients_field_or_part_is_told(pid: str, cleared: tuple[str, ...]) -> None:
    found, message = patient(pid)
    assert found.cleared == cleared
    assert codes(message) == set()


@pytest.mark.parametrize(
    ("pid", "where"),
    [
        (PID + '|||||""~555-0100', "PID-13"),
        (PID + '|||||555-0100^^^""', "PID-13"),
        (PID.replace("^Ada", '^""~Old^Ada^^^^^M'), "PID-5"),
        (PID.replace("Testperson", '""&van'), "PID-5"),
        (PID.replace("^^^CLINIC", '^^^""'), "PID-3"),
        (PID + '||||||||M^""', "PID-16"),
    ],
)
def test_a_deletion_that_cannot_be_told_in_the_facts_is_a_finding(pid: str, where: str) -> None:
    found, message = patient(pid)
    assert found.cleared == ()
    assert places(message, "deletion-unclear") == [where]


def test_quotation_marks_within_a_text_delete_nothing() -> None:
    found, message = patient(PID.replace("Ada", 'Ada ""Addie""'))
    assert (found.cleared, codes(message)) == ((), set())
    assert found.names[0].given == ('Ada ""Addie""',)


def test_a_blank_around_the_null_is_no_part_of_it() -> None:
    found, _ = patient(PID + '||||||||||| "" ')
    assert [number.value for number in found.identifiers] == ["42"]
    assert found.cleared == ("identifiers.SS",)


@pytest.mark.parametrize(
    ("segments", "where"),
    [
        ([SCH + '|||||""', PID], ["SCH-7"]),
        ([SCH + '||||||""', PID], ["SCH-8"]),
        ([SCH, PID, 'AIL|1|U|""'], ["AIL-3"]),
        ([SCH, PID, "AIL|1|U|Room 1", 'AIL|2|U|""'], ["AIL[2]-3"]),
        ([SCH + '|||||Check^""', PID], ["SCH-7"]),
    ],
)
def test_a_deletion_in_an_appointment_is_a_finding(segments: list[str], where: list[str]) -> None:
    assert places(only("SIU^S14", *segments), "value-deleted") == where


def test_a_deletion_in_an_arrival_is_a_finding() -> None:
    assert places(only("ADT^A04", PID, 'PV1|1|O|""'), "value-deleted") == ["PV1-3"]


# ---- what stands in the timing of SCH ----------------------------------------------------------------------


@pytest.mark.parametrize(("code", "priority"), [("S", "stat"), ("A", "asap"), ("R", "routine")])
def test_the_priority_inside_the_timing_is_read(code: str, priority: str) -> None:
    assert one(only("SIU^S12", f"{SCH}|||||||||^^^202601021400^^{code}", PID)).priority == priority


def test_tq1_wins_over_the_priority_inside_the_timing() -> None:
    message = only("SIU^S12", f"{SCH}|||||||||^^^202601021400^^S", "TQ1|1||||||||R", PID)
    assert one(message).priority == "routine"


def test_an_unknown_priority_inside_the_timing_is_a_finding() -> None:
    message = only("SIU^S12", f"{SCH}|||||||||^^^202601021400^^Q", PID)
    assert places(message, "priority-unknown") == ["SCH-11"]


@pytest.mark.parametrize(
    ("length", "minutes"), [("M30", 30), ("H1", 60), ("s1800", 30), ("X3", None), ("30", None), ("", None)]
)
def test_the_length_inside_the_timing_is_read_where_it_is_one(length: str, minutes: int | None) -> None:
    fact = one(only("SIU^S12", f"{SCH}|||||||||^^{length}^202601021400", PID))
    assert fact.duration_minutes == minutes


def test_an_absurd_length_inside_the_timing_is_a_finding() -> None:
    message = only("SIU^S12", f"{SCH}|||||||||^^W9^202601021400", PID)
    assert one(message).duration_minutes is None
    assert places(message, "duration-implausible") == ["SCH-11"]


def test_the_length_field_wins_over_the_one_inside_the_timing() -> None:
    fact = one(only("SIU^S12", f"{SCH}|||||||45|min|^^M30^202601021400", PID))
    assert fact.duration_minutes == 45
