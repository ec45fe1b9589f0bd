"""XDM archives: documents are read and win over the metadata, and harmful zips are refused whole."""

import hashlib
import io
import random
import stat
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_formats.facts import Document, Patient
from baton_formats.findings import Format, Outcome, ReadResult
from baton_formats.xdm import read
from baton_formats.xdm.archive import ArchiveLimits, ArchiveRefused, members

Make = Callable[..., bytes]
_FOLDER = "IHE_XDM/SUBSET01"


def zipped(*files: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def metadata(
    uri: str,
    *,
    name: str = "Testperson^Ada",
    born: str = "19700102",
    number: str = "42",
    namespace: str = "2.16.840.1.113883.19.79",
    more: str = "",
) -> bytes:
    return f"""<SubmitObjectsRequest xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0">
      <RegistryObjectList xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">
        <ExtrinsicObject mimeType="application/pdf">
        <Slot name="URI"><ValueList><Value>{uri}</Value></ValueList></Slot>
        <Slot name="sourcePatientId"><ValueList>
          <Value>{number}^^^&amp;{namespace}&amp;ISO</Value></ValueList></Slot>
        <Slot name="sourcePatientInfo"><ValueList><Value>PID-5|{name}</Value><Value>PID-7|{born}</Value>
          <Value>PID-8|F</Value></ValueList></Slot>{more}
      </ExtrinsicObject></RegistryObjectList></SubmitObjectsRequest>""".encode()


def slot(name: str, value: str) -> str:
    return f'<Slot name="{name}"><ValueList><Value>{value}</Value></ValueList></Slot>'


def codes(result: ReadResult) -> set[str]:
    return {finding.code for finding in result.all_findings}


def document(result: ReadResult) -> Document:
    return next(fact for fact in result.facts if isinstance(fact, Document))


def test_a_document_and_its_agreeing_metadata_are_accepted(clinical_document: Make) -> None:
    body = clinical_document()
    more = slot("size", str(len(body))) + slot("hash", hashlib.sha1(body, usedforsecurity=False).hexdigest())
    sheet = metadata("DOC1.XML", more=more)
    result = read(
        zipped(("INDEX.HTM", b"<html/>"), (f"{_FOLDER}/METADATA.XML", sheet), (f"{_FOLDER}/DOC1.XML", body))
    )
    assert result.format is Format.XDM
    assert result.outcome is Outcome.ACCEPTED
    assert [message.type for message in result.messages] == ["ClinicalDocument"]


def test_the_document_wins_over_its_metadata(clinical_document: Make) -> None:
    sheet = metadata(
        "DOC1.XML",
        name="Otherperson^Bea",
        born="19680304",
        number="43",
        more=slot("size", "7") + slot("hash", "0" * 40),
    )
    result = read(zipped((f"{_FOLDER}/METADATA.XML", sheet), (f"{_FOLDER}/DOC1.XML", clinical_document())))
    found = document(result).patient
    assert found is not None
    assert found.names[0].family == "Testperson"
    assert {
        "metadata-name-differs",
        "metadata-birth-date-differs",
        "metadata-identifier-differs",
        "metadata-size-differs",
        "metadata-hash-differs",
    } <= codes(result)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"name": "Testperson^Bea"}, "metadata-name-differs"),
        ({"namespace": "1.2.3"}, "metadata-identifier-differs"),
        ({"namespace": "9.9.9"}, "metadata-identifier-differs"),
    ],
    ids=["a twin", "the same number of somebody else", "the same number under what is no OID"],
)
def test_metadata_about_somebody_much_alike_is_found(
    clinical_document: Make, told: dict[str, str], code: str
) -> None:
    sheet = metadata("DOC1.XML", **told)
    result = read(zipped((f"{_FOLDER}/METADATA.XML", sheet), (f"{_FOLDER}/DOC1.XML", clinical_document())))
    assert codes(result) == {code}


@pytest.mark.parametrize("name", ["TESTPERSON^ADA^B", "Testperson^A.", "Testperson", "Test Person^Ada"])
def test_metadata_that_writes_a_name_otherwise_agrees(clinical_document: Make, name: str) -> None:
    sheet = metadata("DOC1.XML", name=name)
    result = read(zipped((f"{_FOLDER}/METADATA.XML", sheet), (f"{_FOLDER}/DOC1.XML", clinical_document())))
    assert result.outcome is Outcome.ACCEPTED


