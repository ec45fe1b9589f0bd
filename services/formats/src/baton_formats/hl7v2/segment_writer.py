"""Segments put together field by field, and whole messages out of them."""

from __future__ import annotations

from baton_formats.facts import (
    Attachment,
    Concept,
    Coverage,
    Identifier,
    Note,
    Observation,
    Party,
    Patient,
    Practitioner,
)
from baton_formats.findings import Endpoint, Envelope
from baton_formats.hl7v2.encoding import Encoder
from baton_formats.hl7v2.referral import PROVIDER_ROLES
from baton_formats.hl7v2.segments import NULL
from baton_formats.hl7v2.syntax import Syntax

DEFAULT_VERSION = "2.5.1"
_GENDER_CODES = {"female": "F", "male": "M", "other": "O", "unknown": "U"}
_SPECIAL_NUMBERS = frozenset(("SS", "DL", "AN"))
# Where a field of the patient is emptied with "".
_CLEARED = {
    "identifiers": 3,
    "names": 5,
    "birth_date": 7,
    "gender": 8,
    "addresses": 11,
    "telecom": 13,
    "language": 15,
    "marital_status": 16,
    "deceased_at": 29,
    "deceased": 30,
}


def is_modern(version: str | None) -> bool:
    """v2.7 and later, which know a fifth encoding character and withdrew XTN.1. An unreadable version is
    not.
    """
    major, _, rest = (version or "").partition(".")
    minor = rest.partition(".")[0]
    return major.isdigit() and minor.isdigit() and (int(major), int(minor)) >= (2, 7)


def _by_field(
    numbers: tuple[Identifier, ...],
) -> tuple[dict[str, Identifier], list[Identifier], list[Identifier]]:
    """Numbers with a field of their own by type, other secondary ones (PID-4), and those of PID-3."""
    secondary = [number for number in numbers if number.use == "secondary"]
    special = {number.type: number for number in secondary if number.type in _SPECIAL_NUMBERS}
    others = [number for number in secondary if number.type not in _SPECIAL_NUMBERS]
    return special, others, [number for number in numbers if number.use != "secondary"]


