"""Mail in development: composed exactly as for a server, then kept for ``/dev/mailbox``."""

from __future__ import annotations

from baton_chassis.clock import Clock
from baton_chassis.commands import Caller
from baton_chassis.doors import Submit
from baton_chassis.ids import Ids
from baton_notification.channels.mail import composed
from baton_notification.commands import CaptureMail
from baton_notification.domain.delivery import Verdict
from baton_notification.ports import Mail, Result


class CapturedMailChannel:
    """Takes every mail; what could not be sent over SMTP is refused here too."""

    def __init__(self, submit: Submit, *, sender: str, clock: Clock, new_id: Ids) -> None:
        self._submit = submit
        self._sender = sender
        self._clock = clock
        self._new_id = new_id

    async def send(self, practice_id: str, mail: Mail) -> Result:
        """Keep one mail."""
        try:
            message = composed(mail, sender=self._sender, clock=self._clock)
        except ValueError:
            return Result(verdict=Verdict.NEVER, outcome="bad-address")
        command = CaptureMail(
            id=self._new_id(),
            to=str(message["To"]),
            subject=str(message["Subject"]),
            headers={name: str(value) for name, value in message.items()},
            text=mail.text,
            html=mail.html,
        )
        await self._submit(command, Caller(practice_id=practice_id, actor="service:notification"))
        return Result(verdict=Verdict.TAKEN, outcome="captured", code="250")
