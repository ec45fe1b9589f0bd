"""What intake can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from baton_chassis.commands import Command
from baton_intake.domain.artifact import Finding, Received
from baton_intake.domain.request import ExternalKey, ReferralRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindKey:
    """One record number made unreadable with the practice's key: ``number`` alone, and with the person it
    names.
    """

    number: str
    person: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveReferral(Command):
    """Take in a referral. ``source`` is the key its sender gave it: the same key again is the same referral.

    ``names`` are all other keys it is known by; ``record_keys`` tell whether the patient is one we know.
    """

    location: ClassVar[str] = "/v1/referrals/{id}"

    source: ExternalKey
    names: tuple[ExternalKey, ...] = ()
    request: ReferralRequest
    record_keys: tuple[BlindKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralCommand(Command):
    """Do something to a referral. ``text`` is for people and stays sealed; ``occurred_at`` None means now."""

    location: ClassVar[str] = "/v1/referrals/{id}"

    reason: str | None = None
    text: str = ""
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptReferral(ReferralCommand):
    """We take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineReferral(ReferralCommand):
    """We do not take it, for a published reason; ``redirected_to`` names where the patient was sent
    instead.
    """

    redirected_to: ExternalKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveMessage(Command):
    """Keep a message and take in the referral it holds, in one transaction. ``id`` is the artifact's."""

    location: ClassVar[str] = "/v1/artifacts/{id}"

    received: Received
    content: bytes
    findings: tuple[Finding, ...] = ()
    referral: ReceiveReferral


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepMessage(Command):
    """Keep a message that asks for nothing new, beside the referral that one of ``names`` stands for, if
    any does.
    """

    location: ClassVar[str] = "/v1/artifacts/{id}"

    received: Received
    content: bytes
    findings: tuple[Finding, ...] = ()
    names: tuple[ExternalKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRefused(Command):
    """Keep what is about to be answered with a refusal, so that a person can look at it. ``id`` is the
    artifact's.
    """

    location: ClassVar[str] = "/v1/artifacts/{id}"

    received: Received
    content: bytes
    findings: tuple[Finding, ...] = ()