class MessageWriter:
    """Collects segments in order and renders them with CR after each, in UTF-8."""

    def __init__(self, version: str | None = None) -> None:
        """Four encoding characters before v2.7: peers of that age close the connection on a fifth."""
        self.version = version or DEFAULT_VERSION
        modern = is_modern(self.version)
        self.encoder = Encoder(Syntax(truncation="#" if modern else ""), modern=modern)
        self._lines: list[str] = []

    def add(self, name: str, fields: dict[int, str]) -> None:
        """One segment of encoded ``fields`` by field number. Empty trailing fields are left out."""
        last = max((number for number, text in fields.items() if text), default=0)
        row = [name, *(fields.get(number, "") for number in range(1, last + 1))]
        self._lines.append(self.encoder.syntax.field.join(row))

    def render(self) -> bytes:
        """The message as bytes."""
        return "".join(line + "\r" for line in self._lines).encode("utf-8", errors="replace")

    def header(self, envelope: Envelope, *, code: str, event: str, structure: str) -> None:
        """MSH, put before everything that was added so far."""
        encode = self.encoder
        sender, receiver = envelope.sender or Endpoint(), next(iter(envelope.receivers), Endpoint())
        fields = {
            2: encode.syntax.encoding_characters,
            3: encode.hd(sender.application),
            4: encode.hd(sender.facility),
            5: encode.hd(receiver.application),
            6: encode.hd(receiver.facility),
            7: encode.time(envelope.sent_at),
            9: encode.components(code, event, structure),
            10: encode.text(envelope.control_id),
            11: encode.text(envelope.processing_mode or "P"),
            12: encode.text(self.version),
            15: encode.text(envelope.accept_ack),
            16: encode.text(envelope.application_ack),
        }
        foreign = not all(text.isascii() for text in (*self._lines, *fields.values()))
        fields[18] = "UNICODE UTF-8" if foreign else ""
        self.add(
            "MSH", {number - 1: text for number, text in fields.items()}
        )  # MSH-1 is the separator itself
        self._lines.insert(0, self._lines.pop())

    def pid(self, patient: Patient | None, *, ordinal: int = 1, providers_apart: bool = False) -> None:
        """PID: numbers in PID-3, social security, licence and account number in their own fields; PD1.

        What the patient was cleared of goes out as ``""``. The patient's own doctors stand in PD1-4, unless
        the message has segments of its own for them (``providers_apart``).
        """
        if patient is None:
            return
        emptied = {number: NULL for name, number in _CLEARED.items() if name in patient.cleared}
        told = {number: text for number, text in self._identity(patient).items() if text}
        self.add("PID", {1: str(ordinal)} | emptied | told)
        doctors = () if providers_apart else patient.general_practitioners
        known = self.encoder.repeated((party.practitioner for party in doctors), self.encoder.xcn)
        if "general_practitioners" in patient.cleared and not patient.general_practitioners:
            known = NULL
        if known:
            self.add("PD1", {4: known})

    def _identity(self, patient: Patient) -> dict[int, str]:
        """The fields of PID."""
        encode = self.encoder
        special, others, main = _by_field(patient.identifiers)
        work = [point for point in patient.telecom if point.use == "work"]
        licence = special.get("DL")
        return {
            3: encode.repeated(main, encode.cx),
            4: encode.repeated(others, encode.cx),
            5: encode.repeated(patient.names, encode.xpn),
            7: encode.time(patient.birth_date),
            8: _GENDER_CODES.get(patient.gender or "", ""),
            11: encode.repeated(patient.addresses, encode.xad),
            13: encode.repeated((point for point in patient.telecom if point.use != "work"), encode.xtn),
            14: encode.repeated(work, encode.xtn),
            15: encode.text(patient.language),
            16: encode.cwe(patient.marital_status),
            18: encode.cx(special.get("AN")),
            19: encode.text(special["SS"].value) if "SS" in special else "",
            20: encode.components(licence.value, licence.authority) if licence else "",
            29: encode.time(patient.deceased_at),
            30: {True: "Y", False: "N", None: ""}[patient.deceased],
        }

    def visit(self, *, referrer: Party | None = None, numbers: tuple[Identifier, ...] = ()) -> None:
        """PV1 with the referring doctor and the visit number; the patient class is said to be not
        applicable.
        """
        if referrer is None and not numbers:
            return
        encode = self.encoder
        doctor = encode.xcn(referrer.practitioner) if referrer else ""
        self.add("PV1", {1: "1", 2: "N", 8: doctor, 19: encode.repeated(numbers, encode.cx)})

    def notes(self, notes: tuple[Note, ...]) -> None:
        """NTE, one a note."""
        encode = self.encoder
        for ordinal, note in enumerate(notes, start=1):
            author = encode.components(None, note.author)
            self.add("NTE", {1: str(ordinal), 3: encode.text(note.text), 5: author, 6: encode.time(note.at)})

    def coverage(self, coverages: tuple[Coverage, ...]) -> None:
        """IN1, one a coverage."""
        encode = self.encoder
        for ordinal, one in enumerate(coverages, start=1):
            payer = one.payer
            number = next(iter(payer.identifiers), None) if payer else None
            fields = {
                1: str(ordinal),
                2: encode.components(one.plan, one.plan_name),
                3: encode.cx(number),
                4: encode.components(payer.name if payer else None),
                5: encode.repeated(payer.addresses, encode.xad) if payer else "",
                8: encode.text(one.group),
                12: encode.time(one.period.start) if one.period else "",
                13: encode.time(one.period.end) if one.period else "",
                15: encode.cwe(one.type),
                17: encode.cwe(one.relationship),
                36: encode.text(one.member_id),
                49: encode.text(one.subscriber_id),
            }
            self.add("IN1", fields)

    def diagnoses(self, reasons: tuple[Concept, ...]) -> None:
        """DG1, one a reason, as working diagnosis."""
        for ordinal, reason in enumerate(reasons, start=1):
            self.add("DG1", {1: str(ordinal), 3: self.encoder.cwe(reason), 6: "W"})

    def provider(self, party: Party, code: str, meaning: str, *, also: tuple[str, ...] = ()) -> None:
        """PRD in the role ``code`` (HL7 table 0286).

        A role of that table is kept if it is ``code`` or one of ``also``; any other stands in front of it.
        """
        encode = self.encoder
        person = party.practitioner or Practitioner()
        office = party.organization
        usual = encode.components(code, meaning, "HL70286")
        own = (party.role.code or "").upper() if party.role else code
        named = encode.cwe(party.role) if own in (code, *also) or own not in PROVIDER_ROLES else ""
        role = named if named and own in (code, *also) else encode.repeated((named, usual), str)
        numbers = list(person.identifiers)
        if person.npi and not any(number.value == person.npi for number in numbers):
            numbers.append(Identifier(value=person.npi, type="NPI"))
        self.add(
            "PRD",
            {
                1: role,
                2: encode.repeated(person.names, encode.xpn),
                3: encode.repeated(person.addresses, encode.xad),
                4: encode.pl(party.location),
                5: encode.repeated(person.telecom, encode.xtn),
                7: encode.repeated(numbers, self._pln),
                10: encode.xon(office),
                11: encode.repeated(office.addresses, encode.xad) if office else "",
                13: encode.repeated(office.telecom, encode.xtn) if office else "",
            },
        )

    def _pln(self, number: Identifier) -> str:
        encode = self.encoder
        expiry = encode.time(number.period.end) if number.period else ""
        parts = (
            encode.text(number.value),
            encode.text(number.type),
            encode.text(number.authority or number.system),
            expiry,
        )
        return encode.joined(parts, encode.syntax.component)

    def authorizations(self, numbers: tuple[Identifier, ...]) -> None:
        """AUT, one an authorisation."""
        for number in numbers:
            self.add("AUT", {6: self.encoder.ei(number)})

    def content(
        self,
        *,
        text: str = "",
        attachments: tuple[Attachment, ...] = (),
        observations: tuple[Observation, ...] = (),
        code: Concept | None = None,
        status: str = "F",
    ) -> None:
        """OBX: the text line by line, then results, then files."""
        encode = self.encoder
        ordinal = 0
        for line in text.split("\n") if text else ():
            ordinal += 1
            self.add("OBX", {1: str(ordinal), 2: "TX", 3: encode.cwe(code), 5: encode.text(line), 11: status})
        for result in observations:
            ordinal += 1
            self._observation(ordinal, result)
        for file in attachments:
            ordinal += 1
            pointer = file.content is None and file.url is not None
            value = encode.rp(file) if pointer else encode.ed(file)
            title = encode.components(None, file.title)
            self.add("OBX", {1: str(ordinal), 2: "RP" if pointer else "ED", 3: title, 5: value, 11: status})

    def _observation(self, ordinal: int, result: Observation) -> None:
        encode = self.encoder
        fields = {
            1: str(ordinal),
            2: "CWE",
            3: encode.cwe(result.code),
            5: encode.components(None, result.value),
            6: encode.text(result.unit),
            11: encode.text(result.status),
            14: encode.time(result.at),
        }
        self.add("OBX", fields)
