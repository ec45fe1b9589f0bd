"""Mail that is kept instead of being sent."""

from __future__ import annotations

from baton_chassis.commands import Reply
from baton_chassis.work import Work
from baton_notification.commands import CaptureMail
from baton_notification.domain.mailbox import CapturedMail


async def capture_mail(command: CaptureMail, work: Work) -> Reply:
    """Keep it for the page of development."""
    work.save(
        CapturedMail(
            id=command.id,
            to=command.to,
            subject=command.subject,
            headers=command.headers,
            text=command.text,
            html=command.html,
            received_at=work.now,
        )
    )
    return Reply()
