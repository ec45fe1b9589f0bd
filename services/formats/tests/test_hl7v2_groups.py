"""What stands in one message or body but is about several people, documents or messages is kept apart."""

import base64
from typing import Any

import pytest

from baton_formats.facts import Arrival, Document, Referral
from baton_formats.findings import Message, ReadResult
from baton_formats.hl7v2 import read

ADA = "PID|1||123^^^SAMPLE^MR||Testperson^Ada||19700101|F"
BEA = "PID|2||999^^^SAMPLE^MR||Testperson^Bea||19710101|F"


def message(kind: str, *segments: str, mark: str = "\r") -> bytes:
    head = f"MSH|^~\\&|APP|SAMPLE|US|OURS|20260101120000||{kind}|C1|P|2.5.1"
    return (mark.join((head, *segments)) + mark).encode()


def only(result: ReadResult) -> Message:
    (found,) = result.messages
    return found


def codes(found: Message) -> set[str]:
    return {finding.code for finding in found.findings}


def told(found: Message) -> list[tuple[Any, ...]]:
    documents = [fact for fact in found.facts if isinstance(fact, Document)]
    return [(one.patient and one.patient.identifiers[0].value, str(one.text)) for one in documents]


def order(number: int, state: str = "F") -> str:
    return f"OBR|{number}|P{number}|F{number}|T" + "|" * 21 + state


def line(text: str, state: str = "F") -> str:
    return f"OBX|1|TX|a||{text}||||||{state}"


# ---- several patients --------------------------------------------------------------------------------------


def test_each_patient_of_a_report_keeps_the_own_results() -> None:
    found = only(read(message("ORU^R01", ADA, order(1), line("for Ada"), BEA, order(2), line("for Bea"))))
    assert told(found) == [("123", "for Ada"), ("999", "for Bea")]


def test_one_order_does_not_join_the_results_of_two_patients() -> None:
    found = only(read(message("ORU^R01", ADA, order(1), line("for Ada"), BEA, line("for Bea"))))
    assert told(found) == [("123", "for Ada"), ("999", "for Bea")]


def test_a_second_patient_who_cannot_be_told_is_refused() -> None:
    nobody = "PID|2||||"
    found = only(read(message("ORU^R01", ADA, order(1), line("for Ada"), nobody, order(2), line("for ?"))))
    assert told(found) == [("123", "for Ada"), (None, "for ?")]
    assert any(one.code == "patient-missing" and one.refusing for one in found.findings)


def test_each_visit_of_an_admission_belongs_to_its_own_patient() -> None:
    visits = ("PV1|1|O|" + "|" * 15 + "V1", "PV1|1|O|" + "|" * 15 + "V2")
    found = only(read(message("ADT^A04", ADA, visits[0], BEA, visits[1])))
    arrivals = [fact for fact in found.facts if isinstance(fact, Arrival)]
    people = [one.patient.identifiers[0].value for one in arrivals if one.patient]
    assert people == ["123", "999"]


@pytest.mark.parametrize("kind", ["REF^I12", "OMG^O19", "ORM^O01"])
def test_a_referral_with_two_patients_is_refused(kind: str) -> None:
    found = only(read(message(kind, "RF1|P|R", ADA, "ORC|NW|1", order(1), BEA)))
    assert any(one.code == "several-patients" and one.refusing for one in found.findings)


def test_the_same_patient_told_twice_is_one() -> None:
    found = only(read(message("OMG^O19", ADA, "ORC|NW|1", order(1), ADA)))
    assert "several-patients" not in codes(found)
    assert sum(isinstance(fact, Referral) for fact in found.facts) == 1


# ---- several documents and messages ------------------------------------------------------------------------


def test_two_documents_in_one_message_are_not_blended() -> None:
    def about(number: str, state: str) -> str:
        return f"TXA|1|CN|TX|20260101|||||D^DOC|||{number}^APP|||||{state}"

    found = only(
        read(message("MDM^T02", ADA, about("D1", "AU"), line("signed"), about("D2", "DI"), line("dictated")))
    )
    documents = [fact for fact in found.facts if isinstance(fact, Document)]
    assert [(one.identifiers[0].value, str(one.text), one.status) for one in documents] == [
        ("D1", "signed", "final"),
        ("D2", "dictated", "interim"),
    ]
    assert "several-documents" in codes(found)


@pytest.mark.parametrize("head", ["MSH|^~\\&|", "MSH|^&|", "MSH#!@%*#"])
@pytest.mark.parametrize("between", ["\x1c\r\x0b", "\x0c", "\r" + " " * 40, "\n\t"])
def test_a_second_header_begins_a_second_message(head: str, between: str) -> None:
    field = head[3]

    def one(number: int) -> str:
        parts = ["A", "B", "", "", "20260101", "", "ADT" + head[4] + "A08", str(number), "P", "2.5.1"]
        person = field.join(["PID", "1", "", str(number), "", "Testperson"])
        return head + field.join(parts) + "\r" + person + "\r"

    result = read((one(1) + between + one(2)).encode())
    assert [found.envelope.control_id for found in result.messages if found.envelope] == ["1", "2"]


def test_a_header_that_still_stands_inside_of_a_message_is_refused() -> None:
    found = only(read(message("MDM^T02", ADA, "TXA|1|CN", "msh|^~\\&|A|B", BEA)))
    assert any(one.code == "message-in-message" and one.refusing for one in found.findings)


