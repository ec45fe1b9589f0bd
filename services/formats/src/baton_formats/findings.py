"""What a reader noticed, and how a body of bytes ended: accepted, accepted with findings, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from baton_formats.values import built_at_once

if TYPE_CHECKING:
    from baton_formats.facts import Fact, Identifier, PartialTime


class Format(StrEnum):
    """The family a body of bytes belongs to, by its content and never by its name."""

    HL7V2 = "hl7v2"
    FHIR = "fhir"
    CCDA = "ccda"
    XDM = "xdm"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How reading ended. Nothing else exists: no exception, no silence."""

    ACCEPTED = "accepted"
    ACCEPTED_WITH_FINDINGS = "accepted_with_findings"
    REFUSED = "refused"


@built_at_once
@dataclass(frozen=True, slots=True)
class Finding:
    """One doubt, with a code a program can act on.

    ``code`` is kebab-case and stable; ``where`` is a place in the notation of the format
    (``PID[1]-7``, ``Bundle.entry[3].resource.subject``, ``/ClinicalDocument/recordTarget[1]``,
    ``line 4 column 7``); ``detail`` is a sentence for a person and never repeats a patient's
    name, number or text.
    ``refusing`` marks what a door that must protect (an unknown status, an unknown priority) refuses for;
    the reader itself goes on.
    """

    code: str
    where: str
    detail: str
    refusing: bool = False


@built_at_once
@dataclass(frozen=True, slots=True)
class Endpoint:
    """A sending or receiving system as the message names it: application, facility, address.

    The address is an identifier of a partner, never something to dial.
    """

    application: Identifier | None = None
    facility: Identifier | None = None
    name: str | None = None
    address: str | None = None
    software: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Envelope:
    """What the message says about itself: MSH, MessageHeader, the head of a ClinicalDocument.

    ``control_id`` is MSH-10 or MessageHeader.id / Bundle.id and is no key without the sender.
    ``charset`` is the character set that was used to read the bytes, ``declared_charset`` the one claimed.
    ``accept_ack`` and ``application_ack`` are MSH-15 and MSH-16.
    """

    control_id: str | None = None
    event: str | None = None
    structure: str | None = None
    version: str | None = None
    profile: str | None = None
    profiles: tuple[str, ...] = ()
    sender: Endpoint | None = None
    receivers: tuple[Endpoint, ...] = ()
    sent_at: PartialTime | None = None
    processing_mode: str | None = None
    accept_ack: str | None = None
    application_ack: str | None = None
    charset: str | None = None
    declared_charset: str | None = None
    separators: str | None = None
    responds_to: str | None = None
    response_code: str | None = None


@built_at_once
@dataclass(frozen=True, slots=True)
class Message:
    """One message, document or resource of a body.

    ``type`` is how people of the format call it: ``REF^I12``, ``Bundle/message``, ``ServiceRequest``,
    ``ClinicalDocument``. ``segments`` counts HL7 v2 segments read (MSH included), ``entries`` counts the
    resources of a Bundle, the sections of a document or the members of an archive.
    """

    type: str
    segments: int | None = None
    entries: int | None = None
    envelope: Envelope | None = None
    facts: tuple[Fact, ...] = ()
    findings: tuple[Finding, ...] = ()


@built_at_once
@dataclass(frozen=True, slots=True)
class ReadResult:
    """What a body of bytes turned out to be.

    ``reason`` is set exactly when the body is refused: one plain sentence for a person. ``findings`` concern
    the body as a whole (batch counts, junk before the first message), those of a message stand in it.
    A body may be refused and still carry messages: what could be read is kept for a person to look at.
    """

    format: Format
    messages: tuple[Message, ...] = ()
    findings: tuple[Finding, ...] = ()
    reason: str | None = None

    @property
    def outcome(self) -> Outcome:
        """Refused when there is a reason, else accepted, with findings if anything was found."""
        if self.reason is not None:
            return Outcome.REFUSED
        if self.findings or any(message.findings for message in self.messages):
            return Outcome.ACCEPTED_WITH_FINDINGS
        return Outcome.ACCEPTED

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Findings of the body, then of each message, in order."""
        return self.findings + tuple(f for message in self.messages for f in message.findings)

    @property
    def refusing(self) -> tuple[Finding, ...]:
        """The findings a protecting door refuses for."""
        return tuple(finding for finding in self.all_findings if finding.refusing)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts of all messages, in order."""
        return tuple(fact for message in self.messages for fact in message.facts)


def refused(format_: Format, reason: str, *, findings: tuple[Finding, ...] = ()) -> ReadResult:
    """A body that is no message of ``format_``, or that cannot be told apart from damage."""
    return ReadResult(format=format_, reason=reason, findings=findings)
