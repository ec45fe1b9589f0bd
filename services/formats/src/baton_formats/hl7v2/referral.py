"""REF, RRI and orders (OMG^O19, OSU^O51, ORM^O01) as referrals."""

from __future__ import annotations

from dataclasses import replace

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import (
    Attachment,
    Concept,
    ContactPoint,
    Identifier,
    Location,
    Organization,
    Party,
    Period,
    Practitioner,
    Referral,
)
from baton_formats.findings import Format
from baton_formats.hl7v2 import datatypes
from baton_formats.hl7v2.grouping import order_groups
from baton_formats.hl7v2.observations import read_content
from baton_formats.hl7v2.parts import (
    coverage,
    diagnoses,
    notes,
    patient,
    priority,
    referring_party,
)
from baton_formats.hl7v2.segments import Cell, Segment
from baton_formats.hl7v2.view import Read, View, build, every, first, whole_text

PLACER = "PLAC"
FILLER = "FILL"
# HL7 table 0283 (RF1-1); what an answer or a changed referral with it does.
_ANSWERS = {"A": "accept", "R": "decline"}
_REFERRAL_ACTIONS = {"I12": "new", "I13": "update", "I14": "cancel", "I15": "query"}
_REFERRAL_STATES = {"P": "active", "A": "active"}
_STATE_WORDS = {"PENDING": "P", "ACCEPTED": "A", "REJECTED": "R", "DECLINED": "R", "EXPIRED": "E"}
# HL7 table 0282 (RF1-4).
_DISPOSITIONS = {
    "AM": "assume_management",
    "RP": "return_patient",
    "SO": "second_opinion",
    "WR": "written_report",
}
# HL7 table 0119 (ORC-1) and 0038 (ORC-5).
_ORDER_ACTIONS = {
    "NW": "new",
    "PA": "new",
    "CH": "new",
    "CA": "cancel",
    "DC": "cancel",
    "OC": "cancel",
    "OD": "cancel",
}
_ORDER_ACTIONS |= {
    "CR": "cancel",
    "DR": "cancel",
    "XO": "update",
    "XX": "update",
    "RP": "update",
    "RO": "update",
    "RU": "update",
}
_ORDER_ACTIONS |= {"OK": "accept", "UA": "decline"}
_ORDER_ANSWERS = {"IP": "accept", "CA": "decline"}
_ORDER_STATES = {
    "IP": "active",
    "A": "active",
    "SC": "active",
    "HD": "on-hold",
    "CM": "completed",
    "DC": "revoked",
    "CA": "revoked",
}


def _state(view: View) -> str | None:
    """RF1-1 as a code of table 0283, also where the sender wrote the word."""
    code = (view.text("RF1-1") or "").upper()
    return _STATE_WORDS.get(code, code) or None


def _referral_action(view: View, mapping: FieldMapping) -> str | None:
    """The event decides. In a changed referral (I13) and an answer (RRI) RF1-1 accepts or declines."""
    state = _state(view) or ""
    if view.code == "RRI" or view.event == "I13":
        answered = _ANSWERS.get(state)
        if answered and view.event != "I14":
            return answered
    if view.code == "RRI":
        return "cancel" if view.event == "I14" else "status"
    return _REFERRAL_ACTIONS.get(view.event)


def _referral_status(view: View, mapping: FieldMapping) -> str | None:
    state = _state(view)
    if view.event == "I14":
        if state in ("P", "A"):
            view.note(
                "status-contradicts-event",
                "RF1-1",
                "the event cancels the referral but the status field says it stands",
            )
        return "revoked"
    if state is not None and state not in ("P", "A", "R", "E"):
        view.note("status-unknown-code", "RF1-1", "the status is not in HL7 table 0283")
    return _REFERRAL_STATES.get(state or "")


def _typed(kind: str) -> Read:
    """A reader of the first EI of the declared places, marked as the placer's or filler's number."""

    def read(view: View, mapping: FieldMapping) -> Identifier | None:
        for place in (mapping.path, *mapping.also):
            for cell in view.cells(place):
                found = datatypes.ei(cell, view)
                if found:
                    return replace(found, type=kind)
        return None

    return read


def _answering_number(view: View, mapping: FieldMapping) -> Identifier | None:
    """RF1-11 is some other system's number; only in an answer is that the answering one."""
    return _typed(FILLER)(view, mapping) if view.code == "RRI" else None


