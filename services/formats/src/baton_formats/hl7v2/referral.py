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
    Patient,
    Period,
    Practitioner,
    Referral,
)
from baton_formats.findings import Format
from baton_formats.hl7v2 import datatypes
from baton_formats.hl7v2.grouping import order_groups
from baton_formats.hl7v2.observations import read_content
from baton_formats.hl7v2.parts import (
    PATIENT_INSTRUCTION,
    QUESTION,
    comments,
    coverage,
    diagnoses,
    notes,
    patient,
    priority,
    priority_code,
    referring_party,
)
from baton_formats.hl7v2.segments import Cell, Segment
from baton_formats.hl7v2.view import Read, View, build, every, first, place_of, whole_text

PLACER = "PLAC"
FILLER = "FILL"
# HL7 table 0283 (RF1-1); what an answer or a changed referral with it does.
_ANSWERS = {"A": "accept", "R": "decline"}
_REFERRAL_ACTIONS = {"I12": "new", "I13": "update", "I14": "cancel", "I15": "query"}
_REFERRAL_STATES = {"P": "active", "A": "active"}
_STATE_WORDS = {"PENDING": "P", "ACCEPTED": "A", "REJECTED": "R", "DECLINED": "R", "EXPIRED": "E"}
# HL7 table 0336 (RF1-10): why a referral is made, never why its state changed.
_WHY_REFERRED = frozenset(("S", "P", "O", "W"))
# HL7 table 0286 (PRD-1), and IR of later versions.
PROVIDER_ROLES = frozenset(("RP", "RT", "PP", "CP", "IR"))
_ROLE_WORDS = {
    "REFERRING PROVIDER": "RP",
    "REFERRED TO PROVIDER": "RT",
    "PRIMARY CARE PROVIDER": "PP",
    "CONSULTING PROVIDER": "CP",
    "INTENDED RECIPIENT": "IR",
}
_ASKED = ("RT", "IR", "CP")
_MAX_PROVIDERS = 50
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
    return _known_state(view.text("RF1-1"))


def state_of(code: Concept | None) -> str | None:
    """The code of table 0283 that a status code is or spells out, as RF1-1 is read."""
    return _known_state(code.code if code else None)


def _known_state(code: str | None) -> str | None:
    said = (code or "").upper()
    return _STATE_WORDS.get(said, said) or None


def order_states(status: str | None) -> frozenset[str]:
    """The codes of ORC-5 that are read as this status of the request."""
    return frozenset(code for code, known in _ORDER_STATES.items() if known == status)


def _once(read: Read) -> Read:
    """The same reader, run once for all orders of a message that see the same segments."""

    def read_once(view: View, mapping: FieldMapping) -> object:
        holder = view.holder(place_of(mapping.path).segment)
        key = f"{mapping.target} {mapping.path}"
        if key not in holder.memo:
            holder.memo[key] = read(holder, mapping)
        return holder.memo[key]

    return read_once


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
            for found in datatypes.numbers(view, place, kind):
                return found
        return None

    return read


def _answering_number(view: View, mapping: FieldMapping) -> Identifier | None:
    """RF1-11 is some other system's number; only in an answer is that the answering one."""
    return _typed(FILLER)(view, mapping) if view.code == "RRI" else None


