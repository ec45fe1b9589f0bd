"""What the native doors show, as their OpenAPI describes it. The words come from ``published``."""

from __future__ import annotations

from baton_chassis.doors import View


class SourceView(View):
    """The key under which the sender knows it."""

    system: str
    id: str


class IdentifierView(View):
    """A number with its system."""

    system: str
    value: str


class CodingView(View):
    """One code."""

    system: str
    code: str
    display: str


class NameView(View):
    """A person's name."""

    family: str
    given: list[str]


class ContactView(View):
    """One way to reach somebody."""

    system: str
    value: str
    use: str


class AddressView(View):
    """A postal address."""

    lines: list[str]
    city: str
    state: str
    postal_code: str
    country: str


class PatientView(View):
    """The person who is referred."""

    identifiers: list[IdentifierView]
    name: NameView
    other_names: list[NameView]
    birth_date: str
    gender: str
    telecom: list[ContactView]
    address: AddressView | None


class OfficeView(View):
    """The referring office as the request named it."""

    name: str
    identifiers: list[IdentifierView]
    telecom: list[ContactView]


class ClinicianView(View):
    """The referring clinician."""

    npi: str
    name: NameView


class ReferrerView(View):
    """Who refers."""

    office: OfficeView
    clinician: ClinicianView | None
    reference: str


class PayerView(View):
    """Who pays."""

    name: str
    identifier: IdentifierView | None


class CoverageView(View):
    """One insurance."""

    payer: PayerView
    member_id: str
    plan: str


class HoldView(View):
    """What work waits for."""

    reason: str
    since: str
    until: str | None


class AppointmentView(View):
    """An appointment as its owner told of it."""

    id: str
    kind: str
    status: str
    start: str | None
    end: str | None


class CompletenessView(View):
    """How much of what is wanted the request brought along: 0 to 100, and what is missing."""

    score: int
    missing: list[str]


class RemarkView(View):
    """Words that came with a verb."""

    event: str
    at: str
    by: str
    text: str


class LinksView(View):
    """Where to go on."""

    actions: str
    timeline: str


class ReferralView(View):
    """A referral: where it stands, and what was asked."""

    id: str
    version: int
    stage: str
    state: str
    hold: HoldView | None
    reason: str | None
    duplicate_of: str | None
    redirected_to: str | None
    office_id: str
    patient_id: str
    source: SourceView
    external_ids: list[IdentifierView]
    received_at: str
    updated_at: str
    completeness: CompletenessView
    priority: str
    specialty: CodingView | None
    reasons: list[CodingView]
    reason_text: str
    question: str
    requested_disposition: str | None
    patient: PatientView
    referrer: ReferrerView
    coverage: list[CoverageView]
    authored_at: str | None
    expires_at: str | None
    next_appointment: AppointmentView | None
    last_appointment: AppointmentView | None
    no_show_count: int
    ack: str | None
    remarks: list[RemarkView]
    flags: list[str]
    links: LinksView


class ReferralPage(View):
    """One page of referrals; ``next`` goes back as ``after``."""

    items: list[ReferralView]
    next: str | None


class ActionView(View):
    """Something this caller may do now: how, where, and with which reasons."""

    name: str
    method: str
    href: str
    reasons: list[str]


class ActionsView(View):
    """What this caller may do now."""

    actions: list[ActionView]


class FindingView(View):
    """One doubt about what was sent."""

    code: str
    where: str
    detail: str


class SuggestionView(View):
    """A referral that the artifact may belong to."""

    referral_id: str
    score: float


class ArtifactView(View):
    """What another system sent, and what became of it."""

    id: str
    version: int
    format: str
    trigger: str
    media_type: str
    size: int
    sha256: str
    sender: str
    received_at: str
    status: str
    referral_id: str | None
    findings: list[FindingView]
    suggestions: list[SuggestionView]


class ArtifactPage(View):
    """One page of artifacts; ``next`` goes back as ``after``."""

    items: list[ArtifactView]
    next: str | None