def test_a_document_that_mentions_fhir_at_its_beginning_is_still_a_document(clinical_document: Make) -> None:
    body = clinical_document().replace(
        b"<ClinicalDocument", b'<ClinicalDocument xmlns:f="http://hl7.org/fhir"'
    )
    assert [message.type for message in read(zipped(("A.XML", body))).messages] == ["ClinicalDocument"]


def test_findings_of_a_document_say_which_file_they_are_about(clinical_document: Make) -> None:
    result = read(zipped((f"{_FOLDER}/DOC1.XML", clinical_document(name=""))))
    where = [finding.where for finding in result.all_findings if finding.code == "patient-without-name"]
    assert where == ["member[1]/ClinicalDocument/recordTarget[1]/patientRole[1]"]


def test_two_documents_become_two_messages(clinical_document: Make) -> None:
    other = clinical_document(name="<name><family>Otherperson</family></name>")
    result = read(zipped((f"{_FOLDER}/A.XML", clinical_document()), (f"{_FOLDER}/B.XML", other)))
    families = [
        fact.patient.names[0].family for fact in result.facts if isinstance(fact, Document) and fact.patient
    ]
    assert families == ["Testperson", "Otherperson"]


def test_an_hl7_v2_message_beside_the_document_is_read_by_its_own_reader(clinical_document: Make) -> None:
    order = (
        b"MSH|^~\\&|PMS|SAMPLE|B|C|20260302101500||OMG^O19|M1|P|2.5.1\rPID|1||42^^^SAMPLE^MR||Testperson^Ada||19700102|F\r"
        b"ORC|NW|R-1^PMS\rOBR|1|R-1^PMS||57133-1^Referral note^LN\r"
    )
    result = read(zipped((f"{_FOLDER}/ORDER.HL7", order), (f"{_FOLDER}/DOC1.XML", clinical_document())))
    assert [message.type for message in result.messages] == ["OMG^O19", "ClinicalDocument"]


def test_a_pdf_is_kept_for_the_patient_of_the_metadata() -> None:
    result = read(
        zipped((f"{_FOLDER}/METADATA.XML", metadata("LETTER.PDF")), (f"{_FOLDER}/LETTER.PDF", b"%PDF-1.4 x"))
    )
    found = document(result)
    assert result.messages[0].entries == 1
    assert found.attachments[0].content == b"%PDF-1.4 x"
    assert found.attachments[0].media_type == "application/pdf"
    assert isinstance(found.patient, Patient)
    assert found.patient.names[0].family == "Testperson"
    assert "patient-from-metadata" in codes(result)


def test_metadata_and_files_that_do_not_match_are_findings(clinical_document: Make) -> None:
    result = read(
        zipped(
            (f"{_FOLDER}/METADATA.XML", metadata("GONE.XML")), (f"{_FOLDER}/DOC1.XML", clinical_document())
        )
    )
    assert {"member-not-listed", "member-missing"} <= codes(result)


def test_unreadable_metadata_does_not_lose_the_document(clinical_document: Make) -> None:
    sheet = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d>&x;</d>'
    result = read(zipped((f"{_FOLDER}/METADATA.XML", sheet), (f"{_FOLDER}/DOC1.XML", clinical_document())))
    assert result.reason is None
    assert "metadata-unreadable" in codes(result)


def test_an_archive_with_one_bad_document_keeps_the_good_one(clinical_document: Make) -> None:
    result = read(
        zipped((f"{_FOLDER}/A.XML", b"<!DOCTYPE d><d/>"), (f"{_FOLDER}/B.XML", clinical_document()))
    )
    assert result.reason is None
    assert "member-refused" in codes(result)


def test_an_archive_without_a_document_is_refused_with_the_cause() -> None:
    assert "no document" in (read(zipped(("INDEX.HTM", b"<html/>"))).reason or "")
    assert "document type" in (read(zipped((f"{_FOLDER}/A.XML", b"<!DOCTYPE d><d/>"))).reason or "")


@pytest.mark.parametrize(
    "path",
    [
        "../evil.xml",
        "a/../../evil.xml",
        "/etc/passwd",
        "C:/evil.xml",
        "a\\..\\evil.xml",
        "x" * 300,
        "a\nb.xml",
    ],
)
def test_a_path_that_leads_out_refuses_the_archive(clinical_document: Make, path: str) -> None:
    result = read(zipped((f"{_FOLDER}/DOC1.XML", clinical_document()), (zipfile.ZipInfo(path), b"x")))
    assert "leads out of it" in (result.reason or "")
    assert result.messages == ()


def test_a_link_refuses_the_archive(clinical_document: Make) -> None:
    link = zipfile.ZipInfo(f"{_FOLDER}/LINK.XML")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    result = read(zipped((f"{_FOLDER}/DOC1.XML", clinical_document()), (link, b"/etc/passwd")))
    assert "link" in (result.reason or "")


