"""What can be done to a referral by name: one row each, from the address to the command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from baton_chassis.commands import Command
from baton_contracts.lifecycle import Verb
from baton_intake.commands import AcceptReferral, DeclineReferral
from baton_intake.rest.bodies import DeclineBody, VerbBody


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbRoute:
    """One verb of the native API: its body, and the command that it asks for of a referral."""

    verb: Verb
    body: type[VerbBody]
    command: Callable[[str, Any], Command]
    summary: str

    @property
    def path(self) -> str:
        """Where the verb is posted."""
        return f"/v1/referrals/{{id}}/{self.verb.value}"


def _accept(id: str, body: VerbBody) -> Command:
    return AcceptReferral(id=id, reason=body.reason, text=body.text, occurred_at=body.occurred_at)


def _decline(id: str, body: DeclineBody) -> Command:
    to = body.redirected_to.key() if body.redirected_to else None
    return DeclineReferral(
        id=id, reason=body.reason, text=body.text, occurred_at=body.occurred_at, redirected_to=to
    )


VERBS = (
    VerbRoute(verb=Verb.ACCEPT, body=VerbBody, command=_accept, summary="Take the referral on."),
    VerbRoute(
        verb=Verb.DECLINE,
        body=DeclineBody,
        command=_decline,
        summary="Do not take the referral, for a published reason.",
    ),
)
"""Every verb that is mounted, in the order in which actions are shown."""