def _referral_numbers(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    kinds = {"RF1-6": PLACER, "ORC-2": PLACER, "OBR-2": PLACER, "ORC-3": FILLER, "OBR-3": FILLER}
    kinds |= {"RF1-11": FILLER} if view.code == "RRI" else {}
    found: dict[Identifier, None] = {}
    for place in (mapping.path, *mapping.also):
        found |= _numbers_at(view, place, kinds.get(place))
    if not found:
        view.note(
            "referral-id-missing",
            mapping.path,
            "the referral carries no number; it can be matched by patient and provider only",
        )
    return tuple(found)


def _numbers_at(view: View, place: str, kind: str | None) -> dict[Identifier, None]:
    """The numbers of one field, read once for all orders behind it."""

    def read(holder: View) -> dict[Identifier, None]:
        numbers = [number for cell in holder.cells(place) if (number := datatypes.ei(cell, holder))]
        # Further external numbers of an answer are those of other systems.
        typed = (numbers[:1] if place == "RF1-11" else numbers) if kind else []
        known = dict.fromkeys(replace(number, type=kind) for number in typed)
        return known | dict.fromkeys(numbers[len(typed) :])

    return view.once(place_of(place).segment, f"numbers {place}", read)


def _dispositions(view: View, mapping: FieldMapping) -> tuple[str, ...]:
    codes = (cell.text(1) for cell in view.cells(mapping.path))
    return tuple(known for code in codes if code and (known := _DISPOSITIONS.get(code.upper())))


def says_why_referred(reason: Concept | None) -> bool:
    """Whether a reason is one of HL7 table 0336: why the referral was made, whatever became of it."""
    codings = reason.codings if reason else ()
    return any(
        (coding.code or "").upper() in _WHY_REFERRED and coding.system in (None, "HL70336", "0336")
        for coding in codings
    )


_Reasons = tuple[tuple[Concept, ...], tuple[Concept, ...]]


def _told_reasons(view: View) -> _Reasons:
    """:func:`_sorted_reasons`, read once."""
    if "reasons" not in view.memo:
        view.memo["reasons"] = _sorted_reasons(view)
    told: _Reasons = view.memo["reasons"]
    return told


def _sorted_reasons(view: View) -> _Reasons:
    """RF1-10 as why the referral ended, and as why it was made.

    The standard has one field for both. A refusal says why it refuses; a cancelled or expired referral says
    why it ended, unless the code is of table 0336; any other repeats why it was made.
    """
    found = tuple(concept for cell in view.cells("RF1-10") if (concept := datatypes.cwe(cell, view)))
    if not found:
        return (), ()
    state = _state(view)
    if state == "R":
        return found, ()
    if state != "E" and view.event != "I14":
        return (), found
    ended = tuple(concept for concept in found if not says_why_referred(concept))
    return ended, tuple(concept for concept in found if says_why_referred(concept))


def _reasons(view: View, mapping: FieldMapping) -> tuple[Concept, ...]:
    return tuple(dict.fromkeys((*diagnoses(view, mapping), *_told_reasons(view)[1])))


def _status_reason(view: View, mapping: FieldMapping) -> Concept | None:
    """RF1-10 of what ended, else ORC-16, the field for it wherever an order control is named."""
    cells = view.cells("ORC-16")
    given = (*_told_reasons(view)[0], *(found for cell in cells if (found := datatypes.cwe(cell, view))))
    if len(set(given)) > 1:
        view.note("several-status-reasons", mapping.path, "several reasons are given; the first one is kept")
    return given[0] if given else None


def _roles(view: View, prd: Segment) -> list[str]:
    """The roles of table 0286 in PRD-1, also where the sender wrote the words."""
    said = [(cell.text(at) or "").upper() for cell in view.cells_of(prd, 1) for at in (1, 2)]
    known = (word if word in PROVIDER_ROLES else _ROLE_WORDS.get(word) for word in said)
    return [role for role in dict.fromkeys(known) if role]


def _role(view: View, prd: Segment, part: str) -> Concept | None:
    """PRD-1: the sender's own role where it is none of the table, else the one that is meant."""
    named = [role for cell in view.cells_of(prd, 1) if (role := datatypes.cwe(cell, view))]
    ranked = sorted(named, key=lambda role: _rank((role.code or "").upper(), part))
    return ranked[0] if ranked else None


def _rank(code: str, part: str) -> int:
    return 0 if code not in PROVIDER_ROLES else 1 if code == part else 2


def providers(view: View) -> dict[str, tuple[Party, ...]]:
    """The parties of all PRD by their role (HL7 table 0286), read once for a message.

    Who is named in several roles stands in each; who is asked (RT, IR, CP) only in the first of these.
    """
    if "providers" not in view.shared:
        view.shared["providers"] = _read_providers(view)
    known: dict[str, tuple[Party, ...]] = view.shared["providers"]
    return known


def _read_providers(view: View) -> dict[str, tuple[Party, ...]]:
    found: dict[str, dict[Party, None]] = {}
    segments = view.all("PRD")
    if len(segments) > _MAX_PROVIDERS:
        place = segments[_MAX_PROVIDERS].place(1)
        view.note("too-many-providers", place, f"only the first {_MAX_PROVIDERS} providers were read")
    for prd in segments[:_MAX_PROVIDERS]:
        for role in _parts_played(view, prd):
            found.setdefault(role, {})[provider(view, prd, role)] = None
    return {role: tuple(parties) for role, parties in found.items()}


def _parts_played(view: View, prd: Segment) -> list[str]:
    roles = _roles(view, prd)
    if not roles:
        view.note(
            "provider-role-unknown",
            prd.place(1),
            "the role is none of HL7 table 0286, so nobody can tell what part the provider plays",
        )
    asked = [role for role in _ASKED if role in roles][:1]
    if asked == ["CP"]:
        view.note(
            "provider-role-doubtful", prd.place(1), "a consulting provider is taken for one who is asked"
        )
    return [role for role in roles if role not in _ASKED] + asked


def provider(view: View, prd: Segment, part: str) -> Party:
    """A PRD as the party that plays ``part``: PRD-2 names, PRD-7 numbers, the facility from PRD-10 or else
    from inside PRD-4.
    """
    names = tuple(name for cell in view.cells_of(prd, 2) if (name := datatypes.xpn(cell, view)))
    numbered = [(n, cell) for cell in view.cells_of(prd, 7) if (n := _provider_number(cell, view))]
    numbers = tuple(number for number, _ in numbered)
    npi = next((datatypes.npi_of(n, cell, view) for n, cell in numbered if _calls_npi(n)), None)
    addresses = tuple(address for c in view.cells_of(prd, 3) if (address := datatypes.xad(c, view)))
    telecom = _points(view, prd, 5)
    person = Practitioner(identifiers=numbers, npi=npi, names=names, telecom=telecom, addresses=addresses)
    return Party(
        practitioner=person if person != Practitioner() else None,
        organization=_facility(view, prd),
        role=_role(view, prd, part),
        location=_place(view, prd),
    )


def _points(view: View, prd: Segment, number: int) -> tuple[ContactPoint, ...]:
    return tuple(point for cell in view.cells_of(prd, number) for point in datatypes.xtn(cell, view))


def _provider_number(cell: Cell, view: View) -> Identifier | None:
    """PLN: number, type, state or other authority, expiry (HL7 v2.5.1 2A.52). A URI is told from a name."""
    value, issuer = cell.text(1), cell.text(3)
    if value is None:
        return None
    a_uri = issuer is not None and (issuer.startswith("urn:") or "://" in issuer)
    return Identifier(
        value=value,
        type=cell.text(2),
        system=issuer if a_uri else None,
        authority=None if a_uri else issuer,
        period=datatypes.period(None, cell.text(4)),
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
    referring = _referring(view)
    visiting = referring_party(view)
    if referring is None:
        if visiting:
            view.note(
                "referrer-from-visit",
                "PV1-8",
                "no PRD names the referring provider; the visit's referring doctor was taken",
            )
        else:
            view.note("referrer-missing", "PRD-1", "nobody is named as the referring provider")
        return visiting
    family = _family(visiting) if visiting else ""
    if family and _family(referring) not in ("", family):
        view.note(
            "referrer-disagrees",
            "PV1-8",
            "the visit names another referring doctor than PRD, which was believed",
        )
    return referring


def _referring(view: View) -> Party | None:
    """The first PRD RP; a referral has room for no other."""
    named = providers(view).get("RP", ())
    if len(named) > 1:
        view.note(
            "several-referrers",
            "PRD-1",
            "several providers are named as the referring one; the first was taken",
        )
    return named[0] if named else None


def _family(party: Party) -> str:
    names = party.practitioner.names if party.practitioner else ()
    return (names[0].family or "").casefold() if names else ""


def _performers(view: View, mapping: FieldMapping) -> tuple[Party, ...]:
    named = providers(view)
    return tuple(party for role in _ASKED for party in named.get(role, ()))


def _patient(view: View, mapping: FieldMapping) -> Patient | None:
    """The patient, whose own doctors may stand in PRD PP beside PD1-4."""
    found, doctors = patient(view, mapping), providers(view).get("PP", ())
    if not doctors:
        return found
    if found is None:
        view.note("provider-not-used", "PRD-1", "a primary care provider is named but no patient")
        return None
    if "referred" not in view.shared:
        known = dict.fromkeys((*found.general_practitioners, *doctors))
        view.shared["referred"] = replace(found, general_practitioners=tuple(known))
    with_doctors: Patient = view.shared["referred"]
    return with_doctors


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
    """TQ1, else the timing of the versions before it, in ORC-7 or OBR-27."""
    starts, ends = ("TQ1-7", "ORC-7.4", "OBR-27.4"), ("TQ1-8", "ORC-7.5", "OBR-27.5")
    start = next((found for place in starts if (found := view.text(place))), None)
    end = next((found for place in ends if (found := view.text(place))), None)
    return datatypes.period(start, end)


def _question(*owners: str) -> Read:
    """A reader of RF1-24 and of comments that are called a question."""
    commented = comments(QUESTION, *owners)

    def read(view: View, mapping: FieldMapping) -> str | None:
        asked = first(whole_text)(view, mapping)
        return "\n".join((*((asked,) if asked else ()), *commented(view, mapping))) or None

    return read


# The segments whose notes belong to the referral.
_NOTED = (
    "MSH",
    "SFT",
    "UAC",
    "MSA",
    "ERR",
    "RF1",
    "PRD",
    "AUT",
    "PID",
    "PD1",
    "PV1",
    "PV2",
    "DG1",
    "IN1",
    "IN2",
    "GT1",
    "NK1",
    "ACC",
)
_ORDER_NOTED = ("ORC", "OBR", *_NOTED)
_APART = (PATIENT_INSTRUCTION, QUESTION)


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
        FieldMapping(
            "status_reason",
            "why it was declined, was cancelled or expired; ORC-16 for any other state",
            "RF1-10",
            ("ORC-16",),
            ("several-status-reasons",),
            _status_reason,
        ),
        FieldMapping("priority", "urgency", "RF1-2", (), ("priority-unknown",), priority),
        FieldMapping("priority_code", "their code for it", "RF1-2", (), (), first(datatypes.cwe)),
        FieldMapping("categories", "kind of referral", "RF1-3", ("RF1-5",), (), every(datatypes.cwe)),
        FieldMapping("service", "what is asked for", "PR1-3", ("OBR-4",), (), first(datatypes.cwe)),
        FieldMapping(
            "reasons", "diagnoses, then why it was made", "DG1-3", ("DG1-4", "RF1-10"), (), _reasons
        ),
        FieldMapping("reason_text", "reason in words", "RF1-14", (), (), first(whole_text)),
        FieldMapping(
            "question",
            "the referrer's comment, a comment of type QUESTION",
            "RF1-24",
            (),
            (),
            _question(*_NOTED),
        ),
        FieldMapping("dispositions", "what the referrer wants back", "RF1-4", (), (), _dispositions),
        FieldMapping("disposition_codes", "their codes for it", "RF1-4", (), (), every(datatypes.cwe)),
        FieldMapping(
            "patient",
            "the patient; primary care providers (PRD PP) among the general practitioners",
            "PID-3",
            ("PID-5", "PID-7", "PRD-2"),
            ("patient-missing", "provider-not-used"),
            _patient,
        ),
        FieldMapping(
            "referrer",
            "who refers (PRD RP)",
            "PRD-2",
            ("PV1-8",),
            ("referrer-missing", "referrer-from-visit", "referrer-disagrees", "several-referrers"),
            _referrer,
        ),
        FieldMapping(
            "performers",
            "who is asked (PRD RT, then IR, then CP)",
            "PRD-2",
            (),
            ("provider-role-unknown", "provider-role-doubtful", "too-many-providers"),
            _performers,
        ),
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
            notes(*_NOTED, apart=_APART),
        ),
        FieldMapping(
            "patient_instructions",
            "comments for the patient (NTE-4 PI)",
            "NTE-3",
            (),
            (),
            comments(PATIENT_INSTRUCTION, *_NOTED),
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
    referring = _referring(view)
    if referring:
        return referring
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
    return tuple(dict.fromkeys((*every(datatypes.cwe)(view, mapping), *diagnoses(view, mapping))))


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
        FieldMapping(
            "priority", "urgency", "TQ1-9", ("OBR-5", "ORC-7.6", "OBR-27.6"), ("priority-unknown",), priority
        ),
        FieldMapping(
            "priority_code", "their code for it", "TQ1-9", ("OBR-5", "ORC-7.6", "OBR-27.6"), (), priority_code
        ),
        FieldMapping("categories", "kind of referral", "RF1-3", ("RF1-5",), (), _once(every(datatypes.cwe))),
        FieldMapping("dispositions", "what the referrer wants back", "RF1-4", (), (), _once(_dispositions)),
        FieldMapping("disposition_codes", "their codes for it", "RF1-4", (), (), _once(every(datatypes.cwe))),
        FieldMapping("service", "what is asked for", "OBR-4", (), (), first(datatypes.cwe)),
        FieldMapping("reasons", "reason, then diagnoses", "OBR-31", (), (), _order_reasons),
        FieldMapping("reason_text", "clinical information", "OBR-13", ("RF1-14",), (), first(whole_text)),
        FieldMapping("question", "a comment of type QUESTION", "RF1-24", (), (), _question(*_ORDER_NOTED)),
        FieldMapping(
            "patient",
            "the patient; primary care providers (PRD PP) among the general practitioners",
            "PID-3",
            ("PID-5", "PID-7", "PRD-2"),
            ("provider-not-used",),
            _patient,
        ),
        FieldMapping(
            "referrer",
            "who refers",
            "ORC-12",
            ("OBR-16", "ORC-21", "PRD-2", "PV1-8"),
            ("referrer-from-visit", "several-referrers"),
            _ordering,
        ),
        FieldMapping(
            "performers",
            "who is asked (PRD RT, then IR, then CP)",
            "PRD-2",
            (),
            ("provider-role-unknown", "provider-role-doubtful", "too-many-providers"),
            _performers,
        ),
        FieldMapping("coverage", "who pays", "IN1-2", (), (), coverage),
        FieldMapping(
            "authorizations",
            "payer's authorisations",
            "AUT-6",
            (),
            ("several-authorizations",),
            _once(_authorizations),
        ),
        FieldMapping(
            "authored_at", "when it was ordered", "ORC-9", (), ("time-unreadable",), first(datatypes.time)
        ),
        FieldMapping("effective_at", "valid from", "RF1-7", (), ("time-unreadable",), first(datatypes.time)),
        FieldMapping("expires_at", "valid until", "RF1-8", (), ("time-unreadable",), first(datatypes.time)),
        FieldMapping(
            "wanted",
            "when it is wanted",
            "TQ1-7",
            ("TQ1-8", "ORC-7.4", "ORC-7.5", "OBR-27.4", "OBR-27.5"),
            (),
            _wanted,
        ),
        FieldMapping(
            "notes",
            "comments",
            "NTE-3",
            ("NTE-2",),
            ("note-in-source",),
            notes(*_ORDER_NOTED, apart=_APART),
        ),
        FieldMapping(
            "patient_instructions",
            "comments for the patient (NTE-4 PI)",
            "NTE-3",
            (),
            (),
            comments(PATIENT_INSTRUCTION, *_ORDER_NOTED),
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
