"""Plain facts: what every reader produces and every writer takes, whatever format they came in.

Every field may be missing, because the world leaves everything out. Nothing here is guessed: what a sender
did not say is ``None`` or an empty tuple, and what could not be read is kept as text beside a finding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import ClassVar

from baton_formats.values import built_at_once

_ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_PRECISIONS = ("year", "month", "day", "hour", "minute", "second", "fraction")


@built_at_once
@dataclass(frozen=True, slots=True)
class PartialTime:
    """A date or time exactly as precise as it was given, with its offset only if one was given.

    ``iso`` is ISO 8601 cut to the given precision: ``1963``, ``1974-11-24``, ``2018-06-23T09``,
    ``2021-09-24T09:30+02:15``, ``2021-10-15T12:51:12.625Z``. If the text could not be read, ``iso`` is None
    and ``text`` keeps it. Build one with :mod:`baton_formats.times`.
    """

    iso: str | None = None
    text: str | None = None

    @property
    def precision(self) -> str | None:
        """year, month, day, hour, minute, second or fraction; None if unreadable."""
        match = _ISO.fullmatch(self.iso) if self.iso else None
        if match is None:
            return None
        return _PRECISIONS[sum(part is not None for part in match.groups()[:7]) - 1]

    @property
    def offset_minutes(self) -> int | None:
        """Minutes east of UTC, or None if the sender gave no offset."""
        match = _ISO.fullmatch(self.iso) if self.iso else None
        zone = match.group(8) if match else None
        if zone is None:
            return None
        if zone == "Z":
            return 0
        minutes = int(zone[1:3]) * 60 + int(zone[4:6])
        return -minutes if zone[0] == "-" else minutes

    @property
    def date(self) -> str | None:
        """The calendar part, as precise as given (``1963``, ``1963-06``, ``1963-06-12``)."""
        return self.iso[:10] if self.iso else None

    def instant(self, *, default_offset_minutes: int | None = None) -> datetime | None:
        """The moment, aware; None unless at least the hour and an offset (given or defaulted) are known."""
        match = _ISO.fullmatch(self.iso) if self.iso and len(self.iso) > 10 else None
        if match is None or match.group(4) is None:
            return None
        offset = self.offset_minutes if match.group(8) else default_offset_minutes
        if offset is None:
            return None
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        micros = int(((match.group(7) or "") + "000000")[:6])
        zone = timezone(timedelta(minutes=offset))
        return datetime(year, month, day, hour, minute, min(second, 59), micros, tzinfo=zone)


@built_at_once
@dataclass(frozen=True, slots=True)
class Text:
    """Words of any length, kept as UTF-8; ``str(text)`` reads them.

    A str takes up to four bytes for every character as soon as one of them is an emoji: a narrative of five
    megabytes would take twenty. In UTF-8 it stays as large as it came.
    """

    utf8: bytes

    @classmethod
    def of(cls, words: str) -> Text:
        """These words; lone surrogates, which no encoding can carry, become question marks."""
        return cls(words.encode("utf-8", "replace"))

    def __str__(self) -> str:
        return self.utf8.decode("utf-8", "replace")

    def __bool__(self) -> bool:
        return bool(self.utf8)


@built_at_once
@dataclass(frozen=True, slots=True)
class Period:
    """A span with either end open."""

    start: PartialTime | None = None
    end: PartialTime | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Coding:
    """One code of one system. HL7 v2 table names and FHIR URIs both stand in ``system`` as they came."""

    code: str | None = None
    system: str | None = None
    display: str | None = None
    version: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Concept:
    """One meaning in one or more codings and, or only, words (CodeableConcept, CWE, CD)."""

    codings: tuple[Coding, ...] = ()
    text: str | None = None

    @property
    def code(self) -> str | None:
        """The first code given."""
        for coding in self.codings:
            if coding.code:
                return coding.code
        return None

    @property
    def label(self) -> str | None:
        """Words for a person: the text, else the first display, else the first code."""
        displays = (coding.display for coding in self.codings if coding.display)
        return self.text or next(displays, None) or self.code


@built_at_once
@dataclass(frozen=True, slots=True)
class Identifier:
    """A number with the namespace it lives in.

    ``system`` is a URI (``urn:oid:`` for OIDs); ``authority`` is a name without a URI (an HL7 v2 namespace id
    such as ``EPIC``, the display of a FHIR assigner); ``type`` is a code of HL7 table 0203 (``MR``, ``NPI``,
    ``PLAC``, ``FILL``) as it came. ``assigner`` is the assigner's own identifier, ``system|value``.
    """

    value: str | None = None
    system: str | None = None
    authority: str | None = None
    type: str | None = None
    use: str | None = None
    assigner: str | None = None
    period: Period | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class HumanName:
    """A name as given; ``use`` in usual, official, temp, nickname, anonymous, old, maiden.

    ``partner_family`` is the partner's surname of HL7 v2 FN.5 (``EVERYMAN&&&&Aniston``). ``extensions`` are
    what a FHIR sender added to the name or to its parts (``family``, ``given[1]``).
    """

    family: str | None = None
    given: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    use: str | None = None
    text: str | None = None
    partner_family: str | None = None
    period: Period | None = None
    extensions: tuple[Extension, ...] = ()


@built_at_once
@dataclass(frozen=True, slots=True)
class ContactPoint:
    """``system`` in phone, fax, email, pager, url, sms, other; ``use`` in home, work, temp, old, mobile."""

    system: str | None = None
    value: str | None = None
    use: str | None = None
    period: Period | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; ``text`` only where the sender gave no parts."""

    lines: tuple[str, ...] = ()
    city: str | None = None
    district: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    use: str | None = None
    text: str | None = None
    period: Period | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Link:
    """A pointer to another thing as the sender wrote it: a reference, or only its identifier or display.

    ``resolved`` is True if the thing stands in the same body, False if it was looked for and is not there,
    None if the format has nothing to look in.
    """

    reference: str | None = None
    kind: str | None = None
    identifier: Identifier | None = None
    display: str | None = None
    resolved: bool | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Extension:
    """Something a sender added beyond the standard, kept as it came.

    ``element`` is the element it stands on (``gender`` for FHIR ``_gender``, ``given[1]`` in a list), empty
    for the thing itself.
    ``type`` is the FHIR type after ``value`` (``Code``, ``Reference``), ``value`` its text, or JSON where the
    type is not primitive, with every digit. For HL7 v2, ``url`` is the name of a Z segment and ``value`` its
    text. ``modifier`` says that it may turn the meaning of the thing round (FHIR ``modifierExtension``): it
    must never be passed on as one that does not.
    """

    url: str
    element: str = ""
    type: str | None = None
    value: str | None = None
    extensions: tuple[Extension, ...] = ()
    modifier: bool = False


