"""What all events share: the kinds of text an event may hold, and the data every referral event carries."""

import re
from abc import abstractmethod
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
)

from baton_contracts import codes
from baton_contracts.event_types import EventType
from baton_contracts.topics import ADDRESSES, Address, source_of

TEXT_KIND: Final = "x-text-kind"
"""Schema keyword that says what a text is: id, code, time, hash, uri, or office (a listed business field)."""


def _text(kind: str, pattern: str, *, most: int) -> Any:
    return Field(pattern=pattern, min_length=1, max_length=most, json_schema_extra={TEXT_KIND: kind})


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Id = Annotated[str, _text("id", r"^[A-Za-z0-9][A-Za-z0-9\-.]*$", most=64)]
"""An id that we gave: uuid7 text, also a legal FHIR id."""

Subject = Annotated[str, _text("id", r"^[!-~]+$", most=128)]
"""Who acted, as the token names them: opaque, without spaces."""

ExternalValue = Annotated[str, _text("id", r"^[!-~]([ -~]*[!-~])?$", most=128)]
"""A number or key that another system gave to a thing of the referral, never to a patient."""

Uri = Annotated[str, _text("uri", r"^[!-~]+$", most=256)]
"""A system, profile or owner name as URI, URN, OID or dotted name."""

Code = Annotated[str, _text("code", r"^[A-Za-z0-9][A-Za-z0-9_\-.+/]*$", most=64)]
"""An open code: published values are in `baton_contracts.codes`; consumers take unknown ones as they are."""

MediaType = Annotated[str, _text("code", r"^[a-z0-9!#$&^_.+\-]+/[a-z0-9!#$&^_.+\-]+$", most=128)]
"""A media type without parameters (RFC 6838)."""

Sha256 = Annotated[str, _text("hash", r"^[0-9a-f]{64}$", most=64)]
"""SHA-256 of the exact bytes, lower case hexadecimal."""

OfficeText = Annotated[str, _text("office", r"^[^\x00-\x1f\x7f]+$", most=256)]
"""A business field of an office, such as its name or a contact address. Never anything about a patient."""

Time = Annotated[
    AwareDatetime,
    PlainSerializer(_utc, return_type=str, when_used="json"),
    Field(json_schema_extra={"type": "string", "format": "date-time", TEXT_KIND: "time"}),
]
"""A moment with offset; travels in UTC with microseconds."""

Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


CONSUMED: Final = object()
"""Validation context of a consumer: enumerated texts are open, a newer producer's code is taken as it is."""


def one_of(vocabulary: type[StrEnum]) -> tuple[Any, Any]:
    """Annotations for a text of a published vocabulary: closed for its maker, open for whoever parses it."""
    values: list[Any] = [member.value for member in vocabulary]

    def member(value: str, info: ValidationInfo) -> str:
        if info.context is not CONSUMED and value not in values:
            raise ValueError("not a published code")
        return value

    return AfterValidator(member), Field(json_schema_extra={"enum": values})


