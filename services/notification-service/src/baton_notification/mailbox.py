"""The door of development to captured mail: a page for people and the same as JSON. Not there in profile
prod.
"""

from __future__ import annotations

from typing import Any, Final

from baton_chassis.doors import Answer, Ask, Routes
from baton_notification.channels.rendering import templates
from baton_notification.domain.mailbox import CapturedMail
from baton_notification.handlers.views import moment
from baton_notification.ports import Mailbox

MOST: Final = 200
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def routes(mailbox: Mailbox) -> Routes:
    """``/dev/mailbox`` and ``/dev/mailbox/messages``."""
    routes = Routes(tag="development mailbox")
    page = templates().get_template("mailbox.html.j2")

    @routes.raw("GET", "/dev/mailbox", public=True, produces=("text/html",), documented=False)
    async def show(ask: Ask[Any]) -> Answer:
        """Captured mail, newest first."""
        html = page.render(mails=await mailbox.newest(MOST))
        return Answer(
            body=html, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY}
        )

    @routes.raw("GET", "/dev/mailbox/messages", public=True, produces=("application/json",), documented=False)
    async def messages(ask: Ask[Any]) -> Answer:
        """Captured mail as JSON, newest first."""
        return Answer(body={"items": [_shown(mail) for mail in await mailbox.newest(MOST)]})

    return routes


def _shown(mail: CapturedMail) -> dict[str, Any]:
    return {
        "id": mail.id,
        "to": mail.to,
        "subject": mail.subject,
        "headers": dict(mail.headers),
        "text": mail.text,
        "html": mail.html,
        "received_at": moment(mail.received_at),
    }
