"""From what happened here to the events of line `request`: ids, codes, times, the office; nothing of the
patient.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from baton_chassis.commands import Outgoing
from baton_contracts import events as contract
from baton_contracts.events import is_external_value
from baton_contracts.topics import REFERRAL_EVENTS
from baton_intake.domain import request as words
from baton_intake.domain.events import Act, ReferralAccepted, ReferralDeclined, ReferralReceived, RequestEvent
from baton_intake.domain.identity import is_strong
from baton_intake.domain.referral import Referral
from baton_intake.published.representation import card_reference

_SYSTEM = re.compile(r"[!-~]{1,256}")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-.+/]{0,63}")
_OFFICE_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,256}")
_SUBJECT = re.compile(r"[!-~]{1,128}")


def outgoing(event: RequestEvent, referral: Referral) -> Outgoing:
    """The published form of one event of a referral."""
    told = _TELL[type(event)](event, referral)
    return Outgoing(
        type=told.type.value,
        topic=REFERRAL_EVENTS,
        source=told.stream,
        subject=referral.id,
        key=referral.id,
        data=told.body(),
        occurred_at=event.act.at,
        dataschema=contract.schema_uri(told.type),
    )


def _received(event: ReferralReceived, referral: Referral) -> contract.Event:
    request = referral.request
    return contract.ReferralReceived(
        **_common(event.act, referral),
        external_ids=_keys(referral.names[1:]),
        source=_key(referral.source),
        office=_office(request.referrer.office),
        office_reference=request.referrer.reference or None,
        clinician=_clinician(request.referrer.clinician),
        priority=request.priority,
        specialty=_coding(request.specialty),
        requested_disposition=request.requested_disposition or None,
        authored_at=_moment(request.authored_at),
        expires_at=_moment(request.expires_at),
        dataref=card_reference(referral),
    )


def _accepted(event: ReferralAccepted, referral: Referral) -> contract.Event:
    return contract.ReferralAccepted(**_common(event.act, referral))


def _declined(event: ReferralDeclined, referral: Referral) -> contract.Event:
    to = event.redirected_to
    return contract.ReferralDeclined(**_common(event.act, referral), redirected_to=_key(to) if to else None)


_TELL: Mapping[type[RequestEvent], Callable[[Any, Referral], contract.Event]] = {
    ReferralReceived: _received,
    ReferralAccepted: _accepted,
    ReferralDeclined: _declined,
}


def _common(act: Act, referral: Referral) -> dict[str, Any]:
    actor = act.actor if _SUBJECT.fullmatch(act.actor) else None
    return {
        "referral_id": referral.id,
        "patient_id": referral.patient_id,
        "office_id": referral.office_id,
        "actor": contract.Actor(kind=act.by, id=actor),
        "assertion": act.assertion,
        "reason": act.reason,
        "occurred_at": act.at,
    }


def _key(key: words.ExternalKey) -> contract.ExternalId:
    return contract.ExternalId(system=key.system, value=key.value)


def _keys(keys: tuple[words.ExternalKey, ...]) -> tuple[contract.ExternalId, ...]:
    return tuple(_key(key) for key in keys if _SYSTEM.fullmatch(key.system) and is_external_value(key.value))


def _office(office: words.Office) -> contract.OfficeIdentity:
    return contract.OfficeIdentity(
        name=office.name,
        identifiers=_keys(tuple(key for key in office.identifiers if is_strong(key))),
        telecom=tuple(
            contract.ContactRoute(system=point.system, value=point.value)
            for point in office.telecom
            if _CODE.fullmatch(point.system) and _OFFICE_TEXT.fullmatch(point.value)
        ),
    )


def _clinician(clinician: words.Clinician | None) -> contract.Clinician | None:
    if clinician is None:
        return None
    npi = contract.ExternalId(system=words.NPI_SYSTEM, value=clinician.npi) if clinician.npi else None
    name = " ".join((*clinician.name.given, clinician.name.family)).strip()
    return contract.Clinician(identifier=npi, name=name if _OFFICE_TEXT.fullmatch(name) else None)


def _coding(coding: words.Coding | None) -> contract.Coding | None:
    if coding is None or not _SYSTEM.fullmatch(coding.system) or not _CODE.fullmatch(coding.code):
        return None
    return contract.Coding(system=coding.system, code=coding.code)


def _moment(text: str) -> datetime | None:
    """The moment, where the text is precise enough to be one: events carry no half times."""
    if "T" not in text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo is not None else None