AssertionCode = Annotated[Code, *one_of(codes.Assertion)]
VouchedAssertionCode = Annotated[Code, *one_of(codes.VouchedAssertion)]
ActorKindCode = Annotated[Code, *one_of(codes.ActorKind)]
PriorityCode = Annotated[Code, *one_of(codes.Priority)]
RequestedDispositionCode = Annotated[Code, *one_of(codes.RequestedDisposition)]
DispositionCode = Annotated[Code, *one_of(codes.Disposition)]
AppointmentKindCode = Annotated[Code, *one_of(codes.AppointmentKind)]
CancelledByCode = Annotated[Code, *one_of(codes.CancelledBy)]
DocumentKindCode = Annotated[Code, *one_of(codes.DocumentKind)]
AckCode = Annotated[Code, *one_of(codes.Ack)]
ReopenToCode = Annotated[Code, *one_of(codes.ReopenTo)]
ChannelCode = Annotated[Code, *one_of(codes.Channel)]
DeliveryKindCode = Annotated[Code, *one_of(codes.DeliveryKind)]
DeliveryRoleCode = Annotated[Code, *one_of(codes.DeliveryRole)]
ProofCode = Annotated[Code, *one_of(codes.Proof)]
DeclineReasonCode = Annotated[Code, *one_of(codes.DeclineReason)]
CancelReasonCode = Annotated[Code, *one_of(codes.CancelReason)]
CancelRefusalReasonCode = Annotated[Code, *one_of(codes.CancelRefusalReason)]
WithdrawReasonCode = Annotated[Code, *one_of(codes.WithdrawReason)]
HoldReasonCode = Annotated[Code, *one_of(codes.HoldReason)]
ExpiryReasonCode = Annotated[Code, *one_of(codes.ExpiryReason)]
ErrorReasonCode = Annotated[Code, *one_of(codes.ErrorReason)]
ReopenReasonCode = Annotated[Code, *one_of(codes.ReopenReason)]
AppointmentCancelReasonCode = Annotated[Code, *one_of(codes.AppointmentCancelReason)]
NoShowReasonCode = Annotated[Code, *one_of(codes.NoShowReason)]
RetractReasonCode = Annotated[Code, *one_of(codes.RetractReason)]


class Value(BaseModel):
    """A part of an event: frozen, closed for producers, open for consumers (`parse`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Actor(Value):
    """Who did it: a kind and, where there is one, the opaque id under which that party is known here."""

    kind: ActorKindCode
    id: Subject | None = None


class ExternalId(Value):
    """How another system names a thing: its naming system and the value there."""

    system: Uri
    value: ExternalValue


class Clinician(Value):
    """A clinician by business identity: national or local identifier, and the name shown to offices."""

    identifier: ExternalId | None = None
    name: OfficeText | None = None


class Location(Value):
    """A place of ours where a patient is seen."""

    identifier: ExternalId | None = None
    name: OfficeText | None = None


class Coding(Value):
    """A code of a published code system, without its display text."""

    system: Uri
    code: Code


class Dataref(Value):
    """Where content can be fetched by claim check: the owner service and what to ask it for."""

    owner: Code
    kind: Code
    id: Id
    version: Version
    sha256: Sha256


class Event(Value):
    """The data of one event. `type` names it; the class knows its topic, line and producer."""

    type: ClassVar[EventType]

    occurred_at: Time

    @classmethod
    def address(cls) -> Address:
        """The topic, line and one producer of this type."""
        return ADDRESSES[cls.type]

    @property
    @abstractmethod
    def entity_id(self) -> str:
        """Id of the referral or office whose line this is: the subject and the key on the topic."""

    @property
    def stream(self) -> str:
        """The CloudEvents `source` of this event, within which `sequence` is contiguous."""
        return source_of(self.address().line, self.entity_id)

    def body(self) -> dict[str, Any]:
        """The event as the `data` of an envelope: JSON types only, absent values left out."""
        return self.model_dump(mode="json", exclude_none=True)


class ReferralEvent(Event):
    """A fact about one referral.

    `occurred_at` is when it happened in the world; `reason` is a code of `baton_contracts.codes`;
    `external_ids` are the names that other systems have for the thing this fact is about.
    """

    referral_id: Id
    patient_id: Id | None = None
    office_id: Id | None = None
    actor: Actor
    assertion: AssertionCode
    reason: Code | None = None
    external_ids: tuple[ExternalId, ...] = ()

    @property
    def entity_id(self) -> str:
        """The referral's id."""
        return self.referral_id


_PRINTABLE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-.+/]*")


def is_external_value(value: str) -> bool:
    """Whether a key from outside fits `ExternalValue`: doors ask before it becomes a fact."""
    return len(value) <= 128 and _PRINTABLE.fullmatch(value) is not None


def is_code(value: str) -> bool:
    """Whether a code from outside fits `Code`: doors ask before it becomes a fact."""
    return len(value) <= 64 and _CODE.fullmatch(value) is not None