# ---- reports that say two things ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "results", "status", "conflict"),
    [
        ("F", "F", "final", False),
        ("F", "FX", "final", False),
        ("F", "FP", "interim", True),
        ("F", "P", "interim", True),
        ("C", "I", "interim", True),
        ("F", "W", "retracted", True),
        ("F", "FW", "final", True),
        ("P", "F", "interim", False),
        ("", "FP", "interim", False),
        ("", "W", "retracted", False),
    ],
)
def test_a_report_is_as_final_as_its_results(said: str, results: str, status: str, conflict: bool) -> None:
    lines = [f"OBX|{n}|TX|a||words||||||{state}" for n, state in enumerate(results, 1)]
    found = only(read(message("ORU^R01", ADA, order(1, said), *lines)))
    (document,) = [fact for fact in found.facts if isinstance(fact, Document)]
    assert document.status == status
    assert document.signature is None or (document.signature.status == "signed") == (status == "final")
    assert ("status-conflict" in codes(found)) == conflict


# ---- parts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"<ClinicalDocument>" + b"words " * 40 + b"</ClinicalDocument>",
        b"\xef\xbb\xbf<?xml version='1.0'?><d>" + b"words " * 40 + b"</d>",
        b"<html><body>" + b"words " * 40 + b"</body></html>",
        b"%PDF-1.4 " + b"words " * 40,
    ],
    ids=["without declaration", "byte order mark", "HTML", "PDF"],
)
@pytest.mark.parametrize("cut", [40, 41, 77])
@pytest.mark.parametrize("more", ["^TEXT^XML^Base64^", "^^^^", ""], ids=["headed", "unheaded", "bare"])
def test_a_file_cut_in_two_is_one_file(content: bytes, cut: int, more: str) -> None:
    data = base64.b64encode(content).decode()
    parts = (
        f"OBX|1|ED|a||^TEXT^XML^Base64^{data[:cut]}||||||F",
        f"OBX|2|ED|a||{more}{data[cut:]}||||||F",
    )
    found = only(read(message("MDM^T02", ADA, "TXA|1|CN", *parts)))
    (document,) = [fact for fact in found.facts if isinstance(fact, Document)]
    assert [one.content for one in document.attachments] == [content]
    assert "parts-joined" in codes(found)


def test_two_whole_files_stay_two() -> None:
    data = [base64.b64encode(f"<d>{n}</d>".encode()).decode() for n in range(2)]
    parts = [f"OBX|{n}|ED|a||^TEXT^XML^Base64^{one}||||||F" for n, one in enumerate(data, 1)]
    found = only(read(message("MDM^T02", ADA, "TXA|1|CN", *parts)))
    (document,) = [fact for fact in found.facts if isinstance(fact, Document)]
    assert [one.content for one in document.attachments] == [b"<d>0</d>", b"<d>1</d>"]


def test_an_addendum_segment_continues_the_one_before() -> None:
    found = only(
        read(message("MDM^T02", ADA, "TXA|1|CN", "OBX|1|TX|a||first part ", "ADD|second part", "ADD|, third"))
    )
    assert told(found) == [("123", "first part second part, third")]
    assert found.segments == 6
    assert "addendum-joined" in codes(found)


@pytest.mark.parametrize("segment", ["DSC|next", "DSC|next|I"])
def test_a_message_that_goes_on_elsewhere_is_refused(segment: str) -> None:
    found = only(read(message("MDM^T02", ADA, "TXA|1|CN", line("words"), segment)))
    assert [one.where for one in found.findings if one.code == "message-incomplete" and one.refusing] == [
        "DSC-1"
    ]


def test_a_word_alone_on_a_line_of_text_is_no_segment() -> None:
    text = "a\nOBX\nAda Testperson feels well\nBTS\nand so on||||||F"
    found = only(read(message("MDM^T02", ADA, "TXA|1|CN", f"OBX|1|TX|a||{text}", line("last"))))
    assert told(found)[0][1].startswith("a\nOBX\nAda Testperson feels well\nBTS\nand so on")
    assert told(found)[0][1].endswith("last")
    assert not any("Ada" in finding.where or " " in finding.where for finding in found.findings)


def test_a_bare_trailer_ends_a_batch() -> None:
    result = read(b"FHS|^~\\&\rBHS|^~\\&\r" + message("ADT^A08", ADA) + b"BTS\rFTS\r\n\x1c\r")
    assert only(result).segments == 2
    assert not result.findings


def test_a_file_without_a_batch_header_holds_one_batch() -> None:
    assert not read(b"FHS|^~\\&\r" + message("ADT^A08", ADA) + b"FTS|1\r").findings
    assert {one.code for one in read(b"FHS|^~\\&\r" + message("ADT^A08", ADA) + b"FTS|2\r").findings} == {
        "file-count-mismatch"
    }


def test_documents_before_several_patients_belong_to_none_of_them() -> None:
    for kind in ("ORU^R01", "ADT^A04"):
        found = only(read(message(kind, "TXA|1|CN", line("early"), ADA, "PV1|1|O", BEA, "PV1|1|O")))
        assert (None, "early") in told(found)
    for headers in (["TXA|1|CN", "TXA|2|CN"], ["TXA|1|CN"]):
        found = only(read(message("MDM^T02", *headers, ADA, line("for Ada"), BEA, line("for Bea"))))
        refusing = any(one.code == "several-documents" and one.refusing for one in found.findings)
        assert refusing == (len(headers) == 2)
