"""Standard Webhooks: signed calls through the guarded client, and what each answer means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from standardwebhooks.webhooks import Webhook

from baton_chassis.clock import Clock
from baton_chassis.outbound import Answered, OutboundClient, OutboundFailed, OutboundRefused
from baton_notification.domain.delivery import Verdict
from baton_notification.handlers.deliveries import GONE
from baton_notification.ports import Result

FULL_PAYLOAD: Final = "full_payload_accepted"
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


def signed_headers(secrets: Sequence[str], *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of the specification; one signature for each secret that is valid now, the newest
    first.
    """
    text = body.decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, at, text) for secret in secrets),
    }


class WebhookChannel:
    """Calls endpoints. ``clock`` is the security clock: receivers judge the age of a signature by the real
    time.
    """

    def __init__(self, client: OutboundClient, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.close()

    async def send(
        self,
        url: str,
        *,
        message_id: str,
        secrets: Sequence[str],
        body: bytes,
        media_type: str,
        proves: bool,
        proof: str | None = None,
    ) -> Result:
        """One call. ``proves`` says whether a 2xx shows that the receiver has what the delivery is about:
        always for a notice, for a document only when the body holds it (``proof`` then names that).
        """
        now = self._clock.now().astimezone(UTC)
        headers = signed_headers(secrets, message_id=message_id, at=now, body=body)
        headers |= {"Content-Type": media_type, "User-Agent": "referral-webhooks/1"}
        try:
            answered = await self._client.send("POST", url, headers=headers, body=body)
        except OutboundRefused as refused:
            return Result(verdict=Verdict.LATER, outcome=refused.code)
        except OutboundFailed as failed:
            return Result(verdict=Verdict.LATER, outcome=failed.code, duration_ms=failed.duration_ms)
        if 200 <= answered.status < 300:
            verdict = Verdict.PROVEN if proves else Verdict.TAKEN
            return Result(
                verdict=verdict,
                outcome="accepted",
                code=str(answered.status),
                duration_ms=answered.duration_ms,
                proof=proof,
            )
        return _refusal(answered, now=now)


def _refusal(answered: Answered, *, now: datetime) -> Result:
    """410 ends it; everything else may do better later, redirects too: they are never followed."""
    code = str(answered.status)
    if answered.status == 410:
        return Result(verdict=Verdict.NEVER, outcome=GONE, code=code, duration_ms=answered.duration_ms)
    return Result(
        verdict=Verdict.LATER,
        outcome="redirected" if 300 <= answered.status < 400 else "refused",
        code=code,
        duration_ms=answered.duration_ms,
        wish=retry_after(answered.headers, now=now),
    )


def retry_after(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """What ``Retry-After`` asks for (RFC 9110, 10.2.3: seconds or a date); None for anything else."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return timedelta(seconds=int(text))
    try:
        wished = parsedate_to_datetime(text)
    except ValueError:
        return None
    if wished.tzinfo is None:
        wished = wished.replace(tzinfo=UTC)
    return max(wished - now, timedelta())