@built_at_once
@dataclass(frozen=True, slots=True)
class Attachment:
    """Bytes that travelled inside a message, or the note that they did not.

    ``content`` is None if the sender sent none or they could not be decoded (a finding says so); ``url`` is
    what it pointed at and is never fetched; ``sha256`` is the hex hash of ``content``, ``size`` its length.
    ``declared_hash`` is the base64 SHA-1 a FHIR sender claimed.
    """

    media_type: str | None = None
    content: bytes | None = None
    title: str | None = None
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    language: str | None = None
    created: PartialTime | None = None
    declared_hash: str | None = None
    id: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Signature:
    """Whether a document was authenticated: ``status`` in signed, unsigned, unknown.

    ``code`` is the sender's own word (TXA-17, Composition.attester.mode, legalAuthenticator signatureCode).
    """

    status: str = "unknown"
    by: Practitioner | None = None
    at: PartialTime | None = None
    code: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Patient:
    """The person a message is about. ``gender`` in male, female, other, unknown.

    ``cleared`` names the fields the sender explicitly emptied (HL7 v2 ``""``): delete, not unchanged. A part
    of a field stands behind a dot: ``telecom.home``, ``identifiers.SS``, ``names.given``, ``addresses.city``.
    """

    kind: ClassVar[str] = "patient"
    identifiers: tuple[Identifier, ...] = ()
    names: tuple[HumanName, ...] = ()
    birth_date: PartialTime | None = None
    gender: str | None = None
    telecom: tuple[ContactPoint, ...] = ()
    addresses: tuple[Address, ...] = ()
    deceased: bool | None = None
    deceased_at: PartialTime | None = None
    active: bool | None = None
    language: str | None = None
    marital_status: Concept | None = None
    general_practitioners: tuple[Party, ...] = ()
    managing_organization: Organization | None = None
    replaced_by: tuple[Link, ...] = ()
    cleared: tuple[str, ...] = ()
    id: str | None = None
    version: str | None = None
    extensions: tuple[Extension, ...] = ()

    @property
    def name(self) -> HumanName | None:
        """The name to call them by: official or usual before unmarked, before old and maiden ones."""
        order = {"official": 0, "usual": 1, None: 2, "temp": 3, "nickname": 4, "anonymous": 5}
        ranked = sorted(self.names, key=lambda n: (_ended(n.period), order.get(n.use, 6)))
        return ranked[0] if ranked else None