def test_too_many_files_refuse_the_archive() -> None:
    result = read(zipped(*((f"f{number}.txt", b"x") for number in range(300))))
    assert "more than 200 files" in (result.reason or "")


def test_a_file_that_grows_too_much_refuses_the_archive_at_once() -> None:
    started = time.perf_counter()
    result = read(zipped(("bomb.xml", b"\0" * 15_000_000)))
    assert "grows more than" in (result.reason or "")
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    "limits",
    [ArchiveLimits(max_bytes=100), ArchiveLimits(max_member_bytes=5), ArchiveLimits(max_total_bytes=15)],
    ids=["archive", "file", "all files"],
)
def test_what_is_larger_than_a_limit_is_refused(limits: ArchiveLimits) -> None:
    body = zipped(("a.xml", b"0123456789"), ("b.xml", b"0123456789"))
    with pytest.raises(ArchiveRefused, match="larger than"):
        list(members(body, limits=limits))


@pytest.mark.parametrize("name", ["inner.zip", "inner.xml", "inner.bin"])
def test_an_archive_in_the_archive_is_refused(clinical_document: Make, name: str) -> None:
    inner = zipped(("x.xml", clinical_document()))
    assert "another archive" in (read(zipped((name, inner))).reason or "")


def test_a_word_document_is_a_file_and_no_archive() -> None:
    result = read(zipped(("LETTER.DOCX", zipped(("word/document.xml", b"<d/>")))))
    assert result.reason is None


def test_two_files_of_one_name_are_refused(clinical_document: Make) -> None:
    result = read(zipped(("a.xml", clinical_document()), ("A.XML", clinical_document())))
    assert "same name" in (result.reason or "")


def test_an_encrypted_file_is_refused(clinical_document: Make) -> None:
    body = bytearray(zipped(("a.xml", clinical_document())))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = body.index(signature) + offset
        body[at] |= 1
    assert "encrypted" in (read(bytes(body)).reason or "")


def test_another_packing_method_is_refused(clinical_document: Make) -> None:
    assert "packed by a method" in (
        read(zipped(("a.xml", clinical_document()), method=zipfile.ZIP_LZMA)).reason or ""
    )


def test_files_that_overlap_are_refused(clinical_document: Make) -> None:
    body = zipped(("a.xml", clinical_document()), ("b.xml", clinical_document()), method=zipfile.ZIP_STORED)
    second = body.index(b"PK\x01\x02", body.index(b"PK\x01\x02") + 4)
    overlapping = body[: second + 42] + struct.pack("<L", 0) + body[second + 46 :]
    assert "overlap" in (read(overlapping).reason or "")


def test_a_size_that_is_a_lie_is_refused(clinical_document: Make) -> None:
    body = bytearray(zipped(("a.xml", clinical_document())))
    at = body.index(b"PK\x01\x02") + 24
    body[at : at + 4] = struct.pack("<L", 10)
    assert read(bytes(body)).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    "body", [b"", b"PK", b"PK\x03\x04" + b"\0" * 60, b"PK\x05\x06" + b"\0" * 18, b"hello"]
)
def test_what_is_no_archive_is_refused(body: bytes) -> None:
    assert read(body).outcome is Outcome.REFUSED


@given(seed=st.randoms(use_true_random=False), cut=st.integers(0, 60))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_archive_gives_a_result(clinical_document: Make, seed: random.Random, cut: int) -> None:
    body = bytearray(
        zipped(
            (f"{_FOLDER}/METADATA.XML", metadata("DOC1.XML")), (f"{_FOLDER}/DOC1.XML", clinical_document())
        )
    )
    for _ in range(seed.randrange(1, 12)):
        body[seed.randrange(len(body))] = seed.randrange(256)
    result = read(bytes(body[: len(body) - cut]))
    assert (result.reason is None) == bool(result.messages)


def test_the_published_archive_names_another_patient_in_its_metadata(samples: Path) -> None:
    result = read((samples / "ccda-onc-cures/XDM_LIM.ZIP").read_bytes())
    found = document(result)
    assert found.identifiers[0].value == "TT101"
    assert found.patient is not None
    assert found.patient.name is not None
    assert (found.patient.name.family, found.patient.name.given) == ("Madison", ("Katherine", "Jones"))
    assert found.patient.birth_date is not None
    assert found.patient.birth_date.iso == "1970-06-01"
    assert {"metadata-name-differs", "metadata-birth-date-differs"} <= codes(result)
