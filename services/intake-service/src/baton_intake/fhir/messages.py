"""From the facts of a FHIR message to what intake is asked: the referral, its keys, and every doubt on the
way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from baton_contracts.codes import Priority, RequestedDisposition
from baton_contracts.events import is_external_value
from baton_formats import facts, findings
from baton_formats.findings import Message, ReadResult
from baton_intake.domain import request as words
from baton_intake.domain.addresses import is_address
from baton_intake.domain.artifact import Finding
from baton_intake.domain.identity import is_strong
from baton_intake.domain.npi import is_npi
from baton_intake.fhir.text import Cleaner, as_system

_PATIENT = "Bundle.entry.resource.ofType(Patient)"
_REQUEST = "Bundle.entry.resource.ofType(ServiceRequest)"
_MOST = 50
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TAKEN_IN = ("new", "update", None)
"""What a message does to a referral so that, when we do not know it yet, it is taken in."""


class Unfit(Exception):
    """A message that cannot be taken: it is kept as refused. ``findings`` are the places and reasons."""

    def __init__(self, *, findings: tuple[Finding, ...], unreadable: bool = False) -> None:
        super().__init__("the message cannot be taken")
        self.findings = findings
        self.unreadable = unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A referral as a message asks for it: the key its sender gave it, its other names, the request."""

    source: words.ExternalKey
    names: tuple[words.ExternalKey, ...]
    request: words.ReferralRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What a message says to us. Without ``asked`` it is kept; ``names`` then say which referral it may be
    about.
    """

    trigger: str
    message_id: str
    findings: tuple[Finding, ...]
    asked: Asked | None = None
    names: tuple[words.ExternalKey, ...] = ()


def understand(result: ReadResult, *, sender: str, content_key: str) -> Understood:
    """What the body that was read asks of us; ``sender`` is the client, ``content_key`` the bytes' hash.

    Raises ``Unfit`` where the body is no message, names an unknown status or priority, or leaves open who
    the patient or the referrer is.
    """
    message = _message(result)
    cleaner = Cleaner()
    for doubt in _doubts(result.all_findings):
        cleaner.note(doubt.code, doubt.where, doubt.detail)
    referrals = [fact for fact in message.facts if isinstance(fact, facts.Referral)]
    taken = [referral for referral in referrals if referral.action in _TAKEN_IN]
    envelope = message.envelope
    message_id = (envelope.control_id if envelope else None) or ""
    asked: Asked | None = None
    names: tuple[words.ExternalKey, ...] = ()
    if taken:
        asked = _Reading(message, sender, cleaner).asked(taken[0], content_key=content_key)
        if len(referrals) > 1:
            cleaner.note(
                "further-referrals", "Bundle.entry", "Only the first referral of the message was taken in."
            )
        if taken[0].action == "update":
            cleaner.note(
                "update-as-new", _REQUEST, "An update of a referral that is not here is taken in as it is."
            )
    else:
        names = tuple(key for referral in referrals for key in _keys(referral, sender, cleaner))
        cleaner.note(
            "no-new-referral", "Bundle", "The message holds no new referral; it is kept for a person."
        )
    return Understood(
        trigger=cleaner.line(
            (envelope.event if envelope else None) or message.type, "MessageHeader.event", most=64
        ),
        message_id=message_id,
        findings=cleaner.findings,
        asked=asked,
        names=names,
    )


def _message(result: ReadResult) -> Message:
    if result.reason is not None or not result.messages:
        raise Unfit(findings=_refusing(result) or (_NO_MESSAGE,), unreadable=_is_unreadable(result))
    message = result.messages[0]
    if message.type != "Bundle/message" and (message.envelope is None or message.envelope.event is None):
        raise Unfit(findings=(_NO_MESSAGE,))
    if result.refusing:
        raise Unfit(findings=_refusing(result))
    if not any(fact.kind == "patient" or getattr(fact, "patient", None) for fact in message.facts):
        raise Unfit(findings=(_NO_PATIENT,))
    return message


def _is_unreadable(result: ReadResult) -> bool:
    return result.reason is not None and bool(result.findings)


def _refusing(result: ReadResult) -> tuple[Finding, ...]:
    return _doubts(result.refusing or result.all_findings)


def _doubts(found: Iterable[findings.Finding]) -> tuple[Finding, ...]:
    """The reader's doubts as we tell them: a name or value that no standard knows may be somebody's data."""
    return tuple(
        Finding(
            code=each.code,
            where=each.where.rpartition(".")[0] if each.code == "unknown-element" else each.where,
            detail=_QUOTED.sub("what was sent", each.detail),
        )
        for each in islice(found, 4 * _MOST)
    )


_NO_MESSAGE = Finding(
    code="no-message",
    where="Bundle.type",
    detail="Send a Bundle of type message that begins with a MessageHeader.",
)
_NO_PATIENT = Finding(
    code="no-patient",
    where=f"{_REQUEST}.subject",
    detail="Send the patient with a family name or a number of theirs.",
)
_NO_REFERRER = Finding(
    code="no-referrer",
    where=f"{_REQUEST}.requester",
    detail="Send who refers: an organization or a practitioner by name.",
)


class _Reading:
    """The reading of one message, with what it is allowed to fall back on."""

    def __init__(self, message: Message, sender: str, cleaner: Cleaner) -> None:
        self._message = message
        self._sender = sender
        self._clean = cleaner

    def asked(self, referral: facts.Referral, *, content_key: str) -> Asked:
        """The referral in our words."""
        keys = _keys(referral, self._sender, self._clean)
        source = keys[0] if keys else self._own_key(referral, content_key)
        return Asked(source=source, names=keys[1:], request=self._request(referral))

    def _own_key(self, referral: facts.Referral, content_key: str) -> words.ExternalKey:
        """A request without a number is known by its UUID, else by its very content: senders use ids like
        ``sr1`` for one request after another, and a referral twice is better than one that is taken for
        another.
        """
        self._clean.note("no-identifier", f"{_REQUEST}.identifier", "The request has no number of its own.")
        value = referral.id if referral.id and _UUID.fullmatch(referral.id) else content_key
        return words.ExternalKey(system=as_system(self._sender) or "client", value=value)

    def _request(self, referral: facts.Referral) -> words.ReferralRequest:
        clean = self._clean
        if len(referral.dispositions) > 1:
            clean.note("further-dispositions", _REQUEST, "Only the first requested disposition was taken.")
        return words.ReferralRequest(
            patient=self._patient(referral),
            referrer=self._referrer(referral),
            priority=referral.priority if referral.priority in set(Priority) else Priority.ROUTINE.value,
            specialty=self._coding(referral.specialty, f"{_REQUEST}.performerType"),
            reasons=tuple(
                coding
                for reason in referral.reasons[:_MOST]
                if (coding := self._coding(reason, f"{_REQUEST}.reasonCode")) is not None
            ),
            reason_text=clean.words(referral.reason_text, f"{_REQUEST}.reasonCode.text"),
            question=self._question(referral),
            requested_disposition=next(
                (d for d in referral.dispositions if d in set(RequestedDisposition)), ""
            ),
            coverage=tuple(self._coverage(coverage) for coverage in referral.coverage[:_MOST]),
            authored_at=_iso(referral.authored_at),
            expires_at=_iso(referral.expires_at),
        )

    def _question(self, referral: facts.Referral) -> str:
        said = [referral.question or "", *(note.text for note in referral.notes)]
        return self._clean.words("\n".join(filter(None, said)), f"{_REQUEST}.note")

    def _patient(self, referral: facts.Referral) -> words.Patient:
        patient = referral.patient
        if patient is None:
            raise Unfit(findings=(_NO_PATIENT,))
        main = patient.name
        name = self._name(main, f"{_PATIENT}.name")
        identifiers = self._identifiers(patient.identifiers, f"{_PATIENT}.identifier")
        if not name.family and not identifiers:
            raise Unfit(findings=(_NO_PATIENT,))
        others = [
            self._name(other, f"{_PATIENT}.name") for other in patient.names[:_MOST] if other is not main
        ]
        return words.Patient(
            name=name,
            other_names=tuple(dict.fromkeys(other for other in others if other.family and other != name)),
            identifiers=identifiers,
            birth_date=(patient.birth_date.date or "") if patient.birth_date else "",
            gender=patient.gender if patient.gender in ("male", "female", "other", "unknown") else "",
            telecom=self._telecom(patient.telecom, f"{_PATIENT}.telecom"),
            address=self._address(patient.addresses[0]) if patient.addresses else None,
        )

    def _name(self, name: facts.HumanName | None, where: str) -> words.HumanName:
        if name is None:
            return words.HumanName()
        given = tuple(filter(None, (self._clean.line(part, where) for part in name.given[:10])))
        return words.HumanName(family=self._clean.line(name.family or name.text, where), given=given)

    def _identifiers(
        self, identifiers: tuple[facts.Identifier, ...], where: str
    ) -> tuple[words.ExternalKey, ...]:
        keys = []
        for identifier in identifiers[:_MOST]:
            system = as_system(identifier.system or identifier.assigner or self._sender)
            value = self._clean.line(identifier.value, where)
            if system and value:
                keys.append(words.ExternalKey(system=system, value=value))
        return tuple(dict.fromkeys(keys))

    def _telecom(self, points: tuple[facts.ContactPoint, ...], where: str) -> tuple[words.ContactPoint, ...]:
        taken = []
        for point in points[:_MOST]:
            system, value = point.system or "", self._clean.line(point.value, where)
            if not value:
                continue
            if system not in _REACHABLE or not is_address(system, value):
                self._clean.note(
                    "unusable-address", where, "This is no address by which somebody can be reached."
                )
                continue
            taken.append(words.ContactPoint(system=system, value=value, use=point.use or ""))
        return tuple(dict.fromkeys(taken))

    def _address(self, address: facts.Address) -> words.Address | None:
        where = f"{_PATIENT}.address"
        lines = address.lines or ((address.text,) if address.text else ())
        said = words.Address(
            lines=tuple(filter(None, (self._clean.line(line, where) for line in lines[:10]))),
            city=self._clean.line(address.city, where),
            state=self._clean.line(address.state, where),
            postal_code=self._clean.line(address.postal_code, where),
            country=self._clean.line(address.country, where),
        )
        return said if said != words.Address() else None

    def _referrer(self, referral: facts.Referral) -> words.Referrer:
        party = referral.referrer or facts.Party()
        clinician = self._clinician(party)
        placer = referral.placer.value if referral.placer else None
        reference = placer if placer and is_external_value(placer) else ""
        return words.Referrer(office=self._office(party, clinician), clinician=clinician, reference=reference)

    def _office(self, party: facts.Party, clinician: words.Clinician | None) -> words.Office:
        """The organization, reached by its own, then the role's, then the practitioner's addresses."""
        organization = party.organization or facts.Organization()
        practitioner = party.practitioner or facts.Practitioner()
        envelope = self._message.envelope
        sender = envelope.sender if envelope else None
        person = " ".join((*clinician.name.given, clinician.name.family)).strip() if clinician else ""
        said = (organization.name, person, party.display, sender.name if sender else None)
        where = f"{_REQUEST}.requester"
        name = next((line for text in said if (line := self._clean.line(text, where))), "")
        if not name:
            raise Unfit(findings=(_NO_REFERRER,))
        numbers = organization.identifiers
        if not numbers and sender and sender.facility:
            numbers = (sender.facility,)
        return words.Office(
            name=name,
            identifiers=tuple(key for key in self._identifiers(numbers, where) if is_strong(key)),
            telecom=self._telecom(
                (*organization.telecom, *party.telecom, *practitioner.telecom), f"{where}.telecom"
            ),
        )

    def _clinician(self, party: facts.Party) -> words.Clinician | None:
        practitioner = party.practitioner
        if practitioner is None:
            return None
        names = practitioner.names
        name = self._name(names[0] if names else None, f"{_REQUEST}.requester")
        if name == words.HumanName():
            name = words.HumanName(family=self._clean.line(party.display, f"{_REQUEST}.requester"))
        npi = practitioner.npi or ""
        said = words.Clinician(npi=npi if is_npi(npi) else "", name=name)
        return said if said != words.Clinician() else None

    def _coding(self, concept: facts.Concept | None, where: str) -> words.Coding | None:
        coding = next((coding for coding in concept.codings if coding.code), None) if concept else None
        if concept is None or coding is None:
            return None
        return words.Coding(
            code=self._clean.line(coding.code, where, most=64),
            system=as_system(coding.system or ""),
            display=self._clean.line(coding.display or concept.text, where),
        )

    def _coverage(self, coverage: facts.Coverage) -> words.Coverage:
        where = "Bundle.entry.resource.ofType(Coverage)"
        payer = coverage.payer or facts.Organization()
        numbers = self._identifiers(payer.identifiers, where)
        return words.Coverage(
            payer=words.Payer(
                name=self._clean.line(payer.name, where), identifier=numbers[0] if numbers else None
            ),
            member_id=self._clean.line(coverage.member_id or coverage.subscriber_id, where),
            plan=self._clean.line(coverage.plan_name or coverage.plan, where),
        )


_REACHABLE = ("phone", "email", "fax", "sms", "url", "pager")


def _keys(referral: facts.Referral, sender: str, cleaner: Cleaner) -> tuple[words.ExternalKey, ...]:
    """Every key of the request that may be published, the sender's own number first.

    An identifier without a system takes its assigner's identifier, else the client.
    """
    ordered = (*((referral.placer,) if referral.placer else ()), *referral.identifiers[:_MOST])
    keys = []
    for identifier in ordered:
        system = as_system(identifier.system or identifier.assigner or sender)
        if system and identifier.value and is_external_value(identifier.value):
            keys.append(words.ExternalKey(system=system, value=identifier.value))
        else:
            cleaner.note(
                "identifier-unusable", f"{_REQUEST}.identifier", "This number cannot serve as a key."
            )
    return tuple(dict.fromkeys(keys))


def _iso(time: facts.PartialTime | None) -> str:
    return (time.iso or "") if time else ""