@built_at_once
@dataclass(frozen=True, slots=True)
class Practitioner:
    """A clinician. ``npi`` only if its check digit holds; the number as sent stays in ``identifiers``."""

    kind: ClassVar[str] = "practitioner"
    identifiers: tuple[Identifier, ...] = ()
    npi: str | None = None
    names: tuple[HumanName, ...] = ()
    telecom: tuple[ContactPoint, ...] = ()
    addresses: tuple[Address, ...] = ()
    specialties: tuple[Concept, ...] = ()
    roles: tuple[Concept, ...] = ()
    gender: str | None = None
    birth_date: PartialTime | None = None
    active: bool | None = None
    id: str | None = None
    version: str | None = None
    extensions: tuple[Extension, ...] = ()


@built_at_once
@dataclass(frozen=True, slots=True)
class Organization:
    """An office, hospital, payer or department. ``npi`` only with a good check digit."""

    kind: ClassVar[str] = "organization"
    identifiers: tuple[Identifier, ...] = ()
    npi: str | None = None
    name: str | None = None
    types: tuple[Concept, ...] = ()
    telecom: tuple[ContactPoint, ...] = ()
    addresses: tuple[Address, ...] = ()
    part_of: Link | None = None
    active: bool | None = None
    id: str | None = None
    version: str | None = None
    extensions: tuple[Extension, ...] = ()


