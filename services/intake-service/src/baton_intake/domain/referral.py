"""A referral: the request as it came, and where it stands by what every line has said about it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

from baton_contracts.lifecycle import Fact, Lines, Position, RefusalCode, Verb, actions, reasons, refusal
from baton_intake.domain.completeness import Completeness, completeness
from baton_intake.domain.events import Act, ReferralAccepted, ReferralDeclined, ReferralReceived, RequestEvent
from baton_intake.domain.identity import is_reachable
from baton_intake.domain.request import ExternalKey, Patient, ReferralRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Words that came with a verb, for people; never part of an event."""

    event: str
    at: datetime
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The patient as whoever delivers a note may fetch it. ``salt`` keeps the published hash from telling
    anything.
    """

    version: int
    salt: str

    def content(self, patient: Patient) -> bytes:
        """The card's exact bytes: JSON with name, birth date, sex and record numbers."""
        card = {
            "name": {"family": patient.name.family, "given": list(patient.name.given)},
            "birth_date": patient.birth_date,
            "sex": patient.gender,
            "record_numbers": [{"system": key.system, "value": key.value} for key in patient.identifiers],
            "salt": self.salt,
        }
        return json.dumps(card, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    def sha256(self, patient: Patient) -> str:
        """The hash by which a fetched card is checked."""
        return hashlib.sha256(self.content(patient)).hexdigest()


OFFICE_UNREACHABLE = "office_unreachable"
"""Flag: the office left no route by which it can be told anything in writing."""

RECORD_NUMBER_CONFLICT = "record_number_conflict"
"""Flag: a record number of this patient already stands for somebody with another name or birth date."""


class NotNow(Exception):
    """The referral stands where this cannot be asked."""

    code = "illegal-transition"

    def __init__(self, why: str) -> None:
        self.detail = (
            f"{why[:1].upper()}{why[1:]}. Read the referral's actions: they say what is possible now."
        )
        super().__init__(self.detail)


class ReasonRefused(Exception):
    """The verb needs a published reason, or this is not one of its own."""

    code = "validation-failed"
    pointer = "/reason"

    def __init__(self, why: str) -> None:
        self.detail = f"{why[:1].upper()}{why[1:]}. The referral's actions list the reasons that fit."
        super().__init__(self.detail)


_ABOUT_THE_REASON = (RefusalCode.REASON_REQUIRED, RefusalCode.UNKNOWN_REASON)


@dataclass(slots=True, kw_only=True)
class Referral:
    """One referral. ``names`` are all keys it is known by, the sender's own (``source``) first."""

    id: str
    patient_id: str
    office_id: str
    source: ExternalKey
    names: tuple[ExternalKey, ...]
    request: ReferralRequest
    card: Card
    received_at: datetime
    updated_at: datetime
    lines: Lines = field(default_factory=Lines)
    own_flags: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    version: int = 0
    events: list[RequestEvent] = field(default_factory=list)

    @classmethod
    def received(
        cls,
        *,
        id: str,
        patient_id: str,
        office_id: str,
        source: ExternalKey,
        names: tuple[ExternalKey, ...],
        request: ReferralRequest,
        card: Card,
        act: Act,
        at: datetime,
        number_conflict: bool,
    ) -> Referral:
        """A referral as it arrives at ``at`` (recorded) by ``act`` (in the world)."""
        flags = {
            OFFICE_UNREACHABLE: not is_reachable(request.referrer.office),
            RECORD_NUMBER_CONFLICT: number_conflict,
        }
        referral = cls(
            id=id,
            patient_id=patient_id,
            office_id=office_id,
            source=source,
            names=tuple(dict.fromkeys((source, *names))),
            request=request,
            card=card,
            received_at=at,
            updated_at=at,
            own_flags=tuple(flag for flag, raised in flags.items() if raised),
        )
        referral._record(ReferralReceived(act=act), at=at)
        return referral

    @property
    def position(self) -> Position:
        """Where it stands, by what is known here now."""
        return self.lines.position

    @property
    def flags(self) -> tuple[str, ...]:
        """What a person should look at."""
        return (*self.own_flags, *(flag.value for flag in self.position.flags))

    @property
    def completeness(self) -> Completeness:
        """How much of what is wanted the request brought along."""
        return completeness(self.request)

    @property
    def actions(self) -> tuple[Verb, ...]:
        """What may be asked of it now by our own side."""
        return actions(self.position)

    def accept(self, act: Act, *, at: datetime) -> None:
        """We take it."""
        self._permit(Verb.ACCEPT, act)
        self._record(ReferralAccepted(act=act), at=at)

    def decline(self, act: Act, *, redirected_to: ExternalKey | None, at: datetime) -> None:
        """We do not take it; the act carries a published reason."""
        self._permit(Verb.DECLINE, act)
        self._record(ReferralDeclined(act=act, redirected_to=redirected_to), at=at)

    def hear(self, fact: Fact, *, at: datetime) -> None:
        """What another line said. It is never refused; what cannot be changes nothing."""
        self.lines = self.lines.after(fact)
        self.updated_at = max(self.updated_at, at)

    def _permit(self, verb: Verb, act: Act) -> None:
        no = refusal(self.position, verb, reason=act.reason)
        if no is not None:
            raise (ReasonRefused if no.code in _ABOUT_THE_REASON else NotNow)(no.detail)
        if act.reason is not None and act.reason not in reasons(verb):
            raise ReasonRefused(f"{verb} takes no reason")

    def _record(self, event: RequestEvent, *, at: datetime) -> None:
        self.lines = self.lines.after(event.fact())
        self.updated_at = max(self.updated_at, at)
        self.events.append(event)
        if event.act.text:
            remark = Remark(event=event.type.value, at=event.act.at, by=event.act.actor, text=event.act.text)
            self.remarks = (*self.remarks, remark)
