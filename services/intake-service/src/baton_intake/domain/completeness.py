"""How much of what we need to book and to answer the request brought along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from baton_intake.domain.identity import is_reachable
from baton_intake.domain.request import ReferralRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """``score`` from 0 to 100, and the fields that are ``missing``, by their path in the request."""

    score: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    path: str
    weight: int
    is_there: Callable[[ReferralRequest], bool]


_WANTED = (
    _Wanted("patient.birth_date", 3, lambda r: bool(r.patient.birth_date)),
    _Wanted("patient.telecom", 3, lambda r: bool(r.patient.telecom)),
    _Wanted("patient.gender", 1, lambda r: bool(r.patient.gender)),
    _Wanted("patient.address", 1, lambda r: r.patient.address is not None),
    _Wanted("patient.identifiers", 1, lambda r: bool(r.patient.identifiers)),
    _Wanted("reasons", 3, lambda r: bool(r.reasons or r.reason_text)),
    _Wanted("question", 2, lambda r: bool(r.question or r.reason_text)),
    _Wanted("specialty", 1, lambda r: r.specialty is not None),
    _Wanted("requested_disposition", 1, lambda r: bool(r.requested_disposition)),
    _Wanted("referrer.office.telecom", 3, lambda r: is_reachable(r.referrer.office)),
    _Wanted("referrer.clinician", 1, lambda r: r.referrer.clinician is not None),
    _Wanted("coverage", 2, lambda r: bool(r.coverage)),
    _Wanted("authored_at", 1, lambda r: bool(r.authored_at)),
)


def completeness(request: ReferralRequest) -> Completeness:
    """What the request has of what is wanted, weighted by how much its absence delays booking or the
    answer.
    """
    absent = [wanted for wanted in _WANTED if not wanted.is_there(request)]
    total = sum(wanted.weight for wanted in _WANTED)
    lost = sum(wanted.weight for wanted in absent)
    return Completeness(
        score=round(100 * (total - lost) / total), missing=tuple(wanted.path for wanted in absent)
    )