@built_at_once
@dataclass(frozen=True, slots=True)
class Location:
    """A place: a room, a building, a ward."""

    kind: ClassVar[str] = "location"
    identifiers: tuple[Identifier, ...] = ()
    name: str | None = None
    description: str | None = None
    telecom: tuple[ContactPoint, ...] = ()
    address: Address | None = None
    organization: Organization | None = None
    id: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Party:
    """Who plays a part: a clinician, the office they act for, or both, with their own reference number.

    ``display`` is what the sender called them; ``link`` the pointer as it came; ``role`` the part they play
    (PRD-1, participant type, PractitionerRole.code).
    """

    practitioner: Practitioner | None = None
    organization: Organization | None = None
    role: Concept | None = None
    reference: Identifier | None = None
    telecom: tuple[ContactPoint, ...] = ()
    specialties: tuple[Concept, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    location: Location | None = None
    link: Link | None = None
    display: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Coverage:
    """Who pays: payer, member number, plan (IN1, Coverage, the payers section)."""

    kind: ClassVar[str] = "coverage"
    identifiers: tuple[Identifier, ...] = ()
    status: str | None = None
    type: Concept | None = None
    payer: Organization | None = None
    member_id: str | None = None
    subscriber_id: str | None = None
    group: str | None = None
    plan: str | None = None
    plan_name: str | None = None
    relationship: Concept | None = None
    period: Period | None = None
    beneficiary: Link | None = None
    id: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Note:
    """Free text with its author and time where given."""

    text: str
    author: str | None = None
    at: PartialTime | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Section:
    """One titled part of a document; ``text`` is plain text made safe, never markup."""

    title: str | None = None
    code: Concept | None = None
    text: Text | None = None
    template_ids: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()


@built_at_once
@dataclass(frozen=True, slots=True)
class Referral:
    """One referral: what is asked, for whom, by whom, of whom.

    ``action`` is what the message does: new, update, cancel, query, accept, decline, status.
    ``status`` is the request's own state in FHIR words (draft, active, on-hold, revoked, completed,
    entered-in-error, unknown); ``status_code`` is the sender's own (RF1-1, ORC-5, e-RS state).
    ``priority`` in routine, urgent, asap, stat. ``dispositions`` in assume_management, return_patient,
    second_opinion, written_report (HL7 table 0282).
    ``identifiers`` keep every number with its namespace; ``placer`` and ``filler`` are the sender's and the
    receiver's number where the sender said which is which (RF1-6, ORC-2/ORC-3, type PLAC/FILL).
    """

    kind: ClassVar[str] = "referral"
    action: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    placer: Identifier | None = None
    filler: Identifier | None = None
    status: str | None = None
    status_code: Concept | None = None
    status_reason: Concept | None = None
    intent: str | None = None
    priority: str | None = None
    priority_code: Concept | None = None
    categories: tuple[Concept, ...] = ()
    service: Concept | None = None
    specialty: Concept | None = None
    reasons: tuple[Concept, ...] = ()
    reason_text: str | None = None
    question: str | None = None
    dispositions: tuple[str, ...] = ()
    disposition_codes: tuple[Concept, ...] = ()
    patient: Patient | None = None
    patient_link: Link | None = None
    referrer: Party | None = None
    performers: tuple[Party, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    authorizations: tuple[Identifier, ...] = ()
    authored_at: PartialTime | None = None
    effective_at: PartialTime | None = None
    expires_at: PartialTime | None = None
    wanted: Period | None = None
    notes: tuple[Note, ...] = ()
    patient_instructions: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    supporting: tuple[Link, ...] = ()
    based_on: tuple[Link, ...] = ()
    replaces: tuple[Link, ...] = ()
    encounter: Link | None = None
    id: str | None = None
    version: str | None = None
    extensions: tuple[Extension, ...] = ()


@built_at_once
@dataclass(frozen=True, slots=True)
class TaskValue:
    """One input or output of a Task: a link, words, a code, a time or a file, whichever the sender chose.

    What is none of these is kept as it came: ``value_type`` is the FHIR type after ``value`` (``Quantity``,
    ``Boolean``), ``value`` its text, or JSON where the type is not primitive, with every digit.
    """

    type: Concept | None = None
    link: Link | None = None
    text: str | None = None
    concept: Concept | None = None
    at: PartialTime | None = None
    attachment: Attachment | None = None
    identifier: Identifier | None = None
    value_type: str | None = None
    value: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Task:
    """The tracking of one request. ``status`` and ``business_status`` are two axes and may disagree."""

    kind: ClassVar[str] = "task"
    identifiers: tuple[Identifier, ...] = ()
    placer: Identifier | None = None
    filler: Identifier | None = None
    status: str | None = None
    business_status: Concept | None = None
    status_reason: Concept | None = None
    intent: str | None = None
    priority: str | None = None
    code: Concept | None = None
    description: str | None = None
    reason: Concept | None = None
    focus: Link | None = None
    based_on: tuple[Link, ...] = ()
    part_of: tuple[Link, ...] = ()
    patient: Patient | None = None
    patient_link: Link | None = None
    requester: Party | None = None
    owner: Party | None = None
    authored_at: PartialTime | None = None
    modified_at: PartialTime | None = None
    period: Period | None = None
    due: Period | None = None
    inputs: tuple[TaskValue, ...] = ()
    outputs: tuple[TaskValue, ...] = ()
    notes: tuple[Note, ...] = ()
    encounter: Link | None = None
    id: str | None = None
    version: str | None = None
    extensions: tuple[Extension, ...] = ()


@built_at_once
@dataclass(frozen=True, slots=True)
class Participant:
    """One who takes part in an appointment. ``status`` in accepted, declined, tentative, needs-action."""

    role: Concept | None = None
    party: Party | None = None
    patient: Patient | None = None
    location: Location | None = None
    status: str | None = None
    required: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Appointment:
    """One booking and what just happened to it.

    ``action`` is the event: booked, rescheduled, modified, cancelled, discontinued, deleted, no_show,
    arrived, completed, status. ``status`` is in FHIR words (proposed, pending, booked, arrived, fulfilled,
    cancelled, noshow, entered-in-error, checked-in, waitlist); the event decides it, ``status_code`` keeps
    the sender's word.
    ``referrals`` are the numbers of the referral it belongs to (SCH-26/27, basedOn).
    """

    kind: ClassVar[str] = "appointment"
    action: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    placer: Identifier | None = None
    filler: Identifier | None = None
    status: str | None = None
    status_code: Concept | None = None
    reason: Concept | None = None
    cancellation_reason: Concept | None = None
    type: Concept | None = None
    services: tuple[Concept, ...] = ()
    specialties: tuple[Concept, ...] = ()
    start: PartialTime | None = None
    end: PartialTime | None = None
    duration_minutes: int | None = None
    patient: Patient | None = None
    patient_link: Link | None = None
    clinicians: tuple[Party, ...] = ()
    location: Location | None = None
    participants: tuple[Participant, ...] = ()
    referrer: Party | None = None
    referrals: tuple[Identifier, ...] = ()
    based_on: tuple[Link, ...] = ()
    slots: tuple[Link, ...] = ()
    priority: str | None = None
    description: str | None = None
    notes: tuple[Note, ...] = ()
    patient_instructions: tuple[str, ...] = ()
    created_at: PartialTime | None = None
    id: str | None = None
    version: str | None = None
    extensions: tuple[Extension, ...] = ()


@built_at_once
@dataclass(frozen=True, slots=True)
class Arrival:
    """A patient registered or came for a visit (ADT^A04, A01, Encounter), or that was undone (A11).

    ``action`` in arrived, admitted, cancelled, finished, status.
    """

    kind: ClassVar[str] = "arrival"
    action: str | None = None
    patient: Patient | None = None
    patient_link: Link | None = None
    visit: tuple[Identifier, ...] = ()
    status: str | None = None
    visit_class: Concept | None = None
    location: Location | None = None
    attending: tuple[Party, ...] = ()
    referring: tuple[Party, ...] = ()
    consulting: tuple[Party, ...] = ()
    at: PartialTime | None = None
    ended_at: PartialTime | None = None
    reasons: tuple[Concept, ...] = ()
    referrals: tuple[Identifier, ...] = ()
    appointments: tuple[Link, ...] = ()
    id: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class PatientChange:
    """A change to the identity of a patient: ``action`` in add, update, merge, delete.

    For a merge, ``replaced`` holds the identifiers that no longer stand for anyone (MRG-1, Patient.link).
    """

    kind: ClassVar[str] = "patient_change"
    action: str | None = None
    patient: Patient | None = None
    replaced: tuple[Identifier, ...] = ()
    replaced_names: tuple[HumanName, ...] = ()
    at: PartialTime | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Document:
    """A note, report or letter.

    ``action`` is the event: new, notice, status, addendum, edit, replace, cancel.
    ``status`` in interim, final, addendum, corrected, retracted, unknown. ``relation`` says what it does to
    ``parents``: replaces, appends, transforms. ``availability`` is TXA-19 or DocumentReference.status.
    """

    kind: ClassVar[str] = "document"
    action: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    set_id: Identifier | None = None
    version_number: str | None = None
    parents: tuple[Identifier, ...] = ()
    relation: str | None = None
    type: Concept | None = None
    categories: tuple[Concept, ...] = ()
    title: str | None = None
    status: str | None = None
    status_code: Concept | None = None
    availability: str | None = None
    signature: Signature | None = None
    written_at: PartialTime | None = None
    patient: Patient | None = None
    patient_link: Link | None = None
    authors: tuple[Party, ...] = ()
    custodian: Organization | None = None
    recipients: tuple[Party, ...] = ()
    referrer: Party | None = None
    referrals: tuple[Identifier, ...] = ()
    based_on: tuple[Link, ...] = ()
    visit: tuple[Identifier, ...] = ()
    visit_period: Period | None = None
    event: tuple[Concept, ...] = ()
    sections: tuple[Section, ...] = ()
    text: Text | None = None
    attachments: tuple[Attachment, ...] = ()
    observations: tuple[Observation, ...] = ()
    confidentiality: str | None = None
    template_ids: tuple[str, ...] = ()
    language: str | None = None
    id: str | None = None
    version: str | None = None
    extensions: tuple[Extension, ...] = ()


@built_at_once
@dataclass(frozen=True, slots=True)
class Observation:
    """One result line or coded entry of a document: what, its value as sent, its unit.

    ``category`` in result, allergy, condition, medication, procedure, or None where nobody said.
    """

    code: Concept | None = None
    value: str | None = None
    unit: str | None = None
    status: str | None = None
    at: PartialTime | None = None
    category: str | None = None
    id: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Communication:
    """A question, an answer or another message between offices about a referral."""

    kind: ClassVar[str] = "communication"
    identifiers: tuple[Identifier, ...] = ()
    status: str | None = None
    status_reason: Concept | None = None
    categories: tuple[Concept, ...] = ()
    priority: str | None = None
    topic: Concept | None = None
    reasons: tuple[Concept, ...] = ()
    patient: Patient | None = None
    patient_link: Link | None = None
    sender: Party | None = None
    recipients: tuple[Party, ...] = ()
    about: tuple[Link, ...] = ()
    based_on: tuple[Link, ...] = ()
    in_response_to: tuple[Link, ...] = ()
    sent_at: PartialTime | None = None
    received_at: PartialTime | None = None
    text: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    request: bool = False
    id: str | None = None
    version: str | None = None
    extensions: tuple[Extension, ...] = ()


@built_at_once
@dataclass(frozen=True, slots=True)
class Issue:
    """One complaint of a peer: severity, code, place, words (ERR, OperationOutcome.issue)."""

    severity: str | None = None
    code: str | None = None
    where: str | None = None
    detail: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A peer's answer to a message of ours: MSA and ERR, MessageHeader.response, OperationOutcome.

    ``code`` as sent (AA, AE, AR, CA, CE, CR; ok, transient-error, fatal-error); ``acknowledges`` is the id of
    the message it answers.
    """

    kind: ClassVar[str] = "acknowledgement"
    code: str | None = None
    acknowledges: str | None = None
    text: str | None = None
    issues: tuple[Issue, ...] = ()
    id: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Slot:
    """An opening a partner offers or holds."""

    kind: ClassVar[str] = "slot"
    identifiers: tuple[Identifier, ...] = ()
    status: str | None = None
    start: PartialTime | None = None
    end: PartialTime | None = None
    services: tuple[Concept, ...] = ()
    schedule: Link | None = None
    id: str | None = None


Fact = (
    Referral
    | Task
    | Appointment
    | Arrival
    | PatientChange
    | Document
    | Patient
    | Practitioner
    | Organization
    | Location
    | Coverage
    | Communication
    | Acknowledgement
    | Slot
)

FACT_TYPES: tuple[type[Fact], ...] = (
    Referral,
    Task,
    Appointment,
    Arrival,
    PatientChange,
    Document,
    Patient,
    Practitioner,
    Organization,
    Location,
    Coverage,
    Communication,
    Acknowledgement,
    Slot,
)


def _ended(period: Period | None) -> bool:
    return period is not None and period.end is not None


_DOUBLED = {"0": 0, "1": 2, "2": 4, "3": 6, "4": 8, "5": 1, "6": 3, "7": 5, "8": 7, "9": 9}
"""The digits of twice a digit, added up."""


def npi_is_valid(value: str) -> bool:
    """Ten digits whose Luhn check digit holds with the prefix 80840 (45 CFR 162.406; CMS NPI standard)."""
    if len(value) != 10 or not (value.isascii() and value.isdigit()):
        return False
    total = 24  # the Luhn sum of the constant prefix 80840
    for digit in value[::2]:
        total += _DOUBLED[digit]
    for digit in value[1::2]:
        total += ord(digit) - 48
    return total % 10 == 0