def _referral_numbers(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    found: list[Identifier] = []
    kinds = {"RF1-6": PLACER, "ORC-2": PLACER, "OBR-2": PLACER, "ORC-3": FILLER, "OBR-3": FILLER}
    kinds |= {"RF1-11": FILLER} if view.code == "RRI" else {}
    for place in (mapping.path, *mapping.also):
        for cell in view.cells(place):
            number = datatypes.ei(cell, view)
            if number is None:
                continue
            typed = replace(number, type=kinds.get(place))
            if typed not in found:
                found.append(typed)
    if not found:
        view.note(
            "referral-id-missing",
            mapping.path,
            "the referral carries no number; it can be matched by patient and provider only",
        )
    return tuple(found)


def _dispositions(view: View, mapping: FieldMapping) -> tuple[str, ...]:
    codes = (cell.text(1) for cell in view.cells(mapping.path))
    return tuple(known for code in codes if code and (known := _DISPOSITIONS.get(code.upper())))


def _reasons(view: View, mapping: FieldMapping) -> tuple[Concept, ...]:
    asked = tuple(found for cell in view.cells("RF1-10") if (found := datatypes.cwe(cell, view)))
    return (*diagnoses(view, mapping), *(() if _declines(view) else asked))


def _declines(view: View) -> bool:
    return _state(view) == "R"


def _refusal_reason(view: View, mapping: FieldMapping) -> Concept | None:
    cell = view.cell("RF1-10") if _declines(view) else None
    return datatypes.cwe(cell, view) if cell else None


def _role(view: View, prd: Segment) -> Concept | None:
    cell = next(view.cells_of(prd, 1), None)
    return datatypes.cwe(cell, view) if cell else None


def _in_role(view: View, code: str) -> list[Segment]:
    """PRD segments whose PRD-1 (which repeats) names the role."""
    return [
        prd
        for prd in view.all("PRD")[:50]
        if any((c.text(1) or "").upper() == code for c in view.cells_of(prd, 1))
    ]


def provider(view: View, prd: Segment) -> Party:
    """A PRD as a party: PRD-2 name, PRD-7 numbers, the facility from PRD-10 or else from inside PRD-4."""

    def cell(number: int) -> Cell | None:
        return next(view.cells_of(prd, number), None)

    name = datatypes.xpn(at, view) if (at := cell(2)) else None
    numbers = tuple(found for c in view.cells_of(prd, 7) if (found := _provider_number(c, view)))
    npi = next(
        (
            datatypes.npi_of(n, c, view)
            for n, c in zip(numbers, view.cells_of(prd, 7), strict=False)
            if _calls_npi(n)
        ),
        None,
    )
    addresses = tuple(address for c in view.cells_of(prd, 3) if (address := datatypes.xad(c, view)))
    telecom = _points(view, prd, 5)
    person = Practitioner(
        identifiers=numbers, npi=npi, names=(name,) if name else (), telecom=telecom, addresses=addresses
    )
    return Party(
        practitioner=person if person != Practitioner() else None,
        organization=_facility(view, prd),
        role=_role(view, prd),
        location=_place(view, prd),
    )


def _points(view: View, prd: Segment, number: int) -> tuple[ContactPoint, ...]:
    return tuple(point for cell in view.cells_of(prd, number) for point in datatypes.xtn(cell, view))


def _provider_number(cell: Cell, view: View) -> Identifier | None:
    """PLN: number, type, state or other authority, expiry (HL7 v2.5.1 2A.52)."""
    value = cell.text(1)
    if value is None:
        return None
    return Identifier(
        value=value, type=cell.text(2), authority=cell.text(3), period=datatypes.period(None, cell.text(4))
    )


def _calls_npi(number: Identifier) -> bool:
    return (number.type or "").upper() == "NPI"


def _facility(view: View, prd: Segment) -> Organization | None:
    named = next((org for cell in view.cells_of(prd, 10) if (org := datatypes.xon(cell, view))), None)
    if named is None:
        location = next(view.cells_of(prd, 4), None)
        name = (location.part(4, 1) or location.text(9)) if location else None
        return Organization(name=name) if name else None
    addresses = tuple(found for cell in view.cells_of(prd, 11) if (found := datatypes.xad(cell, view)))
    return replace(named, addresses=addresses, telecom=_points(view, prd, 13))


def _place(view: View, prd: Segment) -> Location | None:
    cell = next(view.cells_of(prd, 4), None)
    return datatypes.pl(cell, view) if cell else None


def _referrer(view: View, mapping: FieldMapping) -> Party | None:
    """PRD RP wins over the visit's referring doctor (PV1-8), who is asked only if there is no PRD."""
    referring = _in_role(view, "RP")
    visiting = referring_party(view)
    if not referring:
        if visiting:
            view.note(
                "referrer-from-visit",
                "PV1-8",
                "no PRD names the referring provider; the visit's referring doctor was taken",
            )
        else:
            view.note("referrer-missing", "PRD-1", "nobody is named as the referring provider")
        return visiting
    party = provider(view, referring[0])
    if visiting and _family(visiting) and _family(party) and _family(visiting) != _family(party):
        view.note(
            "referrer-disagrees",
            "PV1-8",
            "the visit names another referring doctor than PRD, which was believed",
        )
    return party


def _family(party: Party) -> str:
    names = party.practitioner.names if party.practitioner else ()
    return (names[0].family or "").casefold() if names else ""


def _performers(view: View, mapping: FieldMapping) -> tuple[Party, ...]:
    return tuple(provider(view, prd) for prd in _in_role(view, "RT"))


def _authorizations(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    found = every(datatypes.ei)(view, mapping)
    if len({number.value for number in found}) > 1:
        view.note(
            "several-authorizations", "AUT-6", "the referral names several authorisations; all are kept"
        )
    return found


def _attachments(view: View, mapping: FieldMapping) -> tuple[Attachment, ...]:
    return read_content(view).attachments


def _wanted(view: View, mapping: FieldMapping) -> Period | None:
    start = next((found for place in ("TQ1-7", "OBR-27.4") if (found := view.text(place))), None)
    end = next((found for place in ("TQ1-8", "OBR-27.5") if (found := view.text(place))), None)
    return datatypes.period(start, end)


REFERRAL = MessageMapping(
    format=Format.HL7V2,
    message="REF^I12, REF^I13, REF^I14, REF^I15, RRI^I12, RRI^I13, RRI^I14, RRI^I15",
    fact="referral",
    source="HL7 v2.5.1 chapter 11; HL7 v2.8 11.8.1 for RF1-12 and later",
    notes=(
        "The event decides what happened; RF1-1 confirms it, and answers in RRI and in I13.",
        "PRD names referrer (RP) and specialist (RT); PV1-8 is asked only where no PRD does.",
    ),
    fields=(
        FieldMapping(
            "action",
            "what the message does",
            "MSH-9.2",
            ("RF1-1",),
            ("referral-segment-missing",),
            _referral_action,
        ),
        FieldMapping(
            "identifiers",
            "every number of the referral",
            "RF1-6",
            ("RF1-11", "ORC-2", "ORC-3", "OBR-2", "OBR-3"),
            ("referral-id-missing",),
            _referral_numbers,
        ),
        FieldMapping(
            "placer", "the referring side's number", "RF1-6", ("ORC-2", "OBR-2"), (), _typed(PLACER)
        ),
        FieldMapping(
            "filler", "the receiving side's number", "RF1-11", ("ORC-3", "OBR-3"), (), _answering_number
        ),
        FieldMapping(
            "status",
            "state of the request",
            "MSH-9.2",
            ("RF1-1",),
            ("status-contradicts-event", "status-unknown-code"),
            _referral_status,
        ),
        FieldMapping("status_code", "their word for it", "RF1-1", (), (), first(datatypes.cwe)),
        FieldMapping("status_reason", "why it was declined", "RF1-10", (), (), _refusal_reason),
        FieldMapping("priority", "urgency", "RF1-2", (), ("priority-unknown",), priority),
        FieldMapping("priority_code", "their code for it", "RF1-2", (), (), first(datatypes.cwe)),
        FieldMapping("categories", "kind of referral", "RF1-3", ("RF1-5",), (), every(datatypes.cwe)),
        FieldMapping("service", "what is asked for", "PR1-3", ("OBR-4",), (), first(datatypes.cwe)),
        FieldMapping(
            "reasons", "diagnoses, then the reason code", "DG1-3", ("DG1-4", "RF1-10"), (), _reasons
        ),
        FieldMapping("reason_text", "reason in words", "RF1-14", (), (), first(whole_text)),
        FieldMapping("question", "the referrer's comment", "RF1-24", (), (), first(whole_text)),
        FieldMapping("dispositions", "what the referrer wants back", "RF1-4", (), (), _dispositions),
        FieldMapping("disposition_codes", "their codes for it", "RF1-4", (), (), every(datatypes.cwe)),
        FieldMapping("patient", "the patient", "PID-3", ("PID-5", "PID-7"), ("patient-missing",), patient),
        FieldMapping(
            "referrer",
            "who refers",
            "PRD-2",
            ("PV1-8",),
            ("referrer-missing", "referrer-from-visit", "referrer-disagrees"),
            _referrer,
        ),
        FieldMapping("performers", "who is asked", "PRD-2", (), (), _performers),
        FieldMapping("coverage", "who pays", "IN1-2", (), (), coverage),
        FieldMapping(
            "authorizations",
            "payer's authorisations",
            "AUT-6",
            (),
            ("several-authorizations",),
            _authorizations,
        ),
        FieldMapping(
            "authored_at", "when it was processed", "RF1-9", (), ("time-unreadable",), first(datatypes.time)
        ),
        FieldMapping("effective_at", "valid from", "RF1-7", (), ("time-unreadable",), first(datatypes.time)),
        FieldMapping("expires_at", "valid until", "RF1-8", (), ("time-unreadable",), first(datatypes.time)),
        FieldMapping(
            "notes",
            "comments",
            "NTE-3",
            ("NTE-2",),
            ("note-in-source",),
            notes(
                "RF1",
                "PRD",
                "AUT",
                "PID",
                "PV1",
                "PV2",
                "MSH",
                "MSA",
                "DG1",
                "IN1",
                "IN2",
                "GT1",
                "NK1",
                "ACC",
            ),
        ),
        FieldMapping(
            "attachments", "embedded files", "OBX-5", (), ("content-missing", "base64-broken"), _attachments
        ),
    ),
)


def _order_control(view: View) -> tuple[str, str]:
    return (view.text("ORC-1") or "").upper(), (view.text("ORC-5") or "").upper()


def _order_action(view: View, mapping: FieldMapping) -> str | None:
    """ORC-1 decides; where it only carries a status (SC, SR), ORC-5 says accepted (IP) or declined (CA), as
    360X does.
    """
    control, state = _order_control(view)
    if control in _ORDER_ACTIONS:
        return _ORDER_ACTIONS[control]
    if control and control not in ("SC", "SR", "SN", "NA", "RE", "UC"):
        view.note("order-control-unknown", "ORC-1", "the order control is not one a referral uses")
    answered = _ORDER_ANSWERS.get(state) if view.code == "OSU" or control == "SC" else None
    return answered or ("new" if not control and view.code != "OSU" else "status")


def _order_status(view: View, mapping: FieldMapping) -> str | None:
    control, state = _order_control(view)
    if _ORDER_ACTIONS.get(control) == "cancel":
        return "revoked"
    if _order_action(view, mapping) == "decline":
        return None
    return _ORDER_STATES.get(state) or ("active" if control == "NW" else None)


def _ordering(view: View, mapping: FieldMapping) -> Party | None:
    """PRD, else ORC-12 or OBR-16 with the facility (ORC-21 to ORC-23), else PV1-8 with a finding."""
    referring = _in_role(view, "RP")
    if referring:
        return provider(view, referring[0])
    cell = view.cell("ORC-12") or view.cell("OBR-16")
    person = datatypes.xcn(cell, view) if cell else None
    office = next((found for at in view.cells("ORC-21") if (found := datatypes.xon(at, view))), None)
    if office:
        addresses = tuple(address for at in view.cells("ORC-22") if (address := datatypes.xad(at, view)))
        phones = tuple(point for at in view.cells("ORC-23") for point in datatypes.xtn(at, view))
        office = replace(office, addresses=addresses, telecom=phones)
    if person or office:
        phones = tuple(point for at in view.cells("ORC-14") for point in datatypes.xtn(at, view))
        return Party(practitioner=replace(person, telecom=phones) if person else None, organization=office)
    visiting = referring_party(view)
    if visiting:
        view.note(
            "referrer-from-visit",
            "PV1-8",
            "no ordering provider is named; the visit's referring doctor was taken",
        )
    return visiting


def _order_reasons(view: View, mapping: FieldMapping) -> tuple[Concept, ...]:
    asked = every(datatypes.cwe)(view, mapping)
    return (*asked, *(found for found in diagnoses(view, mapping) if found not in asked))


ORDER = MessageMapping(
    format=Format.HL7V2,
    message="OMG^O19, OSU^O51, ORM^O01",
    fact="referral",
    source="HL7 v2.5.1 chapter 4; IHE 360X PCC-55, PCC-56, PCC-58",
    notes=("One referral per ORC and OBR. Without PID (360X) the patient stands in the C-CDA beside it.",),
    fields=(
        FieldMapping(
            "action",
            "what the message does",
            "ORC-1",
            ("ORC-5",),
            ("order-control-unknown", "order-missing"),
            _order_action,
        ),
        FieldMapping(
            "identifiers",
            "every number of the referral",
            "ORC-2",
            ("ORC-3", "OBR-2", "OBR-3", "RF1-6", "RF1-11"),
            ("referral-id-missing",),
            _referral_numbers,
        ),
        FieldMapping(
            "placer", "the referring side's number", "ORC-2", ("OBR-2", "RF1-6"), (), _typed(PLACER)
        ),
        FieldMapping("filler", "the receiving side's number", "ORC-3", ("OBR-3",), (), _typed(FILLER)),
        FieldMapping("status", "state of the request", "ORC-1", ("ORC-5",), (), _order_status),
        FieldMapping("status_code", "their word for it", "ORC-5", (), (), first(datatypes.cwe)),
        FieldMapping(
            "status_reason", "why it was cancelled or declined", "ORC-16", (), (), first(datatypes.cwe)
        ),
        FieldMapping("priority", "urgency", "TQ1-9", ("OBR-5",), ("priority-unknown",), priority),
        FieldMapping("priority_code", "their code for it", "TQ1-9", ("OBR-5",), (), first(datatypes.cwe)),
        FieldMapping("service", "what is asked for", "OBR-4", (), (), first(datatypes.cwe)),
        FieldMapping("reasons", "reason, then diagnoses", "OBR-31", (), (), _order_reasons),
        FieldMapping("reason_text", "clinical information", "OBR-13", (), (), first(whole_text)),
        FieldMapping("patient", "the patient", "PID-3", ("PID-5", "PID-7"), (), patient),
        FieldMapping(
            "referrer",
            "who refers",
            "ORC-12",
            ("OBR-16", "ORC-21", "PRD-2", "PV1-8"),
            ("referrer-from-visit",),
            _ordering,
        ),
        FieldMapping("performers", "who is asked", "PRD-2", (), (), _performers),
        FieldMapping("coverage", "who pays", "IN1-2", (), (), coverage),
        FieldMapping(
            "authorizations",
            "payer's authorisations",
            "AUT-6",
            (),
            ("several-authorizations",),
            _authorizations,
        ),
        FieldMapping(
            "authored_at", "when it was ordered", "ORC-9", (), ("time-unreadable",), first(datatypes.time)
        ),
        FieldMapping("wanted", "when it is wanted", "TQ1-7", ("TQ1-8", "OBR-27.4", "OBR-27.5"), (), _wanted),
        FieldMapping(
            "notes",
            "comments",
            "NTE-3",
            ("NTE-2",),
            ("note-in-source",),
            notes("ORC", "OBR", "PID", "PV1", "PV2", "DG1"),
        ),
        FieldMapping(
            "attachments", "embedded files", "OBX-5", (), ("content-missing", "base64-broken"), _attachments
        ),
    ),
)


def read_referral(view: View) -> tuple[Referral, ...]:
    """The referral of a REF or RRI."""
    if view.first("RF1") is None:
        view.note(
            "referral-segment-missing",
            "RF1",
            "there is no RF1; the referral is known by its other segments only",
        )
    return (Referral(intent="order", **build(REFERRAL.fields, view)),)


def read_orders(view: View) -> tuple[Referral, ...]:
    """One referral per order of an OMG, OSU or ORM."""
    if view.first("ORC") is None and view.first("OBR") is None:
        view.note("order-missing", "ORC", "there is neither ORC nor OBR, so no order can be told")
        return ()
    return tuple(Referral(intent="order", **build(ORDER.fields, group)) for group in order_groups(view))
